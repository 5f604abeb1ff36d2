"""What a service on one core does under twice its load, beside 140 slow strangers, and when a worker is killed.

    python benchmarks/overload.py [--items 10000] [--seconds 10]  (needs the extra ``server``; Linux)

The service is ``modiste serve`` held to one core, the client is this process, held to another one. Recommendations to
500 shoppers: first as many as 16 connections that wait for their answers get, which is its capacity; then twice as
many a second, whatever comes back, over 400 connections of five addresses. Times are from when a request was due.
"""

import argparse
import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from service import fill

SHOPPERS, CONNECTIONS, STRANGERS = 500, 400, 140
COMMAND = "from modiste.commands import main; main()"


@dataclass
class Told:
    """How requests ended: their times in milliseconds, by status; 0: no answer."""

    seconds: float = 0.0
    times: dict[int, list[float]] = field(default_factory=dict)

    def add(self, status: int, began: float) -> None:
        """Count an answer to what was due at ``began``."""
        self.times.setdefault(status, []).append(1000 * (time.perf_counter() - began))

    def __str__(self) -> str:
        parts = []
        for status, times in sorted(self.times.items()):
            half, most = np.percentile(times, [50, 99])
            parts.append(f"{status}: {len(times) / self.seconds:.0f}/s, median {half:.0f} ms, p99 {most:.0f} ms")
        return "; ".join(parts)


class Wire:
    """A connection that asks one question after the other."""

    def __init__(self, port: int, source: str) -> None:
        self.port, self.source = port, source
        self.reader: asyncio.StreamReader | None = None

    async def ask(self, path: str) -> int:
        """The status of the answer; 0 if there was none."""
        try:
            if self.reader is None:
                self.reader, self.writer = await asyncio.open_connection(
                    "127.0.0.1", self.port, local_addr=(self.source, 0)
                )
            self.writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head)
            await self.reader.readexactly(int(length[1]) if length else 0)
            if b"connection: close" in head:
                self.writer.close()
                self.reader = None
            return int(head[9:12])
        except (OSError, asyncio.IncompleteReadError):
            self.reader = None
            return 0


def path(number: int) -> str:
    """A question."""
    return f"/v1/shoppers/{number % SHOPPERS}/recommendations?top=10"


async def closed(port: int, seconds: float, many: int = 16) -> Told:
    """As many as ``many`` connections get, each of which waits for its answer."""
    told, end = Told(seconds), time.perf_counter() + seconds

    async def one(wire: Wire, number: int) -> None:
        while (began := time.perf_counter()) < end:
            told.add(await wire.ask(path(number)), began)
            number += many

    await asyncio.gather(*(one(Wire(port, "127.0.0.1"), number) for number in range(many)))
    return told


async def steady(port: int, seconds: float, rate: float) -> Told:
    """So many a second, whether they are answered or not; status -1: no connection was free."""
    told, free = Told(seconds), [Wire(port, f"127.0.0.{2 + number % 5}") for number in range(CONNECTIONS)]
    asked, start = set[asyncio.Task[None]](), time.perf_counter()

    async def one(wire: Wire, number: int, due: float) -> None:
        told.add(await wire.ask(path(number)), due)
        free.append(wire)

    for number in range(int(rate * seconds)):
        due = start + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        if not free:
            told.add(-1, due)
            continue
        task = asyncio.create_task(one(free.pop(0), number, due))
        asked.add(task)
        task.add_done_callback(asked.discard)
    if asked:
        await asyncio.wait(asked, timeout=30)
    return told


async def beside_strangers(port: int, seconds: float, rate: float) -> tuple[Told, int]:
    """As :func:`steady`, while others send a byte a second; how many of these connections were ended."""
    begun = [
        b"GET /v1/stores HTTP/1.1\r\nHost: a\r\n",
        b"POST /v1/search HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        b"Content-Length: 99999\r\n\r\n--b\r\n",
    ]
    ended = 0

    async def drip(number: int) -> None:
        nonlocal ended
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.9", 0))
                writer.write(begun[number % 2])
                while not writer.is_closing():
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(1)
            except OSError:
                pass
            ended += 1

    strangers = [asyncio.create_task(drip(number)) for number in range(STRANGERS)]
    await asyncio.sleep(1)
    told = await steady(port, seconds, rate)
    for one in strangers:
        one.cancel()
    return told, ended


