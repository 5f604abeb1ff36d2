"""Odd files and odd values are taken or refused in words; ``make torture`` tries all of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .oddities import missing


def test_every_command_is_tried_with_odd_files() -> None:
    assert missing() == set()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_some_odd_files_and_values_stop_nothing() -> None:
    share = float(os.environ.get("MODISTE_TORTURE") or 1 / 601)
    words = [sys.executable, "-m", "tests.oddities", "--every", str(round(1 / share))]
    ran = subprocess.run(words, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    print(ran.stdout)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " survived, in " in ran.stdout
