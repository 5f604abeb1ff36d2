"""Write the licences of all that Modiste runs on and ships: ``python docs/licences.py`` writes docs/licences.md anew.

What is installed says its own licence; a test holds the page to that, to requirements.lock and to the networks.
"""

import re
import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "licences.md"

ELSEWHERE = {
    "torch": ("BSD-3-Clause", "export"),
    "torchvision": ("BSD-3-Clause", "export"),
    "onnx": ("Apache-2.0", "export"),
    "atheris": ("Apache-2.0", "torture"),
    "irspack": ("MIT", "evaluate"),
    "lightgbm": ("MIT", "evaluate"),
}
"""Packages that somebody may install and requirements.lock doesn't: licence, and the extra or group they are in."""

FILES = {
    "modiste/server/static/htmx.min.js": ("0BSD", "htmx, https://htmx.org; its licence lies beside it"),
    "modiste/demo.zip": ("Apache-2.0", "photos drawn by lookbook/"),
}
"""What is shipped and isn't our own code or a network."""

_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "The Unlicense (Unlicense)": "Unlicense",
    "Historical Permission Notice and Disclaimer (HPND)": "HPND",
}


def licence(package: str) -> str:
    """What an installed package says of its licence, as SPDX has it where it does; empty where it says nothing."""
    said = metadata.metadata(package)
    if expression := said.get("License-Expression"):
        return str(expression)
    named = [one.rpartition(":: ")[2] for one in said.get_all("Classifier", []) if one.startswith("License ::")]
    known = sorted({_CLASSIFIERS.get(one, one) for one in named if one != "OSI Approved"})
    first = next(iter(str(said.get("License") or "").strip().splitlines()), "")
    return " OR ".join(known) if known else first if len(first) < 60 else ""


def locked() -> dict[str, str]:
    """The packages of requirements.lock, each with its version."""
    lines = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    pairs = (line.partition(" ")[0].split("==") for line in lines if "==" in line)
    return {_name(name): version for name, version in pairs}


def users() -> set[str]:
    """The locked packages that an installation with its extras has; the others are for those who work on it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(one for name in extras for one in extras[name])]
    found: set[str] = set()
    waiting = [_required(one) for one in wanted]
    while waiting:
        name, asked = waiting.pop()
        if name in found or name not in locked():
            continue
        found.add(name)
        for one in metadata.requires(name) or ():
            condition = one.partition(";")[2]
            if "extra" not in condition or any(f"'{extra}'" in condition.replace('"', "'") for extra in asked):
                waiting.append(_required(one))
    return found


def _required(line: str) -> tuple[str, tuple[str, ...]]:
    matched = re.match(r"\s*([\w.-]+)(?:\[([\w,. -]*)\])?", line)
    assert matched is not None
    return _name(matched[1]), tuple(one.strip() for one in (matched[2] or "").split(",") if one.strip())


def _name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def page() -> str:
    """The whole page."""
    networks = {}
    for entry in sorted((ROOT / "modiste" / "vision" / "models").glob("*.toml")):
        about = tomllib.loads(entry.read_text("utf-8"))
        networks[entry.stem] = (about["licence"], about["origin"])
    versions, theirs = locked(), users()
    lines = [
        "# Licences", "",
        "Modiste is under the [Apache License 2.0](../LICENSE). What it runs on and what it ships has licences of its",
        "own; this page is written by `python docs/licences.py` from what the packages say of themselves.", "",
        "## Networks", "", "| network | licence | origin |", "| --- | --- | --- |",
        *(f"| [{name}](models/{name}.md) | {one} | {origin} |" for name, (one, origin) in networks.items()), "",
        "## Other files in the package", "", "| file | licence | origin |", "| --- | --- | --- |",
        *(f"| `{name}` | {one} | {origin} |" for name, (one, origin) in FILES.items()), "",
        "## Packages that are installed with it or its extras", "", "| package | version that is tested | licence |",
        "| --- | --- | --- |",
        *(f"| {name} | {versions[name]} | {licence(name)} |" for name in sorted(theirs)),
        *(f"| {name} | not pinned, `{extra}` | {one} |" for name, (one, extra) in sorted(ELSEWHERE.items())), "",
        "## Packages that only those need who work on it", "", "| package | version | licence |", "| --- | --- | --- |",
        *(f"| {name} | {versions[name]} | {licence(name)} |" for name in sorted(versions.keys() - theirs)), "",
    ]  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
