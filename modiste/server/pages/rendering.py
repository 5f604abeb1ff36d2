"""What the pages share: how a template becomes an answer, and how an address is read and written."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import escape

from modiste.behaviour.taste import HIGHEST, LOWEST
from modiste.ranking.relevance import PRESETS, Scaling, Weights
from modiste.server.addresses import address, here, item_page, shopper_page, thumbnail
from modiste.shop.moments import STOOD_IN
from modiste.shop.recommendations import TERMS, Recommendation
from modiste.shop.shop import Shop

MOST_TOP = 20
MOST_WEIGHT = 4
"""The longest list that a shopper's page shows."""

TERM_WORDS = {
    "look": "looks like it", "colour": "same colours", "popularity": "what sells", "category": "kind of garment",
    "distance": "is near", "together": "bought together", "worn": "worn together", "newness": "new here",
    "price": "similar price", "gender": "for whom",
}  # fmt: skip
"""What the terms of the relevance are called."""

STATIC = Path(__file__).parent.parent / "static"
"""The folder of the pages' own files."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Vary": "HX-Request, HX-Target",
}
"""Sent with every page, beside those that every answer has."""


def words(name: str | None) -> str:
    """A category as a person would write it."""
    return name.replace("_", " ") if name else "no category"


def name(one: Mapping[str, Any] | Recommendation) -> str:
    """What an item is called: its title, or what kind of garment it is."""
    about = {**one.item, "category": one.category} if isinstance(one, Recommendation) else one
    return str(about.get("title") or words(about["category"]))


def money(price: float, currency: str | None) -> str:
    """A price as a person writes it, with the currency where it is known."""
    return f"{price:,.2f}" + (f" {currency}" if currency else "")


def chance(probability: float) -> str:
    """A probability as a person says it."""
    if probability < 1e-6:
        return "less than 1 in a million"
    return f"1 in {float(f'{1 / probability:.2g}'):,.0f}" if probability < 0.5 else "as likely as not"


def _asset(name: str) -> str:
    """The path of a file of ours, with its fingerprint, so that a browser may keep it for long."""
    return f"/static/{name}?v={hashlib.blake2b((STATIC / name).read_bytes(), digest_size=5).hexdigest()}"


_environment = Environment(
    loader=PackageLoader("modiste.server"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(
    term=TERM_WORDS.__getitem__,
    words=words,
    name=name,
    money=money,
    chance=chance,
    item_page=item_page,
    shopper_page=shopper_page,
    thumbnail=thumbnail,
    px="{:.1f}".format,
)
_environment.globals.update(
    PRESETS=PRESETS, SCALINGS=get_args(Scaling), MOST_TOP=MOST_TOP, MOST_WEIGHT=MOST_WEIGHT, address=address,
    LOWEST=LOWEST, HIGHEST=HIGHEST, zip=zip,
    to=here, css=_asset("modiste.css"), htmx=_asset("htmx.min.js"), js=_asset("modiste.js"),
)  # fmt: skip


def error_page(
    request: Request, status: int, title: str, message: str, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """An error as a page of its own, or as a part where htmx asked for one."""
    name = "error.html" if part_wanted(request) is None else "_error.html"
    answer = render(request, name, status=status, title=title, message=message, here="")
    answer.headers.update(headers or {})
    return answer


def render(request: Request, name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """The template ``name`` filled with ``values``."""
    common = {
        "shop_name": request.app.state.shop_name,
        "here": request.url.path.split("/")[1],
        "caller": getattr(request.state, "caller", None),
        "as_of": min(STOOD_IN.get() or (), default=None),
        "part": part_wanted(request) is not None,
    }
    page = HTMLResponse(_environment.get_template(name).render(common | values), status, headers=HEADERS)
    request.app.state.kept.keep(request, page)
    return page


def notice(said: str) -> str:
    """A sentence that somebody must see."""
    return f'<p class="notice" role="alert">{escape(said)}</p>'


def notice_of(at: datetime) -> str:
    """What a page says that is of another time, as the database is away."""
    return _environment.get_template("_away.html").render(as_of=at)


def part_wanted(request: Request) -> str | None:
    """The id of the part that htmx wants to replace; None where a browser wants the page."""
    if "HX-Request" not in request.headers or "HX-History-Restore-Request" in request.headers:
        return None
    return request.headers.get("HX-Target", "")


def term_bars(weights: Weights, shown: Iterable[Recommendation]) -> dict[str, Any]:
    """Which terms have a weight, and what is a bar's full length: the largest weight, or term that is shown."""
    shown = list(shown)
    by_term = {name: max((abs(one.terms[name]) for one in shown), default=0.0) for name in TERMS} | {
        "look": weights.alpha, "colour": weights.colour, "popularity": weights.beta, "category": weights.gamma,
        "distance": weights.distance, "together": weights.together, "newness": weights.newness,
    }  # fmt: skip
    largest = max((value for one in shown for value in one.terms.values()), default=0.0)
    return {
        "terms_shown": [name for name, weight in by_term.items() if weight],
        "full": max(largest, *by_term.values()),
    }


def looks(shop: Shop) -> dict[str, bool]:
    """Whether photos were compared, ``embedded``, and whether there are any."""
    embedded = bool(shop.snapshot().spaces)
    return {"embedded": embedded, "photos": embedded or shop.coverage().photos > 0}


def number(text: str | None, low: float, high: float) -> float | None:
    """A number from an address, brought into its range; None where there is none."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return min(max(value, low), high) if math.isfinite(value) else None


def page_number(request: Request) -> int:
    """Which page of a long list is wanted, from 1."""
    return int(number(request.query_params.get("page"), 1, 1_000_000) or 1)


def next_page(request: Request, total: int, size: int) -> str | None:
    """The address of the page after this one, None after the last of ``total`` things, ``size`` a page."""
    this = page_number(request)
    same = [(name, value) for name, value in request.query_params.multi_items() if name != "page"]
    return with_query(here(request.url.path), [*same, ("page", this + 1)]) if total > this * size else None


def with_query(path: str, parameters: Iterable[tuple[str, object]]) -> str:
    """An address with a query, without what is empty."""
    given = [(name, value) for name, value in parameters if value not in (None, "")]
    return f"{path}?{urlencode(given)}" if given else path
