"""How the pages show a photo's parse: laid over the photo, in colours that a legend names."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modiste.catalog.palette import LABELS
from modiste.server.pages.rendering import words
from modiste.server.pictures import data_uri

_QUIET = {"hair": "#8d8079", "face": "#b39b8c", "skin": "#c9b2a3"}
_HUES = iter((
    "#d1495b", "#00798c", "#7b5ea7", "#edae49", "#2e6fb7", "#66a182", "#e07a5f", "#3d405b", "#81b29a", "#b5838d",
    "#5c946e", "#f2cc8f", "#8f2d56", "#218380", "#fbb13c", "#73d2de", "#d81159", "#6a994e", "#bc4749", "#577590",
))  # fmt: skip

COLOURS = ("#000000", *(_QUIET.get(name) or next(_HUES) for name in LABELS[1:]))
"""A colour for each parsing label that can be told from its neighbours; the palette's own are almost all near white."""

HEIGHT = 480
"""Pixels that an overlay is high at most."""


@dataclass(frozen=True, slots=True)
class Parse:
    """A parse as a page shows it: an overlay (data URI), its size, the legend, and a remark if it failed.

    The legend has each label's name, its colour and the share of the photo that it covers, the largest first.
    """

    overlay: str = ""
    width: int = 3
    height: int = 4
    legend: Sequence[tuple[str, str, float]] = ()
    remark: str = ""

    @classmethod
    def of(cls, labels: NDArray[np.uint8] | None, category: str | None = None) -> "Parse":
        """Of a label map, uint8 (h, w), of something of ``category``, where that is known; None is nothing."""
        if labels is None:
            return cls()
        return cls(_overlay(labels), labels.shape[1], labels.shape[0], _shares(labels, category))


def _shares(labels: NDArray[np.uint8], category: str | None) -> list[tuple[str, str, float]]:
    """The legend, without the background. A thing alone is called by its category, else no more than a thing."""
    counts = np.bincount(labels.ravel(), minlength=len(LABELS))[: len(LABELS)] / labels.size
    shares = [(LABELS[label], COLOURS[label], float(counts[label])) for label in np.flatnonzero(counts) if label]
    if len(shares) == 1 and (category or shares[0][0] == "top"):
        shares = [(words(category) if category else "the thing", *shares[0][1:])]
    return sorted(shares, key=lambda one: -one[2])


def _overlay(labels: NDArray[np.uint8]) -> str:
    """A PNG in COLOURS whose background is clear, at most HEIGHT pixels high, as a data URI."""
    every = max(1, math.ceil(labels.shape[0] / HEIGHT))
    picture = Image.fromarray(np.ascontiguousarray(labels[::every, ::every])).convert("L")
    picture.putpalette(b"".join(bytes.fromhex(colour[1:]) for colour in COLOURS))
    return data_uri(picture, "PNG", transparency=bytes([0] + [255] * (len(LABELS) - 1)))
