"""Several photos of an item: what most of them show."""

import numpy as np
import pytest

from modiste.arrays import Singles
from modiste.vision.agreeing import agreed

ENDS = {"look": (0.0, 0.9), "colour": (0.0, 0.9)}


def shown(*things: int) -> tuple[Singles, Singles]:
    """Looks and colours of photos of numbered things, each photo a little its own."""
    noise = np.random.default_rng(0).normal(size=(len(things), 16)) * 0.05
    looks = (np.eye(16)[list(things)] + noise).astype(np.float32)
    colours = np.eye(8, dtype=np.float32)[list(things)]
    return looks / np.linalg.norm(looks, axis=1, keepdims=True), colours


@pytest.mark.parametrize(
    ("things", "kept", "best"),
    [
        ([0], [True], 0),
        ([0, 0], [True, True], 0),
        ([0, 1], [True, False], 0),  # nobody can tell; the shop's first photo
        ([0, 0, 1, 0], [True, True, False, True], 0),
        ([1, 0, 0], [False, True, True], None),
        ([0, 1, 0, 2, 0, 3], [True, False, True, False, True, False], 0),
        ([0, 1, 2, 3], [True, False, False, False], 0),
    ],
)
def test_what_most_photos_show_stays(things, kept, best):
    made = agreed(*shown(*things), ENDS)
    assert made.kept.tolist() == kept
    assert made.best == best if best is not None else made.kept[made.best]
    assert np.allclose([np.linalg.norm(made.look), np.linalg.norm(made.colour)], 1, atol=1e-6)


def test_one_photo_s_vector_stays_as_it_is():
    look, colour = shown(2)
    made = agreed(look, colour, ENDS)
    assert made.look.tobytes() == look[0].tobytes()
    assert made.colour.tobytes() == colour[0].tobytes()


def test_the_colours_of_an_item_are_the_mean_of_its_photos_palettes():
    look = np.ones((2, 1), np.float32)
    colours = np.sqrt(np.array([[0.5, 0.5, 0.0], [0.3, 0.5, 0.2]], np.float32))
    made = agreed(look, colours, ENDS)
    assert np.allclose(np.square(made.colour), [0.4, 0.5, 0.1], atol=1e-6)
