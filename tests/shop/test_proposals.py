"""Which category a photo proposes."""

import numpy as np

from modiste.shop.proposals import proposals

SCALE = (0.0, 1.0)


def test_a_near_neighbour_counts_for_more_than_a_far_one():
    gallery = np.array([[1, 0], [0.6, 0.8], [0.6, -0.8]], np.float32)
    [found], [share] = proposals(gallery[:1], gallery, np.array([4, 7, 7]), SCALE)
    weights = np.exp(3.6 * np.array([0.0, -0.4, -0.4]))
    assert found == 4
    assert np.isclose(share, weights[0] / weights.sum())


def test_of_many_only_the_ten_nearest_are_asked_and_their_shares_add_up():
    rng = np.random.default_rng(0)
    gallery = rng.normal(size=(2000, 8)).astype(np.float32)
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    category = rng.integers(0, 3, 2000)
    found, shares = proposals(gallery[:700], gallery, category, SCALE)
    for one in (0, 511, 512, 699):
        cosine = gallery @ gallery[one]
        near = np.argsort(-cosine)[:10]
        weights = np.exp(3.6 * (cosine[near] - cosine.max()))
        votes = np.bincount(category[near], weights, minlength=3) / weights.sum()
        assert (found[one], np.isclose(shares[one], votes.max(), atol=1e-5)) == (votes.argmax(), True)


def test_nobody_to_ask_is_nothing_to_propose():
    look = np.ones((2, 1), np.float32)
    found, shares = proposals(look, look[:0], np.zeros(0, np.int64), SCALE)
    assert (found.tolist(), shares.tolist()) == ([-1, -1], [0.0, 0.0])
