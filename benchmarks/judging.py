"""What ``modiste evaluate SHOP benchmark --sample N`` costs in a large shop: time and peak memory of each line.

Makes a shop with ``scale.py``'s rows (long-tailed sales over two years, vectors in clusters, ten purchases a shopper),
or judges the one that is in ``--folder``; what was judged before is not judged again::

    python benchmarks/judging.py --items 100000 --purchases 1000000 --sample 500 --folder /tmp/large
"""

import argparse
from pathlib import Path
from time import perf_counter, process_time

from scale import fill

from modiste import Shop
from modiste.evaluation.benchmark import Protocol, benchmark, data_of
from modiste.evaluation.tuned import recommenders

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Clock:
    """Prints what passed since it was last asked, and the highest memory of this process in between."""

    def __init__(self) -> None:
        self.began = self.last = perf_counter()
        self.worked = process_time()

    def tell(self, what: str) -> None:
        """Print it with what passed since the last time."""
        now, worked = perf_counter(), process_time()
        peak = next(int(line.split()[1]) for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        spent = f"{now - self.last:8.1f} s {worked - self.worked:8.1f} s of processors {peak / 1000:8,.0f} MB"
        print(f"{what:45} {spent} {now - self.began:8.0f} s in all", flush=True)
        _CLEAR.write_text("5")  # the peak begins anew
        self.last, self.worked = now, worked


def main() -> None:
    """Print a line for each step, then the tables' first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--purchases", type=int, default=100_000)
    parser.add_argument("--cuts", type=int, default=Protocol.cuts)
    parser.add_argument("--sample", type=int, default=500)
    parser.add_argument("--folder", type=Path, required=True, help="keep the shop and what is judged here")
    asked = parser.parse_args()
    clock = Clock()
    if not asked.folder.exists():
        fill(asked.folder, asked.items, None, purchases=asked.purchases)
        clock.tell("a shop is made")
        clock.began = clock.last
    with Shop.open(asked.folder) as shop:
        data = data_of(shop)
    clock.tell(f"{len(data.events):,} purchases, {data.items:,} items are read")
    names = list(recommenders(data))

    def progress(done: int, many: int) -> None:
        clock.tell(f"cut {(done - 1) // len(names) + 1} of {many // len(names)}, {names[(done - 1) % len(names)]}")

    report = benchmark(
        data, Protocol(cuts=asked.cuts, sample=asked.sample), asked.folder / "experiments", progress=progress
    )
    clock.tell("the report")
    print("\n".join(report.notes))


if __name__ == "__main__":
    main()
