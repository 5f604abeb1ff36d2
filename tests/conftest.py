"""What every test may lean on: the shared real data, and a small look book drawn once per run."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photos, masks and runs; the test is skipped where it is absent."""
    folder = Path(os.environ.get("MODISTE_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no shared test data at {folder} (set MODISTE_TEST_DATA)")
    return folder
