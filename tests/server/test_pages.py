"""The pages' answers: what stands in them, what they do with odd shops and odd ids, and that they can't be tricked."""

import csv
import html
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import httpx
import polars as pl
import pytest

from modiste.behaviour.trends import by_month
from modiste.catalog.events import Event
from modiste.catalog.items import Item
from modiste.ranking.relevance import PRESETS
from modiste.server.pages import parses
from modiste.server.pages.rendering import MOST_WEIGHT
from modiste.server.pages.shopper import steered
from modiste.server.settings import Settings
from modiste.shop import schema
from modiste.shop.recommendations import Recommendation, compare
from modiste.shop.shop import Shop

from ..garments import drawn
from ..running import running
from ..shops import borrowed

HOSTILE = """a/b #1?<script>alert(1)</script>&"'.png"""
PART = {"HX-Request": "true"}


@contextmanager
def served(path: Path, settings: Settings) -> Iterator[httpx.Client]:
    """A visitor to the live service over a shop, who follows where it leads."""
    with (
        running(path, settings) as address,
        httpx.Client(base_url=address, follow_redirects=True, timeout=60) as client,
    ):
        yield client


@pytest.fixture
def visit() -> Iterator[Callable[[Path], httpx.Client]]:
    with ExitStack() as stack:
        yield lambda path: stack.enter_context(served(path, Settings(max_upload=500_000)))


@pytest.fixture
def client(visit: Callable[[Path], httpx.Client], shop_path: Path) -> httpx.Client:
    return visit(shop_path)


