"""The README's commands, as a newcomer types them, over her own folder."""

import csv
import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
from PIL import Image, ImageDraw

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
COMMAND = "from modiste.cli import main; main()"


def commands(heading: str) -> list[str]:
    """The commands of the first block under a heading, without their comments."""
    block = README.partition(f"## {heading}\n\n")[2].partition("\n\n")[0]
    return [re.sub(r"\s+#.*", "", line).strip() for line in block.splitlines()]


def test_five_commands_lead_from_the_install_to_the_page(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, colour in enumerate(("firebrick", "navy", "olive")):
        photo = Image.new("RGB", (96, 144), "white")
        ImageDraw.Draw(photo).rectangle((24, 16, 72, 136), fill=colour)
        photo.save(photos / f"{number}.jpg")
    with (photos / "items.csv").open("w", newline="") as file:
        rows = [[f"000{number}", f"{number}.jpg", "Dresses"] for number in range(3)]
        csv.writer(file).writerows([["item_id", "image", "category"], *rows])

    install, *others, serve = commands("Your own shop, in five commands")
    assert len(others) + 2 <= 5
    assert install == "pip install '.[server]'"  # as `make test` has done, with the other extras
    for line in others:
        ran = subprocess.run(
            [sys.executable, "-c", COMMAND, *shlex.split(line)[1:]], cwd=tmp_path, capture_output=True, text=True
        )
        assert ran.returncode == 0, f"{line}: {ran.stdout}{ran.stderr}"

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    asked = [sys.executable, "-c", COMMAND, *shlex.split(serve)[1:], "--port", str(port)]
    with subprocess.Popen(asked, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as service:
        try:
            page = wait_for(f"http://127.0.0.1:{port}/items", service)
        finally:
            service.terminate()
    assert all(f"/v1/items/000{number}/thumbnail" in page for number in range(3))


def wait_for(address: str, service: subprocess.Popen[bytes]) -> str:
    """The page at ``address``, as soon as the service answers."""
    end = time.monotonic() + 120
    while True:
        assert service.poll() is None, "the service ended"
        assert time.monotonic() < end, "the service never answered"
        try:
            return httpx.get(address, timeout=60).raise_for_status().text
        except httpx.TransportError:
            time.sleep(0.1)
