"""``shop.ab``: A/B tests of two scenarios on a placement, and interleaving; who sees which, and how they stand."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import polars as pl
import sqlalchemy as sa

from modiste.behaviour.ab import (
    Arm,
    Guards,
    Verdict,
    preferences_needed,
    preferred,
    sample_size,
    share_of,
    variant_of,
    verdict,
)
from modiste.behaviour.interleaving import team_draft
from modiste.catalog.values import utc_now
from modiste.errors import SettingError, StorageError, UnknownIdError
from modiste.shop import schema
from modiste.shop.moments import may_stand_in
from modiste.shop.recommendations import Recommendations
from modiste.shop.scenarios import Scenarios
from modiste.shop.storage import Storage
from modiste.shop.storefront import STEPS, WINDOW, Served, Storefront

LIFT = 0.1
"""The change that a test is planned to find, where nobody says another."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
_DID = {"clicked": "clicked", "cart": "put something of the list into the cart", "bought": "bought from the list"}


@dataclass(frozen=True)
class Experiment:
    """A test of scenario ``b`` against ``a`` on a placement.

    ``counts`` is what a shopper must do, one of STEPS, within ``days`` of the first list she saw. ``planned`` shoppers
    find a change of the ``rate`` who do it by the ``lift`` (relative). ``interleaved``: both lists in one; ``rate`` is
    None, and ``lift`` how many more prefer the better one. ``stopped`` is None while it runs; times are UTC.
    """

    name: str
    placement: str
    a: str
    b: str
    started: datetime
    stopped: datetime | None = None
    counts: str = "bought"
    days: float = WINDOW
    rate: float | None = None
    lift: float = LIFT
    planned: int = 0
    interleaved: bool = False


@dataclass(frozen=True)
class Standing:
    """How a test stands. ``a`` and ``b`` are those who may be counted: seen no more than one variant, and long enough
    ago; of interleaved lists those who preferred one, all of them hits.

    ``waiting`` saw their first list too lately, ``both`` saw both variants (as an anonymous visitor and by name).
    ``days_left`` is how long it takes at this pace until as many are counted as were planned; None: not known.
    """

    experiment: Experiment
    verdict: Verdict
    a: Arm
    b: Arm
    waiting: int
    both: int
    days_left: float | None


