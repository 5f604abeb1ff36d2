"""``modiste serve``: what it refuses, how it ends, and that what it acknowledged is never lost."""

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from modiste.server import app
from modiste.server.app import listening
from modiste.shop.shop import Shop

from ..garments import drawn
from ..running import BEARER, COMMAND, ONCE, TOKEN, Served, Typed, free_port, typed, until


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Typed]:
    """How ``modiste serve`` refuses to; typed in this process, where nothing begins to serve whatever it is asked."""
    for name in [name for name in os.environ if name.startswith("MODISTE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(app, "serve", lambda *_: pytest.fail("it was not refused"))

    def serve(*words: object, **environment: str) -> Typed:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            return typed("serve", *words)

    return serve


@pytest.mark.parametrize("template", ["sqlite"], indirect=True)
def test_without_a_token_only_this_machines_addresses_are_bound(
    shop_path: Path, serve: Callable[..., Served], refused: Callable[..., Typed]
) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "shop.example"):
        ended = refused(shop_path, "--host", host)
        assert (ended.code, "MODISTE_TOKEN" in ended.err) == (2, True)
    served = serve(shop_path)
    assert f"{served.url}/" in served.err.read_text()
    assert "only this machine" in served.err.read_text()
    ends_gracefully(served)


def test_a_demo_on_a_terminal_ends_with_its_page_served_and_speaks_to_people(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "demo", "demo", "--products", "18", "--port", str(port)],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, env=os.environ | {"COLUMNS": "200", "TERM": "dumb"},
    )  # fmt: skip
    os.close(theirs)
    read = bytearray()

    def reading() -> None:
        with suppress(OSError):  # at its end, on Linux
            while more := os.read(ours, 4096):
                read.extend(more)

    thread = threading.Thread(target=reading)
    thread.start()
    try:
        until(lambda: process.poll() is not None or answers(f"http://127.0.0.1:{port}/health"))
        before = read.decode().splitlines()
        assert before[-1] == f"the page: http://127.0.0.1:{port}/ (Ctrl-C stops)"
        item = ONCE.get(f"http://127.0.0.1:{port}/v1/items?limit=1").json()["items"][0]["item_id"]
        assert ONCE.get(f"http://127.0.0.1:{port}/v1/items/{item}/thumbnail").status_code == 200
        assert ONCE.get(f"http://127.0.0.1:{port}/items/nothing").status_code == 404
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        thread.join(10)
        os.close(ours)
    lines = read.decode().splitlines()[len(before) :]
    assert [re.sub(r"^[\d:]{8} | \d+ ms$", "", line) for line in lines if line.strip("^C")] == [
        "GET /v1/items 200", "GET /items/{item_id} 404",
    ]  # fmt: skip


def answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return ONCE.get(url).status_code == 200
    return False


@pytest.mark.parametrize("template", ["sqlite"], indirect=True)
def test_with_a_token_and_a_name_any_address_is_bound(
    shop_path: Path, serve: Callable[..., Served], refused: Callable[..., Typed]
) -> None:
    nameless = refused(shop_path, "--host", "0.0.0.0", MODISTE_TOKEN=TOKEN)
    assert (nameless.code, "MODISTE_HOSTS" in nameless.err, nameless.err.count("\n")) == (2, True, 1)
    served = serve(shop_path, "--host", "0.0.0.0", MODISTE_TOKEN=TOKEN, MODISTE_HOSTS="shop.example")
    order = {"shopper_id": "7", "item_id": "Dresses-red-women"}
    assert ONCE.post(f"{served.url}/v1/purchases", json=order).status_code == 401
    assert ONCE.post(f"{served.url}/v1/purchases", json=order, headers=BEARER).status_code == 200


def test_what_is_no_shop_is_not_served(tmp_path: Path, refused: Callable[..., Typed]) -> None:
    ended = refused(tmp_path / "none")
    assert (ended.code, "modiste new" in " ".join(ended.err.split())) == (2, True)


@pytest.mark.parametrize("template", ["sqlite"], indirect=True)
def test_a_setting_that_makes_no_sense_stops_it_at_once(shop_path: Path, refused: Callable[..., Typed]) -> None:
    ended = refused(shop_path, MODISTE_IN_FLIGHT="many")
    assert (ended.code, "MODISTE_IN_FLIGHT" in ended.err) == (2, True)


@pytest.mark.parametrize("template", ["sqlite"], indirect=True)
def test_the_missing_extra_is_named(shop_path: Path) -> None:
    blocked = "import sys; sys.modules['fastapi'] = None; " + COMMAND
    refused = subprocess.run(
        [sys.executable, "-c", blocked, "serve", str(shop_path)], capture_output=True, text=True, timeout=180
    )
    assert refused.returncode == 2
    assert "pip install 'argon2-cffi>=" in " ".join(refused.stderr.split())


def ends_gracefully(served: Served, by: signal.Signals = signal.SIGTERM) -> None:
    """It ends as whoever stops it wants it to."""
    served.process.send_signal(by)
    assert served.process.wait(120) in (0, -by)
    assert "Traceback" not in served.out.read_text() + served.err.read_text()
    assert any("shutdown complete" in line["message"] for line in served.logs)
    with pytest.raises(httpx.TransportError):
        ONCE.get(f"{served.url}/health")


@pytest.mark.parametrize(("template", "workers"), [("sqlite", "1"), ("postgresql", "2")], indirect=["template"])
def test_ctrl_c_ends_it_gracefully(shop_path: Path, serve: Callable[..., Served], workers: str) -> None:
    ends_gracefully(serve(shop_path, "--workers", workers), signal.SIGINT)  # SIGTERM: other tests' ends


