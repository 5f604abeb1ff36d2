"""What a shop of N items costs: first answers, memory, and answers after something changed, beside bare products.

Makes a shop in a temporary folder (vectors in clusters and of unit length, as real ones are; long-tailed popularity;
two purchases an item), opens it in processes of their own, and prints medians::

    python benchmarks/scale.py --items 1000000 --json scale.json

Each worker answers in turn, so that its figures are its own; what they share (the files, the page cache) is there for
all of them.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from modiste import Ask, Event, Shop
from modiste.catalog.taxonomy import Taxonomy
from modiste.shop import schema
from modiste.shop.moments import day_of
from modiste.shop.question import Question
from modiste.shop.storage import set_setting
from modiste.vision.backbones import get_backbone
from modiste.vision.embedding import VectorSpace

DIM = 128
CHUNK = 20_000
BOUGHT = 20
"""Purchases of the shopper who is asked for."""


def fill(folder: Path, items: int, database: str | None, seed: int = 42, purchases: int | None = None) -> None:
    """Write a shop's rows straight into its tables; by default two purchases an item, ten a shopper."""
    purchases = 2 * items if purchases is None else purchases
    rng = np.random.default_rng(seed)
    categories = Taxonomy.load().categories
    space = VectorSpace.of(get_backbone("modiste_s"), "none", "garment")
    centres = rng.normal(size=(200, DIM))
    shares = 1.0 / np.arange(1, items + 1) ** 0.9  # a Zipf tail
    popular = rng.permutation(items)
    cumulative = np.cumsum(shares / shares.sum())
    now = datetime(2026, 1, 1)
    with Shop.create(folder, database=database) as shop, shop.storage.writing() as writing:
        revision = writing.revision
        writing.execute(schema.spaces.insert().values(used=now, **space.row))
        for start in range(0, items, CHUNK):
            numbers = range(start, min(start + CHUNK, items))
            kind = rng.integers(0, len(centres), len(numbers))
            vectors = centres[kind] + rng.normal(size=(len(numbers), DIM)) * 0.7
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            writing.execute(
                schema.items.insert(),
                [
                    {
                        "item_id": f"item-{n:08d}", "category": categories[k % len(categories)],
                        "gender": ("men", "women")[n % 2], "image": f"photos/item-{n:08d}.jpg", "product": f"p{n}",
                        "price": float(10 + n % 90), "popularity": 0.0, "attributes": '{"season": "spring"}',
                        "stamp": f"{n:032x}", "revision": revision,
                    }
                    for n, k in zip(numbers, kind.tolist(), strict=True)
                ],
            )  # fmt: skip
            writing.execute(
                schema.vectors.insert(),
                [
                    {"space": space.key, "item_id": f"item-{n:08d}", "vector": row.tobytes(), "revision": revision}
                    for n, row in zip(numbers, vectors.astype("<f2"), strict=True)
                ],
            )
        counts = np.zeros(items)
        shoppers = max(2, purchases // 10)
        writing.execute(
            schema.shoppers.insert(),
            [{"shopper_id": f"s{n}", "simulated": False, "purchases": 10, "normpop": 1.0} for n in range(shoppers)],
        )
        sold: dict[tuple[int, int], int] = {}
        for start in range(0, purchases, CHUNK):
            size = min(CHUNK, purchases - start)
            bought = popular[np.minimum(np.searchsorted(cumulative, rng.random(size)), items - 1)]
            when = rng.integers(0, 730, size)
            rows = []
            for n, (item, day) in enumerate(zip(bought.tolist(), when.tolist(), strict=True), start):
                at = now - timedelta(days=day)
                sold[item, day_of(at)] = sold.get((item, day_of(at)), 0) + 1
                rows.append(
                    {
                        "shopper_id": f"s{0 if n < BOUGHT else 1 + n % (shoppers - 1)}",
                        "item_id": f"item-{item:08d}", "at": at,
                        "simulated": False, "normpop": 0.1, "order_id": None,
                        "kind": "purchase", "quantity": 1, "kept": 1, "line": "",
                    }
                )  # fmt: skip
            writing.execute(schema.events.insert(), rows)
            np.add.at(counts, bought, 1)
        every = sorted(sold.items())
        for start in range(0, len(every), CHUNK):
            writing.execute(
                schema.sales.insert(),
                [
                    {"item_id": f"item-{item:08d}", "day": day, "bought": n, "revision": revision}
                    for (item, day), n in every[start : start + CHUNK]
                ],
            )
        for start in range(0, items, CHUNK):
            numbers = range(start, min(start + CHUNK, items))
            writing.execute(
                schema.counts.insert(), [{"item_id": f"item-{n:08d}", "count": float(counts[n])} for n in numbers]
            )
        for name, value in (("purchases", purchases), ("normpop", 0.1 * purchases)):
            set_setting(writing.connection, name, value)


def private_mb() -> float:
    """Memory of this process that no other shares, in MB: what is anonymous, or written in a private map."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1000
    return float("nan")


def median_ms(work: Callable[[], Any], times: int = 15) -> float:
    """The median time of ``work`` in ms, after one call that isn't counted."""
    work()
    spent = []
    for _ in range(times):
        began = perf_counter()
        work()
        spent.append(perf_counter() - began)
    return 1000 * statistics.median(spent)


def changed_ms(change: Callable[[int], Any], ask: Callable[[], Any], times: int = 9) -> float:
    """The median time of the first answer after a change, in ms; the change itself isn't counted."""
    spent = []
    for number in range(times):
        change(number)
        began = perf_counter()
        ask()
        spent.append(perf_counter() - began)
    return 1000 * statistics.median(spent)


def measure(folder: str, items: int, worker: int, answers: Any) -> None:
    """One worker's figures, put into the queue ``answers``."""
    began = perf_counter()
    shop = Shop.open(folder)
    one, someone = f"item-{items // 3:08d}", "s0"

    def similar() -> Any:
        return shop.recommend(item=one)

    def shopper() -> Any:
        return shop.recommend(shopper=someone)

    similar()
    figures: dict[str, float] = {"first_answer_s": perf_counter() - began}
    matrix, looks = shop.snapshot().matrix().vectors[: shop.snapshot().rows], shop.snapshot().matrix().looks
    query, queries = matrix[0].copy(), matrix[:BOUGHT].copy()
    figures["bare_product_ms"] = median_ms(lambda: matrix @ query)
    figures["similar_ms"] = median_ms(similar)
    block = 100_000
    figures["bare_products_ms"] = median_ms(
        lambda: [queries @ matrix[start : start + block].T for start in range(0, len(matrix), block)], 7
    )
    figures["shopper_ms"] = median_ms(shopper, 7)
    known = shop.shoppers[someone]
    bought = [(row["item_id"], row["at"].toordinal()) for row in shop.purchases.of(someone).to_dicts()]
    question = Question.for_shopper(shop.snapshot(), Ask.of(), known, bought)
    figures["slider_ms"] = median_ms(lambda: question.ranking(5))  # the ranking of a moved slider, and nothing else
    when = datetime(2026, 1, 1)
    figures["after_purchase_ms"] = changed_ms(
        lambda n: shop.purchases.record([Event(f"new{worker}", f"item-{n:08d}", when)]), similar
    )

    def reprice(number: int) -> None:
        with shop.storage.writing() as writing:
            table = schema.items
            price = {"price": float(number + 1), "revision": writing.revision}
            writing.execute(table.update().where(table.c.item_id == f"item-{number:08d}").values(price))

    figures["after_item_change_ms"] = changed_ms(reprice, similar)
    space = shop.vectors.space()

    def add(number: int) -> None:
        with shop.storage.writing() as writing:
            name = f"new-{began:.6f}-{number}"
            row = {
                "item_id": name, "category": "Dresses", "gender": "women", "product": name, "attributes": "{}",
                "stamp": "", "revision": writing.revision,
            }  # fmt: skip
            writing.execute(schema.items.insert().values(row))
            writing.execute(schema.counts.insert().values(item_id=name, count=0.0))
            vector = looks[number].astype("<f2").tobytes()
            writing.execute(
                schema.vectors.insert().values(space=space.key, item_id=name, vector=vector, revision=writing.revision)
            )

    figures["after_new_item_ms"] = changed_ms(add, similar)
    figures["process_mb"] = private_mb()
    answers.put(figures)
    shop.close()


def run(items: int, workers: list[int], database: str | None, folder: Path | None) -> dict[str, Any]:
    """All figures of one size: without the files, then for each number of workers; the slowest worker counts."""
    root = folder or Path(tempfile.mkdtemp(prefix="modiste-scale-"))
    shop = root / "shop"
    try:
        if not shop.exists():
            began = perf_counter()
            fill(shop, items, database)
            print(f"made {items:,} items, {2 * items:,} purchases in {perf_counter() - began:.0f} s")
        results: dict[str, Any] = {"items": items, "cores": os.cpu_count()}
        context = multiprocessing.get_context("spawn")
        shutil.rmtree(shop / "cache", ignore_errors=True)
        for number in [0, *workers]:
            answers: Any = context.Queue()
            figures = []
            for worker in range(max(1, number)):
                process = context.Process(target=measure, args=(str(shop), items, worker, answers))
                process.start()
                process.join()
                if process.exitcode:
                    raise SystemExit(process.exitcode)
                figures.append(answers.get())
            merged = {name: max(one[name] for one in figures) for name in figures[0]}
            results[f"workers_{number}" if number else "without_files"] = merged
            print(f"\n{items:,} items, {f'{number} workers' if number else 'without files'}")
            for name, value in merged.items():
                print(f"  {name:22} {value:10.2f}")
        return results
    finally:
        if folder is None:
            shutil.rmtree(root, ignore_errors=True)


def plot(results: list[dict[str, Any]], path: Path) -> None:
    """Cost against size, on logarithmic axes: what a question costs, beside the bare product in it."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    names = {
        "shopper_ms": ("a shopper's Top-5, 20 purchases", "#b3502f", "-"),
        "bare_products_ms": ("20 bare products", "#b3502f", ":"),
        "similar_ms": ("similar items", "#5a6f93", "-"),
        "bare_product_ms": ("one bare product", "#5a6f93", ":"),
        "after_purchase_ms": ("similar items, just after a purchase", "#5b7f6b", "--"),
    }
    figure, axes = pyplot.subplots(figsize=(7.5, 4.6), layout="constrained")
    sizes = [one["items"] for one in results]
    for name, (label, colour, line) in names.items():
        axes.plot(sizes, [one["workers_1"][name] for one in results], line, color=colour, label=label, marker="o", ms=4)
    axes.set(xscale="log", yscale="log", xlabel="items", ylabel="ms (median)")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=130)


def main() -> int:
    """Print the figures, and write or draw them if asked to."""
    parser = argparse.ArgumentParser(prog="python benchmarks/scale.py", description=__doc__)
    parser.add_argument("--items", type=int, nargs="+", default=[100_000], help="one size, or several to plot")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--database", help="postgresql://... instead of SQLite")
    parser.add_argument("--folder", type=Path, help="keep the shop here, or measure the one that is here")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--plot", type=Path, help="draw them here (PNG)")
    chosen = parser.parse_args()
    if len(chosen.items) > 1 and (chosen.folder or chosen.database):
        parser.error("one folder or database holds one shop; give one size with it")
    results = [run(items, chosen.workers, chosen.database, chosen.folder) for items in chosen.items]
    if chosen.json:
        found: Any = results if len(results) > 1 else results[0]
        chosen.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if chosen.plot:
        plot(results, chosen.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
