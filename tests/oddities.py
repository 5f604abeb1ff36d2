"""Odd files in every place that takes one, odd values in all that a request may say: each is taken or refused in words.

    python -m tests.oddities [--only files|requests] [--every N]

Every command line of LINES is given each kind of odd file, in a fork of this process; a real service is asked each of
its routes with odd values in its path, its parameters, its body and its head. Prints what was tried and what survived,
by kind, and exits with 1 if something met a traceback, a 5xx, no answer, SECONDS or too much memory. Needs Linux.
"""

import argparse
import io
import os
import re
import resource
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import typer
from PIL import Image
from starlette.routing import Mount

import modiste.evaluation.experiments
import modiste.shop.lists
import modiste.shop.sync  # noqa: F401
from modiste import Event, Item, Shop, commands
from modiste.server.app import create_app
from modiste.server.settings import Settings

from . import garments
from .odd_files import KINDS
from .running import BEARER, TOKEN, running

SECONDS, CPU_SECONDS = 300.0, 60
"""How long a command may take, and of a core; a request a quarter of the first. On a quiet machine most take 1."""

COMMAND_MB, REQUEST_MB = 1500, 450
"""Memory that a command may take in all, of which 300 MB are imports, and that a request may add to the service."""


class Tally:
    """What was tried and what survived, by kind."""

    def __init__(self, every: int, first: int = 0) -> None:
        self.tried, self.survived, self._every, self._seen = Counter[str](), Counter[str](), every, -first

    def takes(self) -> bool:
        """Whether the next one is among those to be tried."""
        self._seen += 1
        return self._seen > 0 and (self._seen - 1) % self._every == 0

    def note(self, kind: str, what: str, wrong: str) -> None:
        """Count one, and print it if something was ``wrong``."""
        self.tried[kind] += 1
        self.survived[kind] += not wrong
        if wrong:
            print(f"    {kind}: {what}: {wrong}", flush=True)

    def table(self) -> str:
        """A line for each kind."""
        return "\n".join(f"{self.tried[one]:6} tried {self.survived[one]:6} survived  {one}" for one in self.tried)


# Files

LINES = """
new X
new NEW --categories X.toml
status X
status @ < @/shop.db
status @ < @/shop.toml
status @ < @/categories.toml
check X
check @ < @/photos/0.png
check @ --mend < @/cache
embed X
embed @ < @/photos/0.png
embed @ --masks X
sync X
sync @ < @/sync.toml
sync @ --items X.csv
sync @ --items X.csv.gz
sync @ --items X.xml
sync @ --items BOOK --mapping X.toml
sync @ --items BOOK --masks X
sync @ --orders X.csv
sync @ --orders ORDERS --order-mapping X.toml
add items X BOOK
add items @ X
add items @ X.csv
add items @ X.xlsx
add items @ X.xml
add items @ X.json
add items @ X.parquet
add items @ BOOK --masks X
add items @ BOOK --mapping X.toml
add stores X ORDERS
add stores @ X.csv
add stores @ ORDERS --mapping X.toml
add purchases X ORDERS
add purchases @ X.csv
add purchases @ X.xlsx
add purchases @ X.json
add purchases @ ORDERS --mapping X.toml
masks X --out OUT
masks @ --out X.png
masks @ --out X/below.png
parse X --out OUT
parse X.png --out OUT
parse PHOTO --out X
search X PHOTO
search @ X.png
recommend X --item i1
recommend @ --item i1 < @/cache/manifest.json
recommend @ --shopper ann --html X.html
goes-with X i1
recommend-all X --out OUT
recommend-all @ --out X.csv
recommend-all @ --out X.parquet
recommend-all @ --out X.feed
scenario list X
scenario show X home
scenario set X home PHOTO
scenario set @ home X.toml
scenario set @ home X.json
scenario preview X home
scenario preview @ home X.toml
scenario undo X home
scenario remove X home
backbones list < CACHE/odd.toml
backbones export resnet50 --weights X.pth
doctor < CACHE/odd.toml
export X --shopper ann
export @ --form recbole --out X
export @ --form lenskit --out X
backup X OUT
backup @ X
backup @ OUT < @/photos/0.png
backup @ OUT < @/uploads
forget X --shopper ann
forget @ --shopper ann < @/a.html
forget @ --shopper ann < @/a.parquet
simulate X
weigh X
evaluate X
evaluate @ views --out X
compare X balanced paper
tune X
demo X --no-serve --products 18
serve X
report X
audit X
key add X a --role read
key list X
key withdraw X a
user add X a --role admin
user list X
user change X a --role admin
user remove X a
ab start X a --a balanced --b paper
ab report X
ab stop X a
"""
"""Command lines; ``X`` is the odd file, or it lies where ``<`` says. ``@`` is a shop that is whole otherwise."""


