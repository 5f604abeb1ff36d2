"""A shop of drawn garments, two colours of each kind, so that every answer is known; on either database."""

import csv
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from modiste.shop.shop import Shop

BOXES = {"Dresses": (24, 16, 72, 136), "Denim": (30, 60, 66, 140), "Tees_Tanks": (18, 16, 78, 70)}
COLOURS = {"red": (200, 40, 40), "blue": (40, 60, 190)}


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """A table of 24 items: 3 kinds × 2 colours × 2 genders × 2 products, popularity 0, 10, 20 …"""
    folder = tmp_path / "catalogue"
    folder.mkdir()
    rows = []
    for kind, box in BOXES.items():
        for colour, fill in COLOURS.items():
            for gender in ("women", "men"):
                for cut in (0, 6):
                    name = f"{kind}-{colour}-{gender}-{cut}"
                    photo = Image.new("RGB", (96, 144), "white")
                    left, top, right, bottom = box
                    ImageDraw.Draw(photo).rectangle((left + cut, top, right - cut, bottom), fill=fill)
                    photo.save(folder / f"{name}.png")
                    rows.append([name, f"{name}.png", kind, gender, 10 * len(rows), "season 3"])
    with (folder / "items.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["item_id", "image", "category", "gender", "popularity", "season"], *rows])
    return folder / "items.csv"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str | None:
    """What ``Shop.create`` takes: None for SQLite, then a URL of PostgreSQL."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def shop(tmp_path: Path, catalogue: Path, database: str | None):
    """The catalogue in a shop, embedded without masks; once on SQLite, once on PostgreSQL."""
    with Shop.create(tmp_path / "shop", database=database) as made:
        made.add_items(catalogue)
        made.embed(masking="none")
        yield made
