"""The commands as a user types them: their output, their exit code."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, astuple, replace
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from modiste import Ask, Event, Item, Shop, __version__
from modiste.behaviour.choice import DEFAULT
from modiste.commands.printing import Estimate, print_table, say
from modiste.demo import unpack
from modiste.shop import schema
from modiste.shop.storefront import Seen

from . import garments
from .running import COMMAND, typed


def run(*words: object) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    command = [sys.executable, "-c", COMMAND, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"COLUMNS": "200"})


@pytest.fixture
def type_(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """Types a command in the test's folder: its exit code, output and complaints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: astuple(typed(*words))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shop of eight items in two stores, some bought by ann and bob, and two vector spaces."""
    folder = tmp_path_factory.mktemp("made") / "street"
    with Shop.create(folder) as shop:
        (folder / "photos").mkdir()
        rows: list[tuple[object, ...]] = [
            ("bare", "", "Skirts", "women", "", "", 3),
            ("other", "", "Denim", "women", 11, "right", 20),
        ]
        drawn = [(category, colour) for category in garments.BOXES for colour in garments.COLOURS]
        for number, (category, colour) in enumerate(drawn):
            (folder / "photos" / f"{number}.png").write_bytes(garments.drawn(category, colour))
            gender, store = ("women", "men", "")[number % 3], ("left", "right")[number % 2]
            rows.append((f"i{number}", f"{number}.png", category, gender, 10 + number, store, number * number))
        names = ("item_id", "image", "category", "gender", "price", "store_id", "popularity")
        with (folder / "photos" / "items.csv").open("w", newline="") as file:
            csv.writer(file).writerows([names, *rows])
        (folder / "stores.csv").write_text("store_id,latitude,longitude\nleft,48.8,2.3\nright,-33.9,151.2\n")
        shop.items.add(folder / "photos" / "items.csv")
        shop.stores.add(folder / "stores.csv")
        shop.vectors.embed("efficientnet_lite0", masking="none")
        shop.vectors.embed(masking="none")
        days = [datetime(2025, 3, 1), datetime(2025, 6, 1)]
        shop.purchases.record([Event("ann", one, at) for one, at in zip(("i0", "i3"), days, strict=True)])
        shop.purchases.record([Event("bob", "i2", days[0])] * 30)
        shop.items.put_many([Item("gone", "Denim", "women", stock=0, popularity=30.0)])
        slow = json.dumps({"model": asdict(replace(DEFAULT, half_life=400.0))})
        with shop.storage.writing() as writing:
            row = {"name": "slow", "made": days[0], "used": False, "content": slow}
            writing.execute(schema.tunings.insert(), [row])
        shop.scenarios.put("skirts", {"categories": ["Skirts"]}, author="ann")
    return folder


@pytest.fixture
def street(made: Path, tmp_path: Path) -> Iterator[Shop]:
    """That shop, for this test alone."""
    with Shop.open(shutil.copytree(made, tmp_path / "street")) as shop:
        yield shop


def test_help_comes_at_once_and_imports_nothing_of_weight():
    heavy = "numpy polars onnxruntime sqlalchemy pydantic"
    code = f"import sys, modiste.commands; print([m for m in {heavy.split()} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
    shown = run("--help")
    assert "recommend" in shown.stdout
    assert "Example" in run("recommend", "--help").stdout


def test_the_version_short_help_and_completion_are_where_people_look_for_them(type_):
    assert type_("--version")[:2] == (0, f"modiste {__version__}\n")
    for words in (("-h",), ("status", "-h"), ("recommend", "-h"), ("add", "items", "-h")):
        code, shown, _ = type_(*words)
        assert (code, "Usage" in shown) == (0, True)
    module = subprocess.run([sys.executable, "-m", "modiste", "--version"], capture_output=True, text=True, check=False)
    assert module.stdout == f"modiste {__version__}\n"
    completed = subprocess.run(
        [sys.executable, "-c", COMMAND], capture_output=True, text=True, check=False,
        env=os.environ | {"_MODISTE_COMPLETE": "complete_bash", "COMP_WORDS": "modiste sta", "COMP_CWORD": "1"},
    )  # fmt: skip
    assert completed.stdout.split() == ["status"]