def all_commands(group: Any, before: str = "") -> Iterator[str]:
    """The names of all commands."""
    if hasattr(group, "commands"):
        for name, one in group.commands.items():
            yield from all_commands(one, f"{before} {name}".strip())
    else:
        yield before


def missing() -> set[str]:
    """Commands that no line is of."""
    names = all_commands(typer.main.get_command(commands.app))
    return {one for one in names if not any(f"{line} ".startswith(f"{one} ") for line in LINES.splitlines())}


def make_shop(path: Path) -> None:
    """Six garments, two shoppers, two orders."""
    with Shop.create(path) as shop:
        (path / "photos").mkdir()
        rows = ["item_id,image,category,popularity"]
        for number, (kind, colour) in enumerate(product(garments.BOXES, garments.COLOURS)):
            (path / "photos" / f"{number}.png").write_bytes(garments.drawn(kind, colour))
            rows.append(f"i{number},{number}.png,{kind},{number}")
        (path / "photos" / "items.csv").write_text("\n".join(rows) + "\n")
        shop.items.add(path / "photos" / "items.csv")
        shop.vectors.embed(masking="none")
        shop.items.put(Item("up", "Denim"), garments.drawn())
        shop.purchases.record([Event("ann", "i1", datetime(2026, 1, 1)), Event("bea", "i2", datetime(2026, 1, 2))])
        shop.recommend(item="i1", top=1)


def ran(words: list[str], root: Path) -> tuple[str, str]:
    """A command in a fork: what was wrong, and the last that it said."""
    said, began = root / "said", time.monotonic()
    if not (child := os.fork()):
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        os.environ["MODISTE_CACHE"], sys.argv = str(root / "networks"), ["modiste", *words]
        code = 0
        try:
            commands.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        except BaseException:
            traceback.print_exc()
            code = 99
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    while not (ended := os.wait4(child, os.WNOHANG))[0]:
        if time.monotonic() > began + SECONDS:
            os.killpg(child, signal.SIGKILL)
            os.wait4(child, 0)
            return f"took more than {SECONDS:.0f} s", ""
        time.sleep(0.01)
    text, megabytes = said.read_text(errors="replace"), ended[2].ru_maxrss >> 10
    code = os.waitstatus_to_exitcode(ended[1])
    last = next((line for line in reversed(text.splitlines()) if line.strip()), "")
    if code < 0 or code == 99 or "Traceback" in text or "Exception ignored" in text:
        return f"ended with {code}: {last[:300]}", last
    return f"took {megabytes} MB" if megabytes > COMMAND_MB else "", last


def place(odd: Callable[[Path], object], at: Path) -> None:
    """Put an odd file where there may be another thing."""
    if at.is_dir() and not at.is_symlink():
        shutil.rmtree(at)
    at.unlink(missing_ok=True)
    at.parent.mkdir(parents=True, exist_ok=True)
    odd(at)


