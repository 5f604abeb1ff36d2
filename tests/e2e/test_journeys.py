"""What a merchandiser does, in a real browser against the live service, at a phone's and a desk's width."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from modiste.demo import unpack
from modiste.evaluation import evaluate
from modiste.shop.shop import Shop

from ..running import serving

WIDTHS = {"phone": (390, 844), "desk": (1280, 900)}
ADDRESSES = {
    "overview": "/",
    "trending": "/trending?by=category",
    "stores": "/stores",
    "shoppers": "/shoppers",
    "shopper": "/shoppers/{shopper}?alpha=0.1&beta=0.9&trendiness=1",
    "items": "/items?categories=Dresses",
    "item": "/items/{item}?shopper={shopper}&said=saved",
    "scenarios": "/scenarios",
    "scenario": "/scenarios/axe",
    "search": "/search",
    "experiments": "/experiments",
    "missing": "/items/nothing",
}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small shop of drawn photos with masks, prices, stores and a simulated year."""
    folder = tmp_path_factory.mktemp("e2e")
    book = unpack(folder / "book", 26)
    with Shop.create(folder / "demo") as shop:
        assert not shop.items.add(book.table).rejected
        shop.vectors.embed()
        shop.simulate(12, 4)
        pin = {"name": "First", "do": "pin", "place": 1, "where": ["category = Skirts"]}
        shop.scenarios.put("axe", {"top": 3, "rules": [pin]}, author="Ann", reason="a start")
        shop.scenarios.put("axe", {"top": 4, "rules": [pin]})
    return folder / "demo"


@pytest.fixture(scope="module")
def names(demo: Path) -> dict[str, str]:
    """A shopper who bought the most, and the item that was bought first."""
    with Shop.open(demo) as shop:
        bought = shop.purchases.frame()
    return {
        "shopper": bought["shopper_id"].value_counts(sort=True)["shopper_id"][0],
        "item": bought["item_id"][0],
    }


@pytest.fixture(scope="module")
def service(demo: Path) -> Iterator[str]:
    """The address of ``modiste serve`` over the demo shop, in a process of its own."""
    with serving(demo, logs=demo.parent, MODISTE_MAX_UPLOAD_MB="1") as served:
        yield served.url


class Visit:
    """Opens pages, and notes what goes wrong on them in ``troubles``."""

    def __init__(self, browser: Browser, service: str) -> None:
        self.browser, self.service = browser, service
        self.troubles: list[str] = []
        self.pages: list[Page] = []

    def __call__(self, address: str, width: str = "desk", scheme: str = "light", scripts: bool = True) -> Page:
        across, down = WIDTHS[width]
        context = self.browser.new_context(
            viewport={"width": across, "height": down},
            color_scheme=scheme,  # type: ignore[arg-type]
            java_script_enabled=scripts,
            base_url=self.service,
        )
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda said: said.type in ("error", "warning") and self.troubles.append(said.text))
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("requestfailed", lambda lost: self._lost(lost.url, lost.failure))
        page.on("response", lambda got: got.status >= 400 and self.troubles.append(f"{got.status} {got.url}"))
        page.on("request", lambda sent: self._sent(sent.url))
        page.goto(address)
        self.pages.append(page)
        return page

    def _lost(self, url: str, why: str | None) -> None:
        if why != "net::ERR_ABORTED":  # a page was left before its pictures were there
            self.troubles.append(f"{why} {url}")

    def _sent(self, url: str) -> None:
        if not url.startswith((self.service, "data:")):
            self.troubles.append(f"from elsewhere: {url}")

    def expected(self, *what: str) -> None:
        """Take back the troubles that name one of ``what``; there must have been some."""
        assert self.troubles
        self.troubles[:] = [trouble for trouble in self.troubles if not any(one in trouble for one in what)]


@pytest.fixture
def visit(browser: Browser, service: str) -> Iterator[Visit]:
    made = Visit(browser, service)
    yield made
    for page in made.pages:
        wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        page.context.close()
        assert wide[0] <= wide[1], f"{page.url} is {wide[0]} pixels wide"
    assert made.troubles == []


