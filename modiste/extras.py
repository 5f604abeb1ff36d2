"""The extras: what each needs beside the package, and the command that installs it.

No package index has Modiste, so the command names the extra's own packages, as the installed distribution's metadata
has them: it works beside a checkout, and beside a wheel.
"""

import re
import shlex
import shutil
import sys
from importlib import metadata
from pathlib import Path


def extras() -> list[str]:
    """The extras there are; none where Modiste runs from a folder without having been installed."""
    try:
        return metadata.metadata("modiste").get_all("Provides-Extra") or []
    except metadata.PackageNotFoundError:
        return []


def requirements(extra: str) -> list[str]:
    """What an extra needs, as pip takes it: ``httpx>=0.27``."""
    try:
        lines = metadata.requires("modiste") or []
    except metadata.PackageNotFoundError:
        return []
    marked = (line.partition(";") for line in lines)
    wanted = re.compile(rf"extra\s*==\s*['\"]{re.escape(extra)}['\"]")
    return [needed.strip() for needed, _, marker in marked if wanted.search(marker)]


def versions(extra: str) -> dict[str, str | None]:
    """The versions of an extra's packages by their names; None for one that isn't installed."""
    found: dict[str, str | None] = {}
    for requirement in requirements(extra):
        name = re.split(r"[^\w.-]", requirement)[0]
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def install_command(extra: str) -> str:
    """The command for a shell that installs an extra into the Python that runs."""
    pip = shutil.which("pip")
    here = pip is not None and Path(pip).parent == Path(sys.executable).parent
    checkout = f"{Path(__file__).resolve().parent.parent}[{extra}]"
    command = ["pip"] if here else [sys.executable, "-m", "pip"]
    return shlex.join([*command, "install", *(requirements(extra) or [checkout])])