def files(root: Path, tally: Tally, kinds: Collection[str] = KINDS.keys(), lines: str = LINES) -> None:
    """Every command line with each kind of odd file."""
    base, shop = root / "base", root / "shop"
    if not (child := os.fork()):  # what it starts (polars' threads) would not outlive the forks
        make_shop(base)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    (root / "orders.csv").write_text("shopper_id,item_id,date\nann,i1,2026-01-03\n")
    (root / "photo.png").write_bytes(garments.drawn())
    names = {"@": shop, "BOOK": shop / "photos" / "items.csv", "CACHE": root / "networks", "NEW": root / "new",
             "ORDERS": root / "orders.csv", "OUT": root / "out", "PHOTO": root / "photo.png"}  # fmt: skip

    def path(word: str) -> str:
        head, slash, rest = word.partition("/")
        if head.partition(".")[0] == "X":
            return str(root / f"odd{head[1:]}") + slash + rest
        return str(names[head]) + slash + rest if head in names else word

    for line in lines.strip().splitlines():
        said, _, where = line.partition(" < ")
        words = [path(word) for word in said.split()]
        at = Path(path(where) if where else next(path(one.partition("/")[0]) for one in said.split() if one[0] == "X"))
        for odd in kinds:
            waits = odd == "fifo" and re.search("--(out|html) X", line)  # for whoever reads the pipe
            if waits or not tally.takes():
                continue
            for one in (shop, root / "nowhere", *(names[name] for name in ("OUT", "NEW", "CACHE"))):
                shutil.rmtree(one, ignore_errors=True)
                if one.is_file():
                    one.unlink()
            shutil.copytree(base, shop)
            place(KINDS[odd], at)
            wrong, last = ran(words, root)
            if odd in ("fifo", "endless", "full") and not (at.is_symlink() or at.is_fifo()) and "--out" not in words:
                wrong = wrong or f"replaced what lay there: {last[:200]}"
            tally.note(f"files: {odd}", line, wrong)
            place(lambda _: None, at)


# Requests

TEXTS = {
    "nothing": "", "NUL": "a\0b", "newline": "a\nb", "dots": "..", "dots and slashes": "../../etc/passwd",
    "long": "a" * 9000, "half a pair": "\ud800", "another script's digits": "١٢", "nan": "nan", "infinite": "1e999",
    "negative": "-1", "zero": "0", "huge": "9" * 5000, "large": "9" * 19, "exponent": "1e3", "plus": "+5",
    "underscore": "1_000", "far off": "9999-12-31T23:59:59-14:00", "year one": "0001-01-01",
    "markup": "<script>alert(1)</script>", "formula": '=HYPERLINK("http://a")', "turned round": "\u202ea",
    "percent": "%00%ff", "several": "1,1,1,,", "json": '{"a":[', "address": "//evil.example/",
    "script": "javascript:alert(1)",
}  # fmt: skip
"""Values that stand where another is meant."""

BODIES = {
    "deep list": b"[" * 400_000, "deep object": b'{"a":' * 150_000, "deep and closed": b"[" * 100_000 + b"]" * 100_000,
    "NaN": b'{"shopper_id":"ann","item_id":"i1","quantity":NaN,"trendiness":NaN,"latitude":-Infinity}',
    "huge number": b'{"shopper_id":"ann","item_id":"i1","quantity":' + b"9" * 6000 + b"}",
    "huge exponent": b'{"trendiness":1e999,"top":1e400}', "nothing": b"", "null": b"null", "true": b"true",
    "text": b'"x"', "empty list": b"[]", "list of null": b"[null]", "mixed": b'[[],{},1,null,"a"]',
    "half a pair": b'{"shopper_id":"\\ud800","item_id":"i1","list_id":"\\ud800","scenario":{"about":"\\ud800"}}',
    "NUL": b'{"shopper_id":"a\\u0000b","item_id":"i1","list_id":"\\u0000","scenario":{"about":"\\u0000"}}',
    "twice": b'{"shopper_id":"ann","shopper_id":"bob","item_id":"i1"}',
    "too many": b"[" + b'{"item_id":"i1"},' * 5000 + b"{}]",
    "utf-16": '{"shopper_id":"ann","item_id":"i1"}'.encode("utf-16"),
    "latin-1": b'{"shopper_id":"\xff","item_id":"i1"}', "mark": b'\xef\xbb\xbf{"shopper_id":"ann","item_id":"i1"}',
    "future": b'{"shopper_id":"ann","item_id":"i1","at":"2099-01-01"}',
    "segment": b'{"type":"track","event":"Order Completed","timestamp":"9999-12-31","properties":{"products":{}}}',
    "ga4": b'{"client_id":"1","timestamp_micros":1' + b"0" * 40 + b',"events":[{"name":"purchase","params":[]}]}',
}  # fmt: skip


