"""Slow strangers take nobody's place, and who is refused learns why."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import httpx
import pytest
from fastapi.responses import StreamingResponse

from modiste.server import connections, middleware
from modiste.server.app import create_app
from modiste.server.settings import Settings

from ..running import BEARER, ONCE, TOKEN, running, until

pytestmark = pytest.mark.parametrize("template", ["sqlite"], indirect=True)

HEAD = b"GET /v1/items HTTP/1.1\r\nHost: localhost\r\n"
PUT = b"PUT /v1/items/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
SEARCH = b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
SEARCH += b"Authorization: Bearer " + TOKEN.encode() + b"\r\n"
BEGUN = SEARCH + b"Content-Length: 100000\r\n\r\n--b\r\n"


@pytest.fixture(scope="module")
def url(template: Path) -> Iterator[str]:
    with running(template, Settings(token=TOKEN)) as address:
        yield address


def connected(url: str, stack: ExitStack, source: str = "127.0.0.1") -> socket.socket:
    address = httpx.URL(url)
    made = socket.create_connection((address.host, address.port or 0), timeout=20, source_address=(source, 0))
    return stack.enter_context(made)


def answer(connection: socket.socket) -> bytes:
    """All that comes until the service closes its side; it must close it, and not reset the connection."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def gone(connection: socket.socket) -> bool:
    """Whether the service would not read on."""
    try:
        connection.send(b"x")
    except ConnectionError:
        return True
    return False


@contextmanager
def dripping(some: list[socket.socket], byte: bytes) -> Iterator[None]:
    """Each of the connections sends a byte now and then."""
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.2):
            for one in some:
                with suppress(OSError):  # was dropped
                    one.send(byte)

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


REFUSED = PUT + b"Content-Length: 100000\r\n\r\n--b\r\n"


@pytest.mark.parametrize(
    "begun", [b"", HEAD, BEGUN, REFUSED, b"GET /v1/items HTTP/1.1\r\nHost: localhost\r\n\r\n" + HEAD]
)
def test_while_many_send_slowly_everyone_else_is_answered(url: str, begun: bytes) -> None:
    """From the same address too: whoever has been waited for longest makes room."""
    with ExitStack() as stack:
        slow = [connected(url, stack) for _ in range(140)]
        for one in slow:
            one.sendall(begun)
        for one in slow if b"\r\n\r\n" in begun and begun not in (BEGUN, REFUSED) else []:
            with suppress(ConnectionError):  # had to make room
                one.recv(12)
        with dripping(slow, b"x"):
            time.sleep(3 * connections.PATIENCE_S)
            for _ in range(20):
                said = ONCE.get(f"{url}/v1/items?limit=1", timeout=8)
                assert said.status_code == 200, said.text
                search = ONCE.post(f"{url}/v1/search", files={"photo": ("a", b"no photo")}, headers=BEARER, timeout=8)
                assert search.status_code == 422


def test_slow_bodies_and_slow_readers_take_no_place(template: Path) -> None:
    few, taken = Settings(in_flight=1), threading.Event()
    app = create_app(template, few)

    @app.get("/long")
    def long() -> StreamingResponse:
        def parts() -> Iterator[bytes]:
            yield b"x"
            taken.wait(20)

        return StreamingResponse(parts())

    with running(app, few) as url, ExitStack() as stack:
        stack.callback(taken.set)
        for begun in (BEGUN, b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n"):
            slow = connected(url, stack)
            slow.sendall(begun)
        assert slow.recv(12) == b"HTTP/1.1 200"
        for _ in range(5):
            assert ONCE.get(f"{url}/v1/items?limit=1").status_code == 200


def test_a_head_comes_in_time_or_is_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.3)
    with ExitStack() as stack:
        silent, begun, again = (connected(url, stack) for _ in range(3))
        begun.sendall(HEAD)
        again.sendall(HEAD + b"\r\n" + HEAD)
        with dripping([begun], b"x"):
            assert answer(silent) == b""
            told = answer(begun)
        assert told.startswith(b"HTTP/1.1 408")
        assert b'"detail"' in told
        assert answer(again).count(b"HTTP/1.1") == 2


