"""What the component's list costs the service with a publishable key, beside the bare ranking in it.

    python -m benchmarks.storefront [--items 10000] [--runs 101]  (needs the extra ``server``)

A shop of so many items with random vectors, a scenario, and an A/B test that runs on it. Medians of interleaved runs in
one process: the request that ``<modiste-list>`` sends, answered by the whole application with all its layers, and the
same list from :meth:`Shop.recommend`; then signing a list's id, and keeping what was seen. In time, and in this
process's time on its processors, which tells the same on a busy machine.
"""

import argparse
import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any
from urllib.parse import urlencode

from benchmarks.service import fill
from modiste import Shop
from modiste.server.app import create_app
from modiste.shop.storefront import Seen

ORIGIN = "https://shop.example"


async def ask(app: Any, path: str, query: dict[str, str]) -> dict[str, Any]:
    """What the application answers to a browser on one of the shop's pages."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": urlencode(query).encode(), "root_path": "",
        "headers": [(b"host", b"localhost:8000"), (b"origin", ORIGIN.encode())], "client": ("127.0.0.1", 1),
        "server": ("localhost", 8000), "state": {},
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    assert sent[0]["status"] == 200, sent
    return dict(json.loads(b"".join(one.get("body", b"") for one in sent)))


async def compare(shop: Shop, key: str, runs: int) -> None:
    """Print the medians and their ratios."""
    app, clocks = create_app(shop.path), (perf_counter, process_time)
    times: dict[str, list[tuple[float, ...]]] = {"request": [], "ranking": [], "sign": [], "seen": []}
    async with app.router.lifespan_context(app):
        for run in range(-10, runs):
            item = f"{(run + 10) * 37 % 9000:07d}"
            query = {"scenario": "product-page", "session": f"s-{run}", "key": key}
            began = [clock() for clock in clocks]
            answer = await ask(app, f"/v1/items/{item}/similar", query)
            took = {"request": tuple(clock() - start for clock, start in zip(clocks, began, strict=True))}
            served = shop.storefront.read(answer["list_id"])
            work: dict[str, Callable[[], Any]] = {
                "ranking": lambda item=item: shop.recommend(item=item, scenario="product-page"),
                "sign": lambda served=served: shop.storefront.sign(served),
                "seen": lambda answer=answer: shop.storefront.record([Seen(answer["list_id"])]),
            }
            for name, do in work.items():
                began = [clock() for clock in clocks]
                do()
                took[name] = tuple(clock() - start for clock, start in zip(clocks, began, strict=True))
            if run >= 0:  # the first ones warm up
                for name, one in took.items():
                    times[name].append(one)
    for which, unit in enumerate(("ms", "ms on the processor")):
        told = {name: 1000 * median(one[which] for one in many) for name, many in times.items()}
        print(", ".join(f"{name} {value:.2f}" for name, value in told.items()) + f" {unit}; "
              f"request / ranking {told['request'] / told['ranking']:.2f}")  # fmt: skip


def main() -> None:
    """Fill the shop, ask, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=101)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        fill(Path(folder), asked.items, 5)
        with Shop.open(Path(folder) / "shop") as shop:
            key = shop.keys.add("pages", "publishable", origins=[ORIGIN], per_minute=1_000_000)
            for name in ("product-page", "product-page-2"):
                shop.scenarios.put(name, {"top": 8})
            shop.ab.start("winter", "product-page", "product-page-2", rate=0.02)
            asyncio.run(compare(shop, key, asked.runs))


if __name__ == "__main__":
    main()