class AB:
    """A shop's A/B tests."""

    def __init__(self, storage: Storage, storefront: Storefront, scenarios: Scenarios) -> None:
        self._storage, self._storefront, self._scenarios = storage, storefront, scenarios
        self._running: dict[str, Experiment] = {}  # as they were when somebody last asked

    # What there is

    def all(self) -> list[Experiment]:
        """All tests, the latest first."""
        table = schema.experiments
        return [_experiment(row) for row in self._storage.rows(sa.select(table).order_by(table.c.started.desc()))]

    def __getitem__(self, name: str) -> Experiment:
        """One test. Raises UnknownIdError."""
        row = self._storage.row(sa.select(schema.experiments).where(schema.experiments.c.name == name))
        if row is None:
            there = ", ".join(one.name for one in self.all()) or "none"
            raise UnknownIdError(f"no A/B test {name!r} in {self._storage.path.name}; there are: {there}")
        return _experiment(row)

    # Starting and stopping

    def start(
        self,
        name: str,
        a: str,
        b: str,
        *,
        placement: str | None = None,
        counts: str = "bought",
        days: float = WINDOW,
        rate: float | None = None,
        lift: float = LIFT,
        interleaved: bool = False,
    ) -> Experiment:
        """Start a test: from now on who asks for the ``placement`` (by default ``a``) sees one scenario or the other.

        ``rate``: the share of shoppers who do what ``counts`` says now; by default as measured on the placement in
        the last 28 days. Raises SettingError for a name or number that can't be, where another test runs on
        the placement, and where the rate must be given;
        UnknownIdError for a scenario that isn't there.
        """
        place, now = placement or a, utc_now()
        if not _NAME.fullmatch(name):
            raise SettingError(f"a test is called by small letters, digits and -, such as winter-2; not {name!r}")
        if a == b or counts not in STEPS or not 0 < days <= 90:
            raise SettingError(f"a test compares two scenarios, counts one of {', '.join(STEPS)}, within 1 to 90 days")
        for scenario in (a, b):
            _ = self._scenarios[scenario]
        if interleaved:
            counts, rate, planned = "clicked", None, preferences_needed(lift)
        else:
            rate = self._measured(place, counts, days) if rate is None else rate
            planned = sample_size(rate, lift)
        made = Experiment(name, place, a, b, now, None, counts, days, rate, lift, planned, interleaved)
        said = {
            key: value for key, value in asdict(made).items() if key not in ("name", "placement", "started", "stopped")
        }
        row = {"name": name, "placement": place, "content": json.dumps(said), "started": now, "stopped": None}
        table = schema.experiments
        with self._storage.writing() as writing:
            others = writing.execute(sa.select(table.c.name, table.c.placement, table.c.stopped)).all()
            if any(one.name == name for one in others):
                raise SettingError(
                    f"there was a test {name!r} already; its shoppers know both sides: call it otherwise"
                )
            if running := [one.name for one in others if one.stopped is None and one.placement == place]:
                raise SettingError(f"{running[0]} runs on {place}; stop it first: modiste ab stop SHOP {running[0]}")
            writing.execute(table.insert(), [row])
        return made

    def stop(self, name: str) -> Standing:
        """Stop a test: all see what they ask for again; how it stands. Raises UnknownIdError."""
        table = schema.experiments
        with self._storage.writing() as writing:
            wanted = (table.c.name == name) & table.c.stopped.is_(None)
            writing.execute(table.update().where(wanted).values(stopped=utc_now()))
        return self.report(name)

    def _measured(self, placement: str, counts: str, days: float) -> float:
        rows = self._storefront.outcomes(utc_now() - timedelta(days=28), days=days).filter(placement=placement)
        people = rows.group_by("person").agg(pl.col(counts).any())
        if not people.height or not 0 < (rate := float(people[counts].mean())) < 1:  # type: ignore[arg-type]
            raise SettingError(
                f"nobody who {_DID[counts]} is known on {placement} yet; say what share does: --rate 0.02"
            )
        return rate

    # Serving

    def running(self, placement: str) -> Experiment | None:
        """The test that runs on a placement; where the database is away and that is allowed, the one that ran last."""
        try:
            rows = self._storage.rows(sa.select(schema.experiments).where(schema.experiments.c.stopped.is_(None)))
            self._running = {one.placement: one for one in map(_experiment, rows)}
        except StorageError as error:
            if not may_stand_in(error):
                raise
        return self._running.get(placement)

    def serve(
        self,
        placement: str,
        scenario: str | None,
        who: str | None,
        recommend: Callable[[str | None], Recommendations],
    ) -> tuple[Recommendations, Served]:
        """The list for a placement, and what its id is to say: by the ``scenario``, or in a test by the one that
        ``who`` sees. ``recommend`` makes a scenario's list. Whom nobody can tell from others sees ``a``, uncounted.
        """
        test, now = self.running(placement), utc_now()
        if test is None or who is None:
            scenario = scenario if test is None else test.a
            found = recommend(scenario)
            return found, Served(placement, scenario, tuple(one.item_id for one in found), now, who)
        if not test.interleaved:
            variant = variant_of(test.name, who)
            scenario = test.a if variant == "a" else test.b
            found = recommend(scenario)
            ids = tuple(one.item_id for one in found)
            return found, Served(placement, scenario, ids, now, who, test.name, variant, None, 0.5)
        lists = {"a": recommend(test.a), "b": recommend(test.b)}
        by = {side: {str(one.item.get("product", one.item_id)): one for one in many} for side, many in lists.items()}
        rng = Random(share_of(test.name, f"{who} {now:%Y-%m-%d %H}"))  # the same list when she comes back to it
        drafted, teams = team_draft([*by["a"]], [*by["b"]], max(map(len, by.values())), rng)
        found = Recommendations(by[team][one] for one, team in zip(drafted, teams, strict=True))
        ids = tuple(one.item_id for one in found)
        return found, Served(placement, None, ids, now, who, test.name, "ab", teams)

    # How it stands

    def report(self, name: str, now: datetime | None = None) -> Standing:
        """How a test stands; ask every day, it makes no more false alarms. Raises UnknownIdError."""
        test, now = self[name], now or utc_now()
        rows = self._storefront.outcomes(test.started, test.stopped, days=test.days, experiment=name)
        if test.interleaved:
            picks = rows.group_by("person").agg(pl.col("picks").sum())["picks"]
            wins = [int((picks < 0).sum()), int((picks > 0).sum())]
            told = preferred(wins[0], wins[1], test.planned)
            return Standing(test, told, Arm(wins[0], wins[0]), Arm(wins[1], wins[1]), 0, 0, _left(test, sum(wins), now))
        window = pl.duration(days=test.days)
        people = (
            rows.with_columns(first=pl.col("seen").min().over("person"))
            .group_by("person")
            .agg(
                pl.col("first").first(),
                pl.col("variant").n_unique().alias("variants"),
                pl.col("variant").first(),
                (pl.col(f"{test.counts}_at") <= pl.col("first") + window).any().alias("hit"),
            )
        )
        once = people.filter(pl.col("variants") == 1)
        ripe = once.filter(pl.col("first") + window <= now)
        sides = [ripe.filter(variant=side) for side in ("a", "b")]
        a, b = (Arm(side.height, int(side["hit"].sum())) for side in sides)
        smallest = abs((test.rate or 0.0) * test.lift)
        told = verdict(a, b, test.planned, smallest, _DID[test.counts], _guards(rows))
        waiting, both = once.height - ripe.height, people.height - once.height
        return Standing(test, told, a, b, waiting, both, _left(test, a.shoppers + b.shoppers, now))


def _guards(rows: pl.DataFrame) -> Guards:
    """What came back of what was bought, and how many different items as many lists of each variant showed."""
    sides = [rows.filter(variant=side) for side in ("a", "b")]
    many = min(side.height for side in sides)
    covered = [len({item for shown in side["shown"].head(many) for item in json.loads(shown)}) for side in sides]
    returns = [Arm(int(side["pieces"].sum()), int(side["returned"].sum())) for side in sides]
    return Guards(returns[0], returns[1], covered[0], covered[1])


def _left(test: Experiment, counted: int, now: datetime) -> float | None:
    """Days until as many are counted as were planned, at this pace."""
    ran = (now - test.started) / timedelta(days=1) - (0 if test.interleaved else test.days)
    if test.stopped is not None or not counted or ran <= 0:
        return None
    return max(0.0, (test.planned - counted) * ran / counted)


def _experiment(row: Any) -> Experiment:
    plain = Experiment(row["name"], row["placement"], "", "", row["started"], row["stopped"])
    return replace(plain, **json.loads(row["content"]))
