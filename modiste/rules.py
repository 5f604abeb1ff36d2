"""Rules: what a merchandiser decides about some items of a list, as data that reads the same in a file, over HTTP and
on the page.

What a rule does to a list is worked out in :mod:`modiste.shop.rules`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from modiste.catalog.values import LONGEST_ID, composed, identifier

TEXTS = ("item", "product", "category", "brand", "colour", "size", "gender", "age_group", "view", "store", "currency")
"""The texts that a condition may ask of an item, beside its attributes."""

NUMBERS = ("price", "sale_price", "stock", "newness", "margin")
"""And the numbers: ``newness`` in days since it came or first sold, ``margin`` in percent of the price (the
attribute margin, or what the attribute cost leaves of the price)."""

_CONDITION = re.compile(r"\s*([^<>=!|]*[^<>=!|\s])\s*(<=|>=|!=|=|<|>)\s*(.*\S)\s*", re.DOTALL)


@dataclass(frozen=True)
class Condition:
    """``field`` compared with one of ``values``, or with a number by ``sign`` <, <=, > or >=."""

    field: str
    sign: str
    values: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Self:
        """From text such as "brand = Acme | Beta". Raises ValueError."""
        found = _CONDITION.fullmatch(text)
        if not found:
            raise ValueError(f"{text!r} is no condition; write one such as: category = Coats, or: stock < 3")
        field, sign, said = found.groups()
        values = tuple(one.strip() for one in said.split("|"))
        if not all(values):
            raise ValueError(f"{text!r} has an empty value; write one such as: brand = Acme | Beta")
        if sign[0] in "<>" and (len(values) > 1 or number(values[0]) is None):
            raise ValueError(f"{text!r} compares with {said!r}; write one number, such as: price < 80")
        return cls(field, sign, values)


def number(text: str) -> float | None:
    """The number that a text is, a percent sign apart; None for any other."""
    try:
        value = float(text.rstrip("% \N{NO-BREAK SPACE}").replace(",", "."))
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def _condition(text: str) -> str:
    text = composed(text.strip())
    Condition.of(text)
    return text


def _lines(given: Any) -> Any:
    """A text's lines, as a form sends them; anything else as it is."""
    return [line.strip() for line in given.splitlines() if line.strip()] if isinstance(given, str) else given


def _time(at: Any) -> Any:
    """A moment in UTC without a zone, from ISO text or what TOML makes of a date."""
    if at is None or at == "":
        return None
    try:
        read = at if isinstance(at, datetime) else datetime.fromisoformat(at if isinstance(at, str) else at.isoformat())
    except (ValueError, AttributeError):
        raise ValueError(f"{at!r} is no time; write it as 2026-11-01 or 2026-11-01T09:00") from None
    return read.astimezone(UTC).replace(tzinfo=None) if read.tzinfo else read


Conditions = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_condition)], ...],
    Field(max_length=20),
    BeforeValidator(_lines),
]
Items = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=LONGEST_ID), AfterValidator(identifier)], ...],
    Field(max_length=1000),
    BeforeValidator(_lines),
]
Time = Annotated[datetime | None, BeforeValidator(_time)]


class Verb(NamedTuple):
    """What a rule of this kind needs beside the items that it is about, and what it does, in words."""

    needs: tuple[str, ...]
    words: str


DOES = {
    "pin": Verb(("place",), "stands at a place"),
    "boost": Verb(("by",), "comes sooner"),
    "bury": Verb(("by",), "comes later"),
    "hide": Verb((), "is never shown"),
    "limit": Verb(("most",), "at most so many in a list"),
    "together": Verb(("with",), "only for who looks at, carries or bought what meets the conditions under with"),
}
"""What a rule can do."""


class Rule(BaseModel):
    """One rule, about ``items`` or about what meets all conditions under ``where``.

    Conditions are texts such as ``category = Coats``, ``brand = Acme | Beta``, ``season != summer`` or ``stock < 3``,
    on what TEXTS, NUMBERS and the shop's own attributes name. ``start`` and ``end`` are called ``from`` and ``until``
    where the rule is written down, and ``beside`` is called ``with``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)

    name: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(identifier)] = Field(
        description="Said in the answers.", examples=["Winter coats"]
    )
    do: Literal["pin", "boost", "bury", "hide", "limit", "together"] = Field(
        description="What it does: " + "; ".join(f"{name}: {verb.words}" for name, verb in DOES.items()) + "."
    )
    items: Items = Field((), description="The items that it is about.", examples=[["0002"]])
    where: Conditions = Field(
        (), description="Or conditions, all of which hold for what it is about.", examples=[["category = Coats"]]
    )
    place: int | None = Field(
        None, ge=1, le=1000, description="pin: the place, from 1; items stand there and behind, of what meets the "
        "conditions the best.",
    )  # fmt: skip
    by: float | None = Field(
        None, gt=1, le=1000, allow_inf_nan=False,
        description="boost and bury: how many times as likely, or unlikely, to be chosen.",
    )  # fmt: skip
    most: int | None = Field(None, ge=1, le=1000, description="limit: at most so many in a list.")
    of: str | None = Field(
        None, min_length=1, max_length=500,
        description="limit: so many of each brand, category or whatever text; without it, of all that it is about.",
    )  # fmt: skip
    beside: Conditions = Field((), alias="with", description="together: what it is shown with.")
    start: Time = Field(None, alias="from", description="From when on, UTC.", examples=["2026-11-01"])
    end: Time = Field(None, alias="until", description="Until when, UTC, this moment not included.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        own = {"place": self.place, "by": self.by, "most": self.most, "of": self.of, "with": self.beside or None}
        needs = DOES[self.do].needs
        if missing := next((name for name in needs if own[name] is None), None):
            raise ValueError(f"{self.do} needs {missing}")
        allowed = (*needs, "of") if self.do == "limit" else needs
        if extra := next((name for name, value in own.items() if value is not None and name not in allowed), None):
            raise ValueError(f"{extra} is nothing for {self.do}; leave it out")
        if self.items and self.where:
            raise ValueError("it is about items or about conditions, not both; write item = 0002 as a condition")
        if not (self.items or self.where) and self.of is None:
            raise ValueError("what is it about? Give items, or conditions under where")
        if self.start and self.end and self.start >= self.end:
            raise ValueError("from is not before until")
        return self

    def holds(self, at: datetime) -> bool:
        """Whether it is in force at a moment (UTC)."""
        return (self.start is None or self.start <= at) and (self.end is None or at < self.end)

    def as_data(self) -> dict[str, Any]:
        """As it is written down: what was not said is left out, times are texts."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude_none=True)


def near(word: str, known: Sequence[str]) -> str:
    """ "; did you mean …?" with the nearest of ``known``, whatever its case; else those there are."""
    by_fold = {one.casefold(): one for one in known}
    found = get_close_matches(word.casefold(), by_fold, 1)
    if found:
        return f"; did you mean {by_fold[found[0]]}?"
    shown = ", ".join(sorted(known)[:20])
    return f"; there are: {shown}{', …' if len(known) > 20 else ''}" if known else "; there are none yet"
