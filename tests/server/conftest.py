"""A small real shop on either database, and services over it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import polars as pl
import pytest
from argon2 import PasswordHasher

from modiste.server.settings import Settings
from modiste.shop.shop import Shop
from modiste.shop.users import Users

from ..garments import BOXES, COLOURS, drawn
from ..running import BEARER, TOKEN, Served, running, serving
from ..shops import borrowed, new_database


@pytest.fixture(scope="module", autouse=True)
def quick_hashes() -> Iterator[None]:
    """Passwords are hashed in no time; how slowly they are for others, tests/shop/test_users.py knows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Users, "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        yield


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
                    photo = drawn(category, colour) + gender.encode()  # no two are the same file
                    (photos / f"{name}.png").write_bytes(photo)
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


@pytest.fixture
def shop_path(template: Path, tmp_path: Path) -> Iterator[Path]:
    """A shop of one's own."""
    with borrowed(template, tmp_path / "street") as folder:
        yield folder


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
    with (
        borrowed(template, tmp_path_factory.mktemp("shared") / "street") as path,
        running(path, Settings(token=TOKEN)) as url,
        httpx.Client(base_url=url, headers=BEARER, timeout=120) as client,
    ):
        yield client


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts ``modiste serve SHOP``; each is stopped at the end of the test."""
    with ExitStack() as stack:
        yield lambda *words, **environment: stack.enter_context(serving(*words, logs=tmp_path, **environment))
