"""Our readers take or refuse whatever the fuzzer found worth keeping; ``make torture`` has it look for more."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from . import readers

ROOT = Path(__file__).parents[2]
SECONDS = 300 * float(os.environ.get("MODISTE_TORTURE") or 0)


@pytest.mark.parametrize("reader", readers.READERS)
def test_a_reader_takes_or_refuses_all_of_the_corpus(reader: str) -> None:
    corpus = readers.corpus(reader)
    assert len(corpus) >= 5
    assert max(map(len, corpus.values())) <= readers.LARGEST
    for name, content in corpus.items():
        try:
            readers.read(reader, content)
        except Exception as error:
            raise AssertionError(f"{reader} breaks on {name}: {content[:200]!r}") from error


@pytest.mark.skipif(not SECONDS, reason="make torture runs it")
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris")
@pytest.mark.parametrize("reader", readers.READERS)
def test_nothing_new_breaks_a_reader(reader: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz.readers", reader, "--seconds", f"{SECONDS:.0f}"]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    ran = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    print(reader, *(line for line in ran.stderr.splitlines() if line.startswith("Done ")))
    assert ran.returncode == 0, ran.stderr[-4000:]
