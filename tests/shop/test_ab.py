"""``shop.ab``: whoever sees a list of a test stays on her side, and how the test stands is told from what came back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from modiste import Event, Shop
from modiste.behaviour.ab import variant_of
from modiste.errors import SettingError, UnknownIdError
from modiste.evaluation.comparing import replay
from modiste.shop.recommendations import Recommendation, Recommendations
from modiste.shop.storefront import Seen

LISTS = {"warm": ("a", "b", "c"), "cold": ("d", "e", "a"), None: ("c",)}


def found(scenario: str | None) -> Recommendations:
    """The list of a scenario."""
    ids: Sequence[str] = LISTS[scenario]
    return Recommendations(Recommendation(one, 1.0, {}, None, None, None, None, None, "") for one in ids)


def show(shop: Shop, who: str, clicked: str = "") -> str | None:
    """Serve a list, say that it was seen and perhaps clicked; what was served by which scenario."""
    many, served = shop.ab.serve("home", None, who, found)
    assert served.items == tuple(one.item_id for one in many)
    signed = shop.storefront.sign(served)
    shop.storefront.record([Seen(signed), *([Seen(signed, clicked)] if clicked in served.items else [])])
    return served.scenario


@pytest.fixture
def small(small: Shop) -> Shop:
    """With the two scenarios."""
    for name in ("warm", "cold"):
        small.scenarios.put(name, {"top": 3})
    return small


def test_without_a_test_the_placement_has_its_scenario(small: Shop) -> None:
    many, served = small.ab.serve("home", "warm", "ann", found)
    assert (served.scenario, served.experiment, served.items) == ("warm", None, ("a", "b", "c"))
    assert len(many) == 3


def test_a_test_splits_shoppers_for_good_until_it_is_stopped(small: Shop) -> None:
    small.ab.start("winter", "warm", "cold", placement="home", rate=0.3, lift=0.5, counts="clicked")
    for number in range(20):
        who = str(number)
        scenario = "warm" if variant_of("winter", who) == "a" else "cold"
        assert [small.ab.serve("home", "warm", who, found)[1].scenario for _ in range(2)] == [scenario] * 2
    assert small.ab.serve("home", None, None, found)[1].scenario == "warm"  # who can't be told from others
    assert small.ab.serve("cart", None, "1", found)[1].experiment is None
    with Shop.open(small.path) as other:
        assert other.ab.running("home") == small.ab["winter"]
    small.ab.stop("winter")
    assert small.ab.serve("home", "warm", "1", found)[1].experiment is None
    assert [one.stopped is None for one in small.ab.all()] == [False]


def test_the_number_of_shoppers_is_told_beforehand(small: Shop) -> None:
    test = small.ab.start("winter", "warm", "cold", placement="home", rate=0.02, lift=0.2)
    assert test.planned == 80831
    assert small.ab["winter"] == test
    assert small.ab.report("winter").verdict.words.startswith("Nothing to tell yet: of about 80831 shoppers")


def test_what_cannot_be_tested_is_refused(small: Shop) -> None:
    def refused(said: str, name: str = "spring", a: str = "warm", b: str = "cold", **more: object) -> None:
        with pytest.raises(SettingError, match=said):
            small.ab.start(name, a, b, **{"rate": 0.1, "placement": "home"} | more)  # type: ignore[arg-type]

    refused("small letters", name="Winter coats")
    refused("compares two scenarios", b="warm")
    refused("compares two scenarios", counts="liked")
    with pytest.raises(UnknownIdError, match="no scenario 'clod'"):
        small.ab.start("spring", "warm", "clod", rate=0.1)
    refused("--rate 0.02", rate=None)
    refused("between 0 and 1", rate=0.95)
    small.ab.start("winter", "warm", "cold", placement="home", rate=0.1)
    refused("winter runs on home; stop it first")
    small.ab.stop("winter")
    refused("there was a test 'winter' already", name="winter")
    with pytest.raises(UnknownIdError, match="no A/B test 'summer' in small; there are: winter"):
        small.ab.report("summer")


def test_a_test_is_decided_by_those_who_have_had_their_time(small: Shop) -> None:
    test = small.ab.start("winter", "warm", "cold", placement="home", rate=0.2, lift=1, counts="bought", days=2)
    rng = Random(1)
    people = [str(number) for number in range(260)]
    bought = []
    for who in people:
        item, chance = ("a", 0.1) if variant_of("winter", who) == "a" else ("d", 0.6)
        show(small, who, item)
        if rng.random() < chance:
            bought.append(Event(who, item, test.started + timedelta(hours=5), order_id=who))
    small.purchases.record(bought)
    early = small.ab.report("winter", test.started + timedelta(days=1))
    assert (early.a.shoppers, early.b.shoppers, early.waiting) == (0, 0, 260)
    stands = small.ab.report("winter", test.started + timedelta(days=3))
    assert (stands.a.shoppers + stands.b.shoppers, stands.waiting, stands.both) == (260, 0, 0)
    assert stands.b.hits == sum(variant_of("winter", one.shopper_id) == "b" for one in bought)
    assert stands.verdict.state == "b"
    assert stands.days_left is not None
    small.purchases.record([replace(one, kind="return", at=one.at + timedelta(hours=1)) for one in bought])
    taken_back = small.ab.report("winter", test.started + timedelta(days=3))
    assert (taken_back.a.hits, taken_back.b.hits) == (0, 0)


def test_who_saw_both_sides_is_left_out_and_told(small: Shop) -> None:
    test = small.ab.start("winter", "warm", "cold", placement="home", rate=0.2, counts="clicked", days=1)
    sides = {variant_of("winter", name): name for name in map(str, range(20))}
    for name in sides.values():
        show(small, name)
    later = test.started + timedelta(days=2)
    assert small.ab.report("winter", later).both == 0
    small.storefront.link({sides["a"]: sides["b"]})
    stands = small.ab.report("winter", later)
    assert (stands.both, stands.a.shoppers, stands.b.shoppers) == (1, 0, 0)


def test_interleaved_lists_tell_which_is_preferred(small: Shop) -> None:
    test = small.ab.start("quick", "warm", "cold", placement="home", interleaved=True, lift=0.5)
    assert test.planned == 61
    many, served = small.ab.serve("home", None, "ann", found)
    assert (served.variant, len(served.teams or ""), len(many)) == ("ab", 3, 3)
    again = small.ab.serve("home", None, "ann", found)[1]
    assert (again.items, again.teams) == (served.items, served.teams)
    for number in range(120):
        show(small, str(number), "d")  # nobody wants anything but what only the second one has
    stands = small.ab.report("quick")
    assert stands.a.hits == 0 < stands.b.hits
    assert stands.verdict.state == "b"
    assert stands.verdict.words.startswith("B is better: of ")


def test_a_test_s_lists_tell_what_either_scenario_alone_would_have_earned(small: Shop) -> None:
    with pytest.raises(SettingError, match="drawn at random between warm and cold"):
        replay(small, "warm", "cold")
    small.ab.start("mixed", "warm", "cold", placement="cart", interleaved=True)
    small.ab.start("winter", "warm", "cold", placement="home", rate=0.3, lift=0.5, counts="clicked")
    shown = {"warm": [], "cold": []}
    rng = Random(4)
    for number in range(120):
        side = variant_of("winter", f"s{number}")
        clicks = rng.random() < (0.6 if side == "a" else 0.2)
        scenario = show(small, f"s{number}", "a" if clicks else "")
        shown[str(scenario)].append(clicks)
    shares = {name: sum(many) / len(many) for name, many in shown.items()}
    found = replay(small, "warm", "cold")
    for name, share in shares.items():
        assert found[name]["SNIPS"].value == pytest.approx(share)
        assert found[name]["IPS"].value == pytest.approx(share * 2 * len(shown[name]) / 120)
        assert found[name]["DR"].low < share < found[name]["DR"].high
    assert found["warm"]["DR"].low > found["cold"]["DR"].high
    with pytest.raises(SettingError, match="one can count"):
        replay(small, "warm", "cold", counts="seen")
