"""Two settings are compared on what shoppers bought, and the one that suits them wins."""

from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from modiste import Event, Item, Shop
from modiste.errors import SettingError, UnknownIdError
from modiste.evaluation.comparing import compare

KINDS = ("Dresses", "Denim", "Jackets_Coats", "Shorts")


@pytest.fixture
def loyal(tmp_path: Path) -> Shop:
    """A shop whose shoppers keep to one category."""
    rng, start = Random(1), datetime(2025, 3, 1)
    with Shop.create(tmp_path / "loyal") as shop:
        items = {kind: [f"{kind}-{number:02d}" for number in range(12)] for kind in KINDS}
        shop.items.put_many([Item(one, category=kind) for kind, many in items.items() for one in many])
        events = []
        for number in range(160):
            kind = KINDS[number % 4]
            for day, item in enumerate(rng.sample(items[kind], 4)):
                events.append(Event(f"{number}", item, start + timedelta(days=10 * day, minutes=number)))
        shop.purchases.record(events)
        shop.scenarios.put("her-kind", {"gamma": 4, "gender": "any"})
        shop.scenarios.put("other-kinds", {"gamma": 0, "categories": ["Shorts"]})
        yield shop


def test_the_setting_that_shows_what_they_buy_wins(loyal: Shop) -> None:
    found = compare(loyal, "other-kinds", "her-kind", top=8)
    assert found.shoppers == 160
    assert found.wins_b > 3 * found.wins_a
    assert found.verdict.state == "b"
    assert compare(loyal, "her-kind", "other-kinds", top=8, sample=80).verdict.state == "a"


def test_a_setting_is_as_good_as_itself(loyal: Shop) -> None:
    found = compare(loyal, "her-kind", "her-kind", top=8)
    assert found.wins_a + found.wins_b > 40
    assert found.verdict.state == "open"


def test_what_cannot_be_compared_is_told(loyal: Shop, tmp_path: Path) -> None:
    with pytest.raises(UnknownIdError, match="no scenario 'hers'"):
        compare(loyal, "balanced", "hers")
    with Shop.create(tmp_path / "new") as shop:
        shop.items.put(Item("a"))
        shop.purchases.record([Event("1", "a", datetime(2025, 1, 1))])
        with pytest.raises(SettingError, match="nobody in new bought twice"):
            compare(shop, "balanced", "paper")
