"""From what never sells to what was sold: a merchandiser and a shopper, by keyboard alone, on either database."""

import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from threading import Thread
from urllib.parse import parse_qs, unquote

import httpx
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, Locator, Page, expect

from modiste import Event
from modiste.demo import unpack
from modiste.shop import schema
from modiste.shop.shop import Shop

from ..running import free_port, serving, until
from .test_journeys import WIDTHS
from .test_storefront import CONSENT, LIST, reports

PASSWORD = "fifteen small buttons"
PRODUCT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<style>body {{ font: 16px/1.5 sans-serif; margin: 1rem }} modiste-list {{ margin-top: 1rem }}</style>
<main><h1>{title}</h1>{form}</main></html>"""
BUY = """<form method="post"><input type="hidden" name="session"><button>Buy it</button></form>{consent}{list}
<script>document.forms[0].onsubmit = (event) => {{ event.target.session.value = localStorage.modiste }}</script>"""


class Site(BaseHTTPRequestHandler):
    """The shop's web site: a page for each product, and a checkout that tells the service what was bought."""

    def __init__(self, service: str, key: str, back_end: str, *given: object) -> None:
        self.service, self.headers_sent = service, {"Authorization": f"Bearer {back_end}"}
        self.written = LIST.replace("https://modiste.example", service).replace("modiste_publishable_...", key)
        super().__init__(*given)  # type: ignore[arg-type]

    @property
    def item(self) -> str:
        return unquote(self.path.rpartition("/")[2])

    def do_GET(self) -> None:
        written = self.written.replace('"0002"', f'"{escape(self.item)}" link="/p/{{item_id}}"')
        form = BUY.format(consent=CONSENT, list=written)
        self.answer(PRODUCT.format(title="A garment", form=form))

    def do_POST(self) -> None:
        said = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        line = {"item_id": self.item, "quantity": 1}
        order = {"name": "purchase", "params": {"transaction_id": "W-1", "items": [line]}}
        sent = {"client_id": said["session"][0], "user_id": "ann", "events": [order]}
        httpx.post(f"{self.service}/v1/events", json=sent, headers=self.headers_sent).raise_for_status()
        self.answer(PRODUCT.format(title="Thank you", form=""))

    def answer(self, page: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Referrer-Policy", "origin")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


class Walk:
    """A page that only keys are pressed on; each ``step`` is looked at by axe, at both widths, in light and dark."""

    def __init__(self, page: Page, axe: str, name: str) -> None:
        self.page, self.axe, self.name, self.steps = page, axe, name, 0

    def to(self, target: Locator) -> None:
        """Press Tab until ``target`` has the focus; it must be seen then."""
        expect(target).to_be_visible()
        for _ in range(300):
            self.page.keyboard.press("Tab")
            if target.evaluate("one => one.getRootNode().activeElement === one"):
                break
        else:
            pytest.fail(f"no Tab leads to {target}")
        covered = target.evaluate(
            """one => {
                const { x, y, width, height } = one.getBoundingClientRect()
                const at = one.getRootNode().elementFromPoint(x + Math.min(width, 30) / 2, y + Math.min(height, 30) / 2)
                return at && (one.contains(at) || at.contains(one)) ? "" : `${at?.outerHTML.slice(0, 80)} covers it`
            }"""
        )
        assert covered == "", target

    def press(self, target: Locator, *keys: str) -> None:
        """Go to ``target`` and press keys there, Enter by default."""
        self.to(target)
        for key in keys or ("Enter",):
            self.page.keyboard.press(key)

    def write(self, target: Locator, text: str) -> None:
        """Go to a field and write into it, instead of what was there."""
        self.to(target)
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(text)

    def step(self, name: str) -> None:
        """Hold what is on the page to what every page must be."""
        page, folder = self.page, os.environ.get("MODISTE_SCREENSHOTS")
        self.steps += 1
        called = f"{folder}/{self.name}-{self.steps:02d}-{name}"
        size = page.viewport_size
        assert size is not None
        if not page.evaluate("!!window.axe"):
            page.evaluate(self.axe)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        told = [(one["id"], [node["html"][:160] for node in one["nodes"][:3]]) for one in found["violations"]]
        assert told == [], f"{name}: {json.dumps(told, indent=1)}"
        for width, (across, down) in WIDTHS.items():
            page.set_viewport_size({"width": across, "height": down})
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= across, f"{name} is {wide} pixels wide"
            for scheme in ("light", "dark") if folder else ():
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                page.screenshot(path=f"{called}-{width}-{scheme}.png", full_page=True)
        page.emulate_media(color_scheme=None)
        page.set_viewport_size(size)


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A small shop with half a year of orders, in which one garment never sold."""
    database = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    book = unpack(tmp_path / "book", 14)
    rng, now = Random(0), datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    with Shop.create(tmp_path / "street", database=database) as made:
        made.items.add(book.table)
        made.vectors.embed(masking="none")
        items = made.items.browse(limit=None).items["item_id"].to_list()
        days = [now - timedelta(days=1 + 180 * rng.random()) for _ in range(240)]
        bought = [
            Event(f"s-{rng.randrange(40)}", items[1 + number % (len(items) - 1)], at, order_id=f"O-{number}")
            for number, at in enumerate(days)
        ]
        made.purchases.record(bought)
        made.scenarios.put("product-page", {"top": 4, "about": "Below a product"}, author="Ben", reason="a start")
        made.users.add("anna", PASSWORD, "merchandiser")
    return tmp_path / "street"


@pytest.fixture
def site() -> int:
    """The port of the shop's web site, another origin than the service."""
    return free_port()


@pytest.fixture
def service(shop: Path, tmp_path: Path, site: int) -> Iterator[str]:
    """The address of the service, with the shop's web site before it."""
    with Shop.open(shop) as opened:
        key = opened.keys.add("pages", "publishable", origins=[f"http://127.0.0.1:{site}"])
        back_end = opened.keys.add("back-end", "server")
    with serving(shop, logs=tmp_path) as served:
        server = ThreadingHTTPServer(("127.0.0.1", site), partial(Site, served.url, key, back_end))
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield served.url
        server.shutdown()
        server.server_close()


def let_a_day_pass(shop: Path) -> None:
    """Put everything that happened a day back."""
    with Shop.open(shop) as opened:
        with opened.storage.writing() as writing:
            for table, time, keys in (
                (schema.events, schema.events.c.at, ["event_id"]),
                (schema.lists, schema.lists.c.seen, ["list_key"]),
                (schema.clicks, schema.clicks.c.at, ["list_key", "item_id"]),
            ):
                rows = writing.execute(sa.select(*(table.c[one] for one in keys), time)).all()
                wanted = sa.and_(*(table.c[one] == sa.bindparam(f"key_{one}") for one in keys))
                change = table.update().where(wanted).values({time.name: sa.bindparam("then")})
                named = [dict(zip((f"key_{one}" for one in keys), row, strict=False)) for row in rows]
                then = [{**one, "then": row[-1] - timedelta(days=1)} for one, row in zip(named, rows, strict=True)]
                writing.execute(change, then)
        opened.purchases.recount()


def test_from_what_never_sells_to_what_was_sold(
    request: pytest.FixtureRequest, browser: Browser, shop: Path, service: str, site: int, axe: str
) -> None:
    database = request.node.callspec.params["shop"]
    (across, down), scheme = (WIDTHS["phone"], "dark") if database == "sqlite" else (WIDTHS["desk"], "light")
    shape = {"viewport": {"width": across, "height": down}, "color_scheme": scheme}
    context = browser.new_context(**shape, base_url=service)  # type: ignore[arg-type]
    troubles: list[str] = []
    context.on("weberror", lambda error: troubles.append(str(error.error)))
    context.on("console", lambda said: said.type in ("error", "warning") and troubles.append(said.text))
    page = context.new_page()
    page.set_default_timeout(20_000)
    walk = Walk(page, axe, database)
    pages = page.get_by_role("navigation", name="Pages")

    # she logs in
    page.goto("/")
    expect(page.get_by_label("Name")).to_be_focused()
    walk.step("log-in")
    page.keyboard.insert_text("anna")
    page.keyboard.press("Tab")
    page.keyboard.insert_text(PASSWORD)
    page.keyboard.press("Enter")

    # sees what never sells, and hides it
    expect(page.get_by_role("heading", name="Sold by week")).to_be_visible()
    walk.step("overview")
    walk.press(page.get_by_role("link", name="1 never sold"))
    expect(page.locator(".count")).to_contain_text("1 item of 28")
    walk.step("never-sold")
    walk.press(page.locator(".wall a"))
    hidden = unquote(page.url.rpartition("/")[2])
    walk.press(page.get_by_role("button", name="Hide it from all lists"))
    expect(page.get_by_role("status")).to_have_text("It is in no list any more.")
    walk.step("hidden")

    # pins another, and sees what it would do
    with Shop.open(shop) as opened:
        looked_at, pinned = (opened.items.browse(categories=[one]).items["item_id"][0] for one in ("Dresses", "Skirts"))
        assert hidden not in (looked_at, pinned)
    walk.press(pages.get_by_role("link", name="Scenarios"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Scenarios")
    walk.step("scenarios")
    walk.press(page.get_by_role("link", name="product-page"))
    rule = page.get_by_role("group", name="Another rule")
    walk.write(rule.get_by_label("Name"), "New in")
    walk.write(rule.get_by_label("To items, an id a line"), pinned)
    walk.write(rule.get_by_label("At place"), "1")
    walk.step("rule")
    walk.press(page.get_by_role("button", name="Preview"))
    expect(page.get_by_role("status")).to_contain_text("of the lists change, of 40 shoppers. Nothing is published yet.")
    expect(page.locator("#preview .card").first).to_contain_text("Pinned by rule “New in”")
    walk.step("preview")

    # publishes, undoes, and brings it back
    walk.write(page.get_by_label("Why"), "winter")
    walk.press(page.get_by_role("button", name="Publish"))
    expect(page.locator("main > .note")).to_contain_text(re.compile("Version 2, .* by anna: winter"))
    walk.step("published")
    walk.press(page.get_by_role("button", name="Undo: back to version 1"))
    expect(page.locator("main > .note")).to_contain_text(re.compile("Version 3, .* by anna: back to version 1"))
    walk.press(page.get_by_role("button", name="Undo: back to version 2"))
    expect(page.locator("main > .note")).to_contain_text("Version 4")
    walk.step("undone")

    # a shopper sees the list, clicks and buys
    hers = browser.new_context(**shape)  # type: ignore[arg-type]
    hers.on("weberror", lambda error: troubles.append(str(error.error)))
    product = hers.new_page()
    product.set_default_timeout(20_000)
    sent = reports(product)
    shopper = Walk(product, axe, f"{database}-shopper")
    links = product.get_by_role("list", name="Goes with it").get_by_role("link")

    def there() -> bool:  # a page waits for three seconds, and the machine may be busy
        product.goto(f"http://127.0.0.1:{site}/p/{looked_at}")
        product.wait_for_function("document.querySelector('modiste-list').shadowRoot")
        return links.count() == 4

    until(there, 60)
    assert hidden not in [unquote(one.rpartition("/")[2]) for one in links.evaluate_all("all => all.map(a => a.href)")]
    links.first.locator("img").evaluate("one => one.decode()")
    shopper.step("list")
    shopper.to(links.first)
    product.wait_for_timeout(1300)  # seen: for a second
    product.keyboard.press("Enter")
    product.wait_for_url(f"**/p/{pinned}")
    assert [url.rpartition("/")[2] for url in sent] == ["impressions", "clicks"]
    shopper.press(product.get_by_role("button", name="Buy it"))
    expect(product.get_by_role("heading")).to_have_text("Thank you")
    hers.close()

    # and the next day's overview shows it
    with Shop.open(shop) as opened:
        until(lambda: [(one.people, one.bought.people) for one in opened.storefront.funnel()] == [(1, 1)], 20)
    let_a_day_pass(shop)
    walk.press(page.locator("a.brand"))
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"{datetime.now(UTC) - timedelta(days=1):%d %B %Y}")
    told = page.get_by_role("region", name="What came of them").get_by_role("row", name="product-page")
    expect(told.get_by_role("cell")).to_have_text(["1", "1", "1"])
    expect(page.locator("ul.figures")).to_contain_text("241 purchases")
    walk.step("next-day")
    walk.press(page.get_by_role("link", name="More about them"))
    expect(page.locator(".funnel")).to_contain_text(re.compile(r"bought and kept it\s*1\s*100.0%"))
    walk.step("storefront")
    walk.press(page.get_by_role("button", name="Log out"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")
    context.close()
    assert troubles == []
