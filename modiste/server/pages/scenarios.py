"""The pages /scenarios and /scenarios/…: named ways of asking, their rules, what a change would do, and versions."""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from modiste.ask import Ask
from modiste.errors import ModisteError, SettingError, UnknownIdError
from modiste.ranking.relevance import PRESETS
from modiste.rules import DOES, Rule
from modiste.scenario import FIELDS, Scenario
from modiste.server.addresses import here
from modiste.server.auth import Caller, WriteRoute
from modiste.server.dependencies import TheShop, TheWorkQueue
from modiste.server.pages.coming import as_it_comes
from modiste.server.pages.rendering import render, term_bars
from modiste.shop.preview import Preview
from modiste.shop.reports import Progress
from modiste.shop.scenarios import Version, ask_of, history
from modiste.shop.shop import Shop

WEIGHTS = {
    "alpha": ("Looks alike", "α"), "colour": ("Is of the same colour", "κ"), "beta": ("Is popular", "β"),
    "gamma": ("Is of the kind she buys", "γ"), "together": ("Is bought together", "μ"), "newness": ("Is new", "ν"),
    "price": ("Costs about what she usually pays", "ρ"), "distance": ("Is sold near her", "δ"),
}  # fmt: skip
"""The weights in plain words, with their letters."""

MORE = {
    "penalty": "The paper's formula: how much more items far from her taste for trends lose (p: 2, 4, …)",
    "scaling": "The paper's formula: minmax or none",
    "trendiness": "Taste for trends instead of her own, 0 to 1",
    "near": "Place of the shopper, latitude,longitude",
    "within": "Only what is in stores so near, in km",
    "half_life": "Days after which a purchase counts half",
    "tuning": "Weights learnt from orders, by their name, or defaults",
    "space": "Vector space",
}
"""Settings that few need."""

WORDS = {
    "about": "For which place", "top": "How many", "preset": "What counts", "variety": "Variety",
    "fallback": "When too few fit", "gender": "For whom", "age": "Of what age", "min_price": "Price from",
    "max_price": "Price to", "match": "Category and price", "sold_out": "Sold out",
    "categories": "Only these categories", "exclude": "Never these items",
    **{name: said for name, (said, _) in WEIGHTS.items()},
    **{name: said.split(",")[0] for name, said in MORE.items()},
}  # fmt: skip
"""What the settings are called in the list of versions."""

PRESET_WORDS = {
    "balanced": "balanced: looks, colour, what sells and what she buys",
    "paper": "paper: the formula of the paper",
    "visual": "visual: looks and colour alone",
}

RULE_FIELDS = tuple(field.alias or name for name, field in Rule.model_fields.items())

router = APIRouter(include_in_schema=False)
writes = APIRouter(include_in_schema=False, route_class=WriteRoute)


@router.get("/scenarios")
def scenarios(request: Request, shop: TheShop) -> Response:
    """All scenarios, and a form that opens a new one."""
    name = request.query_params.get("name", "").strip()
    if name:
        shop.scenarios.checked(name, {})
        return RedirectResponse(here(f"/scenarios/{name}"), 303)
    return render(request, "scenarios.html", scenarios=shop.scenarios.all())


@router.get("/scenarios/{name}")
def scenario(request: Request, shop: TheShop, name: str) -> Response:
    """One scenario: its form, filled with what it is now, and its versions. One that there isn't can be made."""
    shop.scenarios.checked(name, {})
    versions = _versions(shop, name)
    now = versions[0].scenario if versions and versions[0].scenario else Scenario.of({})
    return _page(request, shop, name, versions, filled(now.as_data()))


@writes.post("/scenarios/{name}")
async def changed(request: Request, shop: TheShop, queue: TheWorkQueue, name: str) -> Response:
    """Try what the form says, or publish it."""
    form = await request.form()
    values, told, everybody = _as_typed(form), None, form.get("everybody") == "1"

    def act() -> Response | None:
        nonlocal told
        made = shop.scenarios.checked(name, read(form))
        if form.get("action") == "publish":
            shop.scenarios.put(
                name, made, author=_author(request, form), reason=_text(form, "reason"), expected=_expected(form)
            )
            return RedirectResponse(here(f"/scenarios/{name}"), 303)
        if form.get("action") == "preview" and not everybody:
            told = shop.scenarios.preview(name, made)
        return None

    remark = ""
    try:
        answer = await queue.run(act)
        if answer is not None:
            return answer
    except ModisteError as error:
        remark = str(error)

    def page(told: Preview | None, coming: bool = False) -> Response:
        return _page(request, shop, name, _versions(shop, name), values, told, remark, form, coming)

    if form.get("action") != "preview" or not everybody or remark:
        return await run_in_threadpool(page, told)

    def exactly(progress: Progress) -> Response:
        return page(shop.scenarios.preview(name, read(form), sample=None, progress=progress))

    return as_it_comes(await run_in_threadpool(page, None, True), queue, exactly)


@writes.post("/scenarios/{name}/undo")
async def undone(request: Request, shop: TheShop, name: str) -> Response:
    """Bring back an earlier version."""
    form = await request.form()
    to = _text(form, "to")
    if not to.isdecimal():
        raise SettingError("say which version to bring back")
    author, reason = _author(request, form), _text(form, "reason")
    await run_in_threadpool(
        lambda: (
            shop.scenarios.remove(name, author=author, reason=reason, expected=_expected(form))
            if to == "0"
            else shop.scenarios.undo(name, int(to), author=author, reason=reason, expected=_expected(form))
        )
    )
    return RedirectResponse(here(f"/scenarios/{name}"), 303)


