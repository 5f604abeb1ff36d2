"""Each rule of what a value may be, at its ends."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AfterValidator, BeforeValidator, TypeAdapter, ValidationError

from modiste.catalog.values import (
    availability,
    decimal_mark,
    identifier,
    kind_of,
    moment,
    money,
    position,
    position_of,
    price,
    share,
    stock,
    text,
)
from modiste.errors import SettingError


def test_an_id_is_text_of_200_characters_at_most() -> None:
    assert [identifier(one) for one in (" 0002 ", 4711, 4711.0, "ä b", "x" * 200)] == [
        "0002", "4711", "4711", "ä b", "x" * 200
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        *((value, "^item_id is empty") for value in ("", "  ", None, float("nan"))),
        *((value, "may not hold control characters") for value in ("a\nb", "a\n", "\0", "\x85", "\ud800")),
        *((value, "can't stand in an address") for value in (".", " .. ")),
        ("x" * 201, "has 201 characters; give at most 200"),
    ],
)
def test_what_is_no_id_is_refused(value: Any, complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint):
        identifier(value, "item_id")


def test_a_price_is_from_0_to_a_million_million() -> None:
    assert [price(one) for one in ("12.50", " 3 ", 0, 1e12, np.float32(0.5))] == [12.5, 3, 0, 1e12, 0.5]
    for wrong in ("-1", "twelve", "", "nan", "inf", -0.01, None, True, "12,50", 10**400):
        with pytest.raises(SettingError, match=r"^popularity .* must be a number, 0 or more, such as 12\.50"):
            price(wrong, "popularity")
    with pytest.raises(SettingError, match="is above 1,000,000,000,000"):
        price("1e13")


def test_a_share_is_from_0_to_1() -> None:
    assert [share(one) for one in (0, 1, "0.25")] == [0, 1, 0.25]
    for wrong in (-0.1, 1.1, float("nan"), "much", None, False):
        with pytest.raises(SettingError, match=f"^trendiness must be between 0 and 1, not {wrong}$"):
            share(wrong)


def test_a_position_is_on_the_globe() -> None:
    assert position("-90", 180) == (-90.0, 180.0)
    assert position_of(" 48.86, 2.35") == position_of((48.86, 2.35)) == (48.86, 2.35)
    for wrong in ((91, 0), (0, -181), ("", ""), (None, 1), (float("nan"), 0)):
        with pytest.raises(SettingError, match="is no place: latitude -90 to 90, longitude -180 to 180"):
            position(*wrong)
    with pytest.raises(SettingError, match=r"^91\.0, 0\.0 is no place"):
        position_of("91,0")
    for text_ in ("", "Paris", "1", "1,2,3", "1;2", "1,", "nan,1"):
        with pytest.raises(
            SettingError, match=r"^--near takes latitude,longitude in degrees, such as 48\.86,2\.35; not"
        ):
            position_of(text_, "--near")


@pytest.mark.parametrize(
    "value",
    [
        "2025-03-31T14:05:00",
        " 2025-03-31 14:05 ",
        "2025-03-31 14:05:00 UTC",
        "2025/03/31 14:05",
        "2025-03-31T14:05:00Z",
        "2025-03-31T16:05:00+02:00",
        "2025-03-31 16:05:00 +0200",
        "20250331T140500",
        "1743429900",
        "1743429900000",
        1743429900,
        1743429900000.0,
        datetime(2025, 3, 31, 14, 5),
        datetime(2025, 3, 31, 16, 5, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_a_moment_is_read_in_every_plain_form(value: Any) -> None:
    assert moment(value) == datetime(2025, 3, 31, 14, 5)


@pytest.mark.parametrize(
    "value", ["2025-03-31", "20250331", "2025/03/31", "2025-W14-1", "2025-03-31 UTC", date(2025, 3, 31)]
)
def test_a_day_is_its_midnight(value: Any) -> None:
    assert moment(value) == datetime(2025, 3, 31)


def test_epoch_milliseconds_are_not_told_as_another_year() -> None:
    assert moment("1701122500000") == datetime(2023, 11, 27, 22, 1, 40)


@pytest.mark.parametrize(
    "value",
    [
        "", "Foo 31, 2025", "31 June 2025", "2025-13-31", "45747", "17434299000", "2025", "2025-03-31 14:05 PM",
        "2025-03-31 14:05 Nowhere/City", "2025-03-31 14:05 XYZ", "31.03-2025", "2025-03-31x14:05",
        "2025-03-31114:05", "2025-03-31T14:05+01:00 UTC", None, True, "None",
        "9999-12-31T23:00:00-05:00", "(none)", "soon (we hope)", "2025-03-31 ((x)", f"2025-03-31{' ' * 9000}14:05",
    ],
)  # fmt: skip
def test_other_forms_are_refused_with_what_to_write(value: Any) -> None:
    with pytest.raises(SettingError, match=r"is not a date; write it as 2025-03-31 or 2025-03-31T14:05$"):
        moment(value)


@pytest.mark.parametrize(
    "value",
    [
        "2025-3-31 14:05", "2025/03/31 14:05:00", "20250331140500", "1743429900", "1743429900.0", "1743429900000",
        "1743429900000000", "1743429900000000000", "2025-03-31 2:05 PM", "2025-03-31 16:05:00 +0200",
        "2025-03-31 16:05:00 CEST", "2025-03-31 16:05:00 (CEST)", "2025-03-31 16:05 Europe/Paris",
        "2025-03-31T16:05:00+02:00[Europe/Paris]",
        "2025-03-31T14:05:00Z[UTC]", "Mon, 31 Mar 2025 14:05:00 +0000", "Mon Mar 31 14:05:00 UTC 2025",
        "Mon Mar 31 2025 16:05:00 GMT+0200 (Central European Summer Time)", "March 31st, 2025 14:05", "31-Mar-25 14:05",
        "31. März 2025, 14:05", "31 de março de 2025 14:05", "31 mars 2025 14:05",
    ],
)  # fmt: skip
def test_every_form_that_means_one_time_is_taken(value: str) -> None:
    assert moment(value) == datetime(2025, 3, 31, 14, 5)


@pytest.mark.parametrize(
    ("day", "month"), [("31.03.2025", "03.31.2025"), ("31/3/25", "3/31/25"), ("5-4-2025", "4-5-2025")]
)
def test_which_number_is_the_day_must_be_said(day: str, month: str) -> None:
    assert moment(f"{day} 2:05 pm", True) == moment(f"{month} 2:05 pm", False)
    for one in (day, month):
        with pytest.raises(SettingError, match="doesn't say which is the day; say --day-first or --month-first"):
            moment(one)


@pytest.mark.parametrize(
    ("written", "number", "currency"),
    [
        ("79.00 EUR", 79, "EUR"), ("1.299,00 €", 1299, "EUR"), ("€1,299.00", 1299, "EUR"), ("1.299 €", 1299, "EUR"),
        ("1.299 KWD", 1.299, "KWD"), ("1.299", 1.299, None), ("1,299", 1299, None), ("0,125", 0.125, None),
        ("29,90", 29.9, None), ("$29.90", 29.9, None), ("US$ 29.90", 29.9, "USD"), ("Rs. 499", 499, None),
        ("CHF 1'299.00", 1299, "CHF"), ("1 299,00 kr", 1299, None), ("29,-", 29, None), ("1,29,900.00", 129900, None),
        ("1.299.000", 1299000, None), ("1e3", 1000, None), (12.5, 12.5, None), ("£ 5", 5, "GBP"),
        ("$ 29,90 MXN", 29.9, "MXN"), ("1\u202f299,90\xa0€", 1299.9, "EUR"),
    ],
)  # fmt: skip
def test_prices_are_read_as_people_write_them(written: Any, number: float, currency: str | None) -> None:
    assert money(written) == (number, currency)


def test_a_column_of_prices_tells_its_decimal_mark() -> None:
    assert [decimal_mark(one) for one in (["29,90", "1.299"], ["1,299.00"], ["1,299"], ["1,5", "1.5"])] == [
        ",",
        ".",
        None,
        None,
    ]
    assert [money("1.299", mark)[0] for mark in (",", ".")] == [1299, 1.299]
    for wrong in ("1.2.3", "5 apples", "(3)", "-1 €", "N/A", "", "1,2,3", f"x{' ' * 1_000_000}1"):
        with pytest.raises(SettingError, match="must be a number, 0 or more"):
            money(wrong)


def test_stock_and_availability_are_read_in_shops_words() -> None:
    assert [stock(one) for one in ("12", "5.0", "10+", "-2", ">3")] == [12, 5, 10, -2, 3]
    with pytest.raises(SettingError, match="stock 'many' must be a whole number"):
        stock("many")
    words = ["in stock", "in_stock", "http://schema.org/OutOfStock", "-1", "1", "TRUE", "draft", "ausverkauft", "hm"]
    assert [availability(one) for one in words] == [True, True, False, False, True, True, False, False, None]


def test_kinds_and_statuses_are_known_by_their_words() -> None:
    assert [kind_of(one) for one in ("addToCart", "Page View", "transaction", "wishlist")] == [
        "cart",
        "view",
        "purchase",
        None,
    ]
    words = "versendet expédiée enviado spedito verzonden wysłane skickad"
    assert {kind_of(one, statuses=True) for one in words.split()} == {"purchase"}
    words = "Retourniert retournée devuelto reso geretourneerd zwrócone returnerad"
    assert {kind_of(one, statuses=True) for one in words.split()} == {"return"}
    words = "Storniert annulée cancelado annullato geannuleerd anulowane avbruten"
    assert {kind_of(one, statuses=True) for one in words.split()} == {"cancel"}
    assert [kind_of(one, statuses=True) for one in ("partially refunded", "Refunded", "on-hold", "gold")] == [
        "purchase", "return", "purchase", None,
    ]  # fmt: skip


def test_a_moment_is_between_1970_and_tomorrow() -> None:
    now = datetime.now(UTC)
    assert moment("1970-01-01") == datetime(1970, 1, 1)
    assert moment((now + timedelta(hours=23)).isoformat()) > datetime(2025, 1, 1)
    for impossible in (datetime.min, datetime(1969, 12, 31), datetime(9000, 1, 1), datetime.max):
        with pytest.raises(SettingError, match="give the day of the order"):
            moment(impossible)
    with pytest.raises(SettingError, match="1969-12-31 is before 1970-01-01"):
        moment("1970-01-01T00:30:00+01:00")
    with pytest.raises(SettingError, match="is in the future"):
        moment(now + timedelta(hours=25))


def test_typed_cells_are_written_as_a_csv_has_them() -> None:
    cells = [None, float("nan"), 4711.0, 0.5, 7, True, b"caf\xc3\xa9", ["ä", 1], {"a": None}]
    assert [text(one) for one in cells] == ["", "", "4711", "0.5", "7", "True", "café", '["ä", 1]', '{"a": null}']


@given(st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.booleans(), st.datetimes()))
def test_every_rule_gives_a_value_or_a_sentence(value: Any) -> None:
    rules: list[Callable[[Any], Any]] = [identifier, price, share, moment]
    for rule in (*rules, lambda one: position(one, one)):
        with suppress(SettingError):
            rule(value)


def test_pydantic_takes_the_rules_as_they_are() -> None:
    assert TypeAdapter(Annotated[datetime, BeforeValidator(moment)]).validate_python("1743429900").year == 2025
    with pytest.raises(ValidationError, match=r"trendiness must be between 0 and 1, not 2\.0"):
        TypeAdapter(Annotated[float, AfterValidator(share)]).validate_python(2)
