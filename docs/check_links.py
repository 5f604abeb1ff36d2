"""Every relative link in the Markdown documents leads to a file that is there. Exits with 1 otherwise."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)[^)]*\)")


def broken_links() -> list[str]:
    """The links that lead nowhere, each as ``file: target``."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("training/*.md"), *ROOT.glob("benchmarks/*.md")]
    return [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in LINK.findall(page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]


if __name__ == "__main__":
    broken = broken_links()
    print("\n".join(broken) or "all links lead somewhere")
    sys.exit(bool(broken))
