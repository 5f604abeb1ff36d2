"""What the paper reports: the figures of its Tables 1 to 3 (arXiv 2506.07773), to stand beside ours."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    """One row of the paper: category similarity and gender alignment in %, popularity MAE ×100; None: not reported."""

    category: float
    mae: float
    gender: float | None = None


BACKBONES: Mapping[str, Published] = {
    "resnet50": Published(64.95, 12.96, 100.0),
    "densenet121": Published(63.53, 12.47, 100.0),
    "vgg16": Published(57.99, 13.32, 100.0),
}
"""Table 1, by the backbone's name."""

ABLATION: Mapping[str, Published] = {
    "full": Published(62.16, 12.92),
    "no popularity": Published(63.53, 31.14),
    "no visual": Published(40.01, 0.22),
}
"""Table 2, by what is left out."""

TRENDINESS: Mapping[str, Published] = {
    "low": Published(62.52, 11.84),
    "medium": Published(65.24, 13.96),
    "high": Published(56.3, 12.05),
}
"""Table 3, by the shoppers' trendiness."""