def serve(shop: Path, port: int, *words: str, core: int | None) -> "subprocess.Popen[bytes]":
    """The service, once it answers."""
    held = ["taskset", "-c", str(core)] if core is not None else []
    service = subprocess.Popen(  # noqa: S603
        [*held, sys.executable, "-c", COMMAND, "serve", str(shop), "--port", str(port), *words],
        stdout=(shop.parent / "log").open("w"), stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    while asyncio.run(Wire(port, "127.0.0.1").ask("/health")) != 200:
        time.sleep(0.05)
    return service


def replaced(shop: Path) -> list[tuple[float, float]]:
    """Of five workers that died: the seconds until another one serves, and those of a core that this one needed."""
    port = free_port()
    service, log, found = (
        serve(shop, port, "--workers", "2", core=None),
        shop.parent / "log",
        list[tuple[float, float]](),
    )

    def pids() -> list[int]:
        return [int(one) for one in re.findall(r"Started server process \[(\d+)\]", log.read_text())]

    def ready() -> int:
        return log.read_text().count("Application startup complete")

    while ready() < 2:
        time.sleep(0.05)
    for _ in range(5):
        many, began = ready(), time.perf_counter()
        os.kill(pids()[-1], signal.SIGKILL)
        while ready() == many:
            time.sleep(0.01)
        seconds = time.perf_counter() - began
        used = Path(f"/proc/{pids()[-1]}/stat").read_text().rpartition(")")[2].split()[11:13]
        found.append((seconds, sum(map(int, used)) / os.sysconf("SC_CLK_TCK")))
    service.terminate()
    service.wait(60)
    return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def on(port: int, ask: Callable[..., Awaitable[Told]], *given: float) -> Told:
    """Run one of the measurements."""

    async def asked() -> Told:
        return await ask(port, *given)

    return asyncio.run(asked())


def main() -> None:
    """Fill the shop, serve it, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10)
    asked = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    print(f"{len(cores)} cores, load {os.getloadavg()[0]:.1f} before it began", flush=True)
    with TemporaryDirectory() as folder:
        fill(Path(folder), asked.items, 5)
        shop, port = Path(folder) / "shop", free_port()
        os.sched_setaffinity(0, cores[-1:])
        service = serve(shop, port, core=cores[0])
        on(port, closed, 2.0)  # warms up
        capacity = on(port, closed, asked.seconds)
        rate = len(capacity.times[200]) / asked.seconds
        print(f"16 that wait: {capacity}", flush=True)
        twice = on(port, steady, asked.seconds, 2 * rate)
        print(f"twice the load: {twice}", flush=True)
        light = on(port, steady, asked.seconds, rate / 4)
        print(f"a quarter of the load: {light}", flush=True)
        beside, ended = asyncio.run(beside_strangers(port, asked.seconds, rate / 4))
        print(f"the same beside {STRANGERS} that send a byte a second ({ended} of theirs ended): {beside}", flush=True)
        service.terminate()
        service.wait(60)
        os.sched_setaffinity(0, cores)
        seconds, used = (sorted(some) for some in zip(*replaced(shop), strict=True))
        print(f"a killed worker is replaced within {seconds[-1]:.1f} s (median of 5: {seconds[2]:.1f} s), "
              f"of which it needs a core for {used[2]:.1f} s")  # fmt: skip
        odd = Counter[int]()
        for told in (capacity, twice, light, beside):
            odd.update({status: len(times) for status, times in told.times.items() if status not in (200, 429)})
        print(
            f"load {os.getloadavg()[0]:.1f} at the end; answers of another kind than 200 and 429: {dict(odd) or 'none'}"
        )


if __name__ == "__main__":
    main()
