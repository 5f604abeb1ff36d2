"""The benchmark: metrics as ir-measures has them, a time line that nothing crosses, and leaks that are found."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import ir_measures
import numpy as np
import pytest
from ir_measures import RR, Qrel, R, ScoredDoc, Success, nDCG

from modiste import Event, Item, Shop
from modiste.arrays import Array, Ints
from modiste.behaviour.choice import Events
from modiste.behaviour.trendiness import estimated_trendiness
from modiste.errors import SettingError
from modiste.evaluation.benchmark import (
    Protocol,
    audit_future,
    audit_products,
    audit_time,
    benchmark,
    data_of,
    holm,
    judge,
    parts,
)
from modiste.evaluation.metrics import list_metrics
from modiste.evaluation.recommenders import HALF_LIFE, Choice, Data, Popular, Random, SameCategory
from modiste.evaluation.tuned import BPR, Tuned, TwoStage, _fewer, recommenders

PROTOCOL = Protocol(cuts=2, sample=60, window=30.0)


@pytest.fixture(scope="module")
def data() -> Data:
    """200 days, 60 items of three kinds with a Zipf tail, 80 shoppers who each keep to one kind."""
    rng = np.random.default_rng(5)
    shopper = rng.integers(0, 80, 1500)
    category = np.arange(60) % 3
    shares = 1 / np.arange(1, 61)
    item = np.array([rng.choice(60, p=(w := shares * (1 + 8 * (category == one % 3))) / w.sum()) for one in shopper])
    day = np.sort(rng.integers(0, 200, 1500)).astype(float)
    return Data(Events(shopper, item, day), 80, np.arange(60), category, np.eye(3))


def test_metrics_are_those_of_ir_measures():
    rng = np.random.default_rng(1)
    qrels, run, ours = [], [], []
    for query in range(40):
        order = rng.permutation(60)
        wanted = rng.choice(60, rng.integers(1, 30), replace=False)
        run += [ScoredDoc(str(query), str(item), float(-place)) for place, item in enumerate(order)]
        qrels += [Qrel(str(query), str(item), 1) for item in wanted]
        ours.append(list_metrics(np.flatnonzero(np.isin(order, wanted))))
    for k in (5, 10, 20):
        for name, theirs in (("ndcg", nDCG @ k), ("recall", R @ k), ("mrr", RR @ k), ("hit", Success @ k)):
            expected = ir_measures.calc_aggregate([theirs], qrels, run)[theirs]
            assert np.mean([one[f"{name}_at_{k}"] for one in ours]) == pytest.approx(100 * expected), (name, k)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_training_ends_at_the_cut_and_what_was_bought_before_is_left_out(data):
    for part in parts(data, PROTOCOL):
        assert part.train.events.day.max() < part.cut
        for shopper, wanted in zip(part.shoppers, part.wanted, strict=True):
            mine = data.events.shopper == shopper
            later = mine & (data.events.day >= part.cut) & (data.events.day < part.cut + 30)
            assert set(wanted) <= set(data.events.item[later]) - set(
                data.events.item[mine & (data.events.day < part.cut)]
            )
        assert audit_time(part) is None
        assert audit_products(part) is None


def test_what_came_is_on_offer_and_new_though_it_never_sold(data):
    came = np.full(62, np.nan)
    first = parts(data, PROTOCOL)[0].cut
    came[60:] = first + 10, first + 100  # of which one is there before the window ends
    wider = replace(data, product=np.arange(62), category=np.arange(62) % 3, came=came)
    part, plain = parts(wider, PROTOCOL)[0], parts(data, PROTOCOL)[0]
    assert part.offer.tolist() == [*plain.offer, True, False]
    assert [one.tolist() for one in part.wanted] == [one.tolist() for one in plain.wanted]
    found = {}
    for told in (wider, replace(wider, came=None)):
        model = Choice(shipped=True)
        model.fit(told.before(part.cut), part.cut)
        found[told.came is None] = model.scores(part.shoppers)
    assert (found[False][:, 60] > found[True][:, 60] + 1).all()
    assert found[False][:, :60] == pytest.approx(found[True][:, :60], abs=1e-3)


def test_the_paper_s_metrics_of_a_list_are_told_beside_the_others(data):
    gender = np.where(np.arange(60) < 50, 1, 2).astype(np.int8)
    part = parts(replace(data, gender=gender), PROTOCOL)[0]
    popular = Popular()
    popular.fit(part.train, part.cut)
    found = judge(part, popular.scores, logits=True)
    shopper = found.row(int(np.flatnonzero(found["before"])[0]), named=True)
    hers = part.train.events.item[part.train.events.shopper == shopper["shopper"]]
    counts = np.bincount(part.train.events.item, minlength=60).astype(float)
    best = [one for one in np.argsort(-counts) if one not in hers][:20]
    assert shopper["category"] == pytest.approx(
        100 * (data.category[hers][:, None] == data.category[best]).mean(), abs=2
    )
    share = (counts - counts.min()) / (counts.max() - counts.min())
    tau = estimated_trendiness(share[hers].sum(), len(hers), share[part.train.events.item].mean())
    assert shopper["mae"] == pytest.approx(100 * np.abs(share[best] - tau).mean(), abs=1)
    assert shopper["gender_unfiltered"] == pytest.approx(100 * (gender[best] == 1).mean(), abs=10)
    assert found.filter(found["before"] == 0)["mae"].null_count() == (found["before"] == 0).sum()


def test_a_random_order_reaches_what_chance_says(data):
    part = parts(data, replace(PROTOCOL, repeats=True))[0]
    random = Random()
    random.fit(part.train, part.cut)
    frames = [judge(part, random.scores, logits=True, seed=seed) for seed in range(40)]
    expected = 100 * 20 / part.offer.sum()
    assert np.mean([frame["recall_at_20"].mean() for frame in frames]) == pytest.approx(expected, abs=3)
    assert frames[0]["likelihood"].to_list() == pytest.approx([-np.log(part.offer.sum())] * len(frames[0]))


def test_a_planted_size_of_what_she_bought_is_found(data):
    part = parts(data, PROTOCOL)[0]
    product = data.product.copy()
    bought = data.events.item[(data.events.shopper == part.shoppers[0]) & (data.events.day < part.cut)][0]
    product[part.wanted[0][0]] = product[bought]
    planted = replace(part, train=replace(part.train, product=product))
    assert "size of a product that they had bought" in (audit_products(planted) or "")
    again = parts(replace(data, product=product), PROTOCOL)[0]
    assert audit_products(again) is None


def test_planted_purchases_after_the_cut_are_found(data):
    part = parts(data, PROTOCOL)[0]
    assert "after the cut" in (audit_time(replace(part, train=data)) or "")


class _AllTime(Popular):
    """Popularity counted to the end, whatever it is handed."""

    def __init__(self, data: Data) -> None:
        super().__init__(HALF_LIFE)
        self.data = data

    def fit(self, train: Data, cut: float) -> None:
        super().fit(self.data, float(self.data.events.day[-1]))


class _Calibrated(Popular):
    """Its weight is chosen by what is judged."""

    def __init__(self, data: Data) -> None:
        super().__init__()
        self.data = data

    def scores(self, shoppers: Ints) -> Array:
        later = self.data.events.item[-200:]
        weights = np.linspace(0, 2, 2001)[:, None]
        fits = weights[:, 0] * self.fashion[later].mean() - np.log(np.exp(weights * self.fashion).sum(axis=1))
        return weights[np.argmax(fits)] * super().scores(shoppers)


@pytest.mark.parametrize("leaky", [_AllTime, _Calibrated])
def test_a_recommender_that_peeks_is_found(data, leaky):
    part = parts(data, PROTOCOL)[0]
    made = leaky(data)
    made.fit(part.train, part.cut)
    assert "depend on what was bought after" in (audit_future(leaky, data, part, made.scores) or "")


def test_everything_runs_finds_no_leak_and_beats_chance(data, tmp_path: Path):
    pytest.importorskip("irspack")
    report = benchmark(data, replace(PROTOCOL, cuts=1, sample=30), tmp_path)
    assert report.notes == ["The audits found no leak."]
    rows = {row.name: row.measures for row in report.tables[0].rows}
    assert set(rows) == set(recommenders(data))
    assert rows["choice model"]["ndcg_at_20"].mean > rows["random"]["ndcg_at_20"].mean
    assert rows["choice model"]["likelihood"].mean > rows["random"]["likelihood"].mean
    assert {"tables.md", "accuracy.csv", "accuracy-dark.png", "beyond.csv"} <= {one.name for one in tmp_path.iterdir()}


def test_bpr_learns_who_keeps_to_which_kind(data):
    made = BPR()
    made.fit(data, 200.0)
    kind = data.category[data.events.item]
    hers = np.array([np.bincount(kind[data.events.shopper == one], minlength=3).argmax() for one in range(80)])
    scores = made.scores(np.arange(80))
    means = np.stack([scores[:, data.category == one].mean(axis=1) for one in range(3)], axis=1)
    assert (means.argmax(axis=1) == hers).mean() > 0.9


class _Wrong(Popular):
    """The least popular first."""

    def scores(self, shoppers: Ints) -> Array:
        return -super().scores(shoppers)


def test_the_better_setting_is_chosen_by_what_came_before_the_cut(data):
    part = parts(data, PROTOCOL)[0]
    for settings in ([_Wrong, Popular], [Popular, _Wrong]):
        one = Tuned(settings)
        one.fit(part.train, part.cut)
        assert type(one.model) is Popular


def test_settings_are_tried_on_a_part_of_a_large_shop_and_what_sold_in_it():
    rng, many = np.random.default_rng(2), 150_000
    shopper, item = rng.integers(0, 9_000, many), rng.integers(0, 40_000, many)
    events = Events(shopper, item, np.sort(rng.integers(0, 700, many)).astype(float))
    large = Data(events, 9_000, np.arange(40_000), np.arange(40_000) % 7, np.eye(7))
    few, kept = _fewer(large), shopper % 3 == 0
    assert (few.product[few.events.item] == item[kept]).all()
    assert (few.category[few.events.item] == item[kept] % 7).all()
    assert (few.events.shopper == shopper[kept] // 3).all()
    assert (few.items, few.shoppers) == (len(np.unique(item[kept])), 3_000)


def test_a_second_stage_ranks_what_the_first_proposes(data):
    pytest.importorskip("lightgbm")
    part = parts(data, PROTOCOL)[0]
    made = TwoStage({"random": Random, "popular": Popular, "category": SameCategory})
    made.fit(part.train, part.cut)
    found = judge(part, made.scores, logits=False)["ndcg_at_20"].mean()
    random = Random()
    random.fit(part.train, part.cut)
    chance = judge(part, random.scores, logits=False)["ndcg_at_20"].mean()
    assert found > 1.3 * chance


def test_what_is_finished_is_not_done_again(data, tmp_path: Path):
    made = []

    def factory(_: Data) -> Random:
        made.append(1)
        return Random()

    first = benchmark(data, PROTOCOL, tmp_path, {"random": factory})
    many = len(made)
    assert benchmark(data, PROTOCOL, tmp_path, {"random": factory}).markdown == first.markdown
    assert len(made) == many


def test_a_shop_of_plain_events_is_judged_without_photos(tmp_path: Path, data):
    with Shop.create(tmp_path / "plain") as shop:
        with pytest.raises(SettingError, match="no purchases to judge by"):
            data_of(shop)
        for item in range(60):
            shop.items.put(Item(f"i{item:02d}", ("Denim", "Dresses", "Shorts")[item % 3], product=f"p{item // 2}"))
        start = datetime(2025, 1, 1)
        rows = zip(data.events.shopper.tolist(), data.events.item.tolist(), data.events.day.tolist(), strict=True)
        shop.purchases.record([Event(f"s{who}", f"i{what:02d}", start + timedelta(day)) for who, what, day in rows])
        found = data_of(shop)
        names = np.array(shop.snapshot().item_ids)[found.events.item]
    assert names.tolist() == [f"i{item:02d}" for item in data.events.item.tolist()]
    assert found.events.day.tolist() == (data.events.day - data.events.day[0]).tolist()
    assert len(np.unique(found.product)) == 30
    assert found.looks is None
    factories = {"random": lambda _: Random(), "decayed popular": lambda _: Popular(HALF_LIFE)}
    benchmark(found, PROTOCOL, tmp_path / "out", factories, title="Plain")
    assert "decayed popular" in (tmp_path / "out" / "tables.md").read_text()
