"""Who ranks best where the truth is known: orders simulated over a shop's own photos, and the weights found again.

The shop needs a vector space (``modiste embed``). Half of its items are there at first, the others come one by one
over a year; shoppers of known θ choose among what has come by P ∝ exp(utility), with the weights below. What is
printed: those found by a fit beside them, all tables of ``modiste evaluate SHOP benchmark``, to which it is known when
each item came, and what variety costs. ``docs/results.md`` has what ``--cuts 1 --sample 500`` prints::

    python benchmarks/simulated.py SHOP [--shoppers 800] [--purchases 10] [--sample 1000] [--out /tmp/simulated]
    python benchmarks/simulated.py SHOP --years 20      # only: how often the weights are found, over so many years
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from modiste import Shop
from modiste.arrays import Floats
from modiste.behaviour.choice import DEFAULT, Events, Feature, History, features, likeness
from modiste.behaviour.tuning import Logit, draw_sets, fit, logit, read_choices
from modiste.evaluation.benchmark import Protocol, benchmark, items_of, parts
from modiste.evaluation.metrics import AT, list_metrics
from modiste.evaluation.recommenders import Choice, Data
from modiste.evaluation.tuned import recommenders
from modiste.shop.rules import likeness as likeness_of
from modiste.shop.rules import varied

WEIGHTS = {"popularity": 0.8, "taste": 1.0, "category": 0.5, "look": 3.0, "colour": 1.5}
"""Those of look and colour are the default's, for the most alike of her last purchases."""

COLOUR_SHARE = WEIGHTS["colour"] / WEIGHTS["look"]

DAYS = 365

VARIETIES = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)


def orders(
    data: Data,
    shoppers: int,
    purchases: int,
    seed: int = 42,
    extras: Mapping[str, Feature] | None = None,
    weights: Mapping[str, float] = WEIGHTS,
) -> tuple[Data, Floats]:
    """The items with the days on which they came and simulated purchases, 1 to ``purchases`` a shopper, on days of
    their own, by the ``weights`` of features and of ``extras``, by default look and colour; and the shoppers' θ."""
    rng = np.random.default_rng(seed)
    came = np.where(rng.random(data.items) < 0.5, 0, rng.integers(0, DAYS, data.items))  # half are there at first
    theta = rng.normal(DEFAULT.prior.mean, DEFAULT.prior.sd, shoppers)
    buyer = np.repeat(np.arange(shoppers), rng.integers(1, purchases + 1, shoppers))
    day = rng.integers(1, DAYS, len(buyer)).astype(float)
    order = np.argsort(day, kind="stable")
    buyer, day = buyer[order], day[order]
    extras = extras_of(data) if extras is None else extras
    item = np.zeros(len(buyer), np.int64)
    for today in np.unique(day).tolist():
        first, end = np.searchsorted(day, [today, today + 1])
        history = History(
            Events(buyer[:first], item[:first], day[:first]),
            data.items,
            category=data.category,
            extras=extras,
            offer_days=None,
        )
        rows = np.flatnonzero(came < today)
        for event in range(first, end):
            who = int(buyer[event])
            found = features(history, who, today, rows, DEFAULT.half_life, DEFAULT.prior)
            found["taste"] = (theta[who] - DEFAULT.prior.mean) * found["popularity"]
            utility: Floats = sum(weight * found[name] for name, weight in weights.items())  # type: ignore[assignment]
            item[event] = rows[np.argmax(utility + rng.gumbel(size=len(rows)))]
    return replace(data, events=Events(buyer, item, day), shoppers=shoppers, came=came.astype(float)), theta


def extras_of(data: Data) -> dict[str, Feature]:
    """Look and colour as features, where the items have photos."""
    return {
        name: likeness(vectors, scale.low, scale.high)
        for name, vectors, scale in zip(("look", "colour"), (data.looks, data.colours), data.scales, strict=True)
        if vectors is not None
    }


def with_theta(history: History, theta: Floats) -> Logit:
    """The weights as they are fitted where each shopper's θ is known and not estimated from her purchases before."""
    events = history.events
    sampled, offsets, sets = draw_sets(history, 0.0, 20_000, 100, np.random.default_rng(42))
    choices = read_choices(history, sampled, offsets, sets, DEFAULT.half_life, DEFAULT.prior).only(list(WEIGHTS))
    popularity, taste = (choices.names.index(name) for name in ("popularity", "taste"))
    above = theta[events.shopper[sampled]] - DEFAULT.prior.mean
    choices.x[:, :, taste] = above[:, None] * choices.x[:, :, popularity]
    return logit(choices.x, choices.offset)