@pytest.mark.parametrize(("seconds", "said"), [(0.5, ["2,000 photos, about 17 minutes to go"]), (0.02, [])])
def test_how_long_many_photos_will_take_is_told_once_by_the_first_ones(seconds, said):
    told, now = [], [100.0]
    estimate = Estimate("photos", told.append, lambda: now[0])
    for done in range(8, 2000, 8):
        estimate(done, 2000)
        now[0] += 8 * seconds
    assert told == said


# How one may ask


def option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def test_the_help_of_recommend_lists_every_way_to_ask(type_):
    code, shown, _ = type_("recommend", "--help")
    assert code == 0
    for name, about in Ask.model_fields.items():
        assert f"{option(name)} " in shown, name
        assert str(about.description).split(";")[0].split(":")[0] in " ".join(shown.replace("│", " ").split()), name
    assert shown.count("May be given again.") == 3


ASKED: dict[str, list[Any]] = {
    "top": [1, 3],
    "preset": ["paper", "visual"],
    "alpha": [0, 0.9],
    "beta": [0, 3],
    "colour": [3, -2],
    "gamma": [0, 2.5],
    "distance": [0.75],
    "together": [],
    "newness": [0, 3],
    "price": [3],
    "penalty": [4],
    "scaling": ["none"],
    "trendiness": [0, 1],
    "gender": ["men", "any"],
    "age": ["children"],
    "near": ["48.8,2.3", "-33.9,151.2"],
    "within": [1.5],
    "categories": [["jeans"], ["Denim", "Skirts"]],
    "min_price": [12],
    "max_price": [12.5],
    "match": ["any"],
    "sold_out": [True],
    "exclude": [["other"], ["other", "i4"]],
    "half_life": [3],
    "space": ["efficientnet_lite0"],
    "variety": [1],
    "fallback": ["popular", "unfiltered"],
    "tuning": ["slow"],
    "scenario": ["skirts"],
}
BESIDE: dict[str, dict[str, Any]] = {
    "within": {"near": "48.8,2.3"},
    "distance": {"near": "48.8,2.3"},
    "match": {"categories": ["Skirts"], "max_price": 12},
    "penalty": {"trendiness": 0.9, "preset": "paper"},
    "scaling": {"preset": "paper"},
    "space": {"preset": "visual"},
    "fallback": {"categories": ["Skirts"]},
}


