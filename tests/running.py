"""Commands that are typed, and a real service on a free port, in a thread of the test or in a process of its own."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from modiste import commands
from modiste.server.app import HTTP, create_app, listening
from modiste.server.settings import Settings

TOKEN = "a-token-for-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
COMMAND = "import sys; sys.argv[0] = 'modiste'; from modiste.commands import main; main()"
"""The command ``modiste`` in Python, whatever is on the path."""

ONCE = httpx.Client(timeout=120, limits=httpx.Limits(max_keepalive_connections=0))
"""Asks each question on a connection of its own."""


_PORTS = cycle((os.getpid() + number) % 1000 for number in range(1000))  # below those the system gives to connections


def free_port() -> int:
    """A port that nobody listens on, of those that no other of pytest's workers takes."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        port = 20_000 + 1000 * (worker % 10) + next(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def until(true: Callable[[], Any], seconds: float = 120.0) -> None:
    """Wait for something to become true; fail if it doesn't."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


@dataclass
class Typed:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def typed(*words: object, folder: Path | None = None) -> Typed:
    """Types a command in ``folder``, in this process: one of its own would spend most of its time on imports."""
    out, err, code, given = StringIO(), StringIO(), 0, sys.argv
    sys.argv = ["modiste", *map(str, words)]
    try:
        with chdir(folder or Path.cwd()), redirect_stdout(out), redirect_stderr(err):
            commands.main()
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.argv = given
    return Typed(code, out.getvalue(), err.getvalue())


class _Server(uvicorn.Server):
    """Ends as soon as it is told to. Uvicorn's looks ten times a second whether it is, and then waits for as long."""

    _loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        await self.on_tick(0)
        self._told, self._loop = asyncio.Event(), asyncio.get_running_loop()
        if not self.should_exit:
            await self._told.wait()

    def end(self) -> None:
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._told.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for one in [*self.servers, *(sockets or [])]:
            one.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0.001)  # which closes those that nobody uses
        await self._wait_tasks_to_complete()
        await self.lifespan.shutdown()


@contextmanager
def running(shop: Path | FastAPI, settings: Settings) -> Iterator[str]:
    """The service over a shop (or an application made already) in a thread; its address."""
    app = create_app(shop, settings) if isinstance(shop, Path) else shop
    server = _Server(uvicorn.Config(app, log_config=None, **HTTP))
    bound = listening("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, args=([bound],))
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive())
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.end()
        thread.join(60)


@dataclass
class Served:
    """``modiste serve`` in a process of its own."""

    process: subprocess.Popen[str]
    url: str
    out: Path
    err: Path

    @property
    def logs(self) -> list[dict[str, Any]]:
        """What it has logged; every line must be JSON."""
        return [json.loads(line) for line in self.out.read_text().splitlines()]

    def stop(self) -> int:
        """Ask it to end, as Ctrl-C or a supervisor does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)


@contextmanager
def serving(*words: object, logs: Path, cwd: Path | None = None, **environment: str) -> Iterator[Served]:
    """``modiste serve`` followed by ``words``, once it answers; what it prints goes to files in ``logs``."""
    port = free_port()
    out, err = logs / f"out-{port}.txt", logs / f"err-{port}.txt"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MODISTE_")}
    with out.open("w") as to_out, err.open("w") as to_err:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, "serve", *map(str, words), "--port", str(port)],
            stdout=to_out, stderr=to_err, text=True, cwd=cwd, env=clean | environment,
        )  # fmt: skip
    served = Served(process, f"http://127.0.0.1:{port}", out, err)

    def up() -> bool:
        assert process.poll() is None, err.read_text() + out.read_text()
        try:
            return ONCE.get(f"{served.url}/health").status_code == 200
        except httpx.TransportError:
            return False

    try:
        until(up, 180)
        yield served
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def metric(text: str, name: str, **labels: str) -> float:
    """The sum of a metric's samples that carry ``labels``."""
    total = 0.0
    for line in text.splitlines():
        if matched := re.fullmatch(rf"{name}(?:{{(.*)}})? (\S+)", line):
            has = dict(re.findall(r'(\w+)="([^"]*)"', matched[1] or ""))
            if all(has.get(key) == value for key, value in labels.items()):
                total += float(matched[2])
    return total
