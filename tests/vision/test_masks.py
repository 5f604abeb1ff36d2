"""Masks are decoded by colour, and say which pixels are garment and which are the item's own."""

import csv
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from modiste.errors import MaskError, SettingError
from modiste.vision.colour import colour_of
from modiste.vision.masks import (
    LABELS,
    PALETTE,
    apply_mask,
    decode_mask,
    encode_mask,
    garment_pixels,
    garments_of,
    named,
    one_thing,
    shows_person,
)

L = {name: number for number, name in enumerate(LABELS)}
ONE_OF_EACH = np.arange(24, dtype=np.uint8)[None]


def test_a_palette_png_is_decoded_by_its_colours_not_its_indices(tmp_path: Path) -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([*PALETTE[L["dress"]], *PALETTE[L["hair"]]])
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "a_segm.png")
    assert decode_mask(tmp_path / "a_segm.png").labels.tolist() == [[L["dress"], L["hair"]]]


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 23)))
def test_what_is_encoded_is_decoded(labels: np.ndarray) -> None:
    for mask in (encode_mask(labels), encode_mask(labels).convert("RGB"), Image.fromarray(labels)):
        decoded = decode_mask(mask)
        assert np.array_equal(decoded.labels, labels)
        assert decoded.off_palette == 0


def test_a_file_keeps_the_papers_colours(tmp_path: Path) -> None:
    encode_mask(ONE_OF_EACH).save(tmp_path / "m.png")
    with Image.open(tmp_path / "m.png") as picture:
        assert np.array_equal(np.asarray(picture.convert("RGB"))[0], PALETTE)
    assert np.array_equal(decode_mask(tmp_path / "m.png").labels, ONE_OF_EACH)


@pytest.mark.parametrize("mode", ["RGB", "P", "L", "I", "I;16"])
def test_raw_label_maps_are_read_in_any_mode(mode: str) -> None:
    raw = Image.fromarray(ONE_OF_EACH)
    if mode == "P":
        raw.putpalette([level for level in range(256) for _ in range(3)])
    elif mode == "I;16":
        raw = Image.fromarray(ONE_OF_EACH.astype(np.uint16))
    else:
        raw = raw.convert(mode)
    assert raw.mode == mode
    assert np.array_equal(decode_mask(raw).labels, ONE_OF_EACH)


def test_pixels_off_the_palette_take_the_nearest_colour_or_are_counted() -> None:
    dress, hair = PALETTE[L["dress"]].astype(int), PALETTE[L["hair"]].astype(int)
    near, far = hair + np.array([[0, 12, 0], [0, 13, 0]])
    pixels = np.array([[dress - 5, near, far, [128, 0, 128], [0, 0, 0]]], np.uint8)
    mask = decode_mask(Image.fromarray(pixels))
    assert mask.labels.tolist() == [[L["dress"], L["hair"], 0, 0, 0]]
    assert mask.off_palette == 2


def test_what_is_no_mask_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not a mask")
    with pytest.raises(MaskError, match=r"text\.png can't be read"):
        decode_mask(tmp_path / "text.png")
    with pytest.raises(MaskError, match=r"no mask gone\.png"):
        decode_mask(tmp_path / "gone.png")
    with pytest.raises(MaskError, match="values up to 255; raw labels are 0 to 23"):
        decode_mask(Image.new("L", (2, 2), 255))
    with pytest.raises(MaskError, match="raw labels are 0 to 23"):
        decode_mask(Image.new("I", (2, 2), -1))


def test_a_mask_too_large_to_unpack_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modiste.vision.masks.MAX_PIXELS", 23)
    encode_mask(ONE_OF_EACH).save(tmp_path / "m.png")
    with pytest.raises(MaskError, match=r"mask m\.png can't be read .*more than 2\.3e-05 megapixels"):
        decode_mask(tmp_path / "m.png")


def test_a_large_mask_is_what_its_parts_are() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, len(LABELS), (700, 800)).astype(np.uint8)
    for picture in (encode_mask(labels), encode_mask(labels).convert("RGB")):
        assert (decode_mask(picture).labels == labels).all()
    greys = Image.fromarray(labels).convert("RGB")
    assert (decode_mask(greys).labels == labels).all()
    greys.putpixel((799, 699), (255, 0, 255))  # the last pixel tells that they are colours
    assert decode_mask(greys).labels.max() == 0


