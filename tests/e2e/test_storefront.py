"""A list on a page of another origin, as a shopper's browser has it: shown, seen, clicked, silent where she says so."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Thread

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from modiste import Event
from modiste.shop.shop import Shop
from modiste.shop.storefront import Seen

from ..garments import BOXES, COLOURS, drawn
from ..running import free_port, serving, until
from .conftest import ROOT
from .test_journeys import WIDTHS

DRESS = "Dresses-red-women"
GUIDE = (ROOT / "docs/how-to/storefront.md").read_text()
LIST, CONSENT = re.findall(r"```html\n(.*?)```", GUIDE, re.S)
STYLE = re.findall(r"```css\n(.*?)```", GUIDE, re.S)[0]
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>A dress</title>
<meta name="viewport" content="width=device-width"><style>{style}</style>
<main><h1>A dress</h1><div style="height:120vh">The dress.</div>{consent}{list}</main></html>"""


class Handler(BaseHTTPRequestHandler):
    """The shop's web site: every page is the same."""

    def __init__(self, page: str, *given: object) -> None:
        self.page = page
        super().__init__(*given)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Referrer-Policy", "no-referrer" if "private" in self.path else "origin")
        self.end_headers()
        self.wfile.write(self.page.encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def site() -> int:
    """The port of the shop's web site, another origin than the service."""
    return free_port()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, site: int) -> Path:
    folder = tmp_path_factory.mktemp("storefront")
    rows = ["item_id,image,category,gender,price,sale_price,currency,colour,url,popularity"]
    for kind in BOXES:
        for colour in COLOURS:
            name = f"{kind}-{colour}-women"
            (folder / f"{name}.png").write_bytes(drawn(kind, colour))
            price = f"{30 + len(rows)},{25 if len(rows) == 2 else ''},EUR"
            rows.append(f"{name},{name}.png,{kind},women,{price},{colour},http://127.0.0.1:{site}/p/{name},{len(rows)}")
    (folder / "items.csv").write_text("\n".join(rows))
    with Shop.create(folder / "shop") as made:
        made.items.add(folder / "items.csv")
        made.vectors.embed(masking="none")
        made.scenarios.put("product-page", {"gender": "any"})
    return folder / "shop"


@pytest.fixture(scope="module")
def key(shop: Path, site: int) -> str:
    with Shop.open(shop) as opened:
        return opened.keys.add("pages", "publishable", origins=[f"http://127.0.0.1:{site}"])


@pytest.fixture(scope="module")
def back_end(shop: Path) -> str:
    with Shop.open(shop) as opened:
        return opened.keys.add("back-end", "server")


@pytest.fixture(scope="module")
def service(shop: Path, key: str, back_end: str) -> Iterator[str]:
    with serving(shop, logs=shop.parent) as served:
        yield served.url


