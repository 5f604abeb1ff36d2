"""Rules put to one moment of the shop: which items each is about, and what it does to a list.

Hidden items are no candidates, and a boost is a term of the relevance: so the Top-K stays that of the whole formula,
exactly. What depends on the list itself (pins, limits, variety) is decided by walking down that list, which is
asked to be longer until enough has been found.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modiste.arrays import Array, Bools, Floats, Ints, Singles
from modiste.behaviour.choice import log_prices
from modiste.errors import SettingError
from modiste.ranking.relevance import Scale
from modiste.rules import NUMBERS, TEXTS, Condition, Rule, near, number
from modiste.shop.recommendations import Recommendation
from modiste.shop.snapshot import FIELDS, Snapshot

_MOST_RULINGS = 64  # that a moment remembers
_READ = {"brand", "colour", "size", "view", "age_group", "currency", "gender", "product"}
_PLACES = {name: FIELDS.index(name) for name in (*sorted(_READ), "sale_price", "stock", "attributes")}


@dataclass(frozen=True, eq=False)
class Facts:
    """What the items' records say, by row: of each text which of its ``words`` it is, int32 (n,), -1 for none, and the
    numbers ``sale_price`` and ``stock``, float64 (n,), NaN for none. Read once; a later moment's are made from them.
    """

    records: Sequence[str]
    changed: Mapping[int, Mapping[str, Any]]
    codes: dict[str, Array]
    words: dict[str, dict[str, int]]
    numbers: dict[str, Floats]

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Facts":
        """Those of a moment."""
        known: Facts | None = snapshot.kept.get("facts")
        n, changed = snapshot.rows, snapshot.changed
        if known is not None and known.records is snapshot.records and known.changed is changed:
            return known
        if known is not None and known.records is snapshot.records and len(known.numbers["stock"]) <= n:
            start = len(known.numbers["stock"])
            rows = [row for row, one in changed.items() if known.changed.get(row) is not one or row >= start]
            room = n - start
            codes = {name: np.append(one, np.full(room, -1, np.int32)) for name, one in known.codes.items()}
            numbers = {name: np.append(one, np.full(room, np.nan)) for name, one in known.numbers.items()}
            made = cls(
                snapshot.records, changed, codes, {name: dict(one) for name, one in known.words.items()}, numbers
            )
        else:
            rows = list(range(n))
            numbers = {name: np.full(n, np.nan) for name in ("sale_price", "stock")}
            made = cls(snapshot.records, changed, {}, {}, numbers)
        made._read(rows, n)
        snapshot.kept["facts"] = made
        return made

    def _read(self, rows: Iterable[int], n: int) -> None:
        for row in rows:
            record = self.changed.get(row)
            if record is None:
                told = json.loads(self.records[row])
                said = {name: told[place] for name, place in _PLACES.items()}
            else:
                said = {name: record[name] for name in _PLACES}
            attributes = json.loads(said.pop("attributes") or "{}")
            for name, values in self.numbers.items():
                value = said.pop(name)
                values[row] = np.nan if value is None else value
            for name in self.codes:
                if name not in said and name not in attributes:
                    self.codes[name][row] = -1
            for name, word in (attributes | said).items():  # the items' own fields come before attributes of that name
                if name not in self.codes:
                    self.codes[name], self.words[name] = np.full(n, -1, np.int32), {}
                words = self.words[name]
                self.codes[name][row] = -1 if word is None else words.setdefault(word, len(words))

    def number_of(self, name: str) -> Floats:
        """The number that an attribute's text is, float64 (n,), NaN where it is none."""
        values = [number(word) for word in self.words[name]]
        return np.array([*(np.nan if one is None else one for one in values), np.nan])[self.codes[name]]


