"""``shop.tunings``: weights learnt from a shop's own orders, under a name, with what speaks for them.

Nothing changes by learning them: a tuning is in use once someone says so (``Tunings.use``), and at most one is.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa
from pydantic import ConfigDict, TypeAdapter

from modiste.arrays import Floats, Ints
from modiste.behaviour.choice import (
    DEFAULT,
    ChoiceModel,
    Events,
    Feature,
    History,
    likeness,
    log_chances,
    price_fit,
    whose_fit,
)
from modiste.behaviour.tuning import FEWEST, Fit, draw_sets, fit
from modiste.catalog.values import identifier, utc_now
from modiste.errors import SettingError, UnknownIdError
from modiste.ranking.relevance import PRESETS
from modiste.shop import schema
from modiste.shop.moments import Moments
from modiste.shop.purchases import made_purchases
from modiste.shop.reports import Progress
from modiste.shop.rules import prices_of
from modiste.shop.snapshot import Snapshot
from modiste.shop.storage import Storage, frame
from modiste.shop.taste import EPOCH

JUDGED = 2_000
"""At most so many of the last weeks' purchases are judged."""


@dataclass(frozen=True)
class Gain:
    """The mean over purchases of a tuned model's value less the defaults', with its 95% interval over shoppers."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Tuning:
    """Weights under a name, and the evidence for them.

    ``errors``: standard errors by feature, NaN where nothing tells. ``choices``: how many purchases they were fitted
    to. ``likelihood`` and ``recall``: gains over the defaults in log-likelihood a purchase and recall@20 (%), on
    ``judged`` purchases of the last ``weeks``, of weights fitted without those weeks, both as :func:`served`.
    ``simulated``: whether any of the purchases was.
    """

    name: str
    made: datetime
    model: ChoiceModel
    errors: Mapping[str, float]
    prior_errors: tuple[float, float]
    choices: int
    judged: int
    weeks: float
    likelihood: Gain
    recall: Gain
    simulated: bool
    used: bool = False
    __pydantic_config__ = ConfigDict(ser_json_inf_nan="strings")  # JSON has no NaN

    def as_json(self) -> str:
        """All of it but its name, when it was made, and whether it is used."""
        return _KEPT.dump_json(self, exclude={"name", "made", "used"}).decode()

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Tuning":
        """From a row of the table."""
        told = {name: row[name] for name in ("name", "made", "used")}
        return _KEPT.validate_python(json.loads(row["content"]) | told)


_KEPT = TypeAdapter(Tuning)


class Tunings:
    """A shop's tunings."""

    def __init__(self, storage: Storage, moments: Moments) -> None:
        self._storage, self._moments = storage, moments

    def all(self) -> list[Tuning]:
        """By name."""
        return [Tuning.of(row) for row in self._storage.rows(sa.select(schema.tunings).order_by(schema.tunings.c.name))]

    def used(self) -> Tuning | None:
        """The one in use; None: the defaults are."""
        row = self._storage.row(sa.select(schema.tunings).where(schema.tunings.c.used))
        return None if row is None else Tuning.of(row)

    def use(self, name: str | None) -> None:
        """Use the tuning ``name`` from now on, or with None the defaults again. Raises UnknownIdError."""
        table = schema.tunings
        with self._storage.writing() as writing:
            writing.execute(table.update().values(used=False))
            if (
                name is not None
                and not writing.execute(table.update().where(table.c.name == name).values(used=True)).rowcount
            ):
                raise UnknownIdError(f"no tuning {name!r} in {self._storage.path.name}")

    def learn(self, name: str = "own", weeks: float = 8.0, seed: int = 42, progress: Progress | None = None) -> Tuning:
        """Learn weights, half-life and prior from the shop's purchases, and keep them under ``name``.

        They are judged on the last ``weeks`` by a fit that has not seen these, and then fitted to all. One of that name
        is replaced, and goes out of use. Raises SettingError where there are too few purchases to learn from or to
        judge by.
        """
        identifier(name, "name")
        history, simulated = self._history()
        events = history.events
        cut = float(events.day[-1]) + 1 - 7 * weeks if len(events) else 0.0
        early = int(np.searchsorted(events.day, cut))
        if early < FEWEST or len(events) - early < FEWEST // 4:
            raise SettingError(
                f"{self._storage.path.name} has {early} purchases before its last {weeks:g} weeks and "
                f"{len(events) - early} in them; learning needs {FEWEST} and judging {FEWEST // 4}: the defaults stay"
            )
        before = fit(history, until=cut, seed=seed, progress=progress)
        likelihood, recall, judged = _judge(history, before, cut, seed)
        found = fit(history, seed=seed, progress=progress)
        made = Tuning(
            name,
            utc_now(),
            found.model,
            found.errors,
            found.prior_errors,
            len(found.choices.x),
            judged,
            weeks,
            likelihood,
            recall,
            simulated,
        )
        with self._storage.writing() as writing:
            writing.execute(schema.tunings.delete().where(schema.tunings.c.name == name))
            row = {"name": name, "made": made.made, "used": False, "content": made.as_json()}
            writing.execute(schema.tunings.insert(), [row])
        return made

    def _history(self) -> tuple[History, bool]:
        """All purchases with what is known of the items, and whether any was simulated."""
        items = schema.items.c
        with self._moments.now(None) as (snapshot, connection):
            things = frame(
                connection,
                sa.select(items.item_id, items.category, items.popularity, items.came).order_by(items.item_id),
            )
            rows = frame(connection, made_purchases())
        number = things.select("item_id").with_row_index("item")
        joined = rows.join(number, on="item_id", maintain_order="left")
        day = joined["at"].dt.date().cast(pl.Int32).to_numpy().astype(np.float64)
        shopper = joined["shopper_id"].rank("dense").to_numpy().astype(np.int64) - 1
        history = History(
            Events(shopper, joined["item"].to_numpy().astype(np.int64), day),
            len(things),
            category=_codes(things["category"]),
            start=things["popularity"].fill_null(0.0).cast(pl.Float64).to_numpy(),
            since=(things["came"].cast(pl.Float64) - EPOCH.toordinal()).fill_null(np.nan).to_numpy(),
            extras=_extras(snapshot, [snapshot.row(one) for one in things["item_id"]]),
        )
        return history, bool(rows["simulated"].any())


