"""Photos by address, from a real server: whatever it answers, there is a photo or a reason, and nothing stops."""

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from modiste.catalog import fetching
from modiste.catalog.fetching import Fetched, fetch, is_public


def jpeg(colour: str) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (32, 48), colour).save(buffer, "JPEG")
    return buffer.getvalue()


class Shop(ThreadingHTTPServer):
    """A web server of photos that counts who asked for what."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: Counter[str] = Counter()
        self.tags = {"/red.jpg": "1"}
        self.colours = {"/red.jpg": "red", "/green.jpg": "green", "/dated.jpg": "blue"}
        self.at_once = self.most_at_once = 0


class Handler(BaseHTTPRequestHandler):
    server: Shop

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self.server.asked[self.path] += 1
        with suppress(OSError):
            self.answer()

    def say(self, status: int, body: bytes = b"", kind: str = "image/jpeg", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def answer(self) -> None:
        path, shop = self.path, self.server
        if path == "/red.jpg":
            if self.headers["If-None-Match"] == f'"{shop.tags[path]}"':
                return self.say(304)
            return self.say(200, jpeg(shop.colours[path]), ETag=f'"{shop.tags[path]}"')
        if path == "/dated.jpg":
            if self.headers["If-Modified-Since"] == "Mon, 01 Jan 2024 00:00:00 GMT":
                return self.say(304)
            return self.say(200, jpeg("blue"), Last_Modified="Mon, 01 Jan 2024 00:00:00 GMT")
        if path.startswith("/many/"):
            shop.at_once += 1
            shop.most_at_once = max(shop.most_at_once, shop.at_once)
            time.sleep(0.02)
            shop.at_once -= 1
            return self.say(200, jpeg("white"))
        if path in shop.colours or path == "/a%20dress%20%C3%A9.jpg?v=1%202":
            return self.say(200, jpeg(shop.colours.get(path, "green")))
        if path == "/moved":
            return self.say(302, Location="/again")
        if path == "/again":
            return self.say(301, Location="green.jpg")
        if path == "/round":
            return self.say(302, Location="/round")
        if path == "/file":
            return self.say(302, Location="file:///etc/passwd")
        if path == "/inside":
            return self.say(302, Location="http://169.254.169.254/latest/meta-data")
        if path == "/flaky" and shop.asked[path] < 3:
            return self.say(503, Retry_After="0")
        if path == "/flaky":
            return self.say(200, jpeg("red"))
        if path == "/down":
            return self.say(500)
        if path == "/page":
            return self.say(200, b"<html>" * 10, "text/html")
        if path == "/liar":
            return self.say(200, b"<html>" * 10)
        if path == "/large":
            return self.say(200, jpeg("red") + bytes(300_000))
        if path == "/endless":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(jpeg("red"))
            while True:
                self.wfile.write(bytes(10_000))
        if path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "5000")
            self.end_headers()
            self.wfile.write(jpeg("red")[:400])
            return None
        if path in ("/slow", "/silent"):
            self.send_response(200)
            for _ in range(100 if path == "/slow" else 0):
                self.send_header("X", "y")
                self.flush_headers()
                time.sleep(0.05)
            time.sleep(3)
            return None
        return self.say(404)


@pytest.fixture(scope="module")
def running() -> Iterator[Shop]:
    with Shop() as shop:
        threading.Thread(target=shop.serve_forever, daemon=True).start()
        yield shop
        shop.shutdown()


@pytest.fixture
def shop(running: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    running.asked.clear()
    monkeypatch.setattr(fetching, "MOST_BYTES", 200_000)
    monkeypatch.setattr(fetching, "CONNECT_S", 0.5)
    monkeypatch.setattr(fetching, "WHOLE_S", 1.0)
    return running


def one(shop: Shop, path: str, folder: Path, **how: object) -> Fetched:
    url = f"{shop.url}{path}"
    return fetch([url], folder, **{"private": True, "pause": 0.01, **how})[url]


def test_a_photo_is_fetched_through_redirects_and_odd_names(shop: Shop, tmp_path: Path) -> None:
    for path in ("/green.jpg", "/moved", "/a dress é.jpg?v=1 2"):
        got = one(shop, path, tmp_path)
        assert (got.problem, got.file and got.file.read_bytes()) == (None, jpeg("green"))
    assert len(list(tmp_path.glob("*.jpg"))) == 1  # one content, one file


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/gone", "status 404"),
        ("/down", "status 500, tried 3 times"),
        ("/round", "leads on more than 5 times"),
        ("/file", "only http and https"),
        ("/page", "is text/html, no photo"),
        ("/liar", "first bytes are no photo's"),
        ("/large", "has more than"),
        ("/endless", "has more than"),
        ("/short", "ended after 400 of 5000 bytes, tried 3 times"),
        ("/slow", "tried 3 times"),
        ("/silent", "tried 3 times"),
    ],
)
def test_what_can_not_be_had_has_a_reason(shop: Shop, tmp_path: Path, path: str, reason: str) -> None:
    begun = time.monotonic()
    got = one(shop, path, tmp_path)
    assert got.file is None
    assert reason in str(got.problem)
    assert shop.asked[path] == (6 if path == "/round" else 3 if "3 times" in reason else 1)
    assert time.monotonic() - begun < 8


def test_a_server_that_stumbles_is_asked_again(shop: Shop, tmp_path: Path) -> None:
    assert one(shop, "/flaky", tmp_path).file is not None
    assert shop.asked["/flaky"] == 3


def test_what_has_not_changed_does_not_come_again(shop: Shop, tmp_path: Path) -> None:
    first = {path: one(shop, path, tmp_path).file for path in ("/red.jpg", "/dated.jpg")}
    assert {path: one(shop, path, tmp_path).file for path in first} == first
    assert shop.asked == {"/red.jpg": 1, "/dated.jpg": 1}  # fresh: not even asked for
    assert {path: one(shop, path, tmp_path, fresh=0).file for path in first} == first
    assert shop.asked == {"/red.jpg": 2, "/dated.jpg": 2}
    shop.tags["/red.jpg"], shop.colours["/red.jpg"] = "2", "yellow"
    changed = one(shop, "/red.jpg", tmp_path, fresh=0).file
    assert changed is not None
    assert changed != first["/red.jpg"]
    assert changed.read_bytes() == jpeg("yellow")


def test_what_was_had_once_stays_when_its_server_fails(shop: Shop, tmp_path: Path) -> None:
    url = f"{shop.url}/green.jpg"
    file = one(shop, "/green.jpg", tmp_path).file
    del shop.colours["/green.jpg"]
    try:
        assert fetch([url], tmp_path, private=True, fresh=0)[url] == Fetched(file, "is answered with status 404")
    finally:
        shop.colours["/green.jpg"] = "green"


def test_an_interrupted_fetch_goes_on_and_half_a_line_costs_nothing(shop: Shop, tmp_path: Path) -> None:
    urls = [f"{shop.url}/many/{number}" for number in range(40)]

    def interrupted(done: int, total: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(urls, tmp_path, private=True, at_once=4, progress=interrupted)
    asked = sum(shop.asked.values())
    assert asked < 40
    with (tmp_path / "index.jsonl").open("a") as index:
        index.write('{"url": "http')
    told: list[tuple[int, int]] = []
    time.sleep(0.1)  # what was under way ends
    shop.most_at_once = 0
    found = fetch(urls, tmp_path, private=True, at_once=4, progress=lambda *done: told.append(done))
    assert all(one.file for one in found.values())
    assert list(found) == urls
    assert told[-1] == (40, 40)
    assert sum(shop.asked.values()) <= 40 + 4  # those that were under way may have come twice
    assert 1 < shop.most_at_once <= 4
    assert not [one for one in fetch(urls, tmp_path, private=True).values() if one.problem]


def test_this_machine_and_its_network_are_not_asked(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "leads to 127.0.0.1" in str(one(shop, "/green.jpg", tmp_path, private=False).problem)
    port = shop.server_port
    for host in ("localhost", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "127.1"):
        url = f"http://{host}:{port}/green.jpg"
        assert fetch([url], tmp_path, pause=0)[url].file is None
    assert not shop.asked

    def rebinding(host: str, port: int) -> list[object]:  # public when judged; whoever resolves again gets another
        answers.append(host)
        address = "127.0.0.1" if host == "shop.example" else host
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    answers: list[str] = []
    monkeypatch.setattr(fetching, "_resolved", rebinding)
    monkeypatch.setattr(fetching, "is_public", lambda address: address == "127.0.0.1")
    inside = f"http://shop.example:{port}/inside"
    assert "leads to 169.254.169.254" in str(fetch([inside], tmp_path, pause=0)[inside].problem)
    assert answers == ["shop.example", "169.254.169.254"]  # each hop is resolved once, and judged


def test_a_user_in_the_address_is_refused(tmp_path: Path) -> None:
    url = "http://me:secret@shop.example/a.jpg"
    assert "user's name" in str(fetch([url], tmp_path)[url].problem)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("10.0.0.1", False),
        ("192.168.1.1", False),
        ("172.16.0.1", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::10.0.0.1", False),
        ("2002:0a00:0001::", False),
        ("192.0.0.192", False),
        ("168.63.129.16", False),
        ("64:ff9b:1::10.0.0.1", False),
        ("fec0::1", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) == public
