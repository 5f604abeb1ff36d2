"""What a value may be, each rule once: for tables, for Python and for what comes over HTTP.

Each function takes text or a number and gives the value as the shop stores it, or raises SettingError with what was
wrong and what to write; that is a ValueError, so that they serve as pydantic's BeforeValidator and AfterValidator.
"""

import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from difflib import get_close_matches
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from modiste.catalog.files import read_toml
from modiste.errors import SettingError

LONGEST_ID = 200
HIGHEST_PRICE = 1e12

EARLIEST = datetime(1970, 1, 1)
"""No order is older (UTC)."""

AHEAD = timedelta(days=1)
"""How far an order's clock may be ahead of ours."""
_LOADED = datetime.now(UTC).replace(tzinfo=None)  # nothing before it can be ahead
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # and halves of characters
_ISO = re.compile(r"\d{4}(-?\d\d-?\d\d|-?W\d\d(-?\d)?)([Tt ]\S.*)?", re.ASCII)
_PLAIN = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d)?)?", re.ASCII)  # most are, and it is read at once
_DAYS = (
    r"(?P<y>\d{4})(?P<s>[-/.])(?P<m>\d\d?)(?P=s)(?P<d>\d\d?)",
    r"(?P<d>\d\d?)(?:st|nd|rd|th|er|\.|º)?(?:[ /-]| de )?(?P<word>[^\W\d]{3,12})\.?,?(?:[ /-]| de )?"
    r"(?P<y>\d{4}|'?\d\d(?!\d|:))",
    r"(?P<word>[^\W\d]{3,12})\.? (?P<d>\d\d?)(?:st|nd|rd|th)?,? (?P<y>\d{4})",
    r"(?P<one>\d\d?)(?P<s>[-/.])(?P<other>\d\d?)(?P=s)(?P<y>\d{4}|\d\d)(?!\d)",
)
_TIME = (
    r"(?:(?:,? +|[Tt])(?P<h>\d\d?):(?P<min>\d\d)(?::(?P<sec>\d\d)(?:[.,](?P<part>\d{1,9}))?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?)?"
    r"(?: ?(?:UTC|GMT)?(?P<off>[+-]\d\d?(?::?\d\d)?)"
    r"|(?: ?(?P<zone>[A-Za-z]{1,4}|[A-Z][A-Za-z_]+(?:/[A-Z][A-Za-z_-]+)+)))?"
)
_WRITTEN = tuple(re.compile(day + _TIME, re.ASCII if "word" not in day else 0) for day in _DAYS)
_WEEKDAY = re.compile(r"[^\W\d]{2,10}\.?,? (?=[^\W\d]{3}|\d)")
_CLOCK_BEFORE_YEAR = re.compile(r"(\d\d?:\d\d:\d\d)(?: ([A-Z]{1,4}))? (\d{4})$", re.ASCII)
_NAMED = re.compile(r" ?(?:\[[\w/+-]+\]|\([^()]*\))$")
_LONGEST = 200  # characters of a date or a price; to look for one takes time that grows with more than the length
_EPOCHS = {10: 1, 13: 10**3, 16: 10**6, 19: 10**9}  # by their digits, from 2001 to 2286: how many are a second


