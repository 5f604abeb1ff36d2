"""The benchmark of ``modiste evaluate SHOP benchmark`` on the shared rentals, without a shop.

python benchmarks/baselines.py [--data ../shared/data] [--cuts 2] [--sample 600] [--only NAME ...] [--out /tmp/rentals]
"""

import argparse
from pathlib import Path

import numpy as np
from rentals import DATA, read_rentals

from modiste.evaluation.benchmark import Protocol, benchmark
from modiste.evaluation.recommenders import Data
from modiste.evaluation.tuned import recommenders


def main() -> None:
    """Print the tables; they, the figures and what is finished lie in ``--out``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--cuts", type=int, default=2)
    parser.add_argument("--sample", type=int, default=600)
    parser.add_argument("--only", nargs="+", help="these alone, by their names in the tables")
    parser.add_argument("--out", type=Path, default=Path("/tmp/rentals"))  # noqa: S108
    asked = parser.parse_args()
    read = read_rentals(asked.data)
    alike = np.eye(int(read.category.max()) + 1)
    shoppers, items = int(read.events.shopper.max()) + 1, np.arange(len(read.category))
    data = Data(read.events, shoppers, items, read.category, alike)
    chosen = {name: one for name, one in recommenders(data).items() if not asked.only or name in asked.only}
    protocol = Protocol(cuts=asked.cuts, sample=asked.sample)
    print(benchmark(data, protocol, asked.out, chosen, title="Rentals").markdown)


if __name__ == "__main__":
    main()