@pytest.fixture
def visit(browser: Browser, service: str, key: str, site: int) -> Iterator[Callable[..., Page]]:
    """Opens the page of the guide's snippet; ``troubles`` of it has what went wrong."""
    contexts, servers = [], []

    def open_page(consent: bool = False, before: str = "", path: str = "/", **changes: str) -> Page:
        written = LIST.replace("https://modiste.example", service).replace("modiste_publishable_...", key)
        written = written.replace('"0002"', f'"{DRESS}"')
        for old, new in changes.items():
            written = written.replace(old, new)
        page_text = PAGE.format(style=STYLE, consent=CONSENT if consent else "", list=written)
        server = ThreadingHTTPServer(("127.0.0.1", site), partial(Handler, page_text))
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        context = browser.new_context(viewport={"width": 390, "height": 844})
        contexts.append(context)
        if before:
            context.add_init_script(before)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.goto(f"http://127.0.0.1:{site}{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    for server in servers:
        server.shutdown()
        server.server_close()


def counted(shop: Path) -> tuple[int, int]:
    """Lists that were seen, and people who clicked."""
    with Shop.open(shop) as opened:
        rows = opened.storefront.funnel()
    return sum(one.lists for one in rows), sum(one.clicked.people for one in rows)


def reports(page: Page) -> list[str]:
    """What a page sends from now on."""
    sent: list[str] = []
    page.on("request", lambda one: sent.append(one.url) if one.method == "POST" else None)
    return sent


def test_a_list_is_shown_seen_clicked_and_bought_from(
    visit: Callable[..., Page], shop: Path, service: str, back_end: str, axe: str
) -> None:
    before = counted(shop)
    page = visit(consent=True)
    links = page.get_by_role("list", name="Goes with it").get_by_role("link")
    expect(links).to_have_count(4)
    expect(page.get_by_text("All dresses")).to_be_hidden()
    page.wait_for_timeout(1300)
    assert counted(shop) == before, "it was below what she sees"

    links.first.scroll_into_view_if_needed()
    picture = links.first.locator("img")
    until(lambda: picture.evaluate("one => one.complete && one.naturalWidth > 0"), 20)
    assert picture.get_attribute("alt")
    until(lambda: counted(shop) == (before[0] + 1, before[1]), 20)
    assert page.locator("ins").first.inner_text().startswith("€")
    page.evaluate(axe)
    found = page.evaluate("axe.run(document)")
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == []
    assert len(found["passes"]) > 10
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    weight = links.first.locator("[part=price]").evaluate("one => getComputedStyle(one).fontWeight")
    assert weight == "600", "the page's own style reaches the part"

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.shadowRoot.activeElement.tagName") == "A"
    page.keyboard.press("Enter")
    page.wait_for_url("**/p/*")
    until(lambda: counted(shop) == (before[0] + 1, before[1] + 1), 20)

    bought = page.url.rpartition("/")[2]
    google = {
        "client_id": page.evaluate("localStorage.modiste"), "user_id": "ann",
        "events": [{"name": "purchase", "params": {"transaction_id": "A-1", "items": [{"item_id": bought}]}}],
    }  # fmt: skip
    sent = httpx.post(f"{service}/v1/events", json=google, headers={"Authorization": f"Bearer {back_end}"})
    assert sent.json() == {"recorded": 1, "known": 0, "refused": []}
    with Shop.open(shop) as opened:
        (row,) = opened.storefront.funnel()
    assert (row.placement, row.scenario, row.bought.people) == ("product-page", "product-page", 1)


def test_without_consent_the_list_is_shown_and_nothing_is_kept_or_told(visit: Callable[..., Page], shop: Path) -> None:
    before = counted(shop)
    page = visit()
    sent = reports(page)
    links = page.get_by_role("list", name="Goes with it").get_by_role("link")
    links.first.scroll_into_view_if_needed()
    page.wait_for_timeout(1300)
    assert page.evaluate("localStorage.length") == 0
    assert sent == []
    page.evaluate("modiste.consent = true")
    until(lambda: counted(shop) == (before[0] + 1, before[1]), 20)
    assert page.evaluate("localStorage.modiste.length") > 20


@pytest.mark.parametrize("refused", ["globalPrivacyControl", "doNotTrack"])
def test_what_the_browser_says_wins_over_consent(visit: Callable[..., Page], refused: str) -> None:
    page = visit(True, f"Object.defineProperty(Navigator.prototype, '{refused}', {{ get: () => '1' }})")
    sent = reports(page)
    links = page.get_by_role("list", name="Goes with it").get_by_role("link")
    links.first.scroll_into_view_if_needed()
    page.wait_for_timeout(1300)
    links.first.click()
    page.wait_for_url("**/p/*")
    assert sent == []


def test_where_there_is_no_list_the_page_has_its_own_words(visit: Callable[..., Page]) -> None:
    page = visit(True, **{'scenario="product-page"': 'scenario="nothing"'})
    page.wait_for_function("document.querySelector('modiste-list').shadowRoot")
    expect(page.get_by_role("link", name="All dresses")).to_be_visible()


def test_a_service_that_never_answers_holds_nothing_up(visit: Callable[..., Page]) -> None:
    page = visit(path="/private")
    unanswered: list[Route] = []
    page.route(re.compile("/v1/items/.*/similar"), lambda route: unanswered.append(route))
    page.reload()  # which ends when the page has loaded
    page.wait_for_function("document.querySelector('modiste-list').shadowRoot")
    assert len(unanswered) == 1
    expect(page.get_by_role("link", name="All dresses")).to_be_visible()


def test_attributes_that_change_change_the_list(visit: Callable[..., Page]) -> None:
    page = visit()
    links = page.get_by_role("list", name="Goes with it").get_by_role("link")
    expect(links).to_have_count(4)
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url))
    page.evaluate(
        "Object.entries({top: 2, why: ''}).forEach(([name, value]) => "
        "document.querySelector('modiste-list').setAttribute(name, value))"
    )
    expect(links).to_have_count(2)
    assert len([one for one in asked if "/similar" in one]) == 1
    assert json.loads(json.dumps(links.first.locator("[part=why]").inner_text()))