def text(value: Any) -> str:
    """A value as a CSV would have it: nothing for None and NaN, no ``.0`` behind a whole number."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return "" if value is None or value != value else str(value)


def composed(written: str) -> str:
    """A text in Unicode's form NFC: an é is one character, however a keyboard or a file system wrote it.

    Texts that come in are kept so, and ids looked for so, so that what looks alike is one.
    """
    return written if written.isascii() else unicodedata.normalize("NFC", written)


def identifier(value: Any, name: str = "id") -> str:
    """An id, :func:`composed`, without spaces around it: 1 to 200 characters, none of them a control character; not
    ``.`` nor ``..``, which no address can hold."""
    written = composed(text(value))
    if _CONTROL.search(written):
        raise SettingError(f"{name} {written[:80]!r} may not hold control characters; take them out")
    if not (written := written.strip()):
        raise SettingError(f"{name} is empty; give one of at most {LONGEST_ID} characters")
    if written in (".", ".."):
        raise SettingError(f"{name} {written!r} can't stand in an address; give another one")
    if len(written) > LONGEST_ID:
        raise SettingError(f"{name} {written[:80]!r} has {len(written)} characters; give at most {LONGEST_ID}")
    return written


def price(value: Any, name: str = "price") -> float:
    """A price, or a count of purchases: from 0 to 10¹²."""
    number = _number(value)
    if not 0 <= number < math.inf:
        raise SettingError(f"{name} {value!r} must be a number, 0 or more, such as 12.50")
    if number > HIGHEST_PRICE:
        raise SettingError(f"{name} {value!r} is above {HIGHEST_PRICE:,.0f}; give a lower one, such as 12.50")
    return number


def share(value: Any, name: str = "trendiness") -> float:
    """A number in [0, 1]."""
    number = _number(value)
    if not 0 <= number <= 1:
        raise SettingError(f"{name} must be between 0 and 1, not {value}")
    return number


def position(latitude: Any, longitude: Any) -> tuple[float, float]:
    """(latitude, longitude) in degrees."""
    degrees = _number(latitude), _number(longitude)
    if not (-90 <= degrees[0] <= 90 and -180 <= degrees[1] <= 180):
        raise SettingError(f"{latitude}, {longitude} is no place: latitude -90 to 90, longitude -180 to 180")
    return degrees


def position_of(near: str | Sequence[float], name: str = "near") -> tuple[float, float]:
    """(latitude, longitude) in degrees from text such as "48.86,2.35" or from a pair."""
    pair = near.split(",") if isinstance(near, str) else near
    if not isinstance(pair, Sequence) or len(pair) != 2 or any(math.isnan(_number(one)) for one in pair):
        raise SettingError(f"{name} takes latitude,longitude in degrees, such as 48.86,2.35; not {near!r}")
    return position(*map(_number, pair))


def utc_now() -> datetime:
    """The time now in UTC, without a zone, as all times of a shop are."""
    return datetime.now(UTC).replace(tzinfo=None)


def moment(value: Any, day_first: bool | None = None, of: str = "the order") -> datetime:
    """When an order was made, or what ``of`` says, in UTC without a zone: from 1970 to a day from now.

    Takes dates and datetimes; ISO text (without a zone it is UTC, without a time midnight); other forms that mean one
    day, such as ``2025/3/31``, ``Mon, 31 Mar 2025 14:05:00 +0100`` or ``March 31, 2025``; and seconds, milli-, micro-
    or nanoseconds since 1970, of 10, 13, 16 or 19 digits. ``31/03/2025`` is taken where ``day_first`` says which number
    is the day. An order in the future would be the newest for good: trends and fading popularity are counted from the
    last purchase.
    """
    try:
        if isinstance(value, str):
            at = datetime.fromisoformat(value) if _PLAIN.fullmatch(value) else _parsed(value, day_first)
        elif isinstance(value, date):
            at = value if isinstance(value, datetime) else datetime.combine(value, time())
        else:
            at = _parsed(text(value), day_first)
        if at.tzinfo is not None:
            at = at.astimezone(UTC).replace(tzinfo=None)
    except (KeyError, ValueError, OverflowError):
        if day_first is None and isinstance(value, str) and numeric_day(value):
            raise SettingError(f"{value!r} doesn't say which is the day; say --day-first or --month-first") from None
        raise SettingError(f"{value!r} is not a date; write it as 2025-03-31 or 2025-03-31T14:05") from None
    if at < EARLIEST:
        raise SettingError(f"{at:%Y-%m-%d} is before {EARLIEST:%Y-%m-%d}; give the day of {of}")
    if at > _LOADED and at > utc_now() + AHEAD:
        raise SettingError(f"{at:%Y-%m-%d} is in the future; give the day of {of}")
    return at


def arrival(value: Any, day_first: bool | None = None) -> date:
    """The day (UTC) on which an item came, as :func:`moment` takes it, at the latest today."""
    return min(moment(value, day_first, "its arrival"), utc_now()).date()


def numeric_day(written: str) -> tuple[int, int] | None:
    """The first two numbers of a date that doesn't say which of them is the day: (31, 3) for ``31/03/2025``."""
    found = _WRITTEN[-1].fullmatch(written.strip())
    return found and (int(found["one"]), int(found["other"]))


