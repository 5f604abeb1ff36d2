"""What shoppers did, from a shop's table of orders or log of events."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from modiste.catalog.columns import NOTHING, POINTED, Columns, Layout, Lost, Understood, known, shortened, without_point
from modiste.catalog.items import Rejected
from modiste.catalog.tables import open_table
from modiste.catalog.values import identifier, kind_of, moment, nearest_kind, numeric_day, stock
from modiste.errors import SettingError, SourceError

KINDS = ("view", "cart", "purchase", "return", "cancel")
"""What a shopper can do with an item. A return or a cancellation takes a purchase back."""


@dataclass(frozen=True, slots=True)
class Event:
    """What one shopper did with one item at a time (UTC, without a zone).

    Events of several items under one ``order_id`` are the lines of one order. ``line`` is the shop's own key of the
    order's line, where it gives one. ``quantity`` is 1 or more.
    """

    shopper_id: str
    item_id: str
    at: datetime
    kind: str = "purchase"
    quantity: int = 1
    order_id: str | None = None
    line: str | None = None


@dataclass(frozen=True)
class Events:
    """What a table of orders or events holds, in its order, and what was not taken.

    ``rows`` is how many rows were taken: one whose status says that its order was returned or cancelled is a purchase
    and what took it back, under the same order and line.
    """

    events: list[Event]
    rejected: list[Rejected]
    rows: int
    understood: Understood


def read_events(
    file: Path, known_items: Collection[str], mapping: Layout | None = None, day_first: bool | None = None
) -> Events:
    """Read a table of orders or events: shopper, item and date, optionally order, line, quantity, kind and status.

    Columns are known by many words (:mod:`~modiste.catalog.columns`); ``mapping`` says others. Without a kind a row is
    a purchase; a quantity below zero, or a status that says so, is a return. Rows without a shopper, of an unknown
    item, with a date that can't be (:func:`~modiste.catalog.values.moment`, which takes ``day_first``) or an unknown
    kind or status are rejected with their reason. Item ids that lost zeros or gained a ``.0`` are found all the same,
    which is remarked.

    Raises SourceError if the file can't be read, lacks a column or has no rows, and SettingError for a mapping to
    columns that aren't there.
    """
    table = open_table(file, known("events"))
    columns = Columns.of(file, table.header, "events", mapping)
    reader = _Reader(columns, known_items, day_first)
    rejected: list[Rejected] = []
    events: list[Event] = []
    rows = 0
    for number, cells in table.lines:
        try:
            if isinstance(cells, str):
                raise SettingError(cells)
            events += reader.read(cells)
            rows += 1
        except SettingError as error:
            rejected.append(Rejected(str(file), number, str(error)))
    if not rows and not rejected:
        raise SourceError(f"{file} has no rows; write some below the names of the columns")
    return Events(reader.without_points(events), rejected, rows, reader.understood())


class _Reader:
    """One row after the other."""

    def __init__(self, columns: Columns, known_items: Collection[str], day_first: bool | None) -> None:
        self._columns, self._known, self._day_first = columns, known_items, day_first
        self._lost = Lost(known_items)
        self._restored = 0
        self._remarks: list[str] = []
        self._unknown: dict[str, Counter[str]] = {"kind": Counter(), "status": Counter()}
        self._days: Counter[str] = Counter()
        self._example: dict[str, str] = {}
        self._order: tuple[str, str] = ("", "")  # and its shopper
        self._first: dict[str, str] = {}
        self._shoppers: dict[str, str] = {}
        self._places, self._constants, self._words = columns.read, columns.layout.constants, columns.layout.words
        self._told = {"kind", "status", "cancelled_at", "line", "quantity"} & {*columns.read, *columns.layout.constants}

    def _cell(self, cells: Sequence[str], name: str) -> str:
        """The first cell of a field that holds something."""
        for place in self._places.get(name, ()):
            written = cells[place].strip()
            if name in self._words:
                written = self._words[name].get(written, written)
            if written and (len(written) > 5 or written.lower() not in NOTHING):
                return written
        return self._constants.get(name, "")

    def read(self, cells: Sequence[str]) -> list[Event]:
        """One row's event, or two. Raises SettingError with the reason why it can't be taken."""
        shopper, order, date = self._cell(cells, "shopper_id"), self._cell(cells, "order_id"), self._cell(cells, "date")
        said = {name: self._cell(cells, name) for name in self._told}
        if order and (self._told or self._columns.layout.lines_of):
            shopper, date = self._as_in_its_first_line(order, shopper, date, said)
        if not shopper:
            raise SettingError("no shopper_id")
        item, at = self._item(self._cell(cells, "item_id")), self._moment(date)
        if shopper not in self._shoppers:
            self._shoppers[shopper] = identifier(shopper, "shopper_id")
        event = Event(self._shoppers[shopper], item, at, order_id=identifier(order, "order_id") if order else None)
        return self._became(event, said) if self._told else [event]

    def _as_in_its_first_line(self, order: str, shopper: str, date: str, said: dict[str, str]) -> tuple[str, str]:
        """The shopper and date, and in ``said`` the status, that an order's later lines often leave out."""
        before, first = self._order, self._first
        if order == before[0]:
            if self._columns.layout.lines_of:
                shopper, date = shopper or before[1], date or first["date"]
            if shopper == before[1]:
                said |= {name: said[name] or first[name] for name in ("status", "cancelled_at") if name in said}
        self._order, self._first = (order, shopper), {**said, "date": date}
        return shopper, date

    def _became(self, event: Event, said: Mapping[str, str]) -> list[Event]:
        """An event with what its row says of its kind, quantity and line, and what took it back, if anything did."""
        kind = self._kind("kind", said.get("kind", ""))
        became = "cancel" if said.get("cancelled_at") else self._kind("status", said.get("status", ""))
        quantity = stock(said["quantity"], "quantity") if said.get("quantity") else 1
        if not quantity:
            raise SettingError("quantity 0: nothing was bought")
        line = identifier(said["line"], "line") if said.get("line") else None
        event = replace(event, kind=kind, quantity=abs(quantity), line=line)
        if kind != "purchase" or (became == "purchase" and quantity > 0):
            return [event]
        if quantity < 0:
            return [replace(event, kind="cancel" if became == "cancel" else "return")]
        return [*([event] if became != "cart" else []), replace(event, kind=became)]

    def _item(self, written: str) -> str:
        if written in self._known:
            return written
        if found := self._lost.find(written):
            self._restored += 1
            return found
        raise SettingError(f"no item {written[:80]!r} in the shop; add it first")

    def _kind(self, name: str, written: str) -> str:
        if not written:
            return "purchase"
        if written in KINDS:
            return written
        kind = kind_of(written, name == "status")
        if kind is None:
            self._unknown[name][written[:80]] += 1
            raise SettingError(
                f"{name} {written[:80]!r} is not known; a mapping may say which of {', '.join(KINDS)} it is"
            )
        return kind

    def _moment(self, written: str) -> datetime:
        try:
            return moment(written, self._day_first)
        except SettingError:
            if self._day_first is None and (numbers := numeric_day(written)):
                told = "--day-first" if numbers[0] > 12 else "--month-first" if numbers[1] > 12 else "either"
                self._days[told] += 1
                self._example.setdefault(told, written)
            raise

    def without_points(self, events: list[Event]) -> list[Event]:
        """The events; shoppers and orders without ``.0`` where all of them have it: a float column wrote them."""
        if _pointed({one.shopper_id for one in events}):
            events = [replace(one, shopper_id=without_point(one.shopper_id)) for one in events]
            self._remarks.append(POINTED.format("shopper_id"))
        if _pointed({one.order_id for one in events if one.order_id is not None}):
            events = [replace(one, order_id=one.order_id and without_point(one.order_id)) for one in events]
            self._remarks.append(POINTED.format("order_id"))
        return events

    def understood(self) -> Understood:
        """How the table was understood, after its last row."""
        remarks = [*self._remarks, *shortened("shopper_id", self._shoppers)]
        if self._restored:
            remarks.append(self._lost.remark("item_id", self._restored))
        likely = [told for told in ("--day-first", "--month-first") if self._days[told]]
        if len(likely) == 1:
            count, example = self._days.total(), self._example[likely[0]]
            remarks.append(f"{count} dates have the form of {example!r}: add {likely[0]}")
        elif self._days:
            example = next(iter(self._example.values()))
            remarks.append(
                f"{self._days.total()} dates such as {example!r} don't say which number is the day: add --day-first or "
                "--month-first"
            )
        for name, words in self._unknown.items():
            found = ((word, nearest_kind(word, name == "status")) for word in words)
            remarks += [f"{name} {word!r} is not known; is it {near}?" for word, near in found if near]
        unknown = {name: dict(words.most_common()) for name, words in self._unknown.items() if words}
        columns = self._columns
        return Understood(columns.layout.name, columns.called(), columns.unread, unknown, tuple(remarks))


def _pointed(ids: Collection[str]) -> bool:
    return bool(ids) and all(without_point(one) != one for one in ids)