def served(model: ChoiceModel) -> ChoiceModel:
    """The model as lists are made by it: look and colour weigh what they are asked for, and nothing else counts that
    is not among the defaults, nor what is a term of at least 0 there and was learnt to be below."""
    told = {name: weight for name, weight in model.weights.items() if name in DEFAULT.weights}
    told |= {name: max(told[name], 0.0) for name in ("category", "together", "price", "other") if name in told}
    return replace(model, weights={**told, "look": PRESETS["balanced"].alpha, "colour": PRESETS["balanced"].colour})


def _extras(snapshot: Snapshot, rows: list[int]) -> dict[str, Feature]:
    """The features beyond purchases that the items' records and photos allow, as lists are made by them."""
    extras: dict[str, Feature] = {}
    gender, children, price = snapshot.column("gender")[rows], snapshot.column("children")[rows], prices_of(snapshot)
    if len(np.unique(gender[gender > 0] % 2)) > 1 or len(np.unique(children)) > 1:
        extras["other"] = whose_fit(gender, children)
    if not np.isnan(price[rows]).all():
        extras["price"] = price_fit(price[rows])
    if snapshot.spaces:
        matrix = snapshot.matrix()
        vectors, look = np.where(matrix.has[rows, None], matrix.vectors[rows], 0), matrix.looks.shape[1]
        extras["look"] = likeness(vectors[:, :look], *matrix.scales[0])
        if matrix.colour_dim:
            extras["colour"] = likeness(vectors[:, look:], *matrix.scales[1])
    return extras


def _codes(words: pl.Series) -> Ints:
    """Numbers for words, −1 for none."""
    codes: Ints = words.rank("dense").cast(pl.Int64).fill_null(0).to_numpy() - 1
    return codes


def _judge(history: History, fitted: Fit, cut: float, seed: int) -> tuple[Gain, Gain, int]:
    """Gains over the defaults in log-likelihood and in recall@20 (%), on purchases from the day ``cut`` on."""
    events = history.events
    rng = np.random.default_rng(seed)
    purchases, _, _ = draw_sets(history, cut, JUDGED, 1, rng)
    gains = np.zeros((len(purchases), 2))
    for number, event in enumerate(purchases.tolist()):
        day, who = float(events.day[event]), events.shopper[event : event + 1]
        offer = history.moment(day, fitted.model.half_life).offer
        place = int(np.searchsorted(offer, events.item[event]))
        models = served(DEFAULT), served(fitted.model)
        both = np.concatenate([model.utilities(history, who, day, offer) for model in models])
        hit = (both > both[:, place : place + 1]).sum(axis=1) < 20
        gains[number] = np.diff(log_chances(both)[:, place])[0], 100.0 * (int(hit[1]) - int(hit[0]))
    people = np.unique(events.shopper[purchases], return_inverse=True)[1]
    return _gain(gains[:, 0], people, rng), _gain(gains[:, 1], people, rng), len(purchases)


def _gain(values: Floats, people: Ints, rng: np.random.Generator, draws: int = 1_000) -> Gain:
    """The mean with its interval, bootstrapped over people, int64 (m,) from 0 on."""
    if not len(values):
        return Gain(0.0, 0.0, 0.0)
    total, many = np.bincount(people, values), np.bincount(people)
    drawn = rng.multinomial(len(many), np.full(len(many), 1 / len(many)), draws)
    low, high = np.percentile((drawn @ total) / (drawn @ many), [2.5, 97.5])
    return Gain(float(values.mean()), float(low), float(high))
