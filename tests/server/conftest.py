"""A real service on a free port over a small real shop, in a thread or in a process of its own."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import polars as pl
import pytest
import uvicorn
from fastapi import FastAPI
from PIL import Image, ImageDraw

from modiste.server.app import create_app
from modiste.server.settings import Settings
from modiste.shop.shop import Shop

TOKEN = "a-token-for-tests"
COMMAND = "from modiste.cli import main; main()"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ONCE = httpx.Client(timeout=120, limits=httpx.Limits(max_keepalive_connections=0))
"""Asks each question on a connection of its own."""

COLOURS = {"red": (200, 40, 40), "blue": (40, 60, 190)}
BOXES = {"Dresses": (24, 16, 72, 136), "Denim": (30, 60, 66, 140), "Tees_Tanks": (18, 16, 78, 70)}


def drawn(kind: str = "Dresses", colour: str = "red", size: tuple[int, int] = (96, 144), form: str = "PNG") -> bytes:
    """A photo of a plain garment on white."""
    photo = Image.new("RGB", (96, 144), "white")
    ImageDraw.Draw(photo).rectangle(BOXES[kind], fill=COLOURS[colour])
    buffer = BytesIO()
    photo.resize(size).save(buffer, form)
    return buffer.getvalue()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def template(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop of 12 garments (3 kinds × 2 colours × 2 genders) with prices, 2 stores and 2 shoppers; to be copied."""
    folder = tmp_path_factory.mktemp("template")
    photos = folder / "shop" / "photos"
    database = None
    if request.param == "postgresql":
        database = new_database(request.getfixturevalue("postgres_server"))
    with Shop.create(folder / "shop", database=database) as shop:
        photos.mkdir()
        rows = []
        for kind in BOXES:
            for colour in COLOURS:
                for gender in ("women", "men"):
                    name = f"{kind}-{colour}-{gender}"
                    (photos / f"{name}.png").write_bytes(drawn(kind, colour))
                    store = "left" if colour == "red" else "right"
                    rows.append((name, f"{name}.png", kind, gender, 10 + 10 * len(rows), store, 10.0 * len(rows)))
        names = ("item_id", "image", "category", "gender", "price", "store_id", "popularity")
        pl.DataFrame(rows, names, orient="row").write_csv(photos / "items.csv")
        shop.add_items(photos / "items.csv")
        (folder / "stores.csv").write_text(
            "store_id,latitude,longitude,name\nleft,48.8,2.3,Left\nright,48.9,2.4,Right\n"
        )
        shop.add_stores(folder / "stores.csv")
        shop.embed(masking="none")
        (folder / "orders.csv").write_text(
            "shopper_id,item_id,date,order_id\n1,Dresses-red-women,2025-01-10,A-1\n2,Denim-blue-men,2025-02-10,A-2\n"
        )
        shop.add_purchases(folder / "orders.csv")
    return folder / "shop"


def new_database(server: str, like: str | None = None) -> str:
    """The URL of a new database on the server, empty or with all that the database ``like`` holds."""
    import psycopg

    name = f"street_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {like}" if like else ""))
    return re.sub(r"/[a-z0-9_]+\?", f"/{name}?", server)


def copied(shop: Path, to: Path) -> Path:
    """A copy of a closed shop's folder, and of its database."""
    folder = Path(shutil.copytree(shop, to))
    settings = folder / "shop.toml"
    if settings.exists():
        url = str(tomllib.loads(settings.read_text())["database"])
        like = re.findall(r"/([a-z0-9_]+)\?", url)[0]
        settings.write_text(f"database = {json.dumps(new_database(url.replace(f'/{like}?', '/postgres?'), like))}\n")
    return folder


@pytest.fixture
def shop_path(template: Path, tmp_path: Path) -> Path:
    """A shop of one's own."""
    return copied(template, tmp_path / "street")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(shop: Path | FastAPI, settings: Settings) -> Iterator[str]:
    """The service over a shop (or an application made already) in a thread; its address."""
    port = free_port()
    app = create_app(shop, settings) if isinstance(shop, Path) else shop
    config = uvicorn.Config(
        app, "127.0.0.1", port, log_config=None, access_log=False, ws="none",
        proxy_headers=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive())
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(60)


def until(true: Callable[[], Any], seconds: float = 120.0) -> None:
    """Wait for something to become true; fail if it doesn't."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


@pytest.fixture
def service(shop_path: Path) -> Iterator[httpx.Client]:
    """A client that may write, to a service over a shop of one's own."""
    with (
        running(shop_path, Settings(token=TOKEN)) as url,
        httpx.Client(base_url=url, headers=BEARER, timeout=120) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def reading(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client without the token, to a service that the module's tests share and don't change."""
    path = copied(template, tmp_path_factory.mktemp("shared") / "street")
    with running(path, Settings(token=TOKEN)) as url, httpx.Client(base_url=url, timeout=120) as client:
        yield client


@dataclass
class Served:
    """``modiste serve`` in a process of its own."""

    process: subprocess.Popen[str]
    url: str
    out: Path
    err: Path

    @property
    def logs(self) -> list[dict[str, Any]]:
        """What it has logged; every line must be JSON."""
        return [json.loads(line) for line in self.out.read_text().splitlines()]

    def stop(self) -> int:
        """Ask it to end, as Ctrl-C or a supervisor does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts ``modiste serve SHOP``; each is killed at the end of the test."""
    started: list[Served] = []

    def start(shop_path: Path, *options: str, **environment: str) -> Served:
        port = free_port()
        out, err = tmp_path / f"out-{port}.txt", tmp_path / f"err-{port}.txt"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MODISTE_")}
        with out.open("w") as to_out, err.open("w") as to_err:
            process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, "serve", str(shop_path), "--port", str(port), *options],
                stdout=to_out, stderr=to_err, text=True, env=clean | environment,
            )  # fmt: skip
        served = Served(process, f"http://127.0.0.1:{port}", out, err)
        started.append(served)

        def up() -> bool:
            assert process.poll() is None, err.read_text() + out.read_text()
            try:
                return ONCE.get(f"{served.url}/health").status_code == 200
            except httpx.TransportError:
                return False

        until(up, 180)
        return served

    yield start
    for served in started:
        if served.process.poll() is None:
            served.process.terminate()
            try:
                served.process.wait(60)
            except subprocess.TimeoutExpired:
                served.process.kill()


def metric(text: str, name: str, **labels: str) -> float:
    """The sum of a metric's samples that carry ``labels``."""
    found = 0.0
    for line in text.splitlines():
        if matched := re.fullmatch(rf"{name}(?:{{(.*)}})? (\S+)", line):
            has = dict(re.findall(r'(\w+)="([^"]*)"', matched[1] or ""))
            if all(has.get(key) == value for key, value in labels.items()):
                found += float(matched[2])
    return found
