"""Scenarios: kept in versions, used by name, and rules that hold whatever else is asked for."""

import json
import threading
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modiste import Ask, Event, Shop
from modiste.errors import ChangedError, SettingError, UnknownIdError
from modiste.scenario import Scenario
from modiste.shop.question import FILLED_UP, Question
from modiste.shop.scenarios import ask_of, changes

DAY = datetime(2025, 3, 1)
ITEMS = """\
item_id,category,gender,brand,price,stock,popularity,season,cost
coat-1,Coats,women,Acme,100,5,50,winter,40
coat-2,Coats,women,Beta,200,0,40,winter,50
coat-3,Coats,men,Acme,300,9,30,winter,290
dress-1,Dresses,women,Acme,50,9,20,summer,10
dress-2,Dresses,women,Beta,60,1,10,summer,
dress-3,Dresses,women,,70,7,5,,
jeans-1,Denim,women,Gamma,80,9,3,,
jeans-2,Denim,,Gamma,90,9,2,,
"""


def filled(shop: Shop, folder) -> Shop:
    (folder / "clothes.csv").write_text(ITEMS)
    assert shop.items.add(folder / "clothes.csv").added == 8
    bought = [("ann", "jeans-1", 0), ("ann", "dress-1", 9), ("bob", "coat-3", 3)]
    shop.purchases.record([Event(who, what, DAY + timedelta(days=day)) for who, what, day in bought])
    return shop