@dataclass(frozen=True, eq=False)
class Ruling:
    """Rules in force at one moment, with bool (n,) of which rows each is about.

    ``hidden`` bool (n,) are those that nobody is shown, ``boost`` float64 (n,) what is added to each one's relevance;
    None where no rule says so.
    """

    rules: tuple[Rule, ...]
    about: tuple[Bools, ...]
    beside: tuple[Bools, ...]
    hidden: Bools | None
    boost: Floats | None

    @classmethod
    def of(cls, snapshot: Snapshot, rules: tuple[Rule, ...]) -> "Ruling":
        """What ``rules`` come to. A condition on what no item has any more is met by none."""
        known: Ruling | None = snapshot.derived.get(rules)
        if known is None:
            if len(snapshot.derived) >= _MOST_RULINGS:
                snapshot.derived.clear()
            known = snapshot.derived[rules] = cls._made(snapshot, rules)
        return known

    @property
    def arranges(self) -> bool:
        """Whether a rule depends on what else is in the list."""
        return any(one.do in ("pin", "limit") for one in self.rules)

    @classmethod
    def _made(cls, snapshot: Snapshot, rules: tuple[Rule, ...]) -> "Ruling":
        about = tuple(about_rows(snapshot, one) for one in rules)
        beside = tuple(meeting(snapshot, one.beside) if one.beside else np.zeros(0, bool) for one in rules)
        hidden, boost = None, None
        for rule, rows in zip(rules, about, strict=True):
            if rule.do == "hide":
                hidden = rows if hidden is None else hidden | rows
            if rule.do in ("boost", "bury") and rule.by:
                boost = np.zeros(snapshot.rows) if boost is None else boost
                boost[rows] += np.log(rule.by) * (1 if rule.do == "boost" else -1)
        return cls(rules, about, beside, hidden, boost)

    def apart(self, rows: Ints) -> tuple[int, ...]:
        """Which rules (of the kind together) a list that is made from the items ``rows`` doesn't meet."""
        return tuple(
            which
            for which, rule in enumerate(self.rules)
            if rule.do == "together" and not self.beside[which][rows[rows >= 0]].any()
        )

    def barred(self, apart: Iterable[int]) -> Bools | None:
        """bool (n,): what may not be shown, where the rules ``apart`` aren't met either; None: everything may."""
        barred = self.hidden
        for which in apart:
            barred = self.about[which] if barred is None else barred | self.about[which]
        return barred

    def told(
        self, alive: Bools, apart: Sequence[int], passed: Mapping[int, int], found: Sequence[Recommendation]
    ) -> list[str]:
        """What each rule did to the list ``found``, in a sentence; ``passed``: how many each limit passed over."""
        said = []
        for which, (rule, about) in enumerate(zip(self.rules, self.about, strict=True)):
            counted = int(np.count_nonzero(about & alive))
            pinned = [place for place, one in enumerate(found, 1) if f"pinned by rule “{rule.name}”" in one.rules]
            what = {
                "pin": f"pinned {', '.join(f'place {place}' for place in pinned) or 'nothing here'}",
                "boost": f"boosted {_items(counted)}",
                "bury": f"buried {_items(counted)}",
                "hide": f"hid {_items(counted)}",
                "limit": f"passed over {_items(passed.get(which, 0))}",
                "together": f"kept back {_items(counted)}" if which in apart else "kept nothing back",
            }[rule.do]
            said.append(f"rule “{rule.name}” {what}")
        return said

    def said_of(self, row: int) -> list[str]:
        """What boosts and buries the item in ``row``."""
        return [
            f"{'boosted' if rule.do == 'boost' else 'buried'} by rule “{rule.name}”"
            for rule, rows in zip(self.rules, self.about, strict=True)
            if rule.do in ("boost", "bury") and rows[row]
        ]


def _items(count: int) -> str:
    return "1 item" if count == 1 else f"{count} items" if count else "nothing"


def about_rows(snapshot: Snapshot, rule: Rule) -> Bools:
    """Which rows a rule is about, bool (n,). Items that the shop has no more are about nothing."""
    if rule.items:
        rows = np.zeros(snapshot.rows, bool)
        rows[[row for one in rule.items if (row := snapshot.find(one)) >= 0]] = True
        return rows
    return meeting(snapshot, rule.where)


def meeting(snapshot: Snapshot, conditions: Sequence[str]) -> Bools:
    """Which rows meet all ``conditions``, bool (n,); those on what no item has are met by none."""
    met = np.ones(snapshot.rows, bool)
    for text in conditions:
        met &= _met(snapshot, Condition.of(text))
    return met


def _met(snapshot: Snapshot, wanted: Condition) -> Bools:
    name = _meant(snapshot, wanted.field)
    if name is None:
        return np.zeros(snapshot.rows, bool)
    if wanted.sign[0] in "<>":
        limit, values = number(wanted.values[0]) or 0.0, _numbers(snapshot, name)
        compare = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}[wanted.sign]
        met: Bools = compare(values, limit)  # false for NaN
        return met
    is_one = np.zeros(snapshot.rows, bool)
    if name in NUMBERS:
        values = _numbers(snapshot, name)
        for said in wanted.values:
            is_one |= values == number(said)
    elif name == "item":
        is_one[[row for said in wanted.values if (row := snapshot.find(said)) >= 0]] = True
    else:
        codes, words = codes_of(snapshot, name)
        asked = {one.casefold() for one in wanted.values}
        if name == "category":
            asked |= {(snapshot.taxonomy.canonical(one) or one).casefold() for one in wanted.values}
        hit = np.array([*(one.casefold() in asked for one in words), False])
        is_one = hit[codes]
    return ~is_one if wanted.sign == "!=" else is_one