# The merchandiser's page of it


@pytest.fixture(scope="module")
def busy(shop: Path) -> Iterator[str]:
    """The address of the pages of a shop whose lists were seen, clicked and bought from, with a test that runs."""
    folder = Path(shutil.copytree(shop, shop.parent / "busy"))
    rng = Random(0)
    with Shop.open(folder) as opened:
        opened.storefront.clear(0)
        for one in opened.keys.by_digest().values():
            opened.keys.remove(one.name)
        opened.scenarios.put("product-page-2", {"top": 3})
        test = opened.ab.start("winter", "product-page", "product-page-2", rate=0.2, counts="clicked")
        seen, bought = [], []
        for number in range(120):
            who, place = f"s-{number}", ("product-page", "home")[number % 2]
            scenario = None if place == "home" else place
            _, served = opened.ab.serve(place, scenario, who, lambda name: opened.recommend(item=DRESS, scenario=name))
            signed = opened.storefront.sign(served)
            seen.append(Seen(signed))
            if rng.random() < 0.4:
                seen.append(Seen(signed, served.items[0]))
                if rng.random() < 0.5:
                    bought.append(Event(who, served.items[0], test.started + timedelta(hours=1), order_id=who))
        opened.storefront.record(seen)
        opened.purchases.record(bought)
    with serving(folder, logs=shop.parent) as served_at:
        yield served_at.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_tells_what_came_of_the_lists(browser: Browser, busy: str, axe: str, width: str, scheme: str) -> None:
    across, down = WIDTHS[width]
    context = browser.new_context(viewport={"width": across, "height": down}, color_scheme=scheme, base_url=busy)  # type: ignore[arg-type]
    page = context.new_page()
    try:
        page.goto("/storefront")
        expect(page.get_by_role("link", name="Storefront")).to_have_attribute("aria-current", "page")
        expect(page.locator(".funnel")).to_have_count(3)
        expect(page.locator(".funnel", has_text="home")).to_contain_text(re.compile(r"saw it\s*60"))
        expect(page.get_by_text("Nothing to tell yet")).to_be_visible()
        page.evaluate(axe)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if folder := os.environ.get("MODISTE_SCREENSHOTS"):
            page.screenshot(path=f"{folder}/storefront-{width}-{scheme}.png", full_page=True)
    finally:
        context.close()


def test_a_test_is_started_and_stopped_on_the_page_without_scripts(browser: Browser, busy: str) -> None:
    context = browser.new_context(base_url=busy, java_script_enabled=False)
    page = context.new_page()
    try:
        page.goto("/storefront")
        page.get_by_label("Call it").fill("spring")
        page.get_by_label("Placement").fill("home")
        page.get_by_label("How many do it now").fill("2,5")
        page.get_by_role("button", name="Start").click()
        expect(page.locator("section", has_text="spring")).to_contain_text("Nothing to tell yet")
        page.get_by_role("button", name="Stop spring").click()
        expect(page.locator("section", has_text="spring")).to_contain_text("stopped")
        page.get_by_label("Call it").fill("summer")
        page.get_by_label("Placement").fill("home")
        page.get_by_label("How many do it now").fill("many")
        page.get_by_role("button", name="Start").click()
        expect(page.get_by_text("rate is 'many'; write a percentage")).to_be_visible()
    finally:
        context.close()