def workers_of(served: Served, count: int = 2) -> list[int]:
    """The processes of those that started last."""
    pids: list[int] = []

    def started() -> bool:
        found = [re.fullmatch(r"Started server process \[(\d+)\]", line["message"]) for line in served.logs]
        pids[:] = [int(one[1]) for one in found if one][-count:]
        return len(pids) == count

    until(started)
    return pids


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")  # of Linux: who ended but was not waited for is there still
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


@pytest.mark.parametrize("template", ["sqlite"], indirect=True)
def test_workers_end_with_their_parent(shop_path: Path, serve: Callable[..., Served]) -> None:
    served = serve(shop_path, "--workers", 2)
    workers = workers_of(served)
    os.kill(workers[0], signal.SIGSTOP)  # as one that hangs; the other runs
    served.process.kill()
    served.process.wait(120)
    until(lambda: not any(map(is_running, workers)))

    def port_is_free() -> bool:
        with suppress(OSError):
            socket.create_server(("127.0.0.1", httpx.URL(served.url).port or 0)).close()
            return True
        return False

    until(port_is_free)  # at once, but for threads of a killed process that end after its first one


@pytest.mark.skipif(sys.platform == "win32", reason="no locks on folders there")
def test_what_a_killed_service_counted_is_removed_by_the_next(tmp_path: Path) -> None:
    code = "import os, sys; from modiste.server.metrics import counted\nwith counted(): print(flush=True); {}"
    one = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "env": os.environ | {"TMPDIR": str(tmp_path)}}

    def start() -> "subprocess.Popen[bytes]":
        started = subprocess.Popen([sys.executable, "-c", code.format("sys.stdin.read()")], **one)  # type: ignore[call-overload]
        started.stdout.readline()
        return started

    with start() as killed, start() as lives:
        assert len([*tmp_path.iterdir()]) == 2
        killed.kill()
        killed.wait()
        with start():
            assert len([*tmp_path.iterdir()]) == 2
        assert lives.poll() is None
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("template", ["sqlite"], indirect=True)
def test_workers_that_die_are_replaced(shop_path: Path, serve: Callable[..., Served]) -> None:
    served = serve(shop_path, "--workers", 2, MODISTE_TOKEN=TOKEN)
    old = workers_of(served)
    for one in old:  # what comes meanwhile waits
        os.kill(one, signal.SIGKILL)
    assert ONCE.get(f"{served.url}/v1/stores", headers=BEARER).status_code == 200
    new = workers_of(served, 4)
    assert new[:2] == old
    ends_gracefully(served)
    assert not any(map(is_running, new))


@pytest.mark.parametrize("template", ["sqlite"], indirect=True)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_used_is_one_sentence(shop_path: Path, refused: Callable[..., Typed], workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        ended = refused(shop_path, "--port", port, "--workers", workers)
    assert f"port {port}: something else listens there" in ended.err
    assert (ended.code, len(ended.err.splitlines()), ended.out) == (2, 1, "")


def test_an_answer_on_a_kept_connection_does_not_wait_for_the_one_before_to_be_acknowledged() -> None:
    with listening("127.0.0.1", 0) as bound, socket.create_connection(bound.getsockname()):
        accepted, _ = bound.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_acknowledged_purchase_survives_the_death_of_the_service(
    shop_path: Path, serve: Callable[..., Served]
) -> None:
    served = serve(shop_path, MODISTE_TOKEN=TOKEN)
    orders = [{"shopper_id": "7", "item_id": "Dresses-red-women", "order_id": f"B-{number}"} for number in range(20)]
    with httpx.Client(base_url=served.url, headers=BEARER, timeout=120) as client:
        for order in orders:
            assert client.post("/v1/purchases", json=order).json() == {"recorded": 1, "known": 0}
        put = client.put("/v1/items/new", files={"photo": ("a", drawn())}, timeout=180)
        assert put.status_code == 201
        served.process.kill()
    served.process.wait(120)
    with Shop.open(shop_path) as shop:
        recorded = shop.purchases.frame()["order_id"].to_list()
        assert [order["order_id"] for order in orders if order["order_id"] not in recorded] == []
        assert Path(shop.items["new"]["image"]).read_bytes() == drawn()
        assert "new" in shop.vectors.matrix()[0]


def test_two_services_of_one_shop_see_each_others_purchases(shop_path: Path, serve: Callable[..., Served]) -> None:
    one, other = serve(shop_path), serve(shop_path)
    item = "/v1/items/Dresses-red-women"
    assert ONCE.get(other.url + item).json()["popularity_now"] == 1
    order = {"shopper_id": "7", "item_id": "Dresses-red-women", "order_id": "B-1"}
    assert ONCE.post(f"{one.url}/v1/purchases", json=order).json()["recorded"] == 1
    until(lambda: ONCE.get(other.url + item).json()["popularity_now"] == 2)
    assert ONCE.get(f"{other.url}/v1/shoppers/7/recommendations").json()["known"]
    assert ONCE.post(f"{other.url}/v1/purchases", json=order).json() == {"recorded": 0, "known": 1}
    ONCE.put(f"{one.url}/v1/items/new", files={"photo": ("a", drawn())}).raise_for_status()
    until(lambda: ONCE.get(f"{other.url}/v1/items/new").status_code == 200)
    similar = ONCE.get(f"{other.url}/v1/items/new/similar", params={"top": 1, "preset": "visual"}).json()
    assert similar["recommendations"][0]["relevance"] > 0.99
    for served in (one, other):
        ends_gracefully(served)
