"""A shop of six items and three purchases, small enough to judge by hand."""

import numpy as np
import pytest

from modiste.evaluation.trials import Purchases
from modiste.ranking.candidates import Candidates

MEN, WOMEN = 1, 2


@pytest.fixture
def six() -> Candidates:
    """Two kinds (similarity .4 between them), both genders, popularity 0, .2 … 1; a and b look alike, as c and d."""
    angles = np.array([0.0, 0.1, 1.5, 1.6, 3.0, 0.7])
    return Candidates(
        vectors=np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32),
        has_vector=np.ones(6, bool),
        normpop=np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        category=np.array([0, 0, 1, 1, 0, 1]),
        similarity=np.array([[1.0, 0.4], [0.4, 1.0]]),
        gender=np.array([MEN, WOMEN, MEN, WOMEN, MEN, WOMEN], np.int8),
        product=np.arange(6),
        item_ids=("a", "b", "c", "d", "e", "f"),
    )


@pytest.fixture
def bought(six: Candidates) -> Purchases:
    """Shopper 0 (τ .5) bought a, then c; shopper 1 (τ 1) bought b."""
    return Purchases.of(np.array([0, 2, 1]), np.array([0, 0, 1]), np.array([0.5, 0.5, 1.0]), six.gender)
