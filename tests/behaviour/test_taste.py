"""θ: by hand, against exact sums, and how well a prior is found again."""

import numpy as np
import pytest

from modiste.behaviour.taste import GRID, NODES, Prior, fit_prior, log_partition, posterior, theta_words

POPULARITY = np.log1p(np.random.default_rng(5).lognormal(2, 1.5, 300))


def draw(theta: np.ndarray, many: int, rng: np.random.Generator) -> np.ndarray:
    """The sum of the log popularity of ``many`` purchases by shoppers of these θ."""
    logs = theta[:, None] * POPULARITY
    cumulative = np.cumsum(np.exp(logs - logs.max(axis=1, keepdims=True)), axis=1)
    shots = rng.random((len(theta), many)) * cumulative[:, -1:]
    return np.stack([POPULARITY[np.searchsorted(row, one)].sum() for row, one in zip(cumulative, shots, strict=True)])


def test_equal_items_have_the_log_of_their_number_as_partition_at_theta_0():
    partition = log_partition(np.array([0.0, 0.0, 1.0]))
    assert partition == pytest.approx(np.log(2 + np.exp(NODES)))


def test_without_purchases_the_posterior_is_the_prior():
    mean, sd = posterior(np.zeros(1), np.zeros((1, len(NODES))), Prior(0.5, 0.2))
    assert (mean[0], sd[0]) == pytest.approx((0.5, 0.2), abs=1e-3)


@pytest.mark.parametrize("many", [5, 20, 100])
def test_thirteen_nodes_give_what_the_whole_grid_gives(many):
    rng, prior = np.random.default_rng(many), Prior(0.8, 0.4)
    theta = np.clip(rng.normal(0.8, 0.4, 1_000), -1, 2)
    bought = draw(theta, many, rng)
    mean, sd = posterior(bought, np.tile(many * log_partition(POPULARITY), (len(theta), 1)), prior)
    exact = np.log(np.exp(GRID[:, None] * POPULARITY).sum(axis=1))
    logs = bought[:, None] * GRID - many * exact - 0.5 * ((GRID - 0.8) / 0.4) ** 2
    chance = np.exp(logs - logs.max(axis=1, keepdims=True))
    chance /= chance.sum(axis=1, keepdims=True)
    best = chance @ GRID
    assert np.corrcoef(mean, theta)[0, 1] >= 0.95 * np.corrcoef(best, theta)[0, 1]
    assert mean == pytest.approx(best, abs=1e-3)
    assert 0.9 < np.sqrt(np.mean(((mean - theta) / sd) ** 2)) < 1.1  # it knows how unsure it is


def test_the_prior_is_found_within_two_standard_errors():
    rng = np.random.default_rng(4)
    theta = rng.normal(0.7, 0.3, 3_000)
    many = rng.integers(1, 8, len(theta))
    bought = np.array([draw(theta[[row]], n, rng)[0] for row, n in enumerate(many)])
    prior, errors = fit_prior(bought, many[:, None] * log_partition(POPULARITY))
    assert abs(prior.mean - 0.7) < 2 * errors[0] < 0.05
    assert abs(prior.sd - 0.3) < 2 * errors[1] < 0.1


def test_theta_is_told_with_its_uncertainty_and_not_without_purchases():
    assert theta_words(0.7, 0.3, 4) == "follows the crowd: 0.7 ± 0.3, 4 purchases"
    assert theta_words(0.1, 0.2, 1) == "takes no notice of the crowd: 0.1 ± 0.2, 1 purchase"
    assert theta_words(-0.6, 0.2, 9).startswith("avoids the crowd")
    assert theta_words(0.7, 0.3, 0) == ""
