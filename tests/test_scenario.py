"""A scenario and its rules as data: what may be written, and what is said of what may not."""

from datetime import datetime

import pytest

from modiste.ask import Ask
from modiste.errors import SettingError, SourceError
from modiste.rules import Condition
from modiste.scenario import Scenario, rule_of

WRITTEN = """\
about = "Below a product"
top = 8
preset = "visual"
categories = ["Coats", "Jackets"]
sold_out = true
variety = 0.3

[[rules]]
name = "Winter coats"
do = "pin"
items = ["0002", "0003"]
place = 1
from = 2026-11-01
until = 2027-03-01T00:00:00+01:00

[[rules]]
name = "Clear the shelves"
do = "boost"
where = ["brand = Acme | Beta", "stock > 20"]
by = 2

[[rules]]
name = "Not all of one brand"
do = "limit"
most = 2
of = "brand"

[[rules]]
name = "Belts with trousers"
do = "together"
where = ["category = Belts"]
with = ["category = Pants"]
"""


@pytest.fixture
def scenario(tmp_path):
    file = tmp_path / "scenario.toml"
    file.write_text(WRITTEN, encoding="utf-8")
    return Scenario.load(file)


def test_a_file_is_read_and_written_as_the_same_scenario(scenario, tmp_path):
    assert scenario.about == "Below a product"
    assert scenario.settings == {
        "top": 8, "preset": "visual", "categories": ["Coats", "Jackets"], "sold_out": True, "variety": 0.3,
    }  # fmt: skip
    pin, boost, limit, together = scenario.rules
    assert (pin.items, pin.place) == (("0002", "0003"), 1)
    assert (pin.start, pin.end) == (datetime(2026, 11, 1), datetime(2027, 2, 28, 23))
    assert boost.where == ("brand = Acme | Beta", "stock > 20")
    assert (limit.most, limit.of, together.beside) == (2, "brand", ("category = Pants",))
    again = tmp_path / "again.toml"
    again.write_text(scenario.as_toml(), encoding="utf-8")
    assert Scenario.load(again) == scenario == Scenario.of(scenario.as_data())


def test_a_rule_holds_from_its_beginning_to_before_its_end(scenario):
    pin = scenario.rules[0]
    assert [pin.holds(datetime(2026, *day)) for day in ((10, 31), (11, 1), (12, 24))] == [False, True, True]
    assert not pin.holds(datetime(2027, 3, 1))
    assert scenario.rules[1].holds(datetime(1999, 1, 1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("category = Coats", Condition("category", "=", ("Coats",))),
        ("brand=Acme|Beta & Co", Condition("brand", "=", ("Acme", "Beta & Co"))),
        (" price <= 80 ", Condition("price", "<=", ("80",))),
        ("margin > 40%", Condition("margin", ">", ("40%",))),
        ("fabric care != dry = clean", Condition("fabric care", "!=", ("dry = clean",))),
    ],
)
def test_a_condition_is_a_field_a_sign_and_values(text, expected):
    assert Condition.of(text) == expected


def test_what_the_caller_says_wins_over_the_scenario(scenario):
    asked = scenario.asked(Ask.of(scenario="x", top=3, categories=[]))
    assert (asked["top"], asked["categories"], asked["preset"], asked["variety"]) == (3, [], "visual", 0.3)
    weighted = Scenario.of({"preset": "paper", "alpha": 0.9, "penalty": 4, "min_price": 50})
    assert weighted.asked(Ask.of(scenario="x", alpha=0.5)) | {"scenario": 0} == {
        "preset": "paper", "alpha": 0.5, "penalty": 4, "min_price": 50, "scenario": 0,
    }  # fmt: skip
    other = weighted.asked(Ask.of(scenario="x", preset="visual", max_price=20))
    assert other == {
        "preset": "visual",
        "max_price": 20,
        "scenario": "x",
    }  # a preset brings its weights, a price its range


RULE = {"name": "A", "do": "hide", "items": ["1"]}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"tops": 3}, "a scenario has no 'tops'; did you mean top?"),
        ({"scenario": "other"}, "a scenario has no 'scenario'"),
        ({"top": 0}, "top: .*greater than or equal to 1"),
        ({"alpha": 0, "beta": 0, "gamma": 0, "preset": "paper"}, "every weight is 0"),
        ({"rules": {"name": "A"}}, r"in TOML each begins with \[\[rules\]\]"),
        ({"rules": [RULE, RULE]}, "two rules are called 'A'"),
        ({"rules": [RULE | {"do": "hid"}]}, "rule 'A': no rule can 'hid'; did you mean hide?"),
        ({"rules": [RULE | {"plaec": 1}]}, "rule 'A': a rule has no 'plaec'; did you mean place?"),
        ({"rules": [{"do": "hide", "items": ["1"]}]}, "rule 1: name: Field required"),
        ({"rules": [RULE | {"do": "pin"}]}, "rule 'A': pin needs place"),
        ({"rules": [RULE | {"place": 1}]}, "rule 'A': place is nothing for hide"),
        ({"rules": [RULE | {"where": ["brand = B"]}]}, "rule 'A': .*items or about conditions, not both"),
        ({"rules": [{"name": "A", "do": "hide"}]}, "rule 'A': what is it about"),
        ({"rules": [RULE | {"do": "limit", "most": 2, "items": []}]}, "rule 'A': what is it about"),
        ({"rules": [RULE | {"do": "boost", "by": 0.5}]}, r"rule 'A': by: .*greater than 1 \(not 0.5\)"),
        ({"rules": [RULE | {"from": "soon"}]}, "rule 'A': from: 'soon' is no time; write it as 2026-11-01"),
        ({"rules": [RULE | {"from": "2026-02-01", "until": "2026-01-01"}]}, "rule 'A': from is not before until"),
        ({"rules": [{"name": "A", "do": "hide", "where": ["cheap"]}]}, "rule 'A': .*'cheap' is no condition"),
        ({"rules": [{"name": "A", "do": "hide", "where": ["price < cheap"]}]}, "rule 'A': .*write one number"),
        ({"rules": [{"name": "A", "do": "hide", "where": ["brand = A |"]}]}, "rule 'A': .*empty value"),
    ],
)
def test_what_may_not_be_written_is_named_with_its_rule_and_the_nearest_word(data, words):
    with pytest.raises(SettingError, match=words):
        Scenario.of(data)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"none\.toml can't be read"):
        Scenario.load(tmp_path / "none.toml")
    for name, content, words in (
        ("a.toml", "top = ", "a.toml: "),
        ("b.json", "[1]", "b.json: a scenario is an object"),
        ("c.json", '{"top": "many"}', "c.json: top: "),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(SourceError, match=words):
            Scenario.load(tmp_path / name)


def test_texts_of_a_form_are_taken_line_by_line():
    rule = rule_of({"name": " A ", "do": "hide", "where": "category = Coats\r\n\r\n price < 20 ", "from": ""})
    assert (rule.name, rule.where, rule.start) == ("A", ("category = Coats", "price < 20"), None)