def test_an_index_past_the_palettes_end_is_black_and_so_background() -> None:
    picture = Image.new("P", (2, 1))
    picture.putpalette([int(level) for level in PALETTE[L["dress"]]])
    picture.putpixel((1, 0), 7)
    assert decode_mask(picture).labels.tolist() == [[L["dress"], 0]]


def kept(masking: str, own: set[str] | None = None) -> set[str]:
    return {LABELS[number] for number in np.flatnonzero(garment_pixels(ONE_OF_EACH, masking, own or set())[0])}


def test_each_masking_keeps_what_it_says() -> None:
    body = {"background", "hair", "face", "skin"}
    accessories = {"bag", "eyeglass", "wrist wearing", "ring", "necklace", "earrings"}
    assert kept("none") == set(LABELS)
    assert kept("paper") == set(LABELS) - body
    assert kept("clothes") == set(LABELS) - body - accessories
    assert kept("own", {"pants", "leggings"}) == {"pants", "leggings"}


def test_own_falls_back_to_clothes_below_a_tenth_of_them() -> None:
    labels = np.zeros((10, 100), np.uint8)
    labels[:2] = L["top"]
    labels[0, :19] = L["skirt"]
    assert garment_pixels(labels, "own", {"skirt"}).sum() == 200
    labels[0, :20] = L["skirt"]
    assert garment_pixels(labels, "own", {"skirt"}).sum() == 20


def test_a_dress_taken_for_two_garments_is_what_they_form() -> None:
    labels = np.zeros((20, 20), np.uint8)
    labels[:8], labels[8:16], labels[16] = L["outer"], L["pants"], L["footwear"]
    labels[::2, ::4] = L["dress"]  # a tenth of the clothes, in patches
    own = garment_pixels(labels, "own", {"dress"})
    assert own[:16].all(), "outer garment, trousers and patches together are the dress"
    assert not own[16, 1::4].any(), "shoes are not"
    assert garment_pixels(labels, "own", {"top"})[16].all(), "of other kinds that aren't there, all clothes stay"
    labels[2:5] = L["top"]
    own = garment_pixels(labels, "own", {"rompers", "dress"})
    assert own[2:5].all()
    assert not own[1].any(), "a coat over what she wears is no part of it"
    labels[5:9] = L["dress"]
    assert garment_pixels(labels, "own", {"dress"})[5:9].all()
    assert not garment_pixels(labels, "own", {"dress"})[2:5:2, 1].any(), "its own label where that is one piece"


def test_a_dress_that_begins_as_high_as_the_top_is_of_it_and_one_below_is_a_skirt() -> None:
    labels = np.zeros((60, 20), np.uint8)
    labels[10:30] = L["dress"]
    labels[26:34, 5:15], labels[34:] = L["top"], L["pants"]
    assert np.array_equal(garment_pixels(labels, "own", {"top"}), np.isin(labels, [L["top"], L["dress"]]))
    assert not garment_pixels(labels, "own", {"pants"})[:34].any()
    labels[26:34, 5:15], labels[:10] = L["dress"], L["top"]
    assert np.array_equal(garment_pixels(labels, "own", {"top"}), labels == L["top"])
    assert np.array_equal(garment_pixels(labels, "own", {"outer"}), labels > 0), "none of its own: clothes"


def test_trousers_that_the_parser_took_for_a_skirt_are_found_and_tights_below_a_skirt_are_not_it() -> None:
    labels = np.zeros((60, 20), np.uint8)
    labels[:20], labels[20:40], labels[56:] = L["top"], L["skirt"], L["footwear"]
    for own in ({"pants"}, {"leggings", "pants"}, {"skirt"}):
        assert np.array_equal(garment_pixels(labels, "own", own), labels == L["skirt"])
    labels[40:56] = L["leggings"]
    assert np.array_equal(garment_pixels(labels, "own", {"skirt"}), labels == L["skirt"])


def test_shoes_and_bags_are_small_beside_clothes() -> None:
    labels = np.full((10, 100), L["top"], np.uint8)
    labels[0, :10] = L["footwear"]
    labels[1, :10] = L["bag"]
    assert garment_pixels(labels, "own", {"footwear"}).sum() == 10
    assert garment_pixels(labels, "own", {"bag"}).sum() == 10


def test_own_without_labels_of_its_own_is_clothes_and_without_clothes_whatever_there_is() -> None:
    assert kept("own") == kept("clothes")
    bag = np.zeros((10, 10), np.uint8)
    bag[:5] = L["bag"]
    assert garment_pixels(bag, "own", {"top"}).sum() == 50