@pytest.mark.parametrize("name", ASKED)
def test_every_option_of_recommend_does_what_the_field_does_in_python(type_, street, name):
    assert ASKED.keys() == Ask.model_fields.keys()
    beside = {"top": 8, **BESIDE.get(name, {})}
    without = [one.as_json() for one in street.recommend("ann", **beside)]
    for value in ASKED[name]:
        ask = beside | {name: value}
        words = [word for field, given in ask.items() for one in (given if isinstance(given, list) else [given])
                 for word in ((option(field),) if one is True else (option(field), str(one)))]  # fmt: skip
        code, shown, complaint = type_("recommend", "street", "--shopper", "ann", "--json", *words)
        assert code == 0, complaint
        found = json.loads(shown)
        assert found == [one.as_json() for one in street.recommend("ann", **ask)]
        assert found != without, f"{value} makes a difference"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--top", "0"], "top: Input should be greater than or equal to 1 (not '0')"),
        (["--top", "many"], "top: Input should be a valid integer"),
        (["--penalty", "3"], "penalty: Input should be a multiple of 2"),
        (["--near", "here"], "near: write it as latitude,longitude in degrees, such as 48.86,2.35"),
        (["--min-price", "3", "--max-price", "2"], "min_price 3 is above max_price 2"),
        (["--space", "resnet50"], "no vector space 'resnet50' here"),
        (["--preset", "paper", "--alpha", "0", "--beta", "0", "--gamma", "0"], "every weight is 0"),
        (["--within", "3"], "within needs a position"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_in_one_line(type_, street, words, complaint):
    code, shown, said = type_("recommend", "street", "--shopper", "ann", *words)
    assert (code, shown) == (2, "")
    assert said.startswith("error: ")
    assert complaint in said
    assert len(said.splitlines()) == 1


def test_an_option_that_there_is_not_names_the_nearest(type_, street):
    code, _, said = type_("recommend", "street", "--shopper", "ann", "--halflife", "3")
    assert code == 2
    assert "No such option: --halflife" in said
    assert "--half-life" in said


# What commands do


def test_a_list_is_printed_with_its_reasons(type_, street):
    code, shown, _ = type_("recommend", "street", "--shopper", "ann", "--top", 2)
    assert code == 0
    first = street.recommend("ann", top=2)[0]
    assert f"1. {first.item_id}" in shown
    assert f"{first.relevance:.3f} = " in shown
    assert f"{first.why} (because of {first.because})" in shown
    code, shown, _ = type_("recommend", "street", "--shopper", "ann", "--each", "--top", 1)
    assert [line for line in shown.splitlines() if line.startswith("for")] == [
        f"for ann, who bought {one}" for one in ("i0", "i3")
    ]
    code, shown, _ = type_("recommend", "street", "--item", "i0", "--categories", "Wedding dress")
    assert shown == "for i0: nothing to recommend\n"
    better = street.recommend("ann", top=50)[:-1]
    without = [word for one in better for word in ("--exclude", one.item_id)]
    code, shown, said = type_("recommend", "street", "--shopper", "ann", *without, "--json")
    assert (code, json.loads(shown)) == (0, [])
    assert said.startswith("Nothing fits")


def test_a_page_shows_the_purchases_and_what_they_lead_to(type_, street, tmp_path):
    code, shown, _ = type_("recommend", "street", "--shopper", "ann", "--html", "page.html", "--top", 3)
    assert code == 0
    page = (tmp_path / "page.html").read_text()
    assert page.count("<section>") == 2
    assert page.count("<figcaption>bought</figcaption>") == 2
    assert f"trendiness {street.shoppers['ann'].trendiness:.2f}" in page
    assert "because of" in shown
    code, shown, _ = type_("recommend", "street", "--items", "i0", "--html", "page.html", "--top", 3)
    assert code == 0
    assert "for a guest" in shown
    assert "For a guest" in (tmp_path / "page.html").read_text()
    popular = "bought a lot"
    assert popular not in shown + (tmp_path / "page.html").read_text()
    assert popular in type_("recommend", "street", "--items", "i0", "--trendiness", 1)[1]


def test_what_a_check_finds_is_said_and_mended_if_one_says_so(type_, street):
    assert type_("check", "street")[:2] == (0, "everything is as it should be\n")
    (street.path / "cache").mkdir()
    (street.path / "cache" / "manifest.json").write_text("{}")
    with street.storage.writing() as writing:
        writing.execute(schema.counts.update().values(count=0))
    code, shown, _ = type_("check", "street", "--quick")
    assert code == 1
    assert "found: counts are not what the events say" in shown
    assert shown.endswith("to mend: modiste check street --mend\n")
    code, shown, _ = type_("check", "street", "--mend")
    assert (code, shown.count("mended: ")) == (0, 2)
    assert street.items.browse(sort="popularity").items["count"].max() == 34
    assert type_("check", "street")[:2] == (0, "everything is as it should be\n")


def test_stores_and_purchases_are_added_with_what_was_not_taken(type_, street, tmp_path):
    (tmp_path / "orders.csv").write_text(
        "shopper_id,item_id,date,order_id\ncat,i1,2025-03-31,A\ncat,sock,2025-03-31,B\n"
    )
    code, shown, said = type_("add", "purchases", "street", "orders.csv")
    assert (code, shown) == (0, "purchases: 1 added, 0 already there\n")
    assert "row 3" in said
    code, shown, _ = type_("add", "purchases", "street", "orders.csv", "--strict")
    assert (code, shown) == (1, "purchases: 0 added, 1 already there\n")
    code, shown, _ = type_("add", "stores", "street", "street/stores.csv", "--strict")
    assert (code, shown) == (0, "stores: 0 added, 2 updated\n")


def test_what_a_terminal_would_obey_is_written_out(capsys):
    say("a\x1b]0;b\x07", ("\x9bc", "bold"), "\nd")
    print_table(("x",), [["\x1b[2J"]])
    assert capsys.readouterr().out.split() == ["a\\x1b]0;b\\x07\\x9bc", "d", "x", "\\x1b[2J"]


def test_a_backup_is_a_shop(type_, street, tmp_path):
    code, shown, _ = type_("backup", "street", "copy")
    assert (code, shown.strip()) == (0, f"copied to {tmp_path / 'copy'}")
    with Shop.open(tmp_path / "copy") as copy:
        assert len(copy.purchases) == 32
    code, _, said = type_("backup", "street", "copy")
    assert code == 2
    assert "exists already" in said


def test_a_sheet_of_masks_is_drawn(type_, street, tmp_path):
    code, shown, _ = type_("masks", "street", "--out", "sheet.png", "--count", 2)
    assert (code, shown) == (0, "drew sheet.png\n")
    assert (tmp_path / "sheet.png").stat().st_size > 1000


def test_weights_are_learnt_told_and_used_when_someone_says_so(type_, street):
    code, _, complaint = type_("tune", "street")
    assert code == 2
    assert "the defaults stay" in complaint
    days = [datetime(2025, 7, 1) + timedelta(days=number // 3) for number in range(600)]
    street.purchases.record([Event(f"{n % 70}", f"i{n * n % 5 % 6}", day) for n, day in enumerate(days)])
    code, shown, _ = type_("tune", "street")
    assert code == 0
    assert "half-life" in shown
    assert "simulated" not in shown
    assert "nothing has changed; to use it: modiste tune street --use own" in shown
    assert type_("tune", "street", "--use", "own")[0] == 0
    assert street.tunings.used().name == "own"
    assert type_("tune", "street", "--use", "defaults")[0] == 0
    assert street.tunings.used() is None
    assert "no tuning 'mine'" in type_("tune", "street", "--use", "mine")[2]


def test_a_scenario_is_set_shown_compared_tried_and_undone(type_, street, tmp_path):
    assert type_("scenario", "show", "street", "skirt")[2].strip().endswith("did you mean skirts?")
    (tmp_path / "home.toml").write_text(
        'top = 3\ngender = "any"\n\n[[rules]]\nname = "First"\ndo = "pin"\nitems = ["bare"]\nplace = 1\n'
    )
    code, shown, complaint = type_("scenario", "preview", "street", "home", "home.toml", "--all")
    assert (code, complaint) == (0, "")
    assert "of 2 shoppers' lists 100.0% change" in shown
    assert "more often: bare" in shown
    assert "home" not in street.scenarios
    assert "version 1" in type_("scenario", "set", "street", "home", "home.toml", "--author", "Ann")[1]
    _, shown, _ = type_("scenario", "set", "street", "home", "--top", "2", "--author", "Bob", "--reason", "fewer")
    assert "home has version 2" in shown
    assert "nothing differs" in type_("scenario", "set", "street", "home", "--top", "2")[1]
    assert street.scenarios["home"].scenario.rules[0].name == "First"
    (tmp_path / "again.toml").write_text(type_("scenario", "show", "street", "home")[1])
    assert "nothing differs" in type_("scenario", "set", "street", "home", "again.toml")[1]
    listed = type_("scenario", "list", "street")[1].splitlines()
    assert [line.split()[:2] for line in listed[1:]] == [["home", "2"], ["skirts", "1"]]
    assert "by Bob: fewer\n  top: 3 -> 2\n" in type_("scenario", "show", "street", "home", "--versions")[1]
    shown = type_("recommend", "street", "--shopper", "ann", "--scenario", "home")[1]
    assert " 1. bare" in shown
    assert "pinned by rule “First”" in shown
    assert "drawn at random between home and skirts" in type_("compare", "street", "home", "skirts", "--log")[2]
    street.ab.start("mix", "home", "skirts", placement="front", rate=0.3)
    for number in range(6):
        _, served = street.ab.serve("front", None, f"{number}", lambda one: street.recommend("ann", scenario=one))
        street.storefront.record([Seen(street.storefront.sign(served))])
    told = [line.split()[:2] for line in type_("compare", "street", "home", "skirts", "--log")[1].splitlines()]
    assert [one for one in told if "SNIPS" in one] == [["home", "SNIPS"], ["skirts", "SNIPS"]]
    assert "home has version 3, back to version 1" in type_("scenario", "undo", "street", "home")[1]
    assert type_("scenario", "undo", "street", "home", "--to", "9")[0] == 2
    assert "removed home" in type_("scenario", "remove", "street", "home")[1]
    assert "no scenario 'home'" in type_("recommend", "street", "--shopper", "ann", "--scenario", "home")[2]
    (tmp_path / "wrong.toml").write_text('[[rules]]\nname = "A"\ndo = "hdie"\nitems = ["bare"]\n')
    code, _, complaint = type_("scenario", "set", "street", "home", "wrong.toml")
    assert code == 2
    assert "wrong.toml: rule 'A': no rule can 'hdie'; did you mean hide?" in complaint


def test_networks_are_listed(type_):
    code, shown, _ = type_("backbones", "list")
    assert code == 0
    assert "modiste_s" in shown
    assert "efficientnet_lite0" in shown


def test_an_error_is_one_line_without_a_traceback(tmp_path):
    shown = run("embed", tmp_path / "nothing")
    assert shown.returncode == 2
    assert "modiste new" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_a_shop_from_photos_to_recommendations(type_, tmp_path):
    for kind, colour in (("Denim", "navy"), ("Denim", "blue"), ("Dresses", "red"), ("Dresses", "darkred")):
        (tmp_path / "photos" / kind).mkdir(parents=True, exist_ok=True)
        photo = Image.new("RGB", (60, 90), "white")
        photo.paste(colour, (15, 10, 45, 80))
        photo.save(tmp_path / "photos" / kind / f"{colour}.jpg")
    (tmp_path / "photos" / "Denim" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    assert type_("new", "shop")[0] == 0
    code, shown, said = type_("add", "items", "shop", "photos", "--strict")
    assert (code, "broken.jpg" in said, "4 added" in shown) == (1, True, True)
    assert "4 unchanged" in type_("add", "items", "shop", "photos")[1]
    assert "embedded 4" in type_("embed", "shop", "--masking", "none")[1]
    assert type_("simulate", "shop", "--shoppers", 5, "--seed", 1)[0] == 0
    assert len(json.loads(type_("recommend", "shop", "--item", "Denim/navy", "--top", 2, "--json")[1])) == 2
    assert "because of" in type_("recommend", "shop", "--shopper", 1, "--html", "page.html")[1]
    assert "<img" in (tmp_path / "page.html").read_text()
    code, _, said = type_("recommend", "shop", "--shopper", 1, "--penalty", 3)
    assert (code, "multiple of 2" in said) == (2, True)


def test_masks_that_the_parser_writes_go_in_again_as_given_masks(type_, tmp_path):
    book = unpack(tmp_path / "book", 2)
    Image.new("RGB", (90, 120), "white").save(tmp_path / "nothing.png")
    _, shown, said = type_("parse", book.photos, tmp_path / "nothing.png", "--out", "masks")
    assert "wrote 4 masks" in shown
    assert "shows no garment" in shown + said
    type_("new", "shop")
    assert "4 added" in type_("add", "items", "shop", book.photos, "--masks", "masks", "--strict")[1]
    for masks in ("given", "parser"):
        code, shown, _ = type_("embed", "shop", "--masks", masks, "--strict")
        assert code == 0
        assert "embedded 4" in shown
    with Shop.open(tmp_path / "shop") as shop:
        one, other = (shop.vectors.matrix(space)[1] for space in shop.vectors.spaces())
    assert float((one * other).sum(1).min()) > 0.999


def test_doctor_finds_every_shipped_model_whole():
    shown = run("doctor")
    assert shown.returncode == 0, shown.stdout
    assert "efficientnet_lite0: ok" in shown.stdout


@pytest.mark.data
def test_street_photos_go_all_the_way(type_, shared_data, tmp_path):
    with (shared_data / "street" / "items.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[:120]
    for row in rows:
        row |= {name: str(shared_data / "street" / row[name]) for name in ("image", "mask")}
    with (tmp_path / "items.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    type_("new", "street")
    assert "120 added" in type_("add", "items", "street", "items.csv")[1]
    assert "embedded 120" in type_("embed", "street", "--masks", "given")[1]
    type_("simulate", "street")
    found = json.loads(type_("recommend", "street", "--shopper", 1, "--json")[1])
    assert len(found) == 5
    for one in found:
        assert abs(sum(one["terms"].values()) - one["relevance"]) < 1e-6
    assert type_("masks", "street", "--out", "sheet.png", "--count", 3)[0] == 0
    assert type_("evaluate", "street", "all", "--out", "tables")[0] == 0
    assert (tmp_path / "tables" / "table1.csv").is_file()


def test_a_table_is_shown_as_understood_before_anything_is_written(type_: Callable[..., Any], tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    table = "item_id,Foto,Heel,Kategorie\n1,a.png,flat,Dress\n2,,,Martian\n"
    (tmp_path / "items.csv").write_text(table, encoding="utf-8")
    type_("new", "shop")
    before = sorted((path, path.stat().st_size) for path in (tmp_path / "shop").rglob("*"))
    code, out, told = type_("add", "items", "shop", "items.csv", "--dry-run", "--map", "image=Foto")
    assert code == 0
    assert "would add 2 items with 1 photos that are there" in out
    assert "1: category Dresses" in out
    assert all(
        one in told for one in ("columns kept as attributes: 'Heel'", "similar to themselves alone: Martian (1)")
    )
    assert sorted((path, path.stat().st_size) for path in (tmp_path / "shop").rglob("*")) == before
    code, out, told = type_("add", "items", "shop", "items.csv", "--map", "image=Foto")
    assert (code, "2 added" in out) == (0, True)
    assert "1 of 2 items have no photo" in told
    (tmp_path / "orders.csv").write_text("shopper,item,date,statuss\nann,1,31/03/2025,paid\n", encoding="utf-8")
    code, out, told = type_("add", "purchases", "shop", "orders.csv")
    assert (code, "nothing was taken" in told, "add --day-first" in told) == (1, True, True)
    assert 'is it status? Then --map status="statuss"' in told
    code, out, _ = type_("add", "purchases", "shop", "orders.csv", "--day-first", "--map", "status=statuss")
    assert (code, "1 added" in out) == (0, True)
    (tmp_path / "mapping.toml").write_text('[columns]\nlatitude = "y"\n', encoding="utf-8")
    (tmp_path / "stores.csv").write_text("store_id,y,lon\ns,1,2\n", encoding="utf-8")
    assert "1 added" in type_("add", "stores", "shop", "stores.csv", "--mapping", "mapping.toml")[1]


# What is known, and forgotten


def test_a_shopper_s_data_is_printed_and_forgotten(type_, street):
    code, shown, _ = type_("export", "street", "--shopper", "ann")
    assert code == 0
    first, second = json.loads(shown)["events"]
    assert (first["item_id"], first["at"]) == ("i0", "2025-03-01 00:00:00")
    assert type_("forget", "street", "--purchase", str(second["event_id"]))[0] == 0
    assert street.purchases.of("ann")["item_id"].to_list() == ["i0"]
    (street.path / "not-taken.txt").write_text("row 2: ann bought no item")
    code, shown, _ = type_("forget", "street", "--shopper", "ann")
    assert (code, "not-taken.txt" in shown.replace("\n", "")) == (0, True)
    assert "ann" not in street.shoppers
    for words in (["--shopper", "ann"], [], ["--purchase", "9999"]):
        assert type_("forget", "street", *words)[0] == 2


def test_a_photo_is_searched_with(type_, street):
    photo = Path(street.items.frame()["image"].drop_nulls()[0])
    code, out, _ = type_("search", street.path, photo, "--top", "2")
    assert code == 0
    assert f"like {photo.name}" in out
    code, out, _ = type_("search", street.path, photo, "--top", "2", "--category", "Dresses", "--json")
    found = json.loads(out)
    assert (len(found["recommendations"]), found["garments"]) == (2, [])
    code, _, complaint = type_("search", street.path, photo, "--top", "0")
    assert (code, "top" in complaint) == (2, True)


def test_what_goes_with_an_item_is_listed_by_the_part_that_it_is(type_, street):
    code, out, _ = type_("goes-with", street.path, "i3", "--json")
    [tops] = json.loads(out)
    assert (code, tops["part"], tops["kinds"]) == (0, "tops", ["Tees_Tanks"])
    assert [one["item_id"] for one in tops["recommendations"]] == ["i5"]
    code, out, _ = type_("goes-with", street.path, "i2", "--top", "1")
    assert (code, "tops that go with i2" in out) == (0, True)
    code, out, _ = type_("goes-with", street.path, "i0")
    assert (code, "nothing goes with i0" in out) == (0, True)


def test_outfits_are_looked_for_where_somebody_asks_for_them(type_, street):
    code, out, _ = type_("embed", street.path, "--masks", "given", "--outfits")
    photos = street.items.frame()["image"].drop_nulls()
    said = f"looked at the photos of {len(photos)} items for outfits; 0 show two garments or more on somebody"
    assert (code, said in out) == (0, True)
    assert "looked at the photos of 0 items" in type_("embed", street.path, "--masks", "given", "--outfits")[1]


def test_a_guest_s_items_are_asked_with(type_, street):
    code, shown, _ = type_("recommend", "street", "--items", "i0", "--items", "sock", "--items", "i3", "--json")
    assert code == 0
    assert json.loads(shown) == [one.as_json() for one in street.recommend(items=["i0", "i3"])]


def test_status_says_what_is_there_and_what_is_next(type_, street):
    code, shown, _ = type_("status", "street")
    assert code == 0
    assert "9, 8 on offer" in shown
    assert "32 purchase" in shown
    assert "items without a photo: 3" in shown


def test_views_count_as_much_as_one_says(type_, street):
    street.purchases.record([Event("ann", "i5", datetime(2025, 3, 1), "view")] * 4)
    assert type_("weigh", "street", "--view", "0.5")[0] == 0
    counts = dict(street.purchases.popularity().select("item_id", "popularity").iter_rows())
    assert counts["i5"] == 25 + 2


def test_a_test_of_two_scenarios_is_started_looked_at_and_stopped(type_, street):
    for name in ("home", "home-2"):
        street.scenarios.put(name, {"top": 3})
    code, _, complaint = type_("ab", "start", "street", "winter", "--a", "home", "--b", "home-2")
    assert (code, "--rate 0.02" in complaint) == (2, True)
    code, shown, _ = type_(
        "ab", "start", "street", "winter", "--a", "home", "--b", "home-2", "--rate", "0.2", "--counts", "clicked"
    )
    assert code == 0
    assert re.search(r"winter runs on home; about \d{4,5} shoppers find such a difference", shown)
    _, served = street.ab.serve("home", None, "ann", lambda scenario: street.introduce(scenario=scenario))
    signed = street.storefront.sign(served)
    street.storefront.record([Seen(signed, served.items[0])])
    shown = type_("ab", "report", "street")[1]
    assert "winter: A home, B home-2 on home" in shown
    assert "Nothing to tell yet" in shown
    assert "1 more saw a list less than 7 days ago." in shown
    shown = type_("report", "street")[1]
    assert f"winter {served.variant}" in shown
    assert "100.00% (20.65 to 100.00)" in shown
    (row,) = json.loads(type_("report", "street", "--json")[1])
    assert (row["people"], row["clicked"]["people"]) == (1, 1)
    assert "stopped" in type_("ab", "stop", "street", "winter")[1]
    assert "no test runs" in type_("ab", "report", "street")[1]
    assert "no list was seen" in type_("report", "street", "--until", "2026-01-01")[1]


def test_keys_are_made_listed_and_withdrawn(type_: Callable[..., tuple[int, str, str]]) -> None:
    type_("new", "street")
    code, key, _ = type_("key", "add", "street", "pages", "--role", "publishable", "--origin", "https://shop.example")
    assert (code, key.count("\n"), key.startswith("modiste_publishable_")) == (0, 1, True)
    listed = type_("key", "list", "street")[1]
    assert "pages: publishable, https://shop.example, 300 a minute" in listed
    assert key.strip() not in listed
    assert type_("key", "add", "street", "pages", "--role", "server")[0] == 2
    assert type_("key", "withdraw", "street", "pages")[0] == 0
    assert type_("key", "list", "street")[1] == ""
    assert "no key 'pages'" in type_("key", "withdraw", "street", "pages")[2]


def test_accounts_are_made_with_a_password_from_standard_input(
    type_: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    type_("new", "street")
    monkeypatch.setattr(sys, "stdin", StringIO("fifteen small buttons\n"))
    assert type_("user", "add", "street", "anna", "--role", "viewer")[0] == 0
    monkeypatch.setattr(sys, "stdin", StringIO("short\n"))
    assert "from 12" in type_("user", "add", "street", "bea", "--role", "admin")[2]
    assert type_("user", "change", "street", "anna", "--role", "merchandiser")[0] == 0
    assert "anna: merchandiser" in type_("user", "list", "street")[1]
    with Shop.open(tmp_path / "street") as shop:
        assert shop.users.log_in("anna", "fifteen small buttons", "here")
    monkeypatch.setattr(sys, "stdin", StringIO("sixteen small buttons\n"))
    assert type_("user", "change", "street", "anna", "--password")[0] == 0
    with Shop.open(tmp_path / "street") as shop:
        assert shop.users.log_in("anna", "sixteen small buttons", "here")
    assert type_("user", "remove", "street", "anna")[0] == 0
    told = type_("audit", "street", "--last", "2")[1]
    assert [line.partition(" by command: ")[2] for line in told.splitlines()] == [
        "remove an account: anna", "give an account another password: anna",
    ]  # fmt: skip
    assert type_("user", "list", "street")[1] == ""