def _part(name: bytes, value: bytes, more: bytes = b"") -> bytes:
    return b'--b\r\nContent-Disposition: form-data; name="' + name + b'"' + more + b"\r\n\r\n" + value + b"\r\n"


_END, _FILE = b"--b--\r\n", b'; filename="a"'
FORMS = {
    "no end": _part(b"category", b"Denim"), "cut": _part(b"category", b"Denim")[:-4], "only an end": _END,
    "twice": _part(b"category", b"Denim") + _part(b"category", b"Dresses") + _END,
    "no name": b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n" + _END,
    "no disposition": b"--b\r\n\r\nx\r\n" + _END, "NUL": _part(b"category", b"a\0b") + _part(b"a\0", b"") + _END,
    "latin-1": _part(b"title", b"\xff\xfe") + _END,
    "many fields": b"".join(_part(b"f%d" % one, b"x") for one in range(3000)) + _END,
    "many files": _part(b"photos", b"x", _FILE) * 1500 + _END,
    "a large field": _part(b"title", b"x" * 3_000_000) + _END,
    "a large head": _part(b"title", b"x", b"; x=" + b"a" * 100_000) + _END,
    "a photo of text": _part(b"photo", b"abc") + _END,
    "a file for a field": _part(b"category", b"Denim", _FILE) + _END,
    "a name that is none": _part(b"photo", b"x", b"; filename*=utf-8''%00%ff") + _END,
    "before and after": b"junk\r\n" + _part(b"category", b"Denim") + _END + b"junk",
    "charset": _part(b"_charset_", b"utf-16") + _END,
    "deep attributes": _part(b"attributes", b'{"a":' * 50_000) + _END,
    "odd attributes": _part(b"attributes", b'{"a\\u0000":"\\ud800"}') + _END,
    "odd numbers": _part(b"price", b"1e999") + _part(b"stock", b"9" * 5000) + _END,
}  # fmt: skip

TYPES = [
    "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=b",
    "multipart/form-data; boundary=\xff", f"multipart/form-data; boundary={'b' * 5000}",
    "application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=foo",
    "application/x-www-form-urlencoded; charset=utf-16", "text/plain", "image/png", "application/json; charset=foo",
    "", ";;;",
]  # fmt: skip

