"""Debian's Chromium, and axe-core, for every test in a browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip

expect.set_options(timeout=20_000)  # the machine may be busy


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. Not for the whole session: while it is open, this thread has an event loop."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium here (apt-get install chromium)")
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield made
        made.close()


@pytest.fixture(scope="session")
def axe() -> str:
    given = os.environ.get("MODISTE_AXE")
    file = Path(given) if given else ROOT / "build/axe/node_modules/axe-core/axe.min.js"
    if not file.is_file():
        pytest.skip(f"no axe-core at {file} (npm install --prefix build/axe axe-core@4.14.1, or set MODISTE_AXE)")
    return file.read_text(encoding="utf-8")