@pytest.fixture
def street(tmp_path, database):
    with Shop.create(tmp_path / "street", database=database) as made:
        yield filled(made, tmp_path)


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A shop for what no database makes a difference to."""
    folder = tmp_path_factory.mktemp("one")
    with Shop.create(folder / "one") as made:
        yield filled(made, folder)


def ids(found):
    return [one.item_id for one in found]


def ruled(shop, *rules, **ask):
    """What the shop recommends to a guest who looked at jeans-1 by a scenario of these rules."""
    named = [{"name": f"rule {place}"} | rule for place, rule in enumerate(rules, 1)]
    shop.scenarios.put("tried", {"rules": named})
    return shop.recommend(items=["jeans-1"], scenario="tried", **{"top": 8, "gender": "any"} | ask)


# Versions


def test_every_change_is_a_version_with_its_author_and_reason_and_can_be_undone(street):
    scenarios = street.scenarios
    first = scenarios.put("product-page", {"top": 2}, author="Ann", reason="a start")
    second = scenarios.put("product-page", {"top": 3, "preset": "paper"}, author="Bob", reason="more of them")
    assert (first.version, second.version) == (1, 2)
    assert scenarios["product-page"] == second
    assert [(one.version, one.author, one.reason) for one in scenarios.versions("product-page")] == [
        (2, "Bob", "more of them"), (1, "Ann", "a start"),
    ]  # fmt: skip
    assert abs(second.at - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=1)
    assert scenarios.put("product-page", {"top": 3, "preset": "paper"}) == second, "nothing differs"
    undone = scenarios.undo("product-page", author="Ann")
    assert (undone.version, undone.scenario, undone.reason) == (3, first.scenario, "back to version 1")
    assert scenarios.undo("product-page").scenario == second.scenario, "what was undone can be undone"
    assert scenarios.undo("product-page", to=1).scenario == first.scenario
    assert len(street.recommend(shopper="ann", scenario="product-page")) == 2
    with pytest.raises(UnknownIdError, match="has no version 9; its versions are 1 to 5"):
        scenarios.undo("product-page", to=9)


def test_a_scenario_that_was_removed_can_be_brought_back(street):
    street.scenarios.put("home", {"top": 2})
    assert "home" in street.scenarios
    gone = street.scenarios.remove("home", author="Ann", reason="not needed")
    assert (gone.version, gone.scenario) == (2, None)
    assert "home" not in street.scenarios
    assert street.scenarios.all() == []
    with pytest.raises(UnknownIdError):
        street.recommend(shopper="ann", scenario="home")
    assert street.scenarios.undo("home").scenario == Scenario.of({"top": 2})
    assert [one.name for one in street.scenarios.all()] == ["home"]
    street.scenarios.put("cart", {})
    assert street.scenarios.undo("cart").scenario is None, "undoing the first version removes it"


def test_an_unknown_scenario_is_an_error_that_names_the_nearest(street):
    with pytest.raises(UnknownIdError, match="no scenario 'home' in street; there are none yet"):
        street.recommend(shopper="ann", scenario="home")
    for name in ("home", "product-page"):
        street.scenarios.put(name, {})
    for ask in (
        lambda: street.recommend(shopper="ann", scenario="prodct-page"),
        lambda: street.recommend_each("ann", scenario="prodct-page"),
        lambda: street.introduce(scenario="prodct-page"),
        lambda: street.scenarios["prodct-page"],
        lambda: street.scenarios.versions("prodct-page"),
        lambda: street.scenarios.undo("prodct-page"),
    ):
        with pytest.raises(UnknownIdError, match=r"no scenario 'prodct-page' in street; did you mean product-page\?"):
            ask()
    with pytest.raises(SettingError, match="called by small letters, digits and -"):
        street.scenarios.put("Product page", {})


def test_who_changed_it_meanwhile_is_not_overwritten(street):
    street.scenarios.put("home", {"top": 2}, expected=0)
    with pytest.raises(ChangedError, match="version 1"):
        street.scenarios.put("home", {"top": 3}, expected=0)
    with pytest.raises(ChangedError):
        street.scenarios.undo("home", expected=7)
    made, refused = [], []

    def put(top):
        try:
            made.append(street.scenarios.put("home", {"top": top}, expected=1))
        except ChangedError as error:
            refused.append(error)

    threads = [threading.Thread(target=put, args=(top,)) for top in range(3, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 3)
    assert street.scenarios["home"] == made[0]


def test_versions_are_compared_by_setting_and_rule():
    hide = {"name": "Hide", "do": "hide", "where": ["stock < 2"]}
    pin = {"name": "Pin", "do": "pin", "items": ["1"], "place": 1}
    before = Scenario.of({"top": 2, "preset": "paper", "rules": [hide, pin]})
    after = Scenario.of({"top": 3, "categories": ["Coats"], "rules": [pin, hide | {"where": ["stock < 3"]}]})
    assert {one.what: (one.before, one.after) for one in changes(before, after)} == {
        "top": ("2", "3"),
        "preset": ("paper", None),
        "rule “Hide”": ("do hide, where stock < 2", "do hide, where stock < 3"),
        "categories": (None, "Coats"),
        "order of the rules": ("Hide, Pin", "Pin, Hide"),
    }
    assert changes(None, Scenario.of({"top": 2}))
    assert not changes(before, before)


# Asking


def test_a_scenario_is_asked_for_by_name_and_what_the_caller_says_wins(street):
    street.scenarios.put("dresses", {"top": 2, "categories": ["Dresses"], "gender": "any", "preset": "paper"})
    by_hand = {"gender": "any", "preset": "paper", "categories": ["Dresses"]}
    named = street.recommend(items=["jeans-1"], scenario="dresses")
    assert [one.as_json() for one in named] == [
        one.as_json() for one in street.recommend(items=["jeans-1"], top=2, **by_hand)
    ]
    assert named.scenario == "dresses"
    assert street.recommend(items=["jeans-1"]).scenario is None
    assert len(street.recommend(items=["jeans-1"], scenario="dresses", top=1)) == 1
    other = street.recommend(items=["jeans-1"], scenario="dresses", categories=["Coats"], top=5)
    assert set(ids(other)) == {"coat-1", "coat-3"}
    assert len(street.introduce(scenario="dresses")) == 2
    assert [len(found) for _, found in street.recommend_each("ann", scenario="dresses")] == [2, 2]


def test_a_scenario_is_used_by_whole_files_of_lists(street, tmp_path):
    from modiste.shop.lists import recommend_all

    rules = [
        {"name": "Acme less", "do": "bury", "where": ["brand = Acme"], "by": 3},
        {"name": "First", "do": "pin", "items": ["dress-3"], "place": 1},
        {"name": "Two a brand", "do": "limit", "most": 1, "of": "brand"},
        {"name": "With coats", "do": "together", "where": ["category = Denim"], "with": ["category = Coats"]},
    ]
    street.scenarios.put("mail", {"top": 4, "gender": "any", "rules": rules})
    street.shoppers.put("new")
    recommend_all(street, tmp_path / "lists.jsonl", scenario="mail")
    written = [json.loads(line) for line in (tmp_path / "lists.jsonl").read_text().splitlines()]
    for who in ("ann", "bob", "new"):
        assert [one["item_id"] for one in written if one["shopper_id"] == who] == ids(
            street.recommend(shopper=who, scenario="mail")
        )
    denim = {one["shopper_id"] for one in written if one["item_id"] in ("jeans-1", "jeans-2")}
    assert denim == {"bob"}


# Rules


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (["category = Coats"], "coat-1 coat-3"),
        (["category = jeans"], "jeans-2"),  # the shop's own word for Denim
        (["brand = acme"], "coat-1 coat-3 dress-1"),
        (["brand = Acme | Gamma", "price < 100"], "dress-1 jeans-2"),
        (["brand != Acme"], "dress-2 dress-3 jeans-2"),
        (["price >= 90"], "coat-1 coat-3 jeans-2"),
        (["stock < 2"], "dress-2"),
        (["season = winter"], "coat-1 coat-3"),
        (["Season != winter"], "dress-1 dress-2 dress-3 jeans-2"),
        (["margin >= 60"], "coat-1 dress-1"),
        (["newness < 1"], "dress-1"),
        (["newness <= 6"], "coat-3 dress-1"),
        (["item = coat-1 | dress-3"], "coat-1 dress-3"),
        (["gender = men"], "coat-3"),
    ],
)
def test_conditions_choose_items_by_what_is_known_of_them(one, where, expected):
    shown = set(ids(ruled(one)))
    assert shown == {"coat-1", "coat-3", "dress-1", "dress-2", "dress-3", "jeans-2"}
    found = ruled(one, {"do": "hide", "where": where})
    assert shown - set(ids(found)) == set(expected.split())
    assert found.rules == [f"rule “rule 1” hid {found.rules[0].split('hid ')[1]}"]


def test_a_change_of_an_item_is_seen_by_its_rules_at_once(street, tmp_path):
    rule = {"do": "hide", "where": ["stock < 3"]}
    assert "dress-1" in ids(ruled(street, rule))
    (tmp_path / "more.csv").write_text(
        "item_id,category,gender,brand,price,stock,popularity,fabric\n"
        "dress-1,Dresses,women,Acme,50,2,20,silk\nhat-1,Hats,women,Acme,9,9,1,silk\n"
    )
    street.items.add(tmp_path / "more.csv")
    found = ids(ruled(street, rule))
    assert "dress-1" not in found
    assert "hat-1" in found
    assert "hat-1" not in ids(ruled(street, {"do": "hide", "where": ["fabric = silk"]}))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"do": "hide", "items": ["coat-9"]}, "rule 'A': no item 'coat-9' in one; did you mean coat-"),
        ({"do": "hide", "where": ["brnd = Acme"]}, "rule 'A': no item has a 'brnd'; did you mean brand?"),
        ({"do": "hide", "where": ["brand = Acm"]}, "rule 'A': no item has the brand 'Acm'; did you mean Acme?"),
        (
            {"do": "hide", "where": ["category = Coatz"]},
            "rule 'A': no item has the category 'Coatz'; did you mean Coats?",
        ),
        ({"do": "hide", "where": ["seson = winter"]}, "rule 'A': no item has a 'seson'; did you mean season?"),
        ({"do": "hide", "where": ["brand < 3"]}, "rule 'A': no item has a number for brand"),
        ({"do": "hide", "where": ["price = cheap"]}, "rule 'A': price is a number, not 'cheap'"),
        ({"do": "hide", "where": ["item = coat9"]}, "rule 'A': no item 'coat9' in one; did you mean coat-"),
        ({"do": "limit", "most": 1, "of": "bran"}, "rule 'A': no item has a 'bran'; did you mean brand?"),
        ({"do": "limit", "most": 1, "of": "price"}, "rule 'A': price is not what items share"),
        ({"do": "together", "items": ["coat-1"], "with": ["brand = Acm"]}, "rule 'A': .*did you mean Acme?"),
    ],
)
def test_words_that_no_item_has_are_refused_with_the_nearest(one, rule, words):
    with pytest.raises(SettingError, match=words):
        one.scenarios.put("wrong", {"rules": [{"name": "A"} | rule]})
    assert "wrong" not in one.scenarios


def test_a_boost_is_a_term_of_the_relevance_and_says_so(one):
    plain = {found.item_id: found for found in ruled(one)}
    boosted = ruled(
        one, {"do": "boost", "where": ["brand = Gamma"], "by": 50}, {"do": "bury", "items": ["coat-1"], "by": 4}
    )
    assert ids(boosted)[0] == "jeans-2"
    for found in boosted:
        before = plain[found.item_id]
        added = {"jeans-2": np.log(50), "coat-1": -np.log(4)}.get(found.item_id, 0.0)
        assert found.relevance == pytest.approx(before.relevance + added)
        assert found.terms == pytest.approx({**before.terms, "boost": added})
        assert sum(found.terms.values()) == pytest.approx(found.relevance)
        said = {"jeans-2": ("boosted by rule “rule 1”",), "coat-1": ("buried by rule “rule 2”",)}
        assert found.rules == said.get(found.item_id, ())
    assert boosted.rules == ["rule “rule 1” boosted 2 items", "rule “rule 2” buried 1 item"]


def test_pins_stand_at_their_places_whatever_is_asked_for(one):
    pin = {"do": "pin", "items": ["dress-3", "coat-3", "coat-2"], "place": 2}  # coat-2 is sold out
    found = ruled(one, pin, gender="women", categories=["Coats"], top=5)
    assert ids(found) == ["coat-1", "dress-3", "coat-3"]
    assert found[1].rules == ("pinned by rule “rule 1”",)
    assert found.rules == ["rule “rule 1” pinned place 2, place 3"]
    assert sum(found[1].terms.values()) == pytest.approx(found[1].relevance)
    both = ruled(one, {"do": "pin", "items": ["dress-3"], "place": 1}, {"do": "pin", "items": ["coat-3"], "place": 1})
    assert ids(both)[:2] == ["dress-3", "coat-3"], "the earlier rule has the place"
    assert ids(ruled(one, {"do": "pin", "items": ["dress-3"], "place": 4}, top=3)) == ids(ruled(one, top=3))
    best = ruled(one, {"do": "pin", "where": ["brand = Beta | Gamma"], "place": 1})
    assert ids(best)[0] == next(one for one in ids(ruled(one)) if one in ("dress-2", "jeans-2"))
    assert ids(ruled(one, {"do": "pin", "items": ["jeans-1"], "place": 1})) == ids(ruled(one)), "what she looks at"
    assert "dress-3" not in ids(ruled(one, pin, exclude=["dress-3"]))


def test_hidden_is_hidden_even_where_it_is_pinned(one):
    rules = {"do": "pin", "items": ["dress-3"], "place": 1}, {"do": "hide", "where": ["category = Dresses"]}
    assert not {name for name in ids(ruled(one, *rules)) if name.startswith("dress")}


def test_at_most_so_many_of_a_brand_are_found_by_walking_down_the_list(one):
    plain = ids(ruled(one))
    brand = {
        "coat-1": "Acme",
        "coat-3": "Acme",
        "dress-1": "Acme",
        "dress-2": "Beta",
        "dress-3": None,
        "jeans-2": "Gamma",
    }
    found = ruled(one, {"do": "limit", "most": 1, "of": "brand"}, top=8)
    expected, seen = [], set()
    for name in plain:
        if brand[name] not in seen:
            expected.append(name)
            seen |= {brand[name]} - {None}
    assert ids(found) == expected
    assert found.rules == ["rule “rule 1” passed over 2 items"]
    expensive = ruled(one, {"do": "limit", "most": 1, "where": ["price > 65"]})
    assert len({"coat-1", "coat-3", "dress-3", "jeans-2"} & set(ids(expensive))) == 1


def test_only_together_with_what_the_list_is_made_from(one):
    rule = {"do": "together", "where": ["category = Coats"], "with": ["category = Dresses"]}
    assert not {"coat-1", "coat-3"} & set(ids(ruled(one, rule)))
    assert ruled(one, rule).rules == ["rule “rule 1” kept back 3 items"]
    asked = {"scenario": "tried", "top": 8, "gender": "any"}
    assert {"coat-1", "coat-3"} <= set(ids(one.recommend(item="dress-3", **asked)))
    assert {"coat-1", "coat-3"} <= set(ids(one.recommend(shopper="ann", **asked)))


def test_a_rule_counts_from_its_time_on_and_until_it(one):
    now = datetime.now(UTC).replace(tzinfo=None)
    hour = timedelta(hours=1)
    for start, end, shown in ((-hour, hour, False), (hour, 2 * hour, True), (-2 * hour, -hour, True)):
        times = {"from": (now + start).isoformat(), "until": (now + end).isoformat()}
        assert ("dress-1" in ids(ruled(one, {"do": "hide", "items": ["dress-1"]} | times))) == shown
    scenario = Scenario.of({"rules": [{"name": "A", "do": "hide", "items": ["a"], "from": "2030-01-01"}]})
    assert not ask_of(scenario, Ask(), datetime(2029, 12, 31)).rules
    assert ask_of(scenario, Ask(), datetime(2030, 1, 1)).rules == scenario.rules


def test_variety_puts_what_is_unlike_the_others_first(one):
    asked = {"items": ["dress-1"], "top": 2, "gender": "any", "gamma": 9}
    assert [name.split("-")[0] for name in ids(one.recommend(**asked))] == ["dress", "dress"]
    varied = ids(one.recommend(**asked, variety=1))
    assert varied[0] == ids(one.recommend(**asked))[0]
    assert not varied[1].startswith("dress")


def test_a_fall_back_fills_up_what_filters_leave_short(one):
    short = {"items": ["jeans-1"], "top": 4, "gender": "any", "categories": ["Dresses"], "max_price": 55}
    assert ids(one.recommend(**short)) == ["dress-1"]
    for fallback in ("unfiltered", "popular"):
        found = one.recommend(**short, fallback=fallback)
        assert len(found) == len(set(ids(found))) == 4
        assert ids(found)[0] == "dress-1"
        assert [one.rules for one in found] == [(), *[(FILLED_UP,)] * 3]
    assert ids(found)[1] == "coat-1", "what is bought most, on offer"
    one.scenarios.put("tried", {"fallback": "popular", "rules": [{"name": "H", "do": "hide", "items": ["coat-1"]}]})
    assert "coat-1" not in ids(one.recommend(**short, scenario="tried"))


# Whatever the rules

NAMES = [line.split(",")[0] for line in ITEMS.splitlines()[1:]]
ABOUT = st.one_of(
    st.fixed_dictionaries({"items": st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)}),
    st.fixed_dictionaries(
        {
            "where": st.lists(
                st.sampled_from(["brand = Acme", "stock < 6", "category = Coats | Denim", "price > 75"]),
                min_size=1,
                max_size=3,
            )
        }
    ),
)
DO = st.one_of(
    st.fixed_dictionaries({"do": st.just("hide")}),
    st.fixed_dictionaries({"do": st.just("pin"), "place": st.integers(1, 4)}),
    st.fixed_dictionaries({"do": st.sampled_from(["boost", "bury"]), "by": st.floats(1.5, 100)}),
    st.fixed_dictionaries({"do": st.just("limit"), "most": st.integers(1, 3)}),
    st.fixed_dictionaries({"do": st.just("together"), "with": st.just(["category = Dresses"])}),
)
RULES = st.lists(st.builds(lambda do, about: do | about, DO, ABOUT), max_size=5)
ASKS = st.fixed_dictionaries(
    {"top": st.integers(1, 6)},
    optional={
        "categories": st.just(["Dresses"]), "preset": st.sampled_from(["paper", "visual", "balanced"]),
        "variety": st.sampled_from([0.5, 1.0]), "fallback": st.sampled_from(["unfiltered", "popular"]),
    },
)  # fmt: skip


WHO = st.sampled_from([("ann", ["jeans-1", "dress-1"]), ("bob", ["coat-3"]), (None, ["dress-2"]), (None, [])])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rules=RULES, ask=ASKS, who=WHO)
def test_whatever_the_rules_nothing_hidden_nothing_twice_and_pins_in_their_places(one, rules, ask, who):
    scenario = Scenario.of({"rules": [{"name": f"rule {place}"} | rule for place, rule in enumerate(rules, 1)]})
    asked, (shopper, seen) = ask_of(scenario, Ask.of(**ask)), who
    with one.moments.now() as (snapshot, connection):
        question = Question.for_guest(snapshot, asked, seen, 0.5)
        if shopper is not None:
            question = one.question_of(snapshot, connection, shopper, asked)
    found, again = (question.merged() if question.of_items else question.spread() for _ in range(2))
    assert [each.as_json() for each in found] == [each.as_json() for each in again]
    shown = ids(found)
    assert len(shown) == len(set(shown)) <= ask["top"]

    about = [{name for name in NAMES if rows[snapshot.row(name)]} for rows in (question.ruling.about if rules else ())]
    never = {"coat-2", *seen}  # sold out
    never.update(*(names for rule, names in zip(rules, about, strict=True) if rule["do"] == "hide"))
    if not any(name.startswith("dress") for name in seen):
        never.update(*(names for rule, names in zip(rules, about, strict=True) if rule["do"] == "together"))
    assert not never & set(shown)

    pinned = {each.item_id for each in found if any(said.startswith("pinned") for said in each.rules)}
    for rule, names in zip(rules, about, strict=True):
        if rule["do"] == "limit":
            assert len((names - pinned) & set(shown)) <= rule["most"]
    pins = [rule for rule in rules if rule["do"] == "pin"]
    if len(pins) == 1 and pins[0].get("items"):
        expected = [name for name in pins[0]["items"] if name not in never][: max(ask["top"] - pins[0]["place"] + 1, 0)]
        place = min(pins[0]["place"] - 1, len(shown) - len(expected))  # at the end of a list that is too short
        assert shown[place : place + len(expected)] == expected
        assert pinned == set(expected)


# Before it is made


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """Thirty shoppers of three purchases each."""
    folder = tmp_path_factory.mktemp("crowd")
    rng = np.random.default_rng(3)
    with Shop.create(folder / "crowd") as made:
        filled(made, folder)
        names = [name for name in NAMES if name != "coat-2"]
        chosen = [(f"s{who:02}", name) for who in range(30) for name in rng.choice(names[:4], 3)]
        made.purchases.record([Event(who, name, DAY + timedelta(days=day)) for day, (who, name) in enumerate(chosen)])
        made.scenarios.put("home", {"top": 3, "gender": "any"})
        yield made


def test_a_preview_tells_what_a_change_does_to_everybody_and_changes_nothing(crowd):
    hide = {"name": "No dress", "do": "hide", "items": ["dress-2"]}
    after = {"top": 3, "gender": "any", "rules": [hide]}
    told = crowd.scenarios.preview("home", after, sample=None)
    assert crowd.scenarios["home"].version == 1
    assert (told.population, told.everybody.shoppers, told.margin) == (32, 32, None)
    shown = [ids(crowd.recommend(shopper=who, scenario="home")) for who in crowd.shoppers.frame()["shopper_id"]]
    crowd.scenarios.put("other", after)
    then = [ids(crowd.recommend(shopper=who, scenario="other")) for who in crowd.shoppers.frame()["shopper_id"]]
    changed = [one != other for one, other in zip(shown, then, strict=True)]
    assert told.everybody.changed == pytest.approx(100 * np.mean(changed))
    assert sum(changed) > 0
    assert [one.item_id for one in told.falls] == ["dress-2"]
    assert told.falls[0].before == sum("dress-2" in one for one in shown)
    assert told.falls[0].after == 0
    assert all(one.after == sum(one.item_id in each for each in then) for one in told.rises)
    prices = {
        "coat-1": 100,
        "coat-2": 200,
        "coat-3": 300,
        "dress-1": 50,
        "dress-2": 60,
        "dress-3": 70,
        "jeans-1": 80,
        "jeans-2": 90,
    }
    for lists, measured in ((shown, told.everybody.before), (then, told.everybody.after)):
        assert measured.price == pytest.approx(np.mean([prices[name] for one in lists for name in one]))
        assert measured.coverage == pytest.approx(100 * len({name for one in lists for name in one}) / 7)
        assert measured.variety == pytest.approx(np.mean([len({name.split("-")[0] for name in one}) for one in lists]))
        assert 0 <= measured.popularity <= 100
    assert [one.shoppers for one in told.thirds] == [11, 11, 10]
    assert sum(one.changed * one.shoppers for one in told.thirds) == pytest.approx(32 * told.everybody.changed)
    for example in told.examples:
        assert [one.recommendation.item_id for one in example.moved] == ids(
            crowd.recommend(shopper=example.shopper_id, scenario="other")
        )
        assert ids(example.before) == ids(crowd.recommend(shopper=example.shopper_id, scenario="home"))
        assert [one.recommendation.item_id for one in example.dropped] == ["dress-2"]
    json.dumps([asdict(one) for one in (told.everybody, *told.thirds, *told.rises, *told.falls)])


def test_a_sample_has_the_same_shoppers_each_time_and_an_interval(crowd):
    rules = [{"name": "Up", "do": "boost", "where": ["category = Denim"], "by": 2}]
    after = {"top": 3, "gender": "any", "rules": rules}
    told, again = (crowd.scenarios.preview("home", after, sample=20) for _ in range(2))
    assert told == again
    assert told.everybody.shoppers == 20
    low, high = told.margin
    assert 0 <= low <= told.everybody.changed <= high <= 100
    same = crowd.scenarios.preview("home", crowd.scenarios["home"].scenario)
    assert (same.everybody.changed, same.rises, same.falls, same.examples) == (0.0, [], [], [])
    new = crowd.scenarios.preview("cart", {"top": 2})
    assert new.everybody.changed > 90, "against what is shown without a scenario"
    with pytest.raises(SettingError, match="did you mean brand"):
        crowd.scenarios.preview("home", {"rules": [{"name": "A", "do": "hide", "where": ["brnd = Acme"]}]})


def test_an_empty_shop_has_an_empty_preview(tmp_path):
    with Shop.create(tmp_path / "empty") as made:
        told = made.scenarios.preview("home", {"top": 2})
    assert (told.population, told.everybody.shoppers, told.thirds, told.examples) == (0, 0, [], [])
