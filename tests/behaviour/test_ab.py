"""A/B tests, interleaving and replay, held to what they promise by simulation."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modiste.behaviour.ab import (
    Arm,
    Guards,
    difference,
    preference,
    preferred,
    radius,
    sample_size,
    share_of,
    variant_of,
    verdict,
    wilson,
)
from modiste.behaviour.interleaving import credit, team_draft
from modiste.behaviour.replay import doubly_robust, ips, snips
from modiste.errors import SettingError

DAYS = 28


def test_a_shopper_stays_in_her_half_and_experiments_split_independently() -> None:
    people = [str(one) for one in range(4000)]
    first, second = ([variant_of(name, one) == "b" for one in people] for name in ("winter", "spring"))
    assert first == [variant_of("winter", one) == "b" for one in people]
    for split in (first, second):
        assert abs(sum(split) - 2000) < 4 * np.sqrt(1000)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.06
    assert share_of("winter", "1") == 0.22174690711830292  # a change would send shoppers to the other half


def test_wilson_has_the_interval_of_the_textbook() -> None:
    assert wilson(10, 50) == pytest.approx((0.11244, 0.33038), abs=1e-5)
    assert wilson(0, 0) == (0, 1)
    assert wilson(0, 20)[0] == 0 < wilson(0, 20)[1]


def looked_at_daily(rate_a: float, rate_b: float, planned: int, runs: int, seed: int) -> np.ndarray:
    """Whether each of some tests was ever decided, and for which, if one looks on each of DAYS days: -1, 0, 1."""
    rng = np.random.default_rng(seed)
    each = planned // DAYS
    b = rng.binomial(each, 0.5, (runs, DAYS))
    a = each - b
    hits_a, hits_b = rng.binomial(a, rate_a).cumsum(1), rng.binomial(b, rate_b).cumsum(1)
    a, b = a.cumsum(1), b.cumsum(1)
    shares = [(hits + 1) / (n + 2) for hits, n in ((hits_a, a), (hits_b, b))]
    half = radius(a + b, 2 * sum(share * (1 - share) for share in shares), planned)
    lift = hits_b / np.maximum(b, 1) - hits_a / np.maximum(a, 1)
    outside = np.where(np.abs(lift) > half, np.sign(lift), 0)
    first = np.argmax(outside != 0, axis=1)
    return outside[np.arange(runs), first]


@pytest.mark.parametrize("rate", [0.02, 0.3])
@pytest.mark.parametrize("planned", [2800, 56_000])
def test_looking_every_day_raises_no_more_false_alarms_than_allowed(rate: float, planned: int) -> None:
    found = looked_at_daily(rate, rate, planned, 8000, seed=1)
    assert (found != 0).mean() <= 0.05
    naive = np.abs(np.random.default_rng(1).normal(size=(8000, DAYS)).cumsum(1)) > 1.96 * np.sqrt(np.arange(1, 29))
    assert naive.any(axis=1).mean() > 0.2  # what the usual test does if one looks every day


@pytest.mark.parametrize(("rate", "lift"), [(0.02, 0.2), (0.1, 0.1), (0.3, -0.1)])
def test_the_told_number_of_shoppers_finds_the_told_difference(rate: float, lift: float) -> None:
    planned = sample_size(rate, lift)
    found = looked_at_daily(rate, rate * (1 + lift), planned, 4000, seed=2)
    right = (found == np.sign(lift)).mean()
    assert 0.78 <= right <= 0.88
    assert (found == -np.sign(lift)).mean() < 0.005


def test_a_sample_size_that_cannot_be_is_refused() -> None:
    for rate, lift in ((0.0, 0.1), (0.6, 1.0), (0.1, 0.0), (0.1, -1.0)):
        with pytest.raises(SettingError, match="between 0 and 1"):
            sample_size(rate, lift)


def test_the_vectorised_sequence_is_the_one_that_is_told() -> None:
    a, b = Arm(1000, 20), Arm(1010, 31)
    found = difference(a, b, 5000)
    half = radius(np.array([2010.0]), np.array([2 * (a.variance + b.variance)]), 5000)[0]
    assert (found.low, found.high) == pytest.approx((b.rate - a.rate - half, b.rate - a.rate + half))
    assert difference(Arm(0, 0), b, 5000).low == -1
    assert preference(0, 0, 100).high == 1


def test_a_verdict_says_in_words_how_a_test_stands() -> None:
    def told(a: Arm, b: Arm, planned: int = 20_000) -> str:
        return verdict(a, b, planned, 0.01, "bought from the list").words

    assert told(Arm(10_000, 200), Arm(10_000, 400)).startswith(
        "B is better: 4.00% of those who saw B bought from the list, 2.00% of those who saw A; the difference is +"
    )
    assert told(Arm(10_000, 400), Arm(10_000, 200)).startswith("A is better")
    assert told(Arm(10_000, 200), Arm(10_000, 205)).startswith("Alike")
    assert told(Arm(100, 2), Arm(102, 3)).startswith("Not decided yet")
    assert told(Arm(0, 0), Arm(0, 0)) == "Nothing to tell yet: of about 20000 shoppers 0 can be counted."
    assert "after 202 of about 20000 shoppers" in told(Arm(100, 2), Arm(102, 3))
    assert told(Arm(1000, 200), Arm(1000, 205), 500).startswith("Not decided, and more shoppers (2000) than the 500")
    assert told(Arm(6000, 60), Arm(4000, 90)).startswith("Not to be trusted: 6000 shoppers saw A and 4000 saw B")
    assert preferred(10, 90, 100).words.startswith("B is better: of 100 shoppers who preferred one, 90 chose")
    assert preferred(90, 10, 100).state == "a"
    assert preferred(5, 6, 100).state == "open"


def test_what_gets_worse_meanwhile_is_warned_of() -> None:
    guards = Guards(Arm(2000, 200), Arm(2000, 600), coverage_a=500, coverage_b=300)
    found = verdict(Arm(10_000, 200), Arm(10_000, 400), 20_000, 0.01, "bought", guards)
    assert found.state == "b"
    assert [one.split(":")[0] for one in found.warnings] == [
        "More of what is bought from B comes back", "B shows fewer different items",
    ]  # fmt: skip
    assert not Guards(Arm(20, 2), Arm(20, 4), 500, 450).warnings(20_000)


# Interleaving


@given(
    st.lists(st.integers(0, 9), unique=True),
    st.lists(st.integers(0, 9), unique=True),
    st.integers(0, 12),
    st.integers(0, 99),
)
def test_a_drafted_list_takes_the_best_of_both_in_fair_turns(a: list[int], b: list[int], top: int, seed: int) -> None:
    shown, teams = team_draft(a, b, top, Random(seed))
    assert len(shown) == len(set(shown)) == len(teams) == min(top, len({*a, *b}))
    for team, own in (("a", a), ("b", b)):
        picks = [own.index(one) for one, whose in zip(shown, teams, strict=True) if whose == team]
        assert picks == sorted(picks)
    if len(set(a)) == len(set(b)) == 10:
        assert abs(teams.count("a") - teams.count("b")) <= 1
    assert credit(shown, teams, shown) == teams.count("b") - teams.count("a")


def test_two_equal_settings_are_drafted_without_favour() -> None:
    credits = []
    for seed in range(4000):
        shown, teams = team_draft(range(10), range(10), 5, Random(seed))
        credits.append(credit(shown, teams, {0}))
    assert abs(sum(credits)) < 4 * np.sqrt(4000)


def test_interleaving_finds_the_better_setting_with_fewer_shoppers() -> None:
    rng, items, top, looks = np.random.default_rng(3), 60, 8, 400
    needed: dict[str, list[int]] = {"interleaved": [], "split": []}
    for _ in range(5):
        wins, hits, seen = {"a": 0, "b": 0}, {"a": 0, "b": 0}, {"a": 0, "b": 0}
        found: dict[str, int] = {}
        for n in range(1, 16_001):
            likes = rng.normal(size=items)
            ranked = {
                name: np.argsort(-(likes + noise * rng.normal(size=items)))[:top].tolist()
                for name, noise in (("a", 1.2), ("b", 0.8))
            }

            def clicks(shown: list[int], likes: np.ndarray = likes) -> set[int]:
                chance = 0.4 / (1 + np.exp(3 - 1.5 * likes[shown]))
                return {one for one, p in zip(shown, chance, strict=True) if rng.random() < p}

            if "interleaved" not in found:
                shown, teams = team_draft(ranked["a"], ranked["b"], top, Random(n))
                by = credit(shown, teams, clicks(shown))
                wins["b" if by > 0 else "a"] += by != 0
                if n % looks == 0 and preferred(wins["a"], wins["b"], 400).state != "open":
                    assert preferred(wins["a"], wins["b"], 400).state == "b"
                    found["interleaved"] = n
            variant = variant_of("one", str(n))
            seen[variant] += 1
            hits[variant] += bool(clicks(ranked[variant]))
            if n % looks == 0:
                state = verdict(Arm(seen["a"], hits["a"]), Arm(seen["b"], hits["b"]), 6000, 0.0, "clicked").state
                if state in ("a", "b"):
                    assert state == "b"
                    found["split"] = n
                    break
        for name, many in needed.items():
            many.append(found.get(name, 16_000))
    assert np.median(needed["interleaved"]) < 0.5 * np.median(needed["split"])


# Replay


class Log:
    """Five choices in two contexts, shown by a known policy; the truth of another one is known."""

    def __init__(self, n: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.truth = np.array([[0.05, 0.1, 0.2, 0.3, 0.02], [0.3, 0.1, 0.05, 0.02, 0.2]])
        shown = np.array([[0.3, 0.3, 0.2, 0.1, 0.1], [0.1, 0.2, 0.3, 0.3, 0.1]])
        wanted = np.array([[0.0, 0.0, 0.2, 0.8, 0.0], [0.7, 0.0, 0.0, 0.0, 0.3]])
        self.context = rng.integers(0, 2, n)
        self.action = (rng.random(n)[:, None] > shown[self.context].cumsum(1)).sum(1)
        self.reward = (rng.random(n) < self.truth[self.context, self.action]).astype(float)
        self.logged, self.target = shown[self.context, self.action], wanted[self.context, self.action]
        self.wanted = wanted
        self.value = float((self.truth * wanted).sum(1).mean())


def test_replay_tells_what_another_way_earns_where_the_truth_is_known() -> None:
    covered, errors = {"ips": 0, "snips": 0, "dr": 0}, {"ips": 0.0, "snips": 0.0, "dr": 0.0}
    for seed in range(300):
        log = Log(2000, seed)
        model = log.truth + 0.02  # close, not right
        predicted, expected = model[log.context, log.action], (model * log.wanted).sum(1)[log.context]
        found = {
            "ips": ips(log.reward, log.logged, log.target),
            "snips": snips(log.reward, log.logged, log.target),
            "dr": doubly_robust(log.reward, log.logged, log.target, predicted, expected),
        }
        for name, one in found.items():
            covered[name] += one.low <= log.value <= one.high
            errors[name] += (one.value - log.value) ** 2
            assert one.effective < one.n == 2000
    assert all(0.91 <= one / 300 <= 0.985 for one in covered.values())
    assert errors["dr"] < errors["ips"]
    assert errors["snips"] < errors["ips"]


def test_the_doubly_robust_estimate_forgives_wrong_propensities_or_a_wrong_model() -> None:
    log = Log(200_000, 5)
    right, expected = log.truth[log.context, log.action], (log.truth * log.wanted).sum(1)[log.context]
    wrong = np.full(len(log.reward), 0.5)
    assert ips(log.reward, wrong, log.target).value != pytest.approx(log.value, abs=0.02)
    assert doubly_robust(log.reward, wrong, log.target, right, expected).value == pytest.approx(log.value, abs=0.01)
    assert doubly_robust(log.reward, log.logged, log.target, wrong, wrong).value == pytest.approx(log.value, abs=0.01)


def test_rows_of_one_shopper_do_not_count_as_many_shoppers() -> None:
    log = Log(500, 6)
    once = ips(log.reward, log.logged, log.target)
    four = [np.repeat(one, 4) for one in (log.reward, log.logged, log.target)]
    again = ips(*four, shopper=np.repeat(np.arange(500), 4))
    assert (again.value, again.low) == pytest.approx((once.value, once.low))
    assert ips(*four).low > once.low


def test_a_log_that_tells_nothing_is_refused_or_told() -> None:
    one = np.ones(3)
    with pytest.raises(SettingError, match="above 0"):
        ips(one, np.zeros(3), one)
    with pytest.raises(SettingError, match="as many"):
        snips(one, one, np.ones(2))
    assert np.isnan(snips(one, one, np.zeros(3)).value)
