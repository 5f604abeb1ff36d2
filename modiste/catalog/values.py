"""What a value may be, each rule once: for tables, for Python and for what comes over HTTP.

Each function takes text or a number and gives the value as the shop stores it, or raises SettingError with what was
wrong and what to write; that is a ValueError, so that they serve as pydantic's BeforeValidator and AfterValidator.
"""

import json
import math
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from modiste.errors import SettingError

LONGEST_ID = 200
HIGHEST_PRICE = 1e12

EARLIEST = datetime(1970, 1, 1)
"""No order is older (UTC)."""

AHEAD = timedelta(days=1)
"""How far an order's clock may be ahead of ours."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # and halves of characters
_ISO = re.compile(r"\d{4}(-?\d\d-?\d\d|-?W\d\d(-?\d)?)([Tt ]\S.*)?", re.ASCII)
_SLASHES = re.compile(r"(\d{4})/(\d\d)/(\d\d)(?!\d)", re.ASCII)
_EPOCHS = {10: "seconds", 13: "milliseconds"}  # by their digits: from 2001 to 2286


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


def identifier(value: Any, name: str = "id") -> str:
    """An id, without spaces around it: 1 to 200 characters, none of them a control character."""
    written = text(value)
    if _CONTROL.search(written):
        raise SettingError(f"{name} {written[:80]!r} may not hold control characters; take them out")
    if not (written := written.strip()):
        raise SettingError(f"{name} is empty; give one of at most {LONGEST_ID} characters")
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


def moment(value: Any) -> datetime:
    """When an order was made, in UTC without a zone: from 1970 to a day from now.

    Takes dates and datetimes, ISO text (also with slashes, or " UTC" behind it; without a zone it is UTC, without a
    time midnight), and seconds or milliseconds since 1970, of 10 or 13 digits. An order in the future would be the
    newest for good: trends and fading popularity are counted from the last purchase.
    """
    try:
        at = value if isinstance(value, datetime) else _parsed(value)
        at = at if at.tzinfo is None else at.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise SettingError(f"{value!r} is not a date; write it as 2025-03-31 or 2025-03-31T14:05") from None
    if at < EARLIEST:
        raise SettingError(f"{at:%Y-%m-%d} is before {EARLIEST:%Y-%m-%d}; give the day of the order")
    if at > datetime.now(UTC).replace(tzinfo=None) + AHEAD:
        raise SettingError(f"{at:%Y-%m-%d} is in the future; give the day of the order")
    return at


def _parsed(value: Any) -> datetime:
    if isinstance(value, date):
        return datetime.combine(value, time())
    written = text(value).strip()
    if written.isdecimal() and len(written) in _EPOCHS:
        return EARLIEST + timedelta(**{_EPOCHS[len(written)]: int(written)})
    plain = _SLASHES.sub(r"\1-\2-\3", written.removesuffix(" UTC"))
    at = datetime.fromisoformat(plain if _ISO.fullmatch(plain) else "")
    if at.tzinfo is not None and written.endswith(" UTC"):
        raise ValueError("two zones")
    return at


def _number(value: Any) -> float:
    """NaN for what is no number."""
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
