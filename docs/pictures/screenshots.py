"""Take the README's screenshots of the demo shop's pages.

Needs Chromium and the development tools: ``python docs/pictures/screenshots.py [SHOP]``, where SHOP is a demo shop
(``modiste demo SHOP``); without it one is made in a temporary folder.
"""

import shutil
import subprocess
import sys
import tempfile
import threading
import time
from io import BytesIO
from pathlib import Path

import uvicorn
from PIL import Image
from playwright.sync_api import sync_playwright

from modiste.server.app import HTTP, create_app
from modiste.shop.shop import Shop

FOLDER = Path(__file__).parent
WIDTH, PORT = 1280, 8765
HEIGHTS = {"demo": 690, "overview": 820, "shopper": 1000, "item": 1290}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


def main(shop: Path) -> None:
    """Serve ``shop``, open its pages and what the demo drew, and write demo, overview, shopper and item.png."""
    with Shop.open(shop) as opened:
        bought = opened.purchases.frame()
        shopper = bought["shopper_id"].value_counts(sort=True)["shopper_id"][0]
        item = bought["item_id"].mode().sort()[0]  # one that was bought the most often
    served = f"http://127.0.0.1:{PORT}"
    pages = {
        "demo": (shop / "recommendations.html").resolve().as_uri(),
        "overview": f"{served}/overview",
        "shopper": f"{served}/shoppers/{shopper}?alpha=1.5&beta=2&trendiness=0.9",
        "item": f"{served}/items/{item}?shopper={shopper}",
    }
    server = uvicorn.Server(uvicorn.Config(create_app(shop), port=PORT, log_level="warning", **HTTP))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.05)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
            page = browser.new_page(color_scheme="light")
            for name, address in pages.items():
                page.set_viewport_size({"width": WIDTH, "height": HEIGHTS[name]})
                page.goto(address, wait_until="networkidle")
                save(page.screenshot(), FOLDER / f"{name}.png")
            browser.close()
    finally:
        server.should_exit = True
        thread.join()


def save(screenshot: bytes, to: Path) -> None:
    """Write a PNG of 256 colours: a quarter of the bytes, and as good to look at."""
    with Image.open(BytesIO(screenshot)) as picture:
        picture.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT).save(to, optimize=True)
    print(f"{to}: {to.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            made = Path(temporary) / "demo-shop"
            subprocess.run([Path(sys.executable).with_name("modiste"), "demo", made, "--no-serve"], check=True)  # noqa: S603
            main(made)