def found_again(data: Data, shoppers: int, purchases: int, years: int) -> str:
    """How far from the truth the weights of so many simulated years lie, in standard errors, as Markdown."""
    away = np.zeros((years, 2, len(WEIGHTS)))
    for year in range(years):
        made, theta = orders(data, shoppers, purchases, seed=year + 1)
        history = History(made.events, made.items, category=made.category, since=made.came, extras=extras_of(made))
        found = fit(history, names=list(WEIGHTS), half_life=DEFAULT.half_life, prior=DEFAULT.prior)
        known = with_theta(history, theta)
        for place, (name, weight) in enumerate(WEIGHTS.items()):
            away[year, 0, place] = (found.model.weights[name] - weight) / found.errors[name]
            away[year, 1, place] = (known.weights[place] - weight) / known.errors[place]
    lines = [
        "| weight | mean distance | its spread | within two | mean, every θ known | its spread | within two |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, those in zip([*WEIGHTS, "all"], [*np.moveaxis(away, 2, 0), away.swapaxes(1, 2)], strict=True):
        cells = []
        for one in (those[:, 0], those[:, 1]) if name != "all" else (those[..., 0], those[..., 1]):
            error = one.mean(axis=tuple(range(1, one.ndim))).std(ddof=1) / years**0.5
            inside = np.abs(one) <= 2
            cells += [f"{one.mean():+.2f} ± {error:.2f}", f"{one.std():.2f}", f"{inside.sum()} of {inside.size}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def variety(data: Data, protocol: Protocol) -> str:
    """What variety costs: the shipped model's lists of 20 from its best 200 at the first cut, as Markdown."""
    part, model, top = parts(data, protocol)[0], Choice(shipped=True), AT[-1]
    model.fit(part.train, part.cut)
    found: dict[float, list[tuple[float, float, float]]] = {one: [] for one in VARIETIES}
    looks = np.zeros((data.items, 1), np.float32) if data.looks is None else data.looks
    for shopper, wanted, barred in zip(part.shoppers, part.wanted, part.barred, strict=True):
        scores, offer = model.scores(np.array([shopper]))[0], part.offer.copy()
        offer[barred] = False
        rows = np.flatnonzero(offer)
        rows = rows[np.argsort(-scores[rows], kind="stable")[: 10 * top]]
        seen = np.asarray(looks[rows].any(axis=1))
        alike = likeness_of(data.category[rows], looks[rows], seen, data.scales[0])
        for asked, points in found.items():
            order = list(islice(varied(scores[rows], alike, asked), top))
            places = np.flatnonzero(np.isin(rows[order], wanted))
            metrics = list_metrics(np.append(places, np.full(len(wanted) - len(places), data.items)))
            pairs = alike[np.ix_(order, order)][np.triu_indices(len(order), 1)]
            points.append((metrics["recall_at_20"], metrics["ndcg_at_20"], 100 * float(pairs.mean())))
    lines = ["| variety | Recall@20, % | nDCG@20, % | two items of a list are alike, % |", "| --- | --- | --- | --- |"]
    for asked, points in found.items():
        lines.append(f"| {asked:g} | " + " | ".join(f"{one:.1f}" for one in np.mean(points, axis=0)) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the weights found beside those given, the benchmark's tables, and what variety costs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shop", type=Path)
    parser.add_argument("--shoppers", type=int, default=800)
    parser.add_argument("--purchases", type=int, default=10)
    parser.add_argument("--cuts", type=int, default=3)
    parser.add_argument("--sample", type=int, default=1000)
    parser.add_argument("--years", type=int, default=0, help="only find the weights again, in so many years")
    parser.add_argument("--seed", type=int, default=42, help="of the simulated year")
    parser.add_argument("--only", nargs="+", help="judge these alone, by their names in the tables")
    parser.add_argument("--unknown", action="store_true", help="judge as if nobody knew when an item came")
    parser.add_argument("--out", type=Path, default=Path("/tmp/simulated"))  # noqa: S108
    asked = parser.parse_args()
    with Shop.open(asked.shop) as shop:
        empty = items_of(shop.snapshot(*shop.vectors.spaces()[:1]))
    if asked.years:
        print(found_again(empty, asked.shoppers, asked.purchases, asked.years))
        return
    data, theta = orders(empty, asked.shoppers, asked.purchases, asked.seed)
    history = History(data.events, data.items, category=data.category, since=data.came, extras=extras_of(data))
    found = fit(history, names=list(WEIGHTS), half_life=DEFAULT.half_life, prior=DEFAULT.prior)
    print(f"{len(data.events):,} purchases of {data.items:,} items by {asked.shoppers:,} shoppers")
    known = with_theta(history, theta)
    careless = History(data.events, data.items, category=data.category, extras=extras_of(data), offer_days=None)
    always = fit(careless, names=list(WEIGHTS), half_life=DEFAULT.half_life, prior=DEFAULT.prior)
    print("| weight | given | found | with every θ known | as if all had always been there |")
    print("| --- | --- | --- | --- | --- |")
    for place, (name, weight) in enumerate(WEIGHTS.items()):
        told, false = (f"{one.model.weights[name]:.2f} ± {one.errors[name]:.2f}" for one in (found, always))
        print(f"| {name} | {weight:.2f} | {told} | {known.weights[place]:.2f} ± {known.errors[place]:.2f} | {false} |")
    data = replace(data, came=None) if asked.unknown else data
    chosen = {name: one for name, one in recommenders(data).items() if not asked.only or name in asked.only}
    protocol = Protocol(cuts=asked.cuts, sample=asked.sample)
    print(benchmark(data, protocol, asked.out, chosen, title="Simulated orders").markdown)
    print(f"## What variety costs\n\n{variety(data, protocol)}")


if __name__ == "__main__":
    main()
