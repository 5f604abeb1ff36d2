"""What the lists of all items and all shoppers cost, beside asking for each in a loop, and beside a bare product.

    python -m benchmarks.lists --items 20000

Per list, in milliseconds: ``recommend_all`` over everything, a loop of ``shop.recommend`` over 200 of them (the moment
read before, so that the loop pays for answers alone), and numpy's product of 64 queries with all vectors and their five
largest, which is no answer but what any answer takes.
"""

import argparse
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.scale import fill
from modiste import Shop
from modiste.shop.lists import recommend_all

LOOP = 200


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=20_000)
    items = parser.parse_args().items
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "shop", items, None)
        with Shop.open(Path(folder) / "shop") as shop:
            vectors = np.ascontiguousarray(shop.snapshot().candidates(None, None).vectors)
            began = perf_counter()
            for start in range(0, 640, 64):
                np.argpartition(-(vectors[start : start + 64] @ vectors.T), 5, axis=1)
            bare = (perf_counter() - began) / 640
            print(f"{items} items\n\n| lists of | how many | all, ms | loop, ms | bare product, ms |\n|" + " --- |" * 5)
            for of, ids in (
                ("items", shop.items.frame()["item_id"]),
                ("shoppers", shop.shoppers.frame()["shopper_id"]),
            ):
                some = ids.sample(min(LOOP, len(ids)), seed=1).to_list()
                began = perf_counter()
                for one in some:
                    shop.recommend(**{of.removesuffix("s"): one})
                loop = (perf_counter() - began) / len(some)
                began = perf_counter()
                count = recommend_all(shop, Path(folder) / "lists.parquet", of)
                each = (perf_counter() - began) / count
                print(f"| {of} | {count} | {1e3 * each:.2f} | {1e3 * loop:.2f} | {1e3 * bare:.2f} |", flush=True)


if __name__ == "__main__":
    main()
