"""The page /shoppers/…: what a shopper bought and when, and a list for each purchase that the sliders steer."""

from collections import Counter
from collections.abc import Mapping
from datetime import date
from itertools import pairwise
from typing import Any, get_args

import numpy as np
import polars as pl
from fastapi import APIRouter, Request, Response

from modiste.ask import Ask
from modiste.behaviour.taste import HIGHEST, LOWEST
from modiste.behaviour.trends import by_month
from modiste.ranking.relevance import PRESETS, Scaling, Weights
from modiste.server.addresses import address, shopper_page
from modiste.server.dependencies import TheShop
from modiste.server.pages.rendering import (
    MOST_TOP,
    MOST_WEIGHT,
    looks,
    number,
    part_wanted,
    render,
    term_bars,
    with_query,
)
from modiste.shop.question import weights_of
from modiste.shop.recommendations import Recommendations, compare
from modiste.shop.shop import Shop
from modiste.shop.taste import Taste

PURCHASES_SHOWN = 12
"""A shopper's latest purchases that are shown, and that get a list each; more when asked for."""

MOST_LISTS = 120
"""Lists on one page."""

BINS = 20
"""Columns of the picture of all shoppers' tastes."""

SLIDERS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("alpha", "beta", "gamma", "together", "newness", "price"), (0, MOST_WEIGHT)),
    "colour": (-MOST_WEIGHT, MOST_WEIGHT), "trendiness": (0, 1), "penalty": (2, 8), "top": (1, MOST_TOP),
}  # fmt: skip
"""The sliders by the names that Ask has, each with its range."""

SLIDER_STEP = 0.01
"""The steps of the trendiness' slider."""

PRICE_STEP = 0.05
"""Those of the price's."""

router = APIRouter(include_in_schema=False)


def steered(query: Mapping[str, str], own: float, price: float = 0.0) -> Ask:
    """What the sliders of an address ask for, each brought into its range; what can't be read is not asked for.

    The step nearest to a shopper's ``own`` trendiness is her own, and that to the learnt weight of ``price`` that one.
    Raises SettingError where every weight is 0.
    """
    given: dict[str, Any] = {name: number(query.get(name), *ends) for name, ends in SLIDERS.items()}
    given["penalty"] = None if given["penalty"] is None else 2 * round(given["penalty"] / 2)
    given["top"] = None if given["top"] is None else round(given["top"])
    if given["trendiness"] is not None and abs(given["trendiness"] - own) <= SLIDER_STEP / 2:
        given["trendiness"] = None
    if given["price"] is not None and abs(given["price"] - price) <= PRICE_STEP / 2:
        given["price"] = None
    for name, choices in (("preset", PRESETS), ("scaling", get_args(Scaling))):
        given[name] = query[name] if query.get(name) in choices else None
    given["scenario"] = query.get("scenario") or None
    formula = PRESETS[given["preset"] or "balanced"].formula
    given |= dict.fromkeys(
        ("penalty", "scaling") if formula == "choice" else ("colour", "together", "newness", "price")
    )
    return Ask.of(**{name: value for name, value in given.items() if value is not None})