_AUTH = f"Host: localhost\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n".encode()
_HOSTS = ("evil.example", "localhost.evil.example", "[::1]evil", "", "a b", "localhost,evil", "0x7f000001", "\xff")
GETS = {
    "another host": b"Host: evil.example", "a huge header": b"X: " + b"a" * 200_000, "a folded header": b"X: a\r\n b",
    "many headers": b"\r\n".join(b"X%d: a" % one for one in range(3000)), "websocket": b"Upgrade: websocket",
    "many ranges": b"Range: bytes=" + b",".join(b"%d-%d" % (one, one) for one in range(0, 2400, 2)),
    "odd ranges": b"Range: bytes=-0,a-b," + b"9" * 5000 + b"-\r\nIf-Range: \xff", "a cookie": b'Cookie: a=\xff;;=;"',
    "forwarded": b'Forwarded: for="[::1";proto=\xff;;\r\nX-Forwarded-For: ,[,%\r\nX-Forwarded-Prefix: //evil',
    "odd conditions": b"If-None-Match: \xff,,*\r\nIf-Modified-Since: Thu, 99 Foo 99999\r\nAccept: \xff/;q=nan",
}  # fmt: skip
POSTS = {
    "length and chunks": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0", "length": b"Content-Length: -5",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", "packed": b"Content-Encoding: gzip",
    "packed and chunked": b"Transfer-Encoding: gzip, chunked\r\n\r\n0", "expectations": b"Expect: 200-maybe",
    "a bad chunk": b"Transfer-Encoding: chunked\r\n\r\nZZ",
    "a huge chunk": b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff",
}  # fmt: skip
RAW = {
    **{what: b"GET /v1/items/i1/photo HTTP/1.1\r\n" + _AUTH + said + b"\r\n\r\n" for what, said in GETS.items()},
    **{what: b"POST /v1/purchases HTTP/1.1\r\n" + _AUTH + said + b"\r\n\r\n" for what, said in POSTS.items()},
    **{f"host {one!r}": f"GET /v1/items HTTP/1.1\r\nHost: {one}\r\n\r\n".encode("latin-1") for one in _HOSTS},
    "no host": b"GET /v1/items HTTP/1.1\r\n\r\n", "a star": b"OPTIONS * HTTP/1.1\r\n" + _AUTH + b"\r\n",
    "elsewhere": b"GET http://evil.example/v1/items HTTP/1.1\r\n" + _AUTH + b"\r\n", "HTTP/0.9": b"GET /\r\n",
    "CONNECT": b"CONNECT evil:80 HTTP/1.1\r\n" + _AUTH + b"\r\n", "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(250)),
    "bytes in a path": b"GET /v1/items/\xff\xfe HTTP/1.1\r\n" + _AUTH + b"\r\n",
    "an odd token": b"GET /v1/items HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
}  # fmt: skip


def photos() -> Iterator[tuple[str, bytes]]:
    """Pictures of odd kinds, and bytes that claim to be some."""

    def encoded(picture: Image.Image, form: str, **more: Any) -> bytes:
        buffer = io.BytesIO()
        picture.save(buffer, form, **more)
        return buffer.getvalue()

    def chunk(name: bytes) -> bytes:
        """A PNG with a chunk that unpacks to 200 MB."""
        data = name + b"k\0\0" + zlib.compress(b"a" * 200_000_000, 9)
        return png[:33] + struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data)) + png[33:]

    png = garments.drawn()
    plain = Image.open(io.BytesIO(png)).convert("RGB")
    grey = np.asarray(plain.convert("L")).astype(np.uint16) * 257
    for mode in ("1", "P", "LA", "L"):
        yield f"{mode} PNG", encoded(plain.convert(mode), "PNG")
    for mode in ("CMYK", "LAB", "YCbCr"):
        yield f"{mode} TIFF", encoded(plain.convert(mode), "TIFF")
    none = np.full((80, 80), np.nan, np.float32)
    for deep in (grey, grey.astype(np.int32) * 30_000, grey / np.float32(65_535), none):
        yield f"TIFF of {deep.dtype}, {deep.mean():.0f}", encoded(Image.fromarray(deep), "TIFF")
    for form in ("GIF", "WEBP", "PNG", "MPO", "TIFF"):
        yield f"50 pictures in a {form}", encoded(plain, form, save_all=True, append_images=[plain] * 49)
    for form in ("TGA", "PPM", "PDF", "JPEG2000", "ICNS", "ICO"):
        yield form, encoded(plain.resize((128, 128)), form)
    for wide, high in ((1, 1), (1, 60_000), (60_000, 1), (60_000, 250), (3999, 3999)):
        yield f"{wide} × {high}", encoded(Image.new("L", (wide, high)), "PNG")
    yield "a strip a row", encoded(Image.new("RGB", (3999, 3999)), "TIFF", compression="tiff_lzw", tiffinfo={278: 1})
    yield "a large GIF", encoded(Image.new("P", (3999, 3999)), "GIF")
    yield "a huge PSD", b"8BPS\0\1" + b"\0" * 6 + struct.pack(">HIIHH", 3, 30_000, 30_000, 8, 3) + b"\0" * 4000
    yield "SVG", b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"
    yield "EPS", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n"
    yield "an odd profile", encoded(plain, "PNG", icc_profile=b"\0" * 2000)
    yield "odd EXIF", encoded(plain, "JPEG", exif=b"Exif\0\0" + b"\xff" * 3000)
    yield "a packed text", chunk(b"zTXt")
    yield "a packed profile", chunk(b"iCCP")
    yield from (("cut", png[:-300]), ("half", png[:200]), ("with a tail", png + b"x" * 100_000), ("nothing", b""))


