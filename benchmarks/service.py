"""What a re-rank of the merchandiser's page costs over HTTP, beside the ranking in it and the bare matrix product.

    python benchmarks/service.py [--items 10000] [--purchases 5] [--runs 31]  (needs the extra ``server``)

A shop of so many items with random vectors of 128 dimensions, and one shopper whose sliders move. Medians of
interleaved runs on one machine: the request that a moved slider sends, the same lists from :meth:`Shop.recommend_each`
(twice, since the page compares two), and the float32 product of the purchases with all items.
"""

import argparse
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Thread
from time import perf_counter, sleep

import httpx
import numpy as np
import polars as pl
import uvicorn

from modiste import Event, Shop
from modiste.catalog.taxonomy import Taxonomy
from modiste.server.app import create_app
from modiste.shop import schema
from modiste.vision.embedding import VectorSpace

DIMENSIONS, OTHERS = 128, 2000


def fill(folder: Path, items: int, purchases: int) -> None:
    """The shop: items with popularity and vectors, one shopper "her", and others who bought something."""
    rng = np.random.default_rng(0)
    kinds = Taxonomy.load().categories
    names = [f"{number:07d}" for number in range(items)]
    table = pl.DataFrame(
        {
            "item_id": names,
            "category": [kinds[number] for number in rng.integers(0, len(kinds), items)],
            "gender": ["women"] * items,
            "popularity": rng.zipf(1.6, items).clip(0, 10_000).astype(float),
        }
    )
    table.write_csv(folder / "items.csv")
    vectors = rng.normal(size=(items, DIMENSIONS))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    space = VectorSpace("random", "", "none", "centre", "given", "", DIMENSIONS)
    with Shop.create(folder / "shop") as shop:
        shop.items.add(folder / "items.csv")
        with shop.storage.writing() as writing:
            used = datetime(2026, 1, 1)
            writing.execute(schema.spaces.insert().values(used=used, **space.row))
            writing.execute(
                schema.vectors.insert(),
                [
                    {"space": space.key, "item_id": name, "vector": vector.tobytes(), "revision": writing.revision}
                    for name, vector in zip(names, vectors.astype("<f2"), strict=True)
                ],
            )
        start = datetime(2026, 1, 1)
        hers = [Event("her", names[number], start) for number in rng.integers(0, items, purchases)]
        theirs = [
            Event(f"{number % 500}", names[one], start + timedelta(hours=number))
            for number, one in enumerate(rng.integers(0, items, OTHERS))
        ]
        shop.purchases.record(hers + theirs)


def main() -> None:
    """Fill the shop, serve it, move the slider, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--purchases", type=int, default=5)
    parser.add_argument("--runs", type=int, default=31)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        fill(Path(folder), asked.items, asked.purchases)
        config = uvicorn.Config(create_app(Path(folder) / "shop"), port=8765, log_config=None, access_log=False)
        server = uvicorn.Server(config)
        Thread(target=server.run, daemon=True).start()
        while not server.started:
            sleep(0.05)
        with httpx.Client(base_url="http://127.0.0.1:8765") as client, Shop.open(Path(folder) / "shop") as shop:
            compare(client, shop, asked.runs)
        server.should_exit = True


def compare(client: httpx.Client, shop: Shop, runs: int) -> None:
    """Print the medians and their ratios."""
    snapshot = shop.snapshot()
    candidates = snapshot.candidates()
    rows = [snapshot.row(one) for one in shop.purchases.of("her")["item_id"]]
    times: dict[str, list[float]] = {"request": [], "lists": [], "product": []}
    headers = {"HX-Request": "true", "HX-Target": "lists"}
    for run in range(-3, runs):
        began = perf_counter()
        client.get("/shoppers/her", params={"alpha": 0.3 + 0.01 * (run + 3)}, headers=headers).raise_for_status()
        answered = perf_counter()
        for preset in ("paper", "balanced"):
            shop.recommend_each("her", preset=preset)
        ranked = perf_counter()
        candidates.vectors[rows] @ candidates.vectors.T
        ended = perf_counter()
        if run >= 0:  # the first ones warm up
            for name, seconds in zip(times, (answered - began, ranked - answered, ended - ranked), strict=True):
                times[name].append(1000 * seconds)
    request, lists, product = (median(times[name]) for name in times)
    print(f"{len(candidates)} items, {len(rows)} purchases: a re-rank over HTTP {request:.1f} ms "
          f"(slowest of {runs}: {max(times['request']):.0f} ms), the two rankings in it {lists:.1f} ms, "
          f"a bare product {product:.2f} ms; request / rankings {request / lists:.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