def field_named(snapshot: Snapshot, word: str) -> str:
    """The text, number or attribute that ``word`` names, whatever its case. Raises SettingError with the nearest."""
    if (found := _meant(snapshot, word)) is None:
        raise SettingError(f"no item has a {word!r}{near(word, known_fields(snapshot))}")
    return found


def _meant(snapshot: Snapshot, word: str) -> str | None:
    known = known_fields(snapshot)
    if word in known:
        return word
    folded = {one.casefold(): one for one in reversed(known)}
    return folded.get(word.casefold()) or folded.get(word.casefold().replace(" ", "_"))


def known_fields(snapshot: Snapshot) -> list[str]:
    """What a condition may name: TEXTS, NUMBERS and the items' attributes."""
    return list(dict.fromkeys([*TEXTS, *NUMBERS, *Facts.of(snapshot).words]))


def codes_of(snapshot: Snapshot, name: str) -> tuple[Array, Sequence[str]]:
    """A text by row: which of the words it is, integers (n,), -1 for none; and the words."""
    if name == "category":
        return snapshot.column("category"), snapshot.categories
    if name == "store":
        return snapshot.column("store"), snapshot.store_ids
    facts = Facts.of(snapshot)
    if name not in facts.codes:
        return np.full(snapshot.rows, -1, np.int32), []
    return facts.codes[name], list(facts.words[name])


def _numbers(snapshot: Snapshot, name: str) -> Floats:
    """A number by row, float64 (n,), NaN where it is not known."""
    facts = Facts.of(snapshot)
    if name == "price":
        return snapshot.column("price")
    if name == "newness":
        selling = snapshot.selling()
        return np.where(selling.came > 0, (selling.today - selling.came).astype(np.float64), np.nan)
    if name in facts.numbers:
        return facts.numbers[name]
    if name == "margin":
        given = facts.number_of("margin") if "margin" in facts.codes else np.full(snapshot.rows, np.nan)
        if "cost" in facts.codes:
            with np.errstate(invalid="ignore", divide="ignore"):
                worked_out = 100 * (1 - facts.number_of("cost") / snapshot.column("price"))
            given = np.where(np.isnan(given), worked_out, given)
        return given
    if name in facts.codes:
        return facts.number_of(name)
    return np.full(snapshot.rows, np.nan)


def prices_of(snapshot: Snapshot) -> Floats:
    """What each row costs now, the sale price where there is one, float64 (n,) as ``log_prices`` has it."""
    facts, known = Facts.of(snapshot), snapshot.kept.get("prices")
    if known is None or known[0] is not facts:
        sale, (currency, _) = facts.numbers["sale_price"], codes_of(snapshot, "currency")
        price = np.where(np.isnan(sale), snapshot.column("price"), sale)
        known = snapshot.kept["prices"] = facts, log_prices(price, currency)
    prices: Floats = known[1]
    return prices


def check(snapshot: Snapshot, rules: Sequence[Rule]) -> None:
    """Raise SettingError, naming the rule, for items that the shop doesn't have and words that no item has."""
    for rule in rules:
        try:
            for one in rule.items:
                _check_item(snapshot, one)
            if rule.of is not None:
                name = field_named(snapshot, rule.of)
                if name in NUMBERS or name == "item":
                    raise SettingError(f"{name} is not what items share; limit them by brand, category or another text")
            for text in (*rule.where, *rule.beside):
                _check_words(snapshot, Condition.of(text))
        except SettingError as error:
            raise SettingError(f"rule {rule.name!r}: {error}") from None


def _check_words(snapshot: Snapshot, wanted: Condition) -> None:
    name = field_named(snapshot, wanted.field)
    if wanted.sign[0] in "<>" or name in NUMBERS:
        if np.isnan(_numbers(snapshot, name)).all():
            hint = ": give items the attribute margin, or cost" if name == "margin" else ""
            raise SettingError(f"no item has a number for {name}{hint}")
        if None in map(number, wanted.values):
            raise SettingError(f"{name} is a number, not {wanted.values[0]!r}")
        return
    for said in wanted.values:
        if name == "item":
            _check_item(snapshot, said)
            continue
        _, words = codes_of(snapshot, name)
        folded = {one.casefold() for one in words}
        meant = (snapshot.taxonomy.canonical(said) or said) if name == "category" else said
        if not {said.casefold(), meant.casefold()} & folded:
            raise SettingError(f"no item has the {name} {said!r}{near(said, list(words))}")


