"""The choice model on real rentals keeps what it promises, on a sample of the last quarter."""

import numpy as np
import pytest

from benchmarks.rentals import BASELINE, CUT, FULL, interval, judge, read_rentals, rows


@pytest.mark.data
def test_on_real_rentals_the_choice_model_beats_decayed_popularity(shared_data):
    rentals = read_rentals(shared_data)
    cut = float((CUT - rentals.first).days)
    fitted, judged = judge(rentals, cut, sample=1_000, choices=1_500)
    known, ours, base = judged.before > 0, judged.names.index(FULL), judged.names.index(BASELINE)
    many = judged.before >= 5
    hit, likelihood = judged.rank < 20, judged.likelihood[:, ours] - judged.likelihood[:, base]
    assert hit[many, ours].mean() > 2 * hit[many, base].mean()  # all of the quarter shows more than this sample
    assert interval(likelihood[known], judged.shopper[known])[0] > 0.05
    assert 0.95 < judged.slope < 1.2
    assert judged.overlap["10th and 90th"][1] <= 0.5  # of those of whose θ anything is known
    assert judged.overlap["5th and 95th"][0] <= 0.5
    assert all(weight > 0 for weight in fitted.model.weights.values())
    assert [row["recall@20, %"] for row in rows(judged, draws=10)] == judged.names


def test_an_interval_is_over_shoppers_not_over_purchases():
    values, alone = np.array([1.0] * 50 + [0.0] * 50), np.arange(100)
    low, high = interval(values, alone)
    assert (low, high) == pytest.approx((0.4, 0.6), abs=0.03)
    assert interval(values, np.repeat([0, 1], 50)) == (0, 1)
