"""Every relative link in the Markdown documents leads to a file that is there, and to a heading that is in it.

Exits with 1 otherwise.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)")
FENCE = re.compile(r"^```.*?^```", re.M | re.S)


def pages() -> list[Path]:
    """The Markdown documents."""
    folders = ("docs/**", "training", "benchmarks", "lookbook")
    return [*ROOT.glob("*.md"), *(page for folder in folders for page in ROOT.glob(f"{folder}/*.md"))]


def broken_links() -> list[str]:
    """The links that lead nowhere, each as ``file: target``."""
    broken = []
    for page in pages():
        for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
            name, _, heading = target.partition("#")
            file = page.parent / name if name else page
            if "://" not in target and (not file.exists() or (heading and heading not in headings(file))):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    return broken


def headings(page: Path) -> set[str]:
    """What a link may name after its #, as GitHub makes it of the page's headings."""
    found = re.findall(r"^#+ +(.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in found}


if __name__ == "__main__":
    broken = broken_links()
    print("\n".join(broken) or "all links lead somewhere")
    sys.exit(bool(broken))
