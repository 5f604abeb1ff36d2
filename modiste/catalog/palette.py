"""The 24 labels of DeepFashion-MultiModal's parsing masks and the colours that stand for them in a palette PNG."""

from typing import Final

import numpy as np
import numpy.typing as npt

_ENTRIES = (
    ("background", (0, 0, 0)),
    ("top", (255, 250, 250)),
    ("outer", (220, 220, 220)),
    ("skirt", (250, 235, 215)),
    ("dress", (255, 250, 205)),
    ("pants", (211, 211, 211)),
    ("leggings", (70, 130, 180)),
    ("headwear", (127, 255, 212)),
    ("eyeglass", (0, 100, 0)),
    ("neckwear", (50, 205, 50)),
    ("belt", (255, 255, 0)),
    ("footwear", (245, 222, 179)),
    ("bag", (255, 140, 0)),
    ("hair", (255, 0, 0)),
    ("face", (16, 78, 139)),
    ("skin", (144, 238, 144)),
    ("ring", (50, 205, 174)),
    ("wrist wearing", (50, 155, 250)),
    ("socks", (160, 140, 88)),
    ("gloves", (213, 140, 88)),
    ("necklace", (90, 140, 90)),
    ("rompers", (185, 210, 205)),
    ("earrings", (130, 165, 180)),
    ("tie", (225, 141, 151)),
)

LABELS: Final[tuple[str, ...]] = tuple(name for name, _ in _ENTRIES)
"""Label names; the place in the tuple is the label's number, 0 to 23."""

PALETTE: Final[npt.NDArray[np.uint8]] = np.array([colour for _, colour in _ENTRIES], dtype=np.uint8)
"""uint8 (24, 3): each label's RGB colour. A mask is decoded by colour: a PNG's palette index is not the label."""
PALETTE.setflags(write=False)

SPOKEN: Final = {
    "outer": "coat or jacket", "eyeglass": "glasses", "footwear": "shoes", "headwear": "hat", "neckwear": "scarf",
    "wrist wearing": "watch or bracelet",
}  # fmt: skip
"""What a shopper calls some of the labels."""