def test_a_thing_without_a_person_has_one_label() -> None:
    labels = np.zeros((10, 10), np.uint8)
    labels[:5], labels[5:7], labels[7] = L["bag"], L["outer"], L["skin"]
    assert set(one_thing(labels)[:7].ravel()) == {L["top"]}, "whatever the parser took it for"
    assert not one_thing(labels)[7:].any()
    thing = np.eye(10, dtype=bool)
    assert np.array_equal(one_thing(labels, thing) > 0, thing)
    assert not shows_person(one_thing(labels))
    assert shows_person(labels)


def test_a_thing_is_shown_by_the_label_of_its_category_or_by_none() -> None:
    thing = np.zeros((10, 10), np.uint8)
    thing[:5] = L["top"]
    shown = named(thing, {"footwear"})
    assert shown is not None
    assert np.array_equal(shown, np.where(thing, L["footwear"], 0))
    assert named(thing, frozenset()) is None
    assert named(thing, {"top", "rompers"}) is None
    thing[6] = L["skin"]
    assert named(thing, {"footwear"}) is thing, "it is worn"


@pytest.mark.parametrize("label", ["top", "bag", "eyeglass", "footwear"])
def test_a_thing_is_kept_by_every_masking_and_whatever_its_category(label: str) -> None:
    thing = np.zeros((10, 10), np.uint8)
    thing[:5] = L[label]
    for own in (frozenset(), {"bag"}, {"dress"}, {"pants", "leggings"}):
        for masking in ("paper", "clothes", "own"):
            assert np.array_equal(garment_pixels(thing, masking, own), thing > 0)


def test_what_somebody_wears_is_found_the_largest_first_and_specks_are_not() -> None:
    labels = np.zeros((20, 20), np.uint8)
    labels[:2], labels[2:8], labels[8:17] = L["skin"], L["top"], L["pants"]
    labels[17, :5], labels[18, :2], labels[19, :9] = L["footwear"], L["belt"], L["skirt"]
    found = garments_of(labels)
    assert list(found) == ["pants", "top", "footwear"], "a belt of 2 pixels and a skirt of 9 are specks beside 314"
    assert found["top"].sum() == 120
    labels[8:17:2, ::3] = L["dress"]  # 35 pixels, a tenth of the clothes, all apart
    assert list(garments_of(labels)) == ["pants", "top", "footwear"]
    assert garments_of(np.where(labels == L["skin"], 0, labels)) == {}, "nobody is there"


def test_an_unknown_masking_is_named() -> None:
    with pytest.raises(SettingError, match="no masking 'socks'; there are: none, paper, clothes, own"):
        garment_pixels(ONE_OF_EACH, "socks")


def test_removed_pixels_are_black_or_the_chosen_fill() -> None:
    photo = np.full((1, 2, 3), 200, np.uint8)
    keep = np.array([[True, False]])
    assert apply_mask(photo, keep).tolist() == [[[200, 200, 200], [0, 0, 0]]]
    assert apply_mask(photo, keep, (255, 250, 245)).tolist() == [[[200, 200, 200], [255, 250, 245]]]
    assert (photo == 200).all()


@pytest.mark.data
def test_the_palette_is_deepfashions(shared_data: Path) -> None:
    with (shared_data / "deepfashion-multimodal-palette.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == list(LABELS)
    assert [[int(row[c]) for c in ("red", "green", "blue")] for row in rows] == PALETTE.tolist()


@pytest.mark.data
def test_real_masks_lie_on_the_palette_and_fit_their_photos(shared_data: Path) -> None:
    for path in sorted((shared_data / "street/masks").iterdir())[:10]:
        mask = decode_mask(path)
        with Image.open(shared_data / "street/photos" / f"{path.stem.removesuffix('_segm')}.jpg") as photo:
            assert mask.labels.shape == (photo.height, photo.width)
        assert mask.off_palette == 0
        assert 0.02 < garment_pixels(mask.labels, "clothes").mean() < 0.9


def test_masking_takes_a_few_bytes_a_pixel() -> None:
    """A photo of eight megapixels took 160 MB in passing, and two are masked at a time."""
    photo, labels = np.zeros((1000, 1000, 3), np.uint8), np.full((1000, 1000), L["bag"], np.uint8)
    keep = labels > 100
    keep[:2] = True
    for work in (
        lambda: apply_mask(photo, keep), lambda: one_thing(labels), lambda: shows_person(labels),
        lambda: colour_of(photo, ~keep),
    ):  # fmt: skip
        tracemalloc.start()
        work()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 12 * keep.size