def order(page: Page) -> list[str]:
    """The items of the first purchase's list, best first."""
    return page.locator("#lists ol.row").first.locator("> li > a").evaluate_all("found => found.map(a => a.pathname)")


@pytest.mark.parametrize("width", WIDTHS)
def test_steering_a_shoppers_lists_by_keyboard(visit: Visit, names: dict[str, str], width: str) -> None:
    page = visit("/", width)
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Shoppers").click()
    page.get_by_label("Shopper", exact=True).fill(names["shopper"])
    expect(page).to_have_url(re.compile(rf"\?.*={names['shopper']}\b"))  # what was found stands there
    expect(page.locator(".person").first).to_contain_text(f"Shopper {names['shopper']}")
    page.get_by_role("link", name=re.compile(rf"^Shopper {names['shopper']}\b")).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Shopper {names['shopper']}")
    expect(page.locator("#changes")).to_contain_text("These are the lists of balanced")
    before = order(page)

    if width == "phone":
        expect(page.locator("#alpha")).to_be_hidden()
        assert page.locator("#steer").bounding_box()["height"] < 90, "the sliders don't cover what they change"  # type: ignore[index]
        page.locator("#steer summary").focus()
        page.keyboard.press("Enter")
    page.locator("#alpha").focus()
    page.keyboard.press("Home")
    page.locator("#trendiness").focus()
    page.keyboard.press("End")
    expect(page.locator("#alpha-out")).to_have_text("0.00")
    expect(page.locator("#changes")).to_contain_text("Against balanced")
    expect(page).to_have_url(re.compile(r"alpha=0&.*trendiness=1&"))
    after = order(page)
    assert after != before
    new = page.locator("#lists ol.row").first.locator(".card.new > a").evaluate_all("all => all.map(a => a.pathname)")
    assert new == [one for one in after if one not in before]
    rose = page.locator("#lists ol.row").first.locator(".card.rose > a").evaluate_all("all => all.map(a => a.pathname)")
    assert rose == [one for one in after if one in before and after.index(one) < before.index(one)]
    expect(page.locator("#lists section").first.locator("div.dropped li")).to_have_count(len(new))
    assert page.evaluate("document.activeElement.id") == "trendiness", "the slider keeps the focus"

    page.reload()
    expect(page.locator("#alpha-out")).to_have_text("0.00")
    assert order(page) == after, "the address keeps the state"

    if width == "phone":
        page.locator("#steer summary").click()
    page.get_by_role("link", name="paper", exact=True).click()
    expect(page.locator("#preset-paper")).to_have_attribute("aria-current", "true")
    expect(page.locator("#alpha")).to_have_value("0.4")
    expect(page.locator("#trendiness")).to_have_value("1")
    page.get_by_role("link", name="reset", exact=True).click()
    expect(page.locator("#changes")).to_contain_text("These are the lists of balanced")
    assert order(page) == before


def test_without_any_weight_the_page_says_so(visit: Visit, names: dict[str, str]) -> None:
    page = visit(f"/shoppers/{names['shopper']}?preset=paper&beta=0")
    page.locator("#alpha").focus()
    page.keyboard.press("Home")
    expect(page.get_by_role("alert")).to_contain_text("every weight is 0")
    visit.expected("422")
    page.keyboard.press("End")
    expect(page.locator("#lists .card").first).to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_from_the_wall_to_an_item_its_mask_and_its_stores(visit: Visit, names: dict[str, str], width: str) -> None:
    page = visit("/items", width)
    expect(page.locator(".count")).to_have_text("52 items")
    expect(page.locator(".wall > li > a.picture, .wall > li:not(.more)")).to_have_count(48)
    page.get_by_role("link", name="Show more").click()
    expect(page.locator(".wall > li:not(.more)")).to_have_count(52)
    page.locator("select[name=gender]").select_option("women")
    page.locator(".tick", has_text="Dresses").click()
    expect(page.locator(".count")).to_contain_text("of 52")
    expect(page).to_have_url(re.compile("gender=women.*categories=Dresses"))
    kinds = page.locator(".wall .kind").all_inner_texts()
    assert kinds
    assert set(kinds) == {"Dresses"}
    page.get_by_label("Price to").fill("1")
    expect(page.locator("#wall")).to_contain_text("No item is like that")
    page.get_by_label("Price to").fill("")
    page.locator(".wall a").first.click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("Dresses")
    over = page.locator("img.over")
    expect(over).to_have_attribute("alt", re.compile("Parsed: .*dress"))
    assert over.evaluate("image => image.complete && image.naturalWidth") == 256
    page.locator("#see-through").focus()
    page.keyboard.press("Space")
    expect(page.locator(".layers img").first).to_be_hidden()
    expect(page.locator("#similar .card")).to_have_count(8)
    page.get_by_role("link", name="visual", exact=True).click()
    expect(page.locator("#by-visual")).to_have_attribute("aria-current", "true")
    expect(page.locator("#similar .terms").first).not_to_contain_text("what sells")
    expect(page.locator("#stores tbody tr")).to_have_count(5)
    expect(page.locator("#stores tr.own")).to_have_count(1)
    page.get_by_label(re.compile("home of shopper")).fill(names["shopper"])
    page.keyboard.press("Enter")
    expect(page.locator("#stores tr.own")).to_contain_text(re.compile(r"has it\s*\d+\.\d km"))
    expect(page.locator("#stores thead")).to_contain_text(f"shopper {names['shopper']}")


