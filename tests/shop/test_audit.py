"""Who changed what."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from modiste.shop import schema
from modiste.shop.shop import Shop


def test_changes_are_told_newest_first(small: Shop) -> None:
    for number in range(5):
        small.audit.add("anna", "hide an item", str(number))
    assert small.audit.frame(2, skip=1)["about"].to_list() == ["3", "2"]
    assert len(small.audit) == 5
    (first,) = small.audit.frame(1).to_dicts()
    assert (first["who"], first["what"]) == ("anna", "hide an item")
    assert abs(first["at"] - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=1)


def test_after_a_year_they_are_forgotten(small: Shop) -> None:
    small.audit.add("anna", "hide an item", "old")
    table = schema.audit
    with small.storage.aside() as connection:
        connection.execute(table.update().values(at=sa.literal(datetime(2020, 1, 1))))
    small.audit.add("anna", "hide an item", "new")
    assert small.audit.frame()["about"].to_list() == ["new"]
