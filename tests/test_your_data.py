"""The page about shops' data: every file that it shows goes in by what it says to type."""

import re
import shlex
from pathlib import Path

import pytest

from .garments import drawn
from .running import typed

PAGE = (Path(__file__).parent.parent / "docs" / "how-to" / "your-shops-data.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n)*)", PAGE, re.M))
ADDED = {
    "Shopify": 5,
    "WooCommerce": 3,
    "Google Merchant": 1,
    "Magento": 2,
    "Anything else": 1,
    "On which day an item came": 1,
    "Every hour": 2,
    "Out again": 2,
}


@pytest.mark.parametrize("name", SECTIONS)
def test_every_file_goes_in_as_the_page_says(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert typed("new", "street").code == 0
    files = re.findall(r"```(?:csv|json) (\S+)\n(.*?)```", SECTIONS[name], re.S)
    for file, text in files:
        Path(file).write_text(text, encoding="utf-8")
        for number, photo in enumerate(re.findall(r"[\w-]+\.jpg", text)):
            Path(photo).write_bytes(drawn("Dresses", "red", slimmer=number, form="JPEG"))
    lines = re.findall(r"^ {4}(modiste .*)$", SECTIONS[name], re.M)
    assert files
    assert len(lines) >= len(files)
    added = 0
    for line in lines:
        ran = typed(*shlex.split(line)[1:])
        assert ran.code == 0, f"{line}: {ran.out}{ran.err}"
        added += int(found[1]) if (found := re.search(r"(\d+) added", ran.out + ran.err)) else 0
    assert added == ADDED.get(name, 3), f"all rows of {name}"