@pytest.mark.parametrize(("width", "scripts"), [("phone", False), ("desk", True)])
def test_a_scenario_is_made_tried_published_and_undone(
    visit: Visit, names: dict[str, str], width: str, scripts: bool
) -> None:
    page, name = visit("/scenarios", width, scripts=scripts), f"below-{width}"
    page.get_by_label("A new scenario").fill(name)
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    page.get_by_label("How many").fill("4")
    rule = page.get_by_role("group", name="Another rule")
    rule.get_by_label("Name").fill("No coats")
    rule.get_by_label("What it does").select_option("hide")
    expect(rule.get_by_label("At place")).to_be_hidden()
    rule.get_by_label("Or to what meets all of").fill("category = Drsses")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("alert")).to_contain_text("did you mean Dresses? Nothing was published.")
    visit.expected("422")
    page.get_by_role("group", name="Rule 1").get_by_label("Or to what meets all of").fill("category = Dresses")
    page.get_by_text("Add a rule").click()
    rule = page.get_by_role("group", name="Another rule")
    rule.get_by_label("Name").fill("First of all")
    rule.get_by_label("To items, an id a line").fill(names["item"])
    rule.get_by_label("At place").fill("1")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("status")).to_contain_text("of the lists change, of 12 shoppers. Nothing is published yet.")
    expect(page.locator("#preview .card").first).to_contain_text("Pinned by rule “First of all”")
    expect(page.get_by_text("There is no such scenario yet")).to_be_visible()

    page.get_by_label("Your name").fill("Ann")
    page.get_by_label("Why").fill("winter")
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("main > .note")).to_contain_text("by Ann: winter")
    page.get_by_label("How many").fill("2")
    page.get_by_role("button", name="Publish").click()
    expect(page.locator(".versions > li").first).to_contain_text("Version 2")
    expect(page.locator(".versions .changed").first).to_contain_text(re.compile(r"How many\s*4\s*2"))
    page.get_by_role("button", name="Undo: back to version 1").click()
    expect(page.locator(".versions > li")).to_have_count(3)
    expect(page.get_by_label("How many")).to_have_value("4")

    page.goto(f"/shoppers/{names['shopper']}?scenario={name}")
    expect(page.locator(f"#scenario-{name}")).to_have_attribute("aria-current", "true")
    expect(page.locator("#lists")).to_contain_text("Pinned by rule “First of all”")
    assert "Dresses" not in " ".join(page.locator("#lists .card .kind").all_inner_texts())
    page.goto(f"/scenarios/{name}")
    page.get_by_role("button", name="Remove this scenario").click()
    expect(page.get_by_text("This scenario was removed")).to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_searching_with_a_photo(visit: Visit, demo: Path, width: str) -> None:
    page = visit("/search", width)
    photo = next((demo.parent / "book" / "photos").glob("WOMEN-Dresses*"))
    page.get_by_label("A photo of a garment").set_input_files(photo)
    expect(page.get_by_role("heading", name="What was seen")).to_be_visible()
    expect(page.locator("#found img.over")).to_have_attribute("alt", re.compile("Parsed: "))
    expect(page.locator("[aria-labelledby=like-title] .card")).to_have_count(12)
    page.locator("[name=category]").select_option("Skirts")
    expect(page.locator("#found .card .kind").first).to_contain_text("Skirts")
    assert {text.split(maxsplit=1)[1] for text in page.locator("#found .card .kind").all_inner_texts()} == {"Skirts"}