def test_a_body_comes_in_time_or_is_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "BODY_S", 0.3)
    with ExitStack() as stack:
        form, table = connected(url, stack), connected(url, stack)
        form.sendall(BEGUN)
        table.sendall(
            b"POST /v1/purchases HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            + f"Authorization: Bearer {TOKEN}\r\nContent-Length: 1000\r\n\r\n[".encode()
        )
        with dripping([form, table], b"x"):
            for one in (form, table):
                told = answer(one)
                assert told.startswith(b"HTTP/1.1 408"), told
                assert b"the body took longer" in told


def test_an_answer_is_taken_in_time(template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "TAKE_S", 0.3)
    with running(template, Settings()) as url, ExitStack() as stack:
        slow = stack.enter_context(socket.socket())
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        address = httpx.URL(url)
        slow.connect((address.host, address.port or 0))
        slow.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)

        def dropped() -> bool:
            return 'why="late taking"' in ONCE.get(f"{url}/metrics").text

        until(dropped, 20)


@pytest.mark.parametrize("size", [10, 100_000, 5_000_000])
def test_who_is_refused_before_the_body_was_read_learns_why(url: str, size: int) -> None:
    """However the body is cut into parts, and whether the client reads before it has sent everything."""
    length = b"Content-Length: %d\r\n\r\n" % size
    close = b"Connection: close\r\n"
    for start, status in (
        (PUT + length, 401),
        (PUT + close + length, 401),
        (SEARCH + b"Content-Length: 30000000\r\n\r\n", 413),
        (b"POST /none HTTP/1.1\r\nHost: localhost\r\n" + length, 401 if size < 1_000_000 else 413),
        (b"no HTTP\r\n\r\n", 400),
    ):
        with ExitStack() as stack:
            client = connected(url, stack)
            client.sendall(start)
            for _ in range(0, size, 65536):
                client.sendall(b"x" * min(size, 65536))
            time.sleep(0.05)
            client.settimeout(15)
            assert client.recv(12) == b"HTTP/1.1 %d" % status


def test_a_connection_goes_on_after_a_refusal(url: str) -> None:
    with httpx.Client(base_url=url, timeout=120) as client:
        for _ in range(3):
            assert client.put("/v1/items/x", files={"photo": ("a", b"x" * 300_000)}).status_code == 401
            assert client.get("/v1/items?limit=1").status_code == 200


def test_what_nobody_reads_is_read_on_for_a_bounded_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REST_S", 0.3)
    with ExitStack() as stack:
        slow = [connected(url, stack) for _ in range(2)]
        for one, start in zip(slow, (PUT, SEARCH), strict=True):
            one.sendall(start + b"Content-Length: 30000000\r\n\r\n--b\r\n")
        with dripping(slow, b"x"):
            for one in slow:
                until(partial(gone, one), 20)


def test_few_of_a_clients_bodies_may_be_slow(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack:
        slow = [connected(url, stack) for _ in range(connections.BODIES + 4)]
        for one in slow:
            one.sendall(BEGUN)
        time.sleep(0.5)  # all have begun before any of them is slow, however busy the machine
        monkeypatch.setattr(connections, "SLOW_S", 0.3)
        assert not any(map(gone, slow))  # they came at once, and as quickly as anybody
        connected(url, stack).sendall(BEGUN)
        until(partial(gone, slow[0]), 20)
        assert not any(map(gone, slow[1:]))


def test_a_burst_makes_nobody_go(template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PATIENCE_S", 60.0)  # on a busy machine a burst takes longer than half a second
    with running(template, Settings(connections=5)) as url, ExitStack() as stack:
        burst = [connected(url, stack) for _ in range(8)]
        for one in burst:
            with suppress(ConnectionError):
                one.sendall(HEAD + b"\r\n")
        told = [one.recv(12) for one in burst]
        assert told == 5 * [b"HTTP/1.1 200"] + 3 * [b"HTTP/1.1 429"]


def test_one_more_than_a_client_may_have_is_told_where_all_others_are_worked_for(
    template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections.Connection, "_owes", lambda _: None)
    with running(template, Settings(connections=2)) as url, ExitStack() as stack:
        for _ in range(2):
            connected(url, stack)
        told = answer(connected(url, stack))
        assert told.startswith(b"HTTP/1.1 429")
        assert b"retry-after: 1" in told
        if os.uname().sysname == "Linux":  # where all of 127.0.0.0/8 is this machine
            other = connected(url, stack, "127.0.0.2")
            other.sendall(HEAD + b"\r\n")
            assert other.recv(12) == b"HTTP/1.1 200"
