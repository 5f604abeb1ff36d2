"""Any ONNX network with a TOML entry parses photos into the palette of the paper's masks."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modiste.errors import SourceError, UnknownIdError
from modiste.shop.shop import Shop
from modiste.vision.backbones import BackboneSpec, get_backbone, read_entry
from modiste.vision.masks import LABELS, decode_mask, encode_mask, garment_pixels
from modiste.vision.parsing import Parser
from modiste.vision.photos import open_photo

DRESS, PANTS = LABELS.index("dress"), LABELS.index("pants")


def meadow(width: int, height: int) -> Image.Image:
    """Green with a red block (a frock to the tiny parser) left of a blue one (pants)."""
    photo = Image.new("RGB", (width, height), (0, 255, 0))
    photo.paste((255, 0, 0), (width // 4, height // 4, width // 2, height // 2))
    photo.paste((0, 0, 255), (width // 2, height // 4, width * 3 // 4, height * 3 // 4))
    return photo


@pytest.mark.parametrize("size", [(64, 96), (512, 768), (400, 200), (40, 30), (401, 333)])
def test_a_photo_is_parsed_at_its_own_size(size: tuple[int, int], by_colour: BackboneSpec) -> None:
    width, height = size
    expected = np.zeros((height, width), np.uint8)
    expected[height // 4 : height // 2, width // 4 : width // 2] = DRESS
    expected[height // 4 : height * 3 // 4, width // 2 : width * 3 // 4] = PANTS
    labels = Parser(by_colour).parse(meadow(*size))
    assert labels.shape == (height, width)
    assert labels.dtype == np.uint8
    assert (labels == expected).mean() > (0.999 if size == (64, 96) else 0.95)


def test_the_likeliest_of_several_labels_wins_not_the_last(by_colour: BackboneSpec) -> None:
    photo = meadow(64, 96)
    photo.paste((0, 255, 230), (0, 80, 64, 96))  # grass, pants second, frock far behind
    photo.paste((250, 0, 255), (0, 0, 64, 8))  # pants, frock second
    labels = Parser(by_colour).parse(photo)
    assert (labels[80:] == 0).all()
    assert (labels[:8] == PANTS).all()


def test_enlarged_edges_are_smooth_not_staircases(by_colour: BackboneSpec) -> None:
    photo = Image.new("RGB", (640, 960), (0, 255, 0))
    for y in range(960):
        photo.paste((255, 0, 0), (0, y, y * 2 // 3, y + 1))
    labels = Parser(by_colour).parse(photo)
    edge = (labels == DRESS).sum(1)[100:-100]
    assert np.abs(edge - np.arange(100, 860) * 2 / 3).max() < 4  # the network's own pixels are ten times as wide


def test_what_is_parsed_can_be_saved_and_given_as_a_mask(by_colour: BackboneSpec, tmp_path: Path) -> None:
    labels = Parser(by_colour).parse(meadow(120, 160))
    encode_mask(labels).save(tmp_path / "meadow_segm.png")
    assert np.array_equal(decode_mask(tmp_path / "meadow_segm.png").labels, labels)


def test_labels_outside_the_palette_have_to_be_mapped(by_colour: BackboneSpec) -> None:
    entry = by_colour.path.with_suffix(".toml")
    entry.write_text(entry.read_text().replace('grass = "background"', ""))
    with pytest.raises(SourceError, match=r"by_colour\.toml: grass: not in the palette; .*\[palette\].*headwear"):
        Parser(read_entry(entry))


def test_an_entry_with_too_few_labels_is_refused(by_colour: BackboneSpec) -> None:
    entry = by_colour.path.with_suffix(".toml")
    entry.write_text(re.sub("labels = .*", 'labels = ["frock", "grass"]', entry.read_text()))
    with pytest.raises(SourceError, match=r"gave \(1, 4, 96, 64\), its entry promises \(n, 2, h, w\)"):
        Parser(read_entry(entry)).parse(meadow(64, 96))


def test_a_backbone_is_no_parser(mean_colour: BackboneSpec) -> None:
    with pytest.raises(SourceError, match="mean_colour is not a parser"):
        Parser(mean_colour)


def test_the_shipped_parser_reads_any_photo() -> None:
    parser = Parser(get_backbone("garment_parser"), threads=1)
    for size in ((1, 1), (300, 40), (500, 700)):
        labels = parser.parse(Image.new("RGB", size, "grey"))
        assert labels.shape == (size[1], size[0])
        assert labels.max() < len(LABELS)


@pytest.mark.data
def test_the_shipped_parser_finds_the_garments_of_real_photos(shared_data: Path) -> None:
    parser = Parser(get_backbone("garment_parser"), threads=1)
    overlaps = []
    for path in sorted((shared_data / "street/photos").iterdir())[::100]:
        given = decode_mask(shared_data / "street/masks" / f"{path.stem}_segm.png").labels
        found, truth = (garment_pixels(labels, "paper") for labels in (parser.parse(open_photo(path)), given))
        overlaps.append((found & truth).sum() / (found | truth).sum())
    assert np.mean(overlaps) > 0.8


def test_a_shop_embeds_with_a_parser_of_its_owner_s(
    by_colour: BackboneSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODISTE_CACHE", str(by_colour.path.parent))
    photos = tmp_path / "photos" / "Pants"
    photos.mkdir(parents=True)
    photo = np.array(meadow(128, 192))
    photo[..., 1] -= np.random.default_rng(0).integers(0, 90, (192, 128)).astype(np.uint8) * (photo[..., 1] > 0)
    Image.fromarray(photo).save(photos / "meadow.png")  # not plain, so that a parser has to look
    with Shop.create(tmp_path / "shop") as shop:
        shop.items.add(tmp_path / "photos")
        report = shop.vectors.embed(parser="by_colour")
        assert report.space.parser == by_colour.sha256
        assert report.space.key != shop.vectors.embed().space.key
        own, shipped = (shop.vectors.matrix(space)[1][0] for space in (report.space, shop.vectors.spaces()[0]))
        assert own @ shipped < 0.999  # the shipped parser sees no pants in two blocks on green
        with pytest.raises(UnknownIdError, match="nobody"):
            shop.vectors.embed(parser="nobody")