def test_dropping_a_photo_searches(visit: Visit, demo: Path) -> None:
    page = visit("/search")
    photo = next((demo.parent / "book" / "photos").glob("MEN-*"))
    transfer = page.evaluate_handle(
        """bytes => {
            const made = new DataTransfer();
            made.items.add(new File([new Uint8Array(bytes)], "dropped.png", {type: "image/png"}));
            return made;
        }""",
        list(photo.read_bytes()),
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    expect(page.locator("[aria-labelledby=like-title] .card")).to_have_count(12)


def test_what_is_no_photo_or_too_large_is_told(visit: Visit, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no photo")
    (tmp_path / "large.png").write_bytes(bytes(2_000_000))
    page = visit("/search")
    page.get_by_label("A photo of a garment").set_input_files(tmp_path / "large.png")
    expect(page.get_by_role("alert")).to_contain_text("larger than 1 MB")
    assert visit.troubles == [], "it is told before it is sent"
    page.get_by_label("A photo of a garment").set_input_files(tmp_path / "text.png")
    expect(page.get_by_role("alert")).to_contain_text("Not a photo that can be read")
    visit.expected("422")


@pytest.fixture(scope="module")
def evaluated(demo: Path) -> Path:
    """A folder with an experiment of the demo shop."""
    with Shop.open(demo) as shop:
        evaluate(shop, "trendiness", demo.parent / "tables")
    return demo.parent / "tables"


@pytest.fixture
def not_evaluated(demo: Path) -> Iterator[None]:
    """A shop whose experiments are away when the test and its pages are over."""
    yield
    shutil.rmtree(demo / "experiments", ignore_errors=True)


@pytest.mark.usefixtures("not_evaluated")
@pytest.mark.parametrize("width", WIDTHS)
def test_experiments_before_and_after_they_were_run(visit: Visit, demo: Path, evaluated: Path, width: str) -> None:
    page = visit("/experiments", width)
    page.get_by_text("On a terminal", exact=True).click()
    expect(page.locator("pre")).to_have_text("modiste evaluate demo all")
    shutil.copytree(evaluated, demo / "experiments")
    page.reload()
    expect(page.get_by_role("table")).to_be_visible()
    expect(page.get_by_role("heading", name="Table 3: trendiness")).to_be_visible()
    page.get_by_role("img", name="table3").scroll_into_view_if_needed()
    page.wait_for_function("[...document.images].every(one => one.complete && one.naturalWidth > 0)")


def test_the_keyboard_can_skip_to_the_content(visit: Visit) -> None:
    page = visit("/shoppers")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


@pytest.mark.parametrize("width", WIDTHS)
def test_what_sells_worst_is_hidden_and_shown_again_by_keyboard_without_scripts(visit: Visit, width: str) -> None:
    page = visit("/", width, scripts=False)
    expect(page.get_by_role("heading", name="Sold by week")).to_be_visible()
    expect(page.get_by_role("heading", name=re.compile("of the catalogue is recommended"))).to_be_visible()
    page.get_by_role("link", name="52 items").click()
    page.get_by_label("Order").select_option("worst sellers first")
    page.get_by_role("button", name="Show", exact=True).press("Enter")
    page.locator(".wall a").first.press("Enter")
    page.get_by_role("button", name="Hide it from all lists").press("Enter")
    expect(page.get_by_role("status")).to_have_text("It is in no list any more.")
    hidden = page.url.partition("?")[0]
    page.goto("/items?state=hidden")
    assert page.locator(".wall a").evaluate_all("all => all.map(a => a.href)") == [hidden]
    page.goto(hidden)
    page.get_by_role("button", name="Show it again").press("Enter")
    expect(page.get_by_role("status")).to_have_text("It is in the lists again.")
    page.locator("#edit summary").press("Enter")
    page.get_by_label("Title").fill("The last of them")
    page.get_by_role("button", name="Save").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("The last of them")
    page.locator("#edit summary").click()
    page.get_by_label("Title").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).not_to_contain_text("The last of them")


def test_a_list_is_downloaded_as_a_sheet(visit: Visit) -> None:
    page = visit("/items?categories=Dresses")
    with page.expect_download() as download:
        page.get_by_role("link", name="as CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0].startswith("item_id,title,category")
    assert len(lines) == 1 + int(page.locator(".count").inner_text().split()[0])


def test_the_pages_work_without_scripts(visit: Visit, names: dict[str, str], demo: Path) -> None:
    page = visit(f"/shoppers/{names['shopper']}?alpha=0.9", scripts=False)
    page.get_by_label("Compare with").select_option("visual")
    page.get_by_role("button", name="Rank again").click()
    expect(page.locator("#changes")).to_contain_text("Against visual")
    expect(page.locator("#alpha")).to_have_value("0.9")
    page.goto("/items")
    page.get_by_label("Words").fill("skirts")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".count")).to_contain_text("of 52")
    page.goto("/search")
    page.get_by_label("A photo of a garment").set_input_files(next((demo.parent / "book" / "photos").glob("MEN-*")))
    page.get_by_role("button", name="Look").click()
    expect(page.locator("[aria-labelledby=like-title] .card")).to_have_count(12)