# What a form says


def read(form: FormData) -> dict[str, Any]:
    """The scenario that a form says, as :meth:`Scenario.of` takes it; what is left empty is not said."""
    data: dict[str, Any] = {"about": _text(form, "about")}
    for name in FIELDS:
        if name == "categories":
            said: Any = [one for one in form.getlist(name) if isinstance(one, str) and one]
        elif name == "exclude":
            said = [one.strip() for one in _text(form, name).splitlines() if one.strip()]
        else:
            said = _text(form, name)
        if said:
            data[name] = said
    rules = [rule for rule in _rules(form) if rule["name"] or rule["items"] or rule["where"]]
    data["rules"] = [_said(rule) for rule in rules]
    return data


def _said(rule: Mapping[str, str]) -> dict[str, Any]:
    """A rule without what is empty, or nothing for what it does."""
    do = rule["do"]
    needs = (*DOES[do].needs, "of") if do == "limit" else DOES[do].needs if do in DOES else ()
    always = ("name", "do", "items", "where", "from", "until")
    return {name: value for name, value in rule.items() if value and (name in always or name in needs)}


def _rules(form: FormData) -> list[dict[str, str]]:
    """The rules as they were typed, in the order that their numbers say, without those that are to go."""
    places = sorted({int(part) for key in form if key.startswith("rule-") and (part := key.split("-")[1]).isdecimal()})
    found = []
    for place in places:
        if _text(form, f"rule-{place}-gone"):
            continue
        order = _text(form, f"rule-{place}-order")
        rule = {name: _text(form, f"rule-{place}-{name}") for name in RULE_FIELDS}
        found.append((int(order) if order.isdecimal() else place, place, rule))
    return [rule for _, _, rule in sorted(found, key=lambda one: one[:2])]


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def _author(request: Request, form: FormData) -> str:
    """Who is logged in or, where nobody is, who she says she is."""
    caller: Caller = request.state.caller
    return caller.name if caller.person else _text(form, "author")


def _expected(form: FormData) -> int | None:
    """The version that the form was filled with."""
    return int(said) if (said := _text(form, "version")).isdecimal() else None


# What a form shows


def filled(data: Mapping[str, Any]) -> dict[str, Any]:
    """A scenario as texts for the form."""
    values: dict[str, Any] = {name: _shown(data[name]) for name in data if name != "rules"}
    values["categories"] = list(data.get("categories", []))
    values["rules"] = [
        {name: _shown(rule.get(name)) for name in RULE_FIELDS}
        | {name: str(rule.get(name, ""))[:19] for name in ("from", "until")}
        for rule in data.get("rules", [])
    ]
    return values


def _as_typed(form: FormData) -> dict[str, Any]:
    values: dict[str, Any] = {name: _text(form, name) for name in ("about", *FIELDS)}
    values["categories"] = [one for one in form.getlist("categories") if isinstance(one, str)]
    return values | {"rules": [rule for rule in _rules(form) if rule["name"] or rule["items"] or rule["where"]]}


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "\n".join(map(str, value))
    if value is None or value is False:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _versions(shop: Shop, name: str) -> list[Version]:
    try:
        return shop.scenarios.versions(name)
    except UnknownIdError:
        return []


def _page(
    request: Request,
    shop: Shop,
    name: str,
    versions: Sequence[Version],
    values: Mapping[str, Any],
    told: Preview | None = None,
    remark: str = "",
    form: FormData | None = None,
    coming: bool = False,
) -> Response:
    latest = versions[0] if versions else None
    preset = values.get("preset") or "balanced"
    usual = PRESETS.get(preset, PRESETS["balanced"])
    shown = [each.recommendation for one in told.examples for each in one.moved] if told else []
    bars = term_bars(usual, shown)
    if told is not None:
        bars = term_bars(ask_of(Scenario.of(read(form or FormData())), Ask.of(scenario=name)).weights, shown)
    return render(
        request,
        "scenario.html",
        status=422 if remark else 200,
        called=name,
        latest=latest,
        there=latest is not None and latest.scenario is not None,
        toml=latest.scenario.as_toml() if latest and latest.scenario else "",
        history=history(versions),
        v=dict.fromkeys(("about", *FIELDS), "") | dict(values),
        version=_text(form, "version") if form is not None else str(latest.version if latest else 0),
        author=_text(form, "author") if form is not None else "",
        reason=_text(form, "reason") if form is not None else "",
        weights={one: (*about, getattr(usual, one)) for one, about in WEIGHTS.items()},
        presets=PRESET_WORDS,
        more=MORE,
        words_of=WORDS,
        categories=shop.items.categories(),
        genders=shop.items.genders(),
        does=DOES,
        fallbacks=get_args(Ask.model_fields["fallback"].annotation),
        told=told,
        coming=coming,
        photos=_photos(shop, told),
        remark=remark,
        **bars,
    )


def _photos(shop: Shop, told: Preview | None) -> dict[str, Any]:
    """The photo and the category of each item that a preview names, by its id."""
    if told is None:
        return {}
    snapshot = shop.snapshot()
    ids = [one.item_id for one in (*told.rises, *told.falls)]
    return {one: snapshot.item(row) for one in ids if (row := snapshot.find(one)) >= 0}