class Service:
    """Asks a service, and judges what comes."""

    def __init__(self, url: str, tally: Tally) -> None:
        self.url, self.tally = httpx.URL(url), tally
        self._client = httpx.Client(base_url=url, headers=BEARER, timeout=SECONDS / 4)

    def ask(self, kind: str, method: str, path: str, what: str = "", **more: Any) -> int:
        """One request; its status, 0 if there was no answer."""
        if not self.tally.takes():
            return 0
        Path("/proc/self/clear_refs").write_text("5")  # the peak is what it is from now on
        before, status, wrong = _peak(), 0, ""
        try:
            status = self._client.request(method, path, **more).status_code
        except httpx.HTTPError as error:
            wrong = repr(error)
        if status >= 500:
            wrong = f"answered {status}"
        if not wrong and (grown := _peak() - before) > REQUEST_MB:
            wrong = f"took {grown} MB"
        self.tally.note(f"requests: {kind}", f"{method} {path[:80]} {what}", wrong)
        return status

    def raw(self, what: str, sent: bytes) -> None:
        """Bytes that may be no request."""
        if not self.tally.takes():
            return
        got, wrong = b"", ""
        with socket.create_connection((self.url.host, self.url.port or 0), timeout=SECONDS / 4) as connection:
            try:
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                while some := connection.recv(65_536):
                    got += some
            except TimeoutError:
                wrong = "no answer"
            except OSError:
                pass  # it may hang up on what is no request
        if got[9:12].startswith(b"5") and got[9:12] not in (b"501", b"505"):
            wrong = f"answered {got[:200]!r}"
        self.tally.note("requests: heads", what, wrong)


