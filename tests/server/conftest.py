"""A small real shop on either database, and services over it."""

import json
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import httpx
import polars as pl
import pytest

from modiste.server.settings import Settings
from modiste.shop.shop import Shop

from ..garments import BOXES, COLOURS, drawn
from ..running import BEARER, TOKEN, Served, running, serving


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def template(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop of 12 garments (3 categories × 2 colours × 2 genders) with prices, 2 stores, 2 shoppers; to be copied."""
    folder = tmp_path_factory.mktemp("template")
    photos = folder / "shop" / "photos"
    database = None
    if request.param == "postgresql":
        database = new_database(request.getfixturevalue("postgres_server"))
    with Shop.create(folder / "shop", database=database) as shop:
        photos.mkdir()
        rows = []
        for category in BOXES:
            for colour in COLOURS:
                for gender in ("women", "men"):
                    name = f"{category}-{colour}-{gender}"
                    (photos / f"{name}.png").write_bytes(drawn(category, colour))
                    store = "left" if colour == "red" else "right"
                    rows.append((name, f"{name}.png", category, gender, 10 + 10 * len(rows), store, 10.0 * len(rows)))
        names = ("item_id", "image", "category", "gender", "price", "store_id", "popularity")
        pl.DataFrame(rows, names, orient="row").write_csv(photos / "items.csv")
        shop.items.add(photos / "items.csv")
        (folder / "stores.csv").write_text(
            "store_id,latitude,longitude,name\nleft,48.8,2.3,Left\nright,48.9,2.4,Right\n"
        )
        shop.stores.add(folder / "stores.csv")
        shop.vectors.embed(masking="none")
        (folder / "orders.csv").write_text(
            "shopper_id,item_id,date,order_id\n1,Dresses-red-women,2025-01-10,A-1\n2,Denim-blue-men,2025-02-10,A-2\n"
        )
        shop.purchases.add(folder / "orders.csv")
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
    """A client with the token, to a service that the module's tests share and don't change."""
    path = copied(template, tmp_path_factory.mktemp("shared") / "street")
    with (
        running(path, Settings(token=TOKEN)) as url,
        httpx.Client(base_url=url, headers=BEARER, timeout=120) as client,
    ):
        yield client


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts ``modiste serve SHOP``; each is stopped at the end of the test."""
    with ExitStack() as stack:
        yield lambda *words, **environment: stack.enter_context(serving(*words, logs=tmp_path, **environment))