@router.get("/shoppers/{shopper_id:path}")
def shopper(request: Request, shop: TheShop, shopper_id: str) -> Response:
    """One shopper: what she bought and when, how trendy she is, and a list for each purchase that the sliders steer."""
    known, purchases, query = shop.shoppers[shopper_id], shop.purchases.of(shopper_id), request.query_params
    taste, preset = shop.taste(shopper_id), query.get("preset", "")
    choice = PRESETS.get(preset, PRESETS["balanced"]).formula == "choice"
    own = taste.trendiness if choice and known.estimated else known.trendiness
    snapshot = shop.snapshot()
    price = min(weights_of(snapshot, Ask.of(preset=preset if preset in PRESETS else "balanced")).price, MOST_WEIGHT)
    ask, against = shop.scenarios.asked(steered(query, own, price)), query.get("against", "")
    against = against if against in PRESETS else "balanced"
    latest = round(number(query.get("lists"), PURCHASES_SHOWN, MOST_LISTS) or PURCHASES_SHOWN)
    still = ask.weights == PRESETS[against] and ask.trendiness is None and ask.scenario is None
    now = _lists(shop, shopper_id, ask, latest)
    before = now if still else _lists(shop, shopper_id, Ask.of(preset=against, top=ask.top), latest)
    bought = {one: snapshot.item(row) for one in purchases["item_id"].unique() if (row := snapshot.find(one)) >= 0}
    dates = dict(purchases.select("item_id", "at").iter_rows())
    blocks: list[dict[str, Any]] = []
    for (item_id, best), (_, was) in list(zip(now, before, strict=True))[::-1]:
        moved, dropped = compare(best, was)
        block = {"bought": bought.get(item_id), "at": dates.get(item_id), "moved": moved, "dropped": dropped}
        blocks.append(block | {"nothing": best.nothing or "Nothing to recommend."})
    values: dict[str, Any] = {
        "shopper": known,
        "ask": ask,
        "own": own,
        "price": price if ask.price is None else ask.price,
        "taste": taste.words,
        "trendiness": own if ask.trendiness is None else ask.trendiness,
        "preset": next((name for name, weights in PRESETS.items() if weights == ask.weights), None),
        "against": against,
        "scenarios": [one.name for one in shop.scenarios.all()],
        "blocks": blocks,
        "lists": latest,
        "count": Counter(one.mark for block in blocks for one in [*block["moved"], *block["dropped"]]),
        "still": still,
        **term_bars(
            ask.weights if purchases.height else Weights(0.0, 1.0, 0.0), [one for _, found in now for one in found]
        ),
        **looks(shop),
        "request_address": with_query(
            address("shoppers", shopper_id, "recommendations"), ask.model_dump(exclude_unset=True).items()
        ),
        "following": with_query(shopper_page(shopper_id), {**query, "lists": latest + PURCHASES_SHOWN}.items())
        if len(blocks) == latest < min(MOST_LISTS, purchases["item_id"].n_unique())
        else None,
    }
    target = part_wanted(request)
    if target in ("lists", "work"):
        return render(request, f"_{target}.html", **values, swap=target == "lists")
    months = by_month(purchases["at"])
    month = query.get("month") if query.get("month") in set(months["month"]) else None
    chosen = purchases.tail(PURCHASES_SHOWN)
    if month:
        chosen = purchases.filter(pl.col("at").dt.strftime("%Y-%m") == month)
    return render(
        request,
        "shopper.html",
        **values,
        swap=False,
        stops=[
            bought[row["item_id"]] | {"at": row["at"]} for row in chosen.to_dicts()[::-1] if row["item_id"] in bought
        ],
        months=[(date(int(one[:4]), int(one[5:]), 1), count) for one, count in months.iter_rows()],
        month=month,
        PURCHASES_SHOWN=PURCHASES_SHOWN,
        **_crowd(shop.tastes(), shopper_id, taste),
    )


def _crowd(tastes: pl.DataFrame, shopper_id: str, hers: Taste) -> dict[str, Any]:
    """Where a shopper's taste is among those of all of whom something is known."""
    told = tastes.filter(pl.col("told").is_not_null() & (pl.col("shopper_id") != shopper_id))
    theta = hers.theta if hers.purchases else None
    everyone = [*told["theta"], *([] if theta is None else [theta])]
    counts, _ = np.histogram(everyone, bins=BINS, range=(LOWEST, HIGHEST))
    ends = np.linspace(LOWEST, HIGHEST, BINS + 1)
    labels = [f"{low:.2f} to {high:.2f}".replace("-", "−") for low, high in pairwise(ends)]
    return {
        "theta": theta,
        "mark": None if theta is None else min(int((theta - LOWEST) / (HIGHEST - LOWEST) * BINS), BINS - 1),
        "histogram": list(zip(labels, counts.tolist(), strict=True)) if theta is not None and told.height else [],
        "rank": 0 if theta is None else int((told["theta"] < theta).sum()),
        "others": told.height,
    }


def _lists(shop: Shop, shopper_id: str, ask: Ask, latest: int | None) -> list[tuple[str, Recommendations]]:
    """A list for each of her purchases; without any, one of what is popular, under no item's id."""
    lists = shop.recommend_each(shopper_id, latest=latest, **dict(ask))
    return lists or [("", shop.introduce(shopper_id, **dict(ask)))]