@lru_cache(maxsize=1 << 16)
def _parsed(written: str, day_first: bool | None) -> datetime:
    """Raises ValueError or OverflowError for what is no date."""
    written = written.strip()
    if len(written) > _LONGEST:
        raise ValueError(written)
    if _ISO.fullmatch(written):
        try:
            return datetime.fromisoformat(written)
        except ValueError:
            pass  # such as "2025-03-31 14:05:00 UTC"
    whole, _, part = written.partition(".")
    if whole.isdecimal() and (not part or part.isdecimal()):
        if len(whole) in _EPOCHS:
            return (
                EARLIEST
                + timedelta(microseconds=round(float(f"0.{part or 0}") * 10**6 / _EPOCHS[len(whole)]))
                + (timedelta(microseconds=int(whole) * 10**6 // _EPOCHS[len(whole)]))
            )
        if len(written) == 14:
            return datetime.strptime(written, "%Y%m%d%H%M%S")
    while named := _NAMED.search(written):  # [Europe/Paris] or (Central European Time), said by the offset already
        kept = written[: named.start()]
        if not re.search(r"(?:[Zz]|[+-]\d\d:?\d\d)$", kept):
            kept += " " + named[0].strip(" []()")
        written = kept
    for form in _WRITTEN:
        for one in (written, _CLOCK_BEFORE_YEAR.sub(r"\3 \1 \2", _WEEKDAY.sub("", written, count=1)).strip()):
            if found := form.fullmatch(one):
                return _moment_of(found.groupdict(), day_first)
    raise ValueError(written)


def _moment_of(said: Mapping[str, str | None], day_first: bool | None) -> datetime:
    if one := said.get("one"):
        if day_first is None:
            raise ValueError("day or month first")
        day, month = (one, said["other"]) if day_first else (said["other"], one)
    else:
        day, month = said["d"], str(_months()[plain(word)]) if (word := said.get("word")) else said["m"]
    year = (said["y"] or "").removeprefix("'")
    hour = int(said["h"] or 0)
    if half := said["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("no such hour")
        hour = hour % 12 + (12 if half in "pP" else 0)
    microsecond = int((said["part"] or "0").ljust(6, "0")[:6])
    at = datetime(
        int(year) + (0 if len(year) == 4 else 2000 if int(year) < 70 else 1900), int(month or 0), int(day or 0),
        hour, int(said["min"] or 0), int(said["sec"] or 0), microsecond,
    )  # fmt: skip
    if offset := said["off"]:
        digits = offset[1:].replace(":", "")
        hours, minutes = (digits[:-2], digits[-2:]) if len(digits) > 2 else (digits, "0")
        away = timedelta(hours=int(hours), minutes=int(minutes))
        return at.replace(tzinfo=timezone(-away if offset[0] == "-" else away))
    if zone := said["zone"]:
        return at.replace(tzinfo=_zone(zone))
    return at


@cache
def _zone(name: str) -> tzinfo:
    known = _words()["zones"]
    if name.upper() in known:
        return timezone(timedelta(hours=known[name.upper()]))
    try:
        return ZoneInfo(name) if "/" in name else timezone(timedelta(hours=known[name]))
    except (KeyError, OSError) as error:
        raise ValueError(f"no zone {name}") from error


# Words


@cache
def _words() -> dict[str, Any]:
    return read_toml(Path(__file__).with_name("values.toml"))


@cache
def _meanings(section: str) -> dict[str, str]:
    """Each plain word of a section of values.toml, and what it means."""
    return {plain(word): meaning for meaning, words in _words()[section].items() for word in words.split()}


@cache
def _months() -> dict[str, int]:
    return {word: int(month) for word, month in _meanings("months").items()}


@lru_cache(maxsize=1 << 14)
def plain(word: str) -> str:
    """A word without case, accents, spaces and punctuation, by which it is compared with others."""
    decomposed = unicodedata.normalize("NFKD", word.casefold().replace("ø", "o").replace("ł", "l"))
    return re.sub(r"[\W_]", "", decomposed)


def kind_of(word: str, statuses: bool = False) -> str | None:
    """The kind of event (:data:`~modiste.catalog.events.KINDS`) of a word for one, or an order's status; or None."""
    return _meanings("statuses" if statuses else "kinds").get(plain(word))


def nearest_kind(word: str, statuses: bool = False) -> str | None:
    """The word for a kind of event, or an order's status, that is written most like an unknown one; or None."""
    return next(iter(get_close_matches(plain(word), _meanings("statuses" if statuses else "kinds"), 1, 0.8)), None)


def availability(word: str) -> bool | None:
    """Whether a word says that an item can be bought; None: not known."""
    name = word.rstrip("/").rpartition("/")[2] if "schema.org" in word else word
    said = "no" if name.strip() == "-1" else _meanings("available").get(plain(name))
    return None if said is None else said == "yes"


def stock(value: Any, name: str = "stock") -> int:
    """How many there are, from text such as ``12``, ``5.0``, ``10+`` or ``-2`` (sold twice too often)."""
    found = re.fullmatch(r"[<>≥~]?\s*(-?\d{1,9})(?:[.,]0+)?\s*\+?", text(value).strip())
    if not found:
        raise SettingError(f"{name} {value!r} must be a whole number, such as 12")
    return int(found[1])


# Money

_NUMBER = re.compile(r"(?P<minus>[-−]?)\s*(?P<number>\d(?:[\d.,'’  \xa0\u202f\u2009]*\d)?)(?P<none>[.,]\s?[-–—]+)?")
_THREE_DECIMALS = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")


def money(value: Any, decimal: str | None = None, name: str = "price") -> tuple[float, str | None]:
    """A price from 0 to 10¹² and its currency (ISO 4217), None where text such as ``$ 1,299.00`` leaves it open.

    ``decimal`` is what the other prices of its column have between units and cents. Without it ``1,299`` is a
    thousand, ``12,50`` isn't, ``1.299`` is a little more than one and ``1.299 €`` a thousand.
    """
    written = text(value).strip()
    found = _NUMBER.search(written) if len(written) <= _LONGEST else None
    rest = (written[: found.start()] + " " + written[found.end() :]).strip() if found else ""
    said = [currency_of(one) for one in [rest, *rest.split()] if rest]
    currency = said[0] if said else None
    if said and currency is None and None not in said[1:]:  # "$ 1.299,00 MXN"
        named = {one for one in said if one}
        currency = named.pop() if len(named) == 1 else None
    if not found or (rest and currency is None):
        return price(value, name), None  # says what is wrong, or takes 1e3
    number = _plain_number(
        found["number"].strip(" \xa0\u202f\u2009"), decimal, bool(rest) and currency not in _THREE_DECIMALS
    )
    return price(found["minus"] + number if number else value, name), currency or None


def currency_of(word: str) -> str | None:
    """A currency (ISO 4217) for its code or sign; "" for a sign of several, None for what is no currency."""
    spoken = unicodedata.normalize("NFC", word.strip().casefold().replace(" ", ""))
    signs: dict[str, str] = {sign: code for code, words in _words()["currencies"].items() for sign in words.split()}
    if spoken in signs:
        return signs[spoken]
    return next((code for code in _words()["codes"].split() if code.casefold() == spoken), None)


def decimal_mark(cells: Sequence[str]) -> str | None:
    """What a column's prices have between units and cents, if any of them tells; None also where they disagree."""
    marks = {found[1] for cell in cells if (found := re.search(r"\d([.,])(?:\d{1,2}|\d{4,})(?!\d|[.,]\d)", cell))}
    marks |= {"." if cell.index(",") < cell.index(".") else "," for cell in cells if "," in cell and "." in cell}
    return marks.pop() if len(marks) == 1 else None


def _plain_number(written: str, decimal: str | None, priced: bool) -> str | None:
    """A number as Python writes it; None if its marks stand where none can."""
    last = max(written.rfind("."), written.rfind(","))
    mark, tail = (written[last], written[last + 1 :]) if last >= 0 else ("", "")
    if (
        mark
        and written.count(mark) == 1
        and not (
            len(tail) == 3
            and tail.isdecimal()
            and written[:last].strip("0") not in ("",)
            and not {".", ","} <= set(written)
            and (mark != decimal if decimal else mark == "," or priced)
            and len(written[:last]) <= 3
        )
    ):
        whole, cents = written[:last], tail
    else:
        whole, cents = written, ""
    groups = re.split(r"[.,'’  \xa0\u202f\u2009]", whole)
    if len(groups) > 1 and not (1 <= len(groups[0]) <= 3 and all(2 <= len(one) <= 3 for one in groups[1:])):
        return None
    if len(groups) > 1 and len(groups[-1]) != 3:
        return None
    number = "".join(groups)
    return f"{number}.{cents}" if cents else number


def _number(value: Any) -> float:
    """NaN for what is no number."""
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