@pytest.fixture(scope="module")
def looking(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A visitor who changes nothing, to a service that such tests share."""
    with (
        borrowed(template, tmp_path_factory.mktemp("looking") / "street") as path,
        served(path, Settings(max_upload=500_000)) as client,
    ):
        yield client


class Page(HTMLParser):
    """The elements of a page, by tag, with their attributes; void elements need no end."""

    VOID = frozenset({"meta", "link", "img", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, list[dict[str, str]]] = {}
        self.open: list[str] = []
        self.feed(text)
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.setdefault(tag, []).append({name: value or "" for name, value in attributes})
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.setdefault(tag, []).append({name: value or "" for name, value in attributes})

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> ends nothing"
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str]]:
        return self.found.get(tag, [])


def page(client: httpx.Client, address: str, status: int = 200) -> Page:
    answer = client.get(address)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/html")
    made = Page(answer.text)
    assert not any("style" in one for elements in made.found.values() for one in elements), "a style attribute"
    assert all("src" in one for one in made.all("script")), "an inline script"
    return made


def one(item_id: str, relevance: float = 1.0) -> Recommendation:
    return Recommendation(item_id, relevance, {"look": relevance}, None, None, None, None, None, "")


# What stands in them


@pytest.mark.parametrize(
    "address",
    [
        "/overview",
        "/trending",
        "/trending?by=colour",
        "/stores",
        "/docs",
        "/shoppers",
        "/shoppers/1",
        "/items",
        "/items/Dresses-red-women",
        "/search",
        "/experiments",
    ],
)
def test_every_page_answers_and_allows_nothing_from_elsewhere(looking: httpx.Client, address: str) -> None:
    made = page(looking, address)
    assert len(made.all("h1")) == len(made.all("main")) == 1
    policy = looking.get(address).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag, name in (("script", "src"), ("link", "href"), ("img", "src"), ("image", "href")):
        for element in made.all(tag):
            assert element[name].startswith(("/", "data:image/")), element


def test_the_front_door_leads_to_the_overview(looking: httpx.Client) -> None:
    assert looking.get("/").url.path == "/overview"
    assert 'href="/shoppers"' in looking.get("/").text


def test_the_overview_tells_what_the_service_tells(client: httpx.Client, shop_path: Path) -> None:
    with Shop.open(shop_path) as shop:
        shop.purchases.record([Event(f"n{n}", "Denim-red-men", datetime(2025, 3, 1)) for n in range(30)])
        shop.purchases.record([Event(f"n{n}", "Dresses-blue-men", datetime(2025, 2, 1)) for n in range(30)])
        shop.items.put(Item("bare", "Dresses"))
    told = client.get("/v1/overview").json()
    assert [one["name"] for one in told["rising"]] == ["Denim-red-men"]
    assert [one["name"] for one in told["falling"]] == ["Dresses-blue-men"]
    assert told["reach"]["reached"] + sum(told["reach"]["why"].values()) == 13
    assert [one["said"] for one in told["steps"]] == ["items without a photo: 1"]
    page(client, "/overview")
    text = client.get("/overview").text
    assert "30 shoppers, before 0" in text
    assert f"{told['reach']['lists']} lists" in text
    assert "Items without a photo: 1" in text
    groups = client.get("/v1/trending?by=category").json()["groups"]
    assert [(one["name"], one["rises"]) for one in groups][:1] == [("Denim", True)]
    assert "rises</span>" in client.get("/trending?by=category").text


def test_what_the_pages_load_is_there(looking: httpx.Client) -> None:
    made = page(looking, "/shoppers/1")
    addresses = [one["src"] for one in made.all("script")] + [one["href"] for one in made.all("link")]
    addresses += [one["src"] for one in made.all("img")] + [one["href"] for one in made.all("image")]
    assert len(addresses) > 8
    for address in addresses:
        assert looking.get(address).status_code == 200, address


def test_a_shoppers_lists_are_those_of_the_shop(client: httpx.Client, shop_path: Path) -> None:
    made = page(client, "/shoppers/1?preset=paper&alpha=0.2&beta=0.7&gamma=0.1&penalty=4&trendiness=0.9&top=3")
    with Shop.open(shop_path) as shop:
        ask = {"preset": "paper", "alpha": 0.2, "beta": 0.7, "gamma": 0.1, "penalty": 4, "trendiness": 0.9}
        (_, wanted), *_ = shop.recommend_each("1", top=3, **ask)
    text = client.get("/shoppers/1?preset=paper&alpha=0.2&beta=0.7&gamma=0.1&penalty=4&trendiness=0.9&top=3").text
    shown = re.findall(r'<li class="card [a-z]+">\s*<a href="/items/([^"]+)"', text)
    assert shown == [found.item_id for found in wanted]
    sliders = {one["name"]: one["value"] for one in made.all("input")}
    assert sliders == {
        "preset": "paper", "alpha": "0.2", "beta": "0.7", "gamma": "0.1", "penalty": "4", "trendiness": "0.9",
        "top": "3", "lists": "12",
    }  # fmt: skip
    other = page(client, "/shoppers/1")
    assert {one["name"] for one in other.all("input")} == {
        "preset", "alpha", "colour", "beta", "gamma", "together", "newness", "price", "trendiness", "top", "lists",
    }  # fmt: skip


def test_a_shopper_without_purchases_gets_one_list_by_popularity(client: httpx.Client, shop_path: Path) -> None:
    with Shop.open(shop_path) as shop:
        shop.shoppers.put("shy", trendiness=1.0)
        shop.shoppers.put("blank")
        wanted = [found.item_id for found in shop.introduce("shy", top=4)]
    text = client.get("/shoppers/shy?top=4").text
    page(client, "/shoppers/shy?top=4")
    assert "For her</h3>" in text
    assert re.findall(r'<li class="card [a-z]+">\s*<a href="/items/([^"]+)"', text) == wanted
    assert "Show more" not in text
    steered = client.get("/shoppers/shy?top=4&trendiness=0", headers=PART | {"HX-Target": "lists"}).text
    assert re.findall(r'<li class="card [a-z]+">\s*<a href="/items/([^"]+)"', steered) != wanted
    assert 'class="mark new"' in steered
    assert "was given: 1.00" in text
    assert "taken to be like the others" in client.get("/shoppers/blank").text


def test_the_list_of_shoppers_and_a_shoppers_page_say_the_same_of_her_taste(
    client: httpx.Client, shop_path: Path
) -> None:
    with Shop.open(shop_path) as shop:
        popular, rare = (shop.items.browse(sort="popularity").items["item_id"][place] for place in (0, -1))
        days = [datetime(2025, 3, day) for day in range(1, 8)]
        shop.purchases.record([Event("z-crowd", popular, day) for day in days])
        shop.purchases.record([Event("a-own", rare, day) for day in days])
        shop.shoppers.put("blank")
        tastes = {one["shopper_id"]: one for one in shop.tastes().to_dicts()}
        for name in ("z-crowd", "a-own", "1"):
            hers = shop.taste(name)
            assert tastes[name]["theta"] == pytest.approx(hers.theta)
            assert tastes[name]["told"] == hers.purchases
    assert tastes["blank"]["told"] is None
    places = {name: client.get("/shoppers?sort=crowd").text.index(f'href="/shoppers/{name}"') for name in tastes}
    assert places["z-crowd"] < places["a-own"] < places["blank"]
    assert f"follows the crowd, {tastes['z-crowd']['theta']:.1f}" in client.get("/shoppers").text
    assert "Follows the crowd</h2>" in client.get("/shoppers/z-crowd").text
    assert "More than 3 of 3 others" in client.get("/shoppers/z-crowd").text


def test_of_many_purchases_a_dozen_is_shown_and_the_others_by_month(client: httpx.Client, shop_path: Path) -> None:
    with Shop.open(shop_path) as shop:
        ids = shop.items.frame()["item_id"].to_list()
        shop.purchases.record(
            [Event("busy", ids[day % 12], datetime(2025, 1 + day // 28, 1 + day % 28)) for day in range(336)]
        )
    text = client.get("/shoppers/busy").text
    before = text[: text.index('id="steer"')]
    assert len(re.findall(r'<li><a href="/items/', before)) == 12
    assert [count for _, count in re.findall(r"<title>(\w+ 2025): (\d+)</title>", before)] == ["28"] * 12
    march = client.get("/shoppers/busy?month=2025-03").text
    assert len(re.findall(r'<li><a href="/items/', march[: march.index('id="steer"')])) == 28
    assert client.get("/shoppers/busy?month=rubbish").text == text


def test_more_lists_are_shown_when_asked_for_and_stay(client: httpx.Client, shop_path: Path) -> None:
    with Shop.open(shop_path) as shop:
        ids = [f"more-{number}" for number in range(20)]
        shop.items.put_many([Item(one, "Dresses") for one in ids])
        shop.purchases.record([Event("busy", one, datetime(2025, 1, 1)) for one in ids])
    text = client.get("/shoppers/busy?alpha=1").text
    assert text.count('<section class="block"') == 12
    following = html.unescape(re.search(r'class="button" href="([^"]+)"', text)[1])  # type: ignore[index]
    part = client.get(following, headers=PART | {"HX-Target": "lists"}).text
    assert part.count('<section class="block"') == 20
    assert "Show more" not in part
    assert 'name="lists" value="24" hx-swap-oob="true"' in part


def test_htmx_gets_the_lists_alone_and_the_presets_beside(looking: httpx.Client) -> None:
    answer = looking.get("/shoppers/1?preset=paper", headers=PART | {"HX-Target": "lists"})
    assert "<html" not in answer.text
    assert 'hx-swap-oob="true"' in answer.text
    assert "HX-Request" in answer.headers["vary"]
    chosen = re.search(r'id="preset-(\w+)"[^>]*aria-current="true"', answer.text)
    assert chosen is not None
    assert chosen[1] == "paper"


def test_the_lists_tell_what_changed_against_a_preset(looking: httpx.Client) -> None:
    still = looking.get("/shoppers/1").text
    assert "These are the lists of" in still
    assert 'class="mark new"' not in still
    moved = looking.get("/shoppers/1?alpha=0&beta=1&gamma=0&trendiness=1&top=2").text
    count = int(re.search(r"</span> (\d+) new</span>", moved)[1])  # type: ignore[index]
    assert count == len(re.findall(r'<li class="card new">', moved)) > 0
    assert "dropped out" in moved


def test_comparing_tells_new_risen_fallen_and_dropped() -> None:
    moved, dropped = compare([one("b"), one("a"), one("new"), one("d")], [one("a"), one("b"), one("c"), one("d")])
    assert [(found.recommendation.item_id, found.mark, found.by) for found in moved] == [
        ("b", "rose", 1), ("a", "fell", 1), ("new", "new", 0), ("d", "same", 0)
    ]  # fmt: skip
    assert [(found.recommendation.item_id, found.before) for found in dropped] == [("c", 3)]


def test_sliders_keep_to_their_ranges_whatever_the_address_says() -> None:
    query = {
        "alpha": "-3",
        "beta": "nan",
        "penalty": "5.2",
        "trendiness": "7",
        "colour": "-9",
        "top": "1e9",
        "preset": "?",
    }
    ask = steered(query, 0.4)
    assert (ask.weights.alpha, ask.weights.beta, ask.weights.colour) == (0, PRESETS["balanced"].beta, -MOST_WEIGHT)
    assert (ask.penalty, ask.trendiness, ask.top) == (None, 1, 20), "a penalty is the paper's"
    ask = steered(query | {"preset": "paper"}, 0.4)
    assert (ask.penalty, ask.colour) == (6, None)
    assert steered({"trendiness": "0.41"}, 0.4123).trendiness is None, "the slider's nearest step is her own"
    assert steered({"price": "1.25"}, 0.4, 1.2301).price is None, "so with the weight that was learnt"
    assert steered({"price": "0"}, 0.4, 1.2301).price == 0
    assert steered({"preset": "paper", "scaling": "?"}, 0.4).weights == PRESETS["paper"]


def test_all_weights_zero_is_told_kindly(looking: httpx.Client) -> None:
    answer = looking.get("/shoppers/1?preset=paper&alpha=0&beta=0&gamma=0", headers=PART | {"HX-Target": "lists"})
    assert answer.status_code == 422
    assert "every weight is 0" in answer.text
    assert "<html" not in answer.text


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 12), ("categories=Denim", 4), ("categories=Denim&categories=Dresses", 8), ("gender=men", 6),
        ("q=denim-RED", 2), ("categories=Denim&gender=men", 2), ("categories=Denim&gender=men&match=any", 2),
        ("min_price=100", 3), ("max_price=20&categories=Denim&match=any", 6), ("min_price=&max_price=", 12),
         ("min_price=rubbish", 12), ("state=no+photo", 0), ("state=on+offer", 12), ("attribute=a=b", 0),
         ("q=tees tanks", 4), ("q=%25", 0), ("page=2", 12),
    ],
)  # fmt: skip
def test_the_wall_is_filtered(looking: httpx.Client, query: str, count: int) -> None:
    answer = looking.get(f"/items?{query}", headers=PART | {"HX-Target": "wall"})
    assert answer.status_code == 200
    assert re.search(rf">{count} items? ?(of 12)?<", answer.text), answer.text[:200]
    assert answer.text.count("/thumbnail") == (0 if query == "page=2" else count)


@pytest.mark.parametrize(
    ("query", "hint"), [("categories=Frocky", "did you mean Dresses"), ("gender=womne", "did you mean women")]
)
def test_a_word_of_a_filter_that_nobody_knows_is_told(looking: httpx.Client, query: str, hint: str) -> None:
    for headers in ({"Accept": "text/html"}, PART | {"HX-Target": "wall"}):
        answer = looking.get(f"/items?{query}", headers=headers)
        assert (answer.status_code, hint in answer.text) == (422, True), answer.text


def test_a_gender_shows_items_of_no_known_gender_too_as_the_service_does(client: httpx.Client, shop_path: Path) -> None:
    with Shop.open(shop_path) as shop:
        shop.items.put(Item("anyone", "Dresses"), drawn())
    for gender, other in (("women", "men"), ("men", "women")):
        text = client.get(f"/items?gender={gender}", headers=PART | {"HX-Target": "wall"}).text
        shown = re.findall(r'href="/items/([^"]+)"', text)
        items = client.get("/v1/items", params={"gender": gender}).json()["items"]
        assert shown == [one["item_id"] for one in items]
        assert "anyone" in shown
        assert len(shown) == 7
        assert not any(one.endswith(f"-{other}") for one in shown)


def test_prices_the_wrong_way_round_are_told(looking: httpx.Client) -> None:
    answer = looking.get("/items?min_price=50&max_price=20", headers=PART | {"HX-Target": "wall"})
    assert answer.status_code == 422
    assert "above max_price" in answer.text


def test_the_wall_goes_on_where_it_stopped(visit: Callable[[Path], httpx.Client], tmp_path: Path) -> None:
    with Shop.create(tmp_path / "shop") as shop:
        pl.DataFrame({"item_id": [f"n{number:03}" for number in range(110)]}).write_csv(tmp_path / "items.csv")
        shop.items.add(tmp_path / "items.csv")
    client = visit(tmp_path / "shop")
    address, seen = "/items?q=n", []
    while address:
        text = client.get(address, headers=PART | {"HX-Target": "more"}).text
        seen += re.findall(r'href="/items/(n\d+)"', text)
        following = re.search(r'class="button" href="([^"]+)"', text)
        address = following[1].replace("&amp;", "&") if following else ""
    assert seen == [f"n{number:03}" for number in range(110)]


def test_an_item_shows_its_parse_its_stores_and_what_is_like_it(client: httpx.Client) -> None:
    text = client.get("/items/Dresses-red-women?near=48.8,2.3").text
    page(client, "/items/Dresses-red-women?near=48.8,2.3")
    assert "data:image/png;base64," in text
    assert re.search(r'<tr class="own"><th scope="row">Left</th><td>has it</td><td class="number">0\.0 km</td>', text)
    assert re.search(r'<tr class="other"><th scope="row">Right</th>.*13\.\d km', text)
    assert len(re.findall('<li class="card', text)) == 5  # the other women's garments
    assert '<figure class="columns">' in text


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("near=nowhere", "latitude, longitude"),
        ("near=91,2", "latitude, longitude"),
        ("shopper=9", "no shopper 9"),
        ("shopper=1", "not known where"),
    ],
)
def test_a_place_that_is_none_is_told(looking: httpx.Client, query: str, told: str) -> None:
    answer = looking.get(f"/items/Dresses-red-women?{query}", headers=PART | {"HX-Target": "stores"})
    assert answer.status_code == 200
    assert told in answer.text


# What the pages' forms change


RED = "/items/Dresses-red-women"


def test_an_item_is_edited_on_its_page_and_keeps_what_the_form_does_not_say(
    client: httpx.Client, shop_path: Path
) -> None:
    tag = re.search(r'name="tag" value="(\w+)"', client.get(RED).text)[1]  # type: ignore[index]
    sent = {
        "tag": tag,
        "title": "Red <b>dress</b>",
        "category": "Dresses",
        "price": "1249.5",
        "currency": "EUR",
        "stock": "",
    }
    answer = client.post(RED, data=sent | {"do": "save"})
    assert answer.status_code == 200
    assert answer.url.path == RED
    assert "Saved." in answer.text
    assert "1,249.50 EUR" in answer.text
    assert "Red &lt;b&gt;dress" in answer.text
    item = client.get(f"/v1{RED}").json()
    assert (item["gender"], item["store_id"], item["popularity"]) == ("women", "left", 0)
    assert client.post(RED, data=sent | {"do": "save", "title": "Older"}).status_code == 412
    page(client, RED)
    with Shop.open(shop_path) as shop:
        assert shop.snapshot().matrix().has[shop.snapshot().row("Dresses-red-women")]


@pytest.mark.parametrize(
    ("sent", "told"),
    [({"price": "-3"}, "price"), ({"price": "much"}, "price"), ({"currency": "euro"}, "currency"),
     ({"url": "javascript:alert(1)"}, "url"), ({"stock": "1e99"}, "stock")],
)  # fmt: skip
def test_what_can_t_be_is_told_on_a_page_and_changes_nothing(
    client: httpx.Client, sent: dict[str, str], told: str
) -> None:
    before = client.get(f"/v1{RED}").json()
    answer = client.post(RED, data=sent)
    assert answer.status_code == 422
    assert told in answer.text
    assert "<main" in answer.text
    assert client.get(f"/v1{RED}").json() == before


def test_an_item_is_hidden_and_shown_again_by_a_button(client: httpx.Client) -> None:
    assert "in no list any more" in client.post(RED, data={"do": "hide"}).text
    blue = client.get("/v1/items/Dresses-blue-women/similar?top=20").json()["recommendations"]
    assert "Dresses-red-women" not in [one["item_id"] for one in blue]
    assert client.get(f"/v1{RED}").json()["hidden"] is True
    wall = client.get("/items?state=hidden", headers=PART | {"HX-Target": "wall"}).text
    assert re.findall(r'href="(/items/[^"]+)"', wall) == [RED]
    assert "in the lists again" in client.post(RED, data={"do": "show"}).text
    assert client.get(f"/v1{RED}").json()["hidden"] is False
    assert client.post("/items/nothing", data={"do": "hide"}).status_code == 404


def test_an_item_is_made_and_given_a_photo_on_the_page(client: httpx.Client) -> None:
    made = client.post("/items", data={"item_id": "new/1", "category": "Dresses", "price": ""})
    assert made.url.raw_path == b"/items/new%2F1?said=made"
    assert "This item has no photo" in made.text
    given = client.post("/items/new%2F1", files={"photo": ("a.png", drawn("Dresses", "red"), "image/png")})
    assert "new photo is compared" in given.text
    assert client.get("/v1/items/new%2F1/photo").status_code == 200
    assert client.post("/items", data={"item_id": "new/1"}).status_code == 422
    assert client.post("/items", data={"item_id": " "}).status_code == 422
    assert client.post("/items/new%2F1", files={"photo": ("a.png", b"rubbish", "image/png")}).status_code == 422
    assert client.post("/items/new%2F1", files={"photo": ("a.png", bytes(600_000), "image/png")}).status_code == 413


def test_photos_that_wait_are_compared_when_a_button_is_pressed(client: httpx.Client, shop_path: Path) -> None:
    with Shop.open(shop_path) as shop, shop.storage.writing() as writing:
        writing.execute(
            schema.vectors.delete().where(schema.vectors.c.item_id.in_(["Denim-red-men", "Denim-red-women"]))
        )
    assert "2 photos wait" in client.get("/items?state=no+vector").text
    assert "No item is like that" in client.post("/compare").text


def test_forms_change_nothing_for_who_may_not_write(shop_path: Path) -> None:
    with served(shop_path, Settings(token="secret")) as client:
        for address in (RED, "/items", "/compare"):
            assert client.post(address, data={"do": "hide", "item_id": "x"}).status_code == 401
    with served(shop_path, Settings()) as client:
        foreign = {"Origin": "https://elsewhere.example"}
        assert client.post(RED, data={"do": "hide"}, headers=foreign).status_code == 403
        assert client.get(f"/v1{RED}").json()["hidden"] is False


# Sheets


def test_every_list_is_a_csv_in_which_no_text_is_a_formula(
    client: httpx.Client, shop_path: Path, tmp_path: Path
) -> None:
    with Shop.open(shop_path) as shop:
        shop.items.edit("Denim-red-men", {"title": '=HYPERLINK("https://x.example","y")', "brand": "@brand"})
        shop.items.put(Item("+1", "Denim", title="-2+3", price=5.0))
        shop.purchases.record([Event("=cmd|'/c'!A1", "+1", datetime(2025, 3, 1))])
    for address in (
        "/items.csv", "/shoppers.csv", "/stores.csv", "/trending.csv", "/trending.csv?by=price", "/scenarios.csv",
        "/storefront.csv", "/audit.csv",
    ):  # fmt: skip
        answer = client.get(address)
        assert answer.headers["content-type"].startswith("text/csv")
        assert "attachment" in answer.headers["content-disposition"]
        cells = [cell for row in csv.reader(answer.text.splitlines()) for cell in row]
        assert not [cell for cell in cells if re.match(r"[=+@\t\r]|-(?!\d+(\.\d+)?$)", cell)], address
    items = pl.read_csv(client.get("/items.csv?categories=Denim&sort=title").content)
    assert items["title"].to_list()[:2] == ["'-2+3", '\'=HYPERLINK("https://x.example","y")']
    assert items.height == 5
    assert items["price"].dtype == pl.Float64
    (tmp_path / "items.csv").write_bytes(client.get("/items.csv").content)
    with Shop.create(tmp_path / "again") as again, Shop.open(shop_path) as shop:
        assert not again.items.add(tmp_path / "items.csv").rejected
        told = ("item_id", "title", "brand", "price")
        assert again.items.frame().select(told).sort("item_id").equals(shop.items.frame().select(told).sort("item_id"))
    shoppers = pl.read_csv(client.get("/shoppers.csv?sort=purchases").content)
    assert shoppers.height == 3
    assert shoppers["theta"].dtype == pl.Float64
    stores = pl.read_csv(client.get("/stores.csv?sort=items").content)
    assert stores.select("name", "items").rows() == [("Left", 6), ("Right", 6)]


# Search


def test_a_photo_finds_what_looks_like_it(client: httpx.Client) -> None:
    sent = {"photo": ("coat.png", drawn(), "image/png")}
    answer = client.post("/search", files=sent, data={"category": "Dresses", "gender": "women"})
    assert answer.status_code == 200
    Page(answer.text)
    shown = re.findall(r'<li class="card [a-z]+">\s*<a href="/items/([^"]+)"', answer.text)
    assert shown == ["Dresses-red-women", "Dresses-blue-women"]
    assert "data:image/jpeg;base64," in answer.text


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "Choose a photo"),
        ({"photo": ("", b"")}, "Choose a photo"),
        ({"photo": ("a.png", b"")}, "empty"),
        ({"photo": ("a.png", b"no photo at all")}, "Not a photo"),
        ({"photo": ("a.png", b"\x89PNG\r\n\x1a\n broken")}, ""),
    ],
)
def test_what_is_no_photo_is_told_kindly(looking: httpx.Client, files: dict[str, tuple[str, bytes]], told: str) -> None:
    answer = looking.post("/search", files=files, data={"category": ""}, headers=PART | {"HX-Target": "found"})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert told in answer.text


def test_a_photo_of_too_many_pixels_is_refused(shop_path: Path) -> None:
    with served(shop_path, Settings(max_pixels=10_000)) as client:
        answer = client.post("/search", files={"photo": ("a.png", drawn())})
    assert answer.status_code == 422
    assert "megapixels" in answer.text


def test_a_body_that_grows_too_large_is_refused_as_a_page(client: httpx.Client) -> None:
    def body() -> Iterator[bytes]:  # of no length that is told beforehand
        yield b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n\r\n'
        for _ in range(10):
            yield bytes(100_000)
        yield b"\r\n--x--\r\n"

    answer = client.post("/search", content=body(), headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 413
    assert "smaller photo" in answer.text


# Odd shops


def test_an_empty_shop_says_how_to_begin(visit: Callable[[Path], httpx.Client], tmp_path: Path) -> None:
    Shop.create(tmp_path / "shop").close()
    client = visit(tmp_path / "shop")
    for address, told in (
        ("/shoppers", "modiste add purchases"), ("/items", "modiste add items"),
        ("/experiments", "modiste evaluate shop all"),
    ):  # fmt: skip
        page(client, address)
        assert told in client.get(address).text
    answer = client.post("/search", files={"photo": ("a.png", drawn())})
    assert answer.status_code in (404, 422)
    assert "modiste embed" in answer.text


def test_a_shop_without_vectors_purchases_or_stores(visit: Callable[[Path], httpx.Client], tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "red.png").write_bytes(drawn())
    (tmp_path / "photos" / "items.csv").write_text("item_id,image,category\nred,red.png,Dresses\nbare,,Dresses\n")
    with Shop.create(tmp_path / "shop") as shop:
        shop.items.add(tmp_path / "photos" / "items.csv")
        shop.shoppers.put("new")
    client = visit(tmp_path / "shop")
    page(client, "/shoppers")
    page(client, "/shoppers/new")
    text = client.get("/shoppers/new").text
    assert "Nothing bought yet" in text
    assert "Compare them</a>" in text
    for item_id in ("red", "bare"):
        page(client, f"/items/{item_id}")
    text = client.get("/items/bare").text
    assert "This item has no photo" in text
    assert "There are no stores yet" in text


def test_a_photo_that_vanished_stops_nothing(client: httpx.Client, shop_path: Path) -> None:
    (shop_path / "photos" / "Dresses-red-women.png").unlink()
    page(client, "/items/Dresses-red-women")


@pytest.mark.parametrize("address", ["/shoppers/nobody", "/items/nothing", "/items/a%2Fb", "/experiments/nothing.png"])
def test_what_is_not_there_is_told_on_a_page(looking: httpx.Client, address: str) -> None:
    made = page(looking, address, 404)
    assert made.all("nav")
    part = looking.get(address, headers=PART | {"HX-Target": "lists"})
    assert part.status_code == 404
    assert "<html" not in part.text


def test_hostile_ids_are_text_everywhere(visit: Callable[[Path], httpx.Client], tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "one.png").write_bytes(drawn())
    kinds = [HOSTILE, "Dresses"]
    frame = pl.DataFrame({"item_id": [HOSTILE, "plain"], "image": ["one.png", "one.png"], "category": kinds})
    frame.with_columns(store_id=pl.lit(HOSTILE), note=pl.lit(HOSTILE)).write_csv(folder / "items.csv")
    pl.DataFrame({"store_id": [HOSTILE], "name": [HOSTILE], "latitude": [48.8], "longitude": [2.3]}).write_csv(
        folder / "stores.csv"
    )
    pl.DataFrame({"shopper_id": [HOSTILE], "item_id": [HOSTILE], "date": ["2025-03-01"]}).write_csv(
        folder / "orders.csv"
    )
    with Shop.create(tmp_path / "shop") as shop:
        assert not shop.items.add(folder / "items.csv").rejected
        shop.stores.add(folder / "stores.csv")
        shop.purchases.add(folder / "orders.csv")
        shop.vectors.embed(masking="none")
    client = visit(tmp_path / "shop")
    encoded = quote(HOSTILE, safe="")
    for address in (
        "/shoppers", f"/shoppers/{encoded}", f"/shoppers?q={encoded}", "/items", f"/items/{encoded}", "/items/plain",
        f"/items/{encoded}?shopper={encoded}", f"/items?q={encoded}&categories={encoded}",
    ):  # fmt: skip
        made = page(client, address)
        assert "<script>alert" not in client.get(address).text
        links = [one["href"] for one in made.all("a") if one["href"].startswith(("/items/", "/shoppers/"))]
        assert all(client.get(link).status_code == 200 for link in set(links)), address
        for picture in {one["src"] for one in made.all("img")} | {one["href"] for one in made.all("image")}:
            assert picture.startswith("data:") or client.get(picture).status_code == 200, picture
    answer = client.get(f"/items/missing{encoded}")
    assert answer.status_code == 404
    assert "<script>alert" not in answer.text


# Experiments


@pytest.fixture
def experiments(shop_path: Path) -> Path:
    folder = shop_path / "experiments"
    folder.mkdir()
    (folder / "tables.md").write_text(
        "# Evaluation\n\n## Table 1\n\n| | MAE |\n| --- | --- |\n| ours | <b>1.0</b> |\n\n![table1](table1.png)\n"
        "\n![evil](https://example.com/x.png)\n<script>alert(1)</script>\n"
    )
    for name in ("table1.png", "other figure.png"):
        (folder / name).write_bytes(drawn())
    (folder / "table1.csv").write_text("row,mae\nours,1.0\n")
    (folder / "secret.txt").write_text("secret")
    (folder / "link.png").symlink_to(shop_path / "shop.db")
    (folder / "folder.png").mkdir()
    return folder


@pytest.mark.usefixtures("experiments")
def test_experiments_show_tables_and_figures(client: httpx.Client) -> None:
    made = page(client, "/experiments")
    text = client.get("/experiments").text
    assert "<table>" in text
    assert "&lt;b&gt;1.0" in text
    assert "<script>alert" not in text
    assert "example.com" not in text
    assert {one["src"] for one in made.all("img")} == {"/experiments/table1.png", "/experiments/other%20figure.png"}
    for address in ("/experiments/table1.png", "/experiments/other%20figure.png", "/experiments/table1.csv"):
        assert client.get(address).status_code == 200
    assert client.get("/experiments/table1.csv").headers["content-type"].startswith("text/csv")


@pytest.mark.usefixtures("experiments")
@pytest.mark.parametrize(
    "name",
    ["secret.txt", "link.png", "folder.png", "tables.md", "..%2Fshop.db", "%2e%2e%2fshop.db", "%2Fetc%2Fpasswd"],
)
def test_nothing_else_in_the_folder_or_beyond_is_served(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/experiments/{name}")
    assert answer.status_code == 404
    assert "secret" not in answer.text.replace("secret.txt", "")


# Charts


def test_columns_stand_on_zero_and_tell_their_count(client: httpx.Client, shop_path: Path) -> None:
    with Shop.open(shop_path) as shop:
        days = [datetime(2025, 1, 1), datetime(2025, 1, 1), datetime(2025, 1, 1), datetime(2025, 1, 9)]
        shop.purchases.record([Event(f"s{number}", "Denim-red-men", at) for number, at in enumerate(days)])
    text = client.get("/items/Denim-red-men").text
    drawn_ = re.findall(r'class="column" x="([\d.]+)" y="([\d.]+)" [^>]*height="([\d.]+)"><title>(.*?)</title>', text)
    assert [(y, height) for _, y, height, _ in drawn_] == [("0.0", "100.0"), ("66.7", "33.3")]
    assert [title for *_, title in drawn_] == ["week of 01 Jan 2025: 3", "week of 08 Jan 2025: 1"]


@pytest.mark.parametrize("last", [datetime(9999, 12, 31), datetime(2026, 1, 1), datetime(1970, 1, 1)])
def test_months_are_counted_from_the_first_to_the_last(last: datetime) -> None:
    months = by_month(pl.Series("at", [datetime(1970, 1, 1), last, last]))
    assert months["month"].is_sorted()
    assert months.height == 12 * (last.year - 1970) + last.month
    assert months["count"].sum() == 3
    assert by_month(pl.Series("at", [], pl.Datetime)).is_empty()


def test_every_label_of_the_parser_has_a_colour_of_its_own() -> None:
    assert len(set(parses.COLOURS)) == len(parses.COLOURS) == 24


def test_an_address_that_is_no_page_is_told_as_a_page_to_browsers_and_as_json_to_programs(
    looking: httpx.Client,
) -> None:
    page = looking.get("/nonsense", headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert "There is no such page." in page.text
    assert looking.get("/nonsense").json() == {"detail": "Not Found"}


def test_steered_weights_can_be_taken_along_as_a_request(looking: httpx.Client) -> None:
    page = looking.get("/shoppers/1?preset=paper&alpha=0.2&beta=0.7&gamma=0.1&penalty=4&trendiness=0.9&top=3").text
    address = html.unescape(re.findall(r'href="(/v1/shoppers/1/recommendations[^"]*)"', page)[0])
    found = looking.get(address).json()["recommendations"]
    assert len(found) == 3
    assert max(one["terms"]["popularity"] for one in found) <= 0.7
    assert found[0]["why"]