# Accessibility


@pytest.mark.usefixtures("not_evaluated")
@pytest.mark.parametrize("name", ADDRESSES)
def test_axe_finds_no_serious_fault(
    request: pytest.FixtureRequest, visit: Visit, names: dict[str, str], demo: Path, axe: str, name: str
) -> None:
    if name == "experiments":
        shutil.copytree(request.getfixturevalue("evaluated"), demo / "experiments")
    for width in WIDTHS:
        page = visit(ADDRESSES[name].format_map(names), width)
        if name == "search":
            photo = next((demo.parent / "book" / "photos").glob("MEN-*"))
            page.get_by_label("A photo of a garment").set_input_files(photo)
            expect(page.locator("[aria-labelledby=like-title] .card")).to_have_count(12)
        if name == "missing":
            visit.expected("404")
        for closed in page.locator("details:not([open]) > summary").all()[::-1]:
            closed.click()
        page.evaluate(axe)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            serious = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
            told = [(one["id"], one["help"], [node["html"][:160] for node in one["nodes"][:3]]) for one in serious]
            assert not serious, f"{width}, {scheme}: {json.dumps(told, indent=1)}"
            assert len(found["passes"]) > 10, "axe looked at nothing"


@pytest.mark.parametrize(
    ("width", "scheme", "scripts"), [("phone", "dark", True), ("desk", "light", True), ("phone", "light", False)]
)
def test_logging_in_looking_and_logging_out(
    browser: Browser, tmp_path: Path, axe: str, width: str, scheme: str, scripts: bool
) -> None:
    with Shop.create(tmp_path / "street") as shop:
        shop.users.add("anna", "fifteen small buttons", "viewer")
    with serving(tmp_path / "street", logs=tmp_path) as served:
        visit = Visit(browser, served.url)
        page = visit("/items?q=dress", width, scheme, scripts)
        expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
        expect(page.get_by_label("Name")).to_be_focused()
        page.keyboard.type("anna")
        page.keyboard.press("Tab")
        page.keyboard.type("a wrong password")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("don't belong together")
        expect(page.get_by_label("Password")).to_be_focused()
        visit.expected("401")
        if scripts:
            page.evaluate(axe)
            found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            assert [one["id"] for one in found["violations"]] == []
        page.keyboard.type("fifteen small buttons")
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(r"/items\?q=dress$"))
        expect(page.locator("header")).to_contain_text("anna")
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
        assert page.goto("/items").url.startswith(f"{served.url}/login")  # type: ignore[union-attr]
        wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1]
        page.context.close()
    assert visit.troubles == []