def _peak() -> int:
    """The most memory that this process had, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) >> 10


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


IDS = {"item_id": "i1", "shopper_id": "ann", "event_id": "1"}
QUERIES = ("page", "q", "next", "since")
FIELDS = ("name", "password", "role", "reason", "about", "rules", "a", "b", "top", "version")
"""What pages may be asked, and what their forms may say."""


def routes(service: Service, spec: dict[str, Any]) -> None:
    """Every route of the OpenAPI."""
    form, coded = {"Content-Type": "multipart/form-data; boundary=b"}, {"Content-Type": "application/json"}
    for path, verb, told in ((path, verb.upper(), one) for path, many in spec.items() for verb, one in many.items()):
        named = [one["name"] for one in told.get("parameters", []) if one["in"] == "path"]
        filled = {name: IDS.get(name, "home") if verb != "DELETE" else "gone" for name in named}
        there = path.format(**filled)
        for what, value in TEXTS.items():
            for name in named:
                service.ask("ids", verb, path.format(**filled | {name: _quoted(value)}), what)
            for name in (one["name"] for one in told.get("parameters", []) if one["in"] == "query"):
                service.ask("parameters", verb, f"{there}?{name}={_quoted(value)}", what)
        for condition in ("*", '"x"', 'W/"x"', '"a","b"', "", "x" * 300, "\xff"):
            service.ask("conditions", verb, there, condition[:9], headers={"If-Match": condition.encode("latin-1")})
        if verb in ("POST", "PUT", "DELETE"):
            for what, body in BODIES.items():
                service.ask("bodies", verb, there, what, content=body, headers=coded)
            for what, body in FORMS.items():
                service.ask("forms", verb, there, what, content=body, headers=form)
            for kind in TYPES:
                for body in (FORMS["twice"], BODIES["null"]):
                    sent = {"Content-Type": kind.encode("latin-1")}
                    service.ask("content types", verb, there, kind, content=body, headers=sent)


def pages(service: Service, addresses: Iterable[Any]) -> None:
    """Every page and its forms."""
    own = {"Accept": "text/html", "Origin": str(service.url)}
    coded = {"Content-Type": "application/x-www-form-urlencoded"}
    for route in addresses:
        path, names = getattr(route, "path_format", route.path), list(getattr(route, "param_convertors", {}))
        if path.startswith("/v1") or isinstance(route, Mount):
            continue
        filled = {name: IDS.get(name, "home") for name in names}
        there = path.format(**filled)
        for verb, (what, text) in product(sorted(route.methods), TEXTS.items()):
            for name in QUERIES:
                service.ask("pages", verb, f"{there}?{name}={_quoted(text)}", what, headers=own)
            for name in names:
                service.ask("pages", verb, path.format(**filled | {name: _quoted(text)}), what, headers=own)
            if verb not in ("GET", "HEAD"):
                said = "&".join(f"{name}={_quoted(text)}" for name in FIELDS).encode()
                service.ask("pages' forms", verb, there, what, content=said, headers=own | coded)


def requests(root: Path, tally: Tally) -> None:
    """All that can be asked, with odd values in each place that takes one."""
    make_shop(root / "served")
    app = create_app(root / "served", Settings(token=TOKEN))
    with running(app, Settings(token=TOKEN)) as url:
        service = Service(url, tally)
        routes(service, app.openapi()["paths"])
        pages(service, app.routes)
        for what, photo in photos():
            sent = {"photo": ("a", photo)}
            service.ask("photos", "POST", "/v1/search", what, files=sent)
            service.ask("photos", "PUT", "/v1/items/odd", what, files=sent, data={"category": "Denim"})
            service.ask("photos", "GET", "/v1/items/odd/thumbnail", what)
        for what, head in RAW.items():
            service.raw(what, head)
        for path in ("../../etc/passwd", "%2e%2e/%2e%2e/app.py", "%00", "a" * 5000, "/evil", "%2F%2Fevil"):
            for verb in ("GET", "HEAD", "PUT", "OPTIONS", "TRACE"):
                service.ask("addresses", verb, f"/static/{path}")
        if service.ask("the end", "GET", "/health") not in (0, 200):
            tally.note("requests: the end", "/health", "it is not well")
    with Shop.open(root / "served") as shop:
        found = [one.said for one in shop.check() if one.kind != "leftovers"]
        tally.note("requests: the end", "modiste check", "; ".join(found))


def main() -> int:
    """Try everything, print what survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["files", "requests"])
    parser.add_argument("--every", type=int, default=1, help="try one in so many")
    parser.add_argument("--first", type=int, default=0, help="leave out so many at first")
    asked = parser.parse_args()
    tally, began = Tally(asked.every, asked.first), time.monotonic()
    for one in sorted(missing()):
        tally.note("commands without a line", one, "add one to LINES")
    with tempfile.TemporaryDirectory(prefix="modiste-oddities-", ignore_cleanup_errors=True) as root:
        if asked.only != "requests":
            files(Path(root), tally)
        if asked.only != "files":
            requests(Path(root), tally)
    print(tally.table())
    tried, survived = tally.tried.total(), tally.survived.total()
    print(f"{tried} tried, {survived} survived, in {(time.monotonic() - began) / 60:.0f} minutes")
    return tried != survived


if __name__ == "__main__":
    sys.exit(main())
