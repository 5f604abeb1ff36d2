"""Two settings against each other: their lists interleaved, and whose pick each shopper bought, or what each would have
earned of the lists that were seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import polars as pl
import sqlalchemy as sa

from modiste.ask import Ask
from modiste.behaviour.ab import Verdict, preferences_needed, preferred
from modiste.behaviour.interleaving import credit, team_draft
from modiste.behaviour.replay import Estimate, doubly_robust, ips, snips
from modiste.errors import SettingError
from modiste.ranking.relevance import PRESETS
from modiste.shop.lists import lists_of
from modiste.shop.question import Question
from modiste.shop.reports import Progress
from modiste.shop.shop import Shop
from modiste.shop.snapshot import Snapshot
from modiste.shop.storefront import STEPS

BLOCK = 200
"""So many shoppers' lists are ranked at a time."""

LIFT = 0.1
"""The verdict is sharpest where 55 of 100 prefer one."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Of so many ``shoppers``, how many chose a pick of either setting, and what follows."""

    shoppers: int
    wins_a: int
    wins_b: int
    verdict: Verdict


def compare(
    shop: Shop, a: str, b: str, *, top: int = 20, sample: int = 2000, seed: int = 42, progress: Progress | None = None
) -> Comparison:
    """Interleave the lists of two settings (scenarios, or presets by name) and count whose picks shoppers bought next.

    Of each shopper the last purchase is left out, the lists are made of those before, and what she then bought counts.

    Popularity and what is bought together know of those purchases, for both settings alike; so this tells which of the
    two is better and not how good it is: for that, evaluate. Only what a shopper had not bought before counts. Raises
    UnknownIdError for a scenario that isn't there, SettingError where nobody bought twice.
    """
    asks = [_asked(shop, name, top) for name in (a, b)]
    rng = Random(seed)
    with shop.moments.now() as (snapshot, connection):
        counts = shop.purchases.frame()["shopper_id"].value_counts(sort=True)
        often = sorted(counts.filter(counts["count"] > 1)["shopper_id"])
        chosen = sorted(rng.sample(often, min(sample, len(often))))
        if not chosen:
            raise SettingError(f"nobody in {shop.name} bought twice; there is nothing to compare by")
        judged, wins = 0, {"a": 0, "b": 0}
        for start in range(0, len(chosen), BLOCK):
            left = [_left_out(shop, snapshot, connection, who, asks) for who in chosen[start : start + BLOCK]]
            ready = {one[0]: one for one in left if one is not None}
            sides = [lists_of({who: one[1][side] for who, one in ready.items()}) for side in (0, 1)]
            for who, (_, _, bought) in ready.items():
                products = [[str(one.item["product"]) for one in side[who]] for side in sides]
                shown, teams = team_draft(products[0], products[1], top, Random(f"{seed} {who}"))
                by = credit(shown, teams, {bought})
                judged += 1
                if by:
                    wins["b" if by > 0 else "a"] += 1
            if progress:
                progress(min(start + BLOCK, len(chosen)), len(chosen))
    return Comparison(judged, wins["a"], wins["b"], preferred(wins["a"], wins["b"], preferences_needed(LIFT)))


def replay(shop: Shop, a: str, b: str, counts: str = "clicked") -> Mapping[str, Mapping[str, Estimate]]:
    """What scenario ``a`` alone and ``b`` alone would have earned, a list, of the lists that were drawn between them.

    By scenario, the estimates "IPS", "SNIPS" and "DR" of the share of lists of which ``counts`` came, one of STEPS,
    with intervals over shoppers; DR predicts each list by the mean of its placement. Only lists of A/B tests of the two
    tell this: all others could have been no other, and what was never shown has earned nothing. Raises SettingError
    where there are none.
    """
    if counts not in STEPS:
        raise SettingError(f"one can count {', '.join(STEPS)}, not {counts!r}")
    tests = [one.name for one in shop.ab.all() if {one.a, one.b} == {a, b} and not one.interleaved]
    seen = [shop.storefront.outcomes(experiment=name).filter(pl.col("propensity") < 1) for name in tests]
    if not sum(one.height for one in seen):
        raise SettingError(
            f"no list that was seen in {shop.name} was drawn at random between {a} and {b}, so that the log can't tell "
            f"what the other would have earned; draw some: modiste ab start {shop.path} NAME {a} {b}"
        )
    rows = pl.concat(seen).with_columns(reward=pl.col(counts).cast(pl.Float64))
    rows = rows.with_columns(usual=pl.col("reward").mean().over("placement"))
    reward, logged, usual = (rows[name].to_numpy() for name in ("reward", "propensity", "usual"))
    _, people = np.unique(rows["person"].to_numpy(), return_inverse=True)
    found = {}
    for name in (a, b):
        target = (rows["scenario"] == name).cast(pl.Float64).to_numpy()
        found[name] = {
            "IPS": ips(reward, logged, target, people),
            "SNIPS": snips(reward, logged, target, people),
            "DR": doubly_robust(reward, logged, target, usual, usual, people),
        }
    return found


def _asked(shop: Shop, name: str, top: int) -> Ask:
    if name in PRESETS:
        return Ask.of(preset=name, top=top)
    return shop.scenarios.asked(Ask.of(scenario=name, top=top))


def _left_out(
    shop: Shop, snapshot: Snapshot, connection: sa.Connection, who: str, asks: Sequence[Ask]
) -> tuple[str, list[Question], str] | None:
    """A shopper's questions as they were before her last purchase, and its product; None: she had bought it before."""
    *before, (last, _) = shop.purchases.bought(connection, [who])[who]
    products = {snapshot.item(snapshot.row(item_id))["product"] for item_id, _ in before}
    bought = str(snapshot.item(snapshot.row(last))["product"])
    if bought in products:
        return None
    known = shop.shoppers.read(connection, who)
    latest = list(dict.fromkeys(item_id for item_id, _ in before))
    companions = shop.purchases.companions(connection, who, latest)
    return who, [Question.for_shopper(snapshot, ask, known, before, companions) for ask in asks], bought
