"""A shop of drawn garments, two colours of each kind, so that every answer is known; on either database."""

import csv
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray
from PIL import Image

from modiste.shop import schema, vectors
from modiste.shop.shop import Shop
from modiste.vision import embedding
from modiste.vision.backbones import BackboneSpec, Encoder
from modiste.vision.parsing import Parser

from .. import garments
from ..shops import borrowed, new_database


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of 24 items: 3 kinds × 2 colours × 2 genders × 2 products, popularity 0, 10, 20 …; and their photos."""
    folder = tmp_path_factory.mktemp("drawn")
    rows = []
    for kind in garments.BOXES:
        for colour in garments.COLOURS:
            for gender in ("women", "men"):
                for cut in (0, 6):
                    name = f"{kind}-{colour}-{gender}-{cut}"
                    photo = garments.drawn(kind, colour, slimmer=cut) + gender.encode()  # no two are the same file
                    (folder / f"{name}.png").write_bytes(photo)
                    rows.append([name, f"{name}.png", kind, gender, 10 * len(rows), "season 3"])
    with (folder / "items.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["item_id", "image", "category", "gender", "popularity", "season"], *rows])
    return folder


@pytest.fixture(scope="session", autouse=True)
def networks_loaded_once() -> Iterator[None]:
    """Loading a network takes longer than most of these tests; sessions of ONNX Runtime may be shared."""
    loaded: dict[tuple[str, int], Any] = {}

    def once(network: Callable[..., Any]) -> Callable[..., Any]:
        def load(spec: BackboneSpec, threads: int = 0) -> Any:
            if (spec.sha256, threads) not in loaded:
                loaded[spec.sha256, threads] = network(spec, threads)
            return loaded[spec.sha256, threads]

        return load

    with pytest.MonkeyPatch.context() as patch:
        for room in (embedding, vectors):
            patch.setattr(room, "Encoder", once(Encoder))
            patch.setattr(room, "Parser", once(Parser))
        yield


@pytest.fixture
def quick_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that embed much and ask of a vector only that it is its photo's: pixels, averaged in squares."""

    def embed(encoder: Encoder, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        count, colours, height, width = batch.shape
        rows, columns = height // 6 * 6, width // 6 * 6
        squares = batch[:, :, :rows, :columns].reshape(count, colours, 6, rows // 6, 6, columns // 6).mean(axis=(3, 5))
        vectors = np.zeros((count, encoder.spec.dim), np.float32)
        vectors[:, : colours * 36] = squares.reshape(count, -1)
        return np.divide(vectors, np.linalg.norm(vectors, axis=1, keepdims=True))

    monkeypatch.setattr(Encoder, "embed", embed)


_EMBED = Encoder.embed


@pytest.fixture(scope="session")
def made(
    drawn: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[str, bool], Path]:
    """The folder of a shop to copy, made once on each database: the drawn items embedded, or five without photos."""

    @cache
    def make(what: str, postgres: bool) -> Path:
        folder = tmp_path_factory.mktemp(what) / "shop"
        url = new_database(request.getfixturevalue("postgres_server")) if postgres else None
        with Shop.create(folder, database=url) as shop, pytest.MonkeyPatch.context() as patch:
            if what == "real":  # whatever network the test has that asks first
                patch.setattr(Encoder, "embed", _EMBED)
            if what != "bare":
                shop.items.add(drawn / "items.csv")
                shop.vectors.embed(masking="none")
            else:
                add_bare(shop, folder / "items.csv", ["a", "b", "c", "d", "e"])
                (folder / "items.csv").unlink()
        return folder

    return make


def add_bare(shop: Shop, file: Path, item_ids: list[str], popularity: float | None = None) -> None:
    """Add items that have nothing but an id and, if it is given, a popularity."""
    with file.open("w", newline="") as opened:
        rows = [[one, "" if popularity is None else popularity] for one in item_ids]
        csv.writer(opened).writerows([["item_id", "popularity"], *rows])
    assert shop.items.add(file).added == len(item_ids)


@pytest.fixture
def catalogue(tmp_path: Path, drawn: Path) -> Path:
    """The table of the drawn items, with its photos, for this test alone."""
    return shutil.copytree(drawn, tmp_path / "catalogue") / "items.csv"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    """What ``Shop.create`` takes: None for SQLite, then a URL of PostgreSQL."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def network() -> str:
    """What the shop was embedded with: ``real``, or ``quick`` where a file with :func:`quick_network` says so."""
    return "real"


@pytest.fixture
def shop(
    tmp_path: Path, drawn: Path, catalogue: Path, database: str | None, network: str, made: Callable[[str, bool], Path]
) -> Iterator[Shop]:
    """The catalogue in a shop, embedded without masks; once on SQLite, once on PostgreSQL."""
    with borrowed(made(network, database is not None), tmp_path / "shop") as folder, Shop.open(folder) as opened:
        image = schema.items.c.image
        with opened.storage.aside() as connection:
            connection.execute(
                schema.items.update().values(image=sa.func.replace(image, str(drawn), str(catalogue.parent)))
            )
        yield opened


@pytest.fixture
def small(tmp_path: Path, database: str | None, made: Callable[[str, bool], Path]) -> Iterator[Shop]:
    """A shop of five items without photos."""
    with borrowed(made("bare", database is not None), tmp_path / "small") as folder, Shop.open(folder) as opened:
        yield opened


@pytest.fixture
def fill(tmp_path: Path) -> Callable[..., None]:
    """Adds items that have nothing but an id and, if it is given, a popularity."""

    def add(shop: Shop, item_ids: list[str], popularity: float | None = None) -> None:
        add_bare(shop, tmp_path / "items-without-photos.csv", item_ids, popularity)

    return add


@pytest.fixture
def encoded(catalogue: Path) -> Callable[..., bytes]:
    """The photo of one of the catalogue's items as a file's bytes."""

    def photo(name: str, form: str = "PNG") -> bytes:
        buffer = BytesIO()
        Image.open(catalogue.parent / f"{name}.png").convert("RGB").save(buffer, form, quality=95, subsampling=0)
        return buffer.getvalue()

    return photo


@pytest.fixture
def process() -> Iterator[Callable[..., Callable[[], str]]]:
    """Starts a Python program in a process of its own; what comes back waits for it and returns what it printed."""
    started: list[subprocess.Popen[str]] = []

    def start(program: str, *arguments: object) -> Callable[[], str]:
        command = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(running)

        def finish() -> str:
            printed, complaint = running.communicate(timeout=120)
            assert running.returncode == 0, complaint
            return printed.strip()

        return finish

    yield start
    for one in started:
        if one.poll() is None:
            one.kill()
            one.communicate()
