"""Photos by address: fetched side by side, each at most once, checked as they come, kept under their content.

Nothing is asked of this machine or its own network unless that is allowed: a name is resolved once, its address judged,
and the connection made to that address, at every hop.
"""

import http.client
import ipaddress
import json
import socket
import ssl
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from email.message import Message
from hashlib import blake2b
from pathlib import Path
from threading import Event, Lock, Timer
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from modiste.catalog.files import write
from modiste.errors import SourceError

AT_ONCE = 8
"""How many are fetched at a time."""

MOST_BYTES = 50_000_000
"""The largest file that is fetched."""

TRIES, REDIRECTS = 3, 5
PAUSE_S = 0.5  # before the second try
CONNECT_S, WHOLE_S = 10.0, 60.0  # seconds to connect and between two pieces, and for the whole of one answer
FRESH_S = 3600.0
"""A photo that was asked for within so many seconds is not asked for again."""

_INDEX = "index.jsonl"
_CHUNK = 1 << 16
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_OWN = [  # though `ipaddress` may not say so: where clouds tell their machines what they are, and old forms of IPv6
    ipaddress.ip_network(one)
    for one in ("192.0.0.0/24", "168.63.129.16", "::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "fec0::/10")
]
_KINDS = (
    (b"\xff\xd8\xff", "jpg"),
    (b"\x89PNG", "png"),
    (b"GIF8", "gif"),
    (b"RIFF", "webp"),
    (b"BM", "bmp"),
    (b"II*\0", "tif"),
    (b"MM\0*", "tif"),
)

Progress = Callable[[int, int], None]
_Answer = tuple[bytes, str, Message]


@dataclass(frozen=True)
class Fetched:
    """What came of an address: the file, its content's name, or None; and why there is none, or only an old one."""

    file: Path | None
    problem: str | None = None


@dataclass(frozen=True)
class _Known:
    """What is remembered of an address: its file's name, what its server calls this version, and when it was asked."""

    url: str
    file: str
    etag: str | None
    modified: str | None
    at: float


class _RefusedError(Exception):
    """Why an address can't be had; asking again would not help."""


class _FailedError(Exception):
    """Why it can't be had now; ``after`` is in how many seconds to ask again, where the server says so."""

    def __init__(self, why: str, after: float = 0.0) -> None:
        super().__init__(why)
        self.after = after


def fetch(
    urls: Collection[str],
    folder: Path,
    *,
    private: bool = False,
    fresh: float = FRESH_S,
    at_once: int = AT_ONCE,
    pause: float = PAUSE_S,
    progress: Progress | None = None,
) -> dict[str, Fetched]:
    """Fetch photos into ``folder``, each under its content's name; returns what came of each address.

    What is there is asked for again only after ``fresh`` seconds, and comes only if it has changed (ETag,
    Last-Modified). Interrupted, it goes on where it was. An address that can't be had is tried TRIES times, ``pause``
    seconds and twice as many apart; its old file counts on. ``private`` allows addresses of this machine and its
    network; an address without a scheme is one of https. Raises SourceError where the folder can't be written.
    """
    wanted, found = list(dict.fromkeys(urls)), {}
    index = _Index(folder)
    with ThreadPoolExecutor(max(1, at_once), thread_name_prefix="fetching") as pool:
        asked = {pool.submit(_fetched, url, index, private, fresh, pause): url for url in wanted}
        try:
            for done, one in enumerate(as_completed(asked), 1):
                found[asked[one]] = one.result()
                if progress:
                    progress(done, len(wanted))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return {url: found[url] for url in wanted}


class _Index:
    """The addresses that were fetched, a line each; a later line counts, half a line doesn't."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._lock = folder, Lock()
        self.known: dict[str, _Known] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lines = (folder / _INDEX).read_text("utf-8").splitlines() if (folder / _INDEX).exists() else []
            for line in lines:
                try:
                    one = _Known(**json.loads(line))
                except (ValueError, TypeError):
                    continue
                self.known[one.url] = one
            if len(lines) > 2 * len(self.known) + 100:
                write(folder / _INDEX, "".join(map(_line, self.known.values())).encode())
            self._end = "\n" if lines and not (folder / _INDEX).read_bytes().endswith(b"\n") else ""
        except OSError as error:
            raise SourceError(f"{folder} can't be written: {error.strerror}; make room or mend it") from error

    def file(self, url: str) -> Path | None:
        """The file of an address, if it was fetched and is still there."""
        known = self.known.get(url)
        return self.folder / known.file if known and (self.folder / known.file).is_file() else None

    def remember(self, known: _Known) -> None:
        """Write it down."""
        with self._lock, (self.folder / _INDEX).open("a", encoding="utf-8") as index:
            index.write(self._end + _line(known))
            self._end = ""
            self.known[known.url] = known

    def keep(self, content: bytes, kind: str) -> str:
        """Write a photo under its content's name; returns that."""
        name = f"{blake2b(content, digest_size=16).hexdigest()}.{kind}"
        if not (self.folder / name).exists():
            write(self.folder / name, content)
        return name


def _line(known: _Known) -> str:
    return json.dumps(asdict(known), ensure_ascii=False) + "\n"


def _fetched(url: str, index: _Index, private: bool, fresh: float, pause: float) -> Fetched:
    known, file = index.known.get(url), index.file(url)
    if file is not None and known is not None and time.time() - known.at < fresh:
        return Fetched(file)
    try:
        answer = _tried(url, known if file is not None else None, private, pause)
    except _RefusedError as error:
        return Fetched(file, str(error))
    try:
        if answer is None and known is not None:  # it is still what we have
            name, etag, modified = known.file, known.etag, known.modified
        elif answer is not None:
            content, kind, headers = answer
            name, etag, modified = index.keep(content, kind), headers["ETag"], headers["Last-Modified"]
        index.remember(_Known(url, name, etag, modified, time.time()))
    except OSError as error:
        return Fetched(file, f"can't be kept: {error.strerror}")
    return Fetched(index.folder / name)


def download(url: str, private: bool = False) -> bytes:
    """What is at the address of a table, at most MOST_BYTES. Raises SourceError."""
    try:
        answer = _tried(url, None, private, PAUSE_S, photo=False)
    except _RefusedError as error:
        raise SourceError(f"{url} {error}") from None
    return b"" if answer is None else answer[0]


def _tried(url: str, known: _Known | None, private: bool, pause: float, *, photo: bool = True) -> _Answer | None:
    """As :func:`_asked`, again after a while where it failed. Raises _RefusedError where it always did."""
    for attempt in range(TRIES - 1):
        try:
            return _asked(url, known, private, photo)
        except _FailedError as error:
            time.sleep(max(pause * 2**attempt, min(error.after, 30.0)))
    try:
        return _asked(url, known, private, photo)
    except _FailedError as error:
        raise _RefusedError(f"{error}, tried {TRIES} times") from error


def _asked(url: str, known: _Known | None, private: bool, photo: bool) -> _Answer | None:
    """Content, kind and headers of what is at the address; None where it is what is ``known``."""
    headers = {"User-Agent": "modiste", "Accept": "image/*" if photo else "*/*", "Accept-Encoding": "identity"}
    url = f"https:{url}" if url.startswith("//") else url
    if known and known.etag:
        headers["If-None-Match"] = known.etag
    elif known and known.modified:
        headers["If-Modified-Since"] = known.modified
    for _ in range(REDIRECTS + 1):
        with _connected(_split(url), private) as connection:
            try:
                connection.request("GET", _target(urlsplit(url)), headers=headers)
                answer = connection.getresponse()
                if answer.status == 304 and known is not None:
                    return None
                if answer.status not in (301, 302, 303, 307, 308):
                    return *_content(answer, photo), answer.headers
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise _FailedError(_why(error)) from error
            url = urljoin(url, answer.headers.get("Location", ""))
    raise _RefusedError(f"leads on more than {REDIRECTS} times")


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"did not answer within {CONNECT_S:.0f} s"
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
    return f"can't be fetched ({said})"


def _content(answer: http.client.HTTPResponse, photo: bool) -> tuple[bytes, str]:
    """The bytes and, of a photo, its kind, judged before it comes and by its first bytes."""
    if answer.status == 429 or answer.status >= 500:
        after = answer.headers.get("Retry-After", "")
        raise _FailedError(f"is answered with status {answer.status}", float(after) if after.isdecimal() else 0.0)
    if answer.status != 200:
        raise _RefusedError(f"is answered with status {answer.status}")
    said = answer.headers.get_content_type() if "Content-Type" in answer.headers else "image/*"
    if photo and not said.startswith("image/") and said not in ("application/octet-stream", "binary/octet-stream"):
        raise _RefusedError(f"is {said}, no photo")
    if int(answer.headers.get("Content-Length") or 0) > MOST_BYTES:
        raise _RefusedError(_LARGE)
    content, kind = bytearray(), None
    while piece := answer.read1(_CHUNK):
        content += piece
        if len(content) > MOST_BYTES:
            raise _RefusedError(_LARGE)
        if photo and kind is None and len(content) >= 12 and (kind := _kind(content)) is None:
            raise _RefusedError(f"says it is {said}, but its first bytes are no photo's")
    length = answer.headers.get("Content-Length")
    if length is not None and len(content) < int(length):
        raise _FailedError(f"ended after {len(content)} of {length} bytes")
    if photo and kind is None:
        raise _RefusedError("is empty" if not content else "is no photo")
    return bytes(content), kind or ""


_LARGE = f"has more than {MOST_BYTES / 1e6:.0f} MB"


def _kind(content: bytes | bytearray) -> str | None:
    """The ending of a photo's name by its first 12 bytes; None for what is none."""
    if content[4:8] == b"ftyp":
        return "avif" if content[8:12] in (b"avif", b"avis") else "heic"
    return next((kind for start, kind in _KINDS if content.startswith(start)), None)


# Connections


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise _RefusedError(f"is no address ({error})") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _RefusedError(f"leads to {url[:80]!r}; only http and https are fetched")
    if parts.username is not None:
        raise _RefusedError("holds a user's name; give one without")
    return parts


def _target(parts: SplitResult) -> str:
    """Path and query, with what may not stand there escaped."""
    query = f"?{quote(parts.query, safe=_SAFE + '?')}" if parts.query else ""
    return quote(parts.path or "/", safe=_SAFE) + query


_SAFE = "/%:@!$&'()*+,;=~-._"


@contextmanager
def _connected(parts: SplitResult, private: bool) -> Iterator[http.client.HTTPConnection]:
    """A connection to the address that was judged, cut off after WHOLE_S."""
    host, secure = str(parts.hostname), parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    try:
        made = _connect(host, port, private)
    except (OSError, UnicodeError) as error:
        raise _FailedError(_why(error)) from error
    late = Event()

    def cut() -> None:
        late.set()
        with suppress(OSError):
            made.shutdown(socket.SHUT_RDWR)

    timer = Timer(WHOLE_S, cut)
    timer.daemon = True
    timer.start()
    connection = http.client.HTTPConnection(host, port)
    try:
        if secure:
            connection.default_port = 443  # so that the port isn't part of the name that is asked for
            made = ssl.create_default_context().wrap_socket(made, server_hostname=host)
        connection.sock = made
        yield connection
    except OSError as error:
        raise _FailedError(_why(error)) from error
    finally:
        timer.cancel()
        connection.close()
        made.close()
        if late.is_set():
            raise _FailedError(f"took more than {WHOLE_S:.0f} s")


def _connect(host: str, port: int, private: bool) -> socket.socket:
    """A socket to one of the host's addresses that may be asked."""
    refused, last = None, OSError("has no address")
    for family, kind, protocol, _, address in _resolved(host, port):
        if not private and not is_public(str(address[0])):
            refused = str(address[0])
            continue
        made = socket.socket(family, kind, protocol)
        made.settimeout(CONNECT_S)
        try:
            made.connect(address)
        except OSError as error:
            made.close()
            last = error
        else:
            return made
    if refused is not None:
        raise _RefusedError(
            f"leads to {refused}, an address of this machine or its own network; allow private ones, if meant"
        )
    raise last


def _resolved(
    host: str, port: int
) -> list[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[object, ...]]]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)  # type: ignore[return-value]


def is_public(address: str) -> bool:
    """Whether anyone may be asked at this IP address: not this machine, nor what only its own network reaches."""
    one = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(one, ipaddress.IPv6Address):
        inner = one.ipv4_mapped or one.sixtofour or (one.teredo[1] if one.teredo else None)
        if one in _NAT64:
            inner = ipaddress.IPv4Address(int(one) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return one.is_global and not one.is_multicast and not any(one in network for network in _OWN)
