"""A contact sheet shows the photo, its mask in the palette's colours, and what is left."""

import numpy as np
import pytest
from PIL import Image

from modiste.errors import SettingError
from modiste.vision.masks import LABELS, PALETTE
from modiste.vision.sheets import contact_sheet

PHOTO = Image.new("RGB", (50, 100), (10, 120, 200))
LABEL = np.full((100, 50), LABELS.index("hair"), np.uint8)


def colours(sheet: Image.Image) -> set[tuple[int, ...]]:
    return {tuple(colour) for _, colour in sheet.getcolors(1 << 20) or []}


def test_photo_mask_and_remainder_stand_side_by_side() -> None:
    keep = np.zeros((100, 50), bool)
    keep[:50] = True
    sheet = np.asarray(contact_sheet([(PHOTO, LABEL, keep, "one")], height=100))
    left = int(np.flatnonzero((sheet == (10, 120, 200)).all(2).any(0))[0])
    top = int(np.flatnonzero((sheet == (10, 120, 200)).all(2).any(1))[0])
    parts = [sheet[top : top + 100, left + place * 54 : left + place * 54 + 50] for place in range(3)]
    assert (parts[0] == (10, 120, 200)).all()
    assert (parts[1] == PALETTE[LABELS.index("hair")]).all()
    assert (parts[2][:45] == (10, 120, 200)).all()
    assert (parts[2][55:] == 0).all()


def test_a_photo_without_a_mask_stays_whole_and_says_so() -> None:
    without = contact_sheet([(PHOTO, None, None, "")], height=100)
    shown = (np.asarray(without) == (10, 120, 200)).all(2).sum()
    assert shown == 2 * 50 * 100
    assert tuple(PALETTE[LABELS.index("hair")]) not in colours(without)


def test_rows_fill_lines_and_captions_stay_inside_their_card() -> None:
    one = contact_sheet([(PHOTO, LABEL, None, "a")], columns=2)
    five = contact_sheet([(PHOTO, LABEL, None, "a very long caption " * 20)] * 5, columns=2)
    assert 1.9 < five.width / one.width < 2.1
    assert 2.7 < five.height / one.height < 3.1


def test_an_empty_sheet_is_refused() -> None:
    with pytest.raises(SettingError, match="a photo or more"):
        contact_sheet([])


def test_a_mask_is_shown_upright() -> None:
    labels = LABEL.copy()
    labels[:50] = LABELS.index("dress")
    sheet = np.asarray(contact_sheet([(PHOTO, labels, None, "")], height=100))
    dress, hair = ((sheet == PALETTE[LABELS.index(name)]).all(2).any(1) for name in ("dress", "hair"))
    assert np.flatnonzero(dress).max() < np.flatnonzero(hair).min()


def test_a_caption_is_drawn_and_cut_at_its_own_card() -> None:
    bare, short, long = (
        np.asarray(contact_sheet([(PHOTO, None, None, text), (PHOTO, None, None, "")], height=100)).astype(int)
        for text in ("", "a", "a very long caption " * 20)
    )
    assert (short != bare).any()
    assert not (long != bare)[:, bare.shape[1] // 2 :].any()