def _check_item(snapshot: Snapshot, item_id: str) -> None:
    """Raise SettingError for an id that the shop doesn't have, with the nearest of those that stand near it."""
    if snapshot.find(item_id) >= 0:
        return
    place = snapshot.place(item_id)
    around = snapshot.order[max(place - 200, 0) : place + 200].tolist()
    alive = snapshot.column("alive")
    there = [snapshot.item_ids[row] for row in around if alive[row]]
    raise SettingError(f"no item {item_id!r} in {snapshot.name}{near(item_id, there)}")


class Walk:
    """One list being filled from the top: never a product or a picture twice, nor those of the rows ``had``, and no
    more of anything than the limits allow. Only pictures that gave a vector count, ``pictured`` bool (rows,)."""

    def __init__(self, snapshot: Snapshot, ruling: Ruling | None, pictured: Bools, had: Iterable[int]) -> None:
        self._product, self._picture, self._pictured = snapshot.column("product"), snapshot.column("picture"), pictured
        self._shown: set[int] = set().union(*map(self._marks, had))
        self._limits: list[tuple[int, int, Bools, Array | None, dict[int, int]]] = []
        self.passed: dict[int, int] = {}
        for place, rule in enumerate(ruling.rules if ruling else ()):
            if rule.do == "limit" and rule.most and ruling:
                codes = None if rule.of is None else codes_of(snapshot, _meant(snapshot, rule.of) or rule.of)[0]
                self._limits.append((place, rule.most, ruling.about[place], codes, {}))

    def has(self, row: int) -> bool:
        """Whether the product of the item in ``row``, or its picture, stands in the list."""
        return not self._shown.isdisjoint(self._marks(row))

    def _marks(self, row: int) -> set[int]:
        picture = int(self._picture[row]) if self._pictured[row] else 0
        return {int(self._product[row]), picture} if picture else {int(self._product[row])}

    def fits(self, row: int) -> bool:
        """Whether the item in ``row`` may come next; counts for each limit what it passed over."""
        if self.has(row):
            return False
        for place, most, about, codes, counts in self._limits:
            kind = 0 if codes is None else int(codes[row])
            if about[row] and kind >= 0 and counts.get(kind, 0) >= most:
                self.passed[place] = self.passed.get(place, 0) + 1
                return False
        return True

    def take(self, row: int) -> None:
        """The item in ``row`` stands in the list."""
        self._shown |= self._marks(row)
        for _, _, about, codes, counts in self._limits:
            kind = 0 if codes is None else int(codes[row])
            if about[row] and kind >= 0:
                counts[kind] = counts.get(kind, 0) + 1


def likeness(category: Array, look: Singles, seen: Bools, scale: Scale) -> Floats:
    """How much items are alike, float64 (m, m) in [0, 1]: by half as far as they look alike, by half where they are of
    one category; where one has not been ``seen``, by the category alone.

    ``category`` int (m,), -1: none; ``look`` float32 (m, d), ``seen`` bool (m,) tells who has one.
    """
    alike: Floats = ((category[:, None] == category) & (category >= 0)).astype(np.float64)
    cosines = (look @ look.T - scale.low) / (scale.high - scale.low)
    return np.where(seen[:, None] & seen, (alike + np.clip(cosines, 0.0, 1.0)) / 2, alike)


def varied(relevance: Floats, alike: Floats, variety: float) -> Iterator[int]:
    """The places of a list in an order in which each differs from those before it.

    Next comes what has the highest relevance, on a scale from 0 for the last of the list to 1 for its first, less
    ``variety`` times how much it is ``alike``, float64 (m, m) in [0, 1], the most similar one before it.
    """
    width = float(relevance.max() - relevance.min())
    worth = (relevance - relevance.min()) / width if width else np.ones(len(relevance))
    nearest = np.zeros(len(relevance))
    left = np.ones(len(relevance), bool)
    for _ in relevance:
        scores = np.where(left, np.round(worth - variety * nearest, 12), -np.inf)
        place = int(np.argmax(scores))  # of equals the one that stood higher
        left[place] = False
        nearest = np.maximum(nearest, alike[place])
        yield place
