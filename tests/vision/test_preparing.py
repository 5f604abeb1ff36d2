"""What a network reads: torchvision's pre-processing to the pixel, or the garment's own box."""

import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modiste.errors import MaskError, SettingError
from modiste.vision.backbones import CROPS, BackboneSpec, get_backbone
from modiste.vision.embedding import see
from modiste.vision.masks import LABELS, MASKED, MASKINGS, encode_mask
from modiste.vision.parsing import Parser
from modiste.vision.photos import open_photo
from modiste.vision.preparing import normalise, prepare


@pytest.fixture
def spec() -> BackboneSpec:
    return get_backbone("efficientnet_lite0")


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(width).integers(0, 256, (height, width, 3)).astype(np.uint8))


def box(shape: tuple[int, int], top: int, bottom: int, left: int, right: int) -> np.ndarray:
    keep = np.zeros(shape, bool)
    keep[top:bottom, left:right] = True
    return keep


def test_the_centre_crop_of_a_photo_of_the_right_size_is_its_middle(spec: BackboneSpec) -> None:
    photo = noise(300, 256)
    assert np.array_equal(prepare(photo, None, spec, "centre"), np.asarray(photo)[16:240, 38:262])


def test_the_centre_crop_rounds_as_torchvision_does(spec: BackboneSpec) -> None:
    tall = noise(200, 281)  # 256 · 281 / 200 = 359.68, cut to 359; (359 - 224) / 2 = 67.5, rounded to even
    expected = np.asarray(tall.resize((256, 359), Image.Resampling.BILINEAR))[68:292, 16:240]
    assert np.array_equal(prepare(tall, None, spec, "centre"), expected)
    wide = noise(281, 200)
    expected = np.asarray(wide.resize((359, 256), Image.Resampling.BILINEAR))[16:240, 68:292]
    assert np.array_equal(prepare(wide, None, spec, "centre"), expected)


@pytest.mark.parametrize("size", [(550, 825), (825, 550), (551, 367), (257, 259), (90, 61), (400, 2000)])
def test_the_centre_crop_is_torchvisions_to_the_pixel(size: tuple[int, int], spec: BackboneSpec) -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    photo = noise(*size)
    theirs = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])(photo)
    assert np.array_equal(prepare(photo, None, spec, "centre"), np.asarray(theirs))


@pytest.mark.data
def test_real_photos_come_out_as_torchvisions_tensor(shared_data: Path, spec: BackboneSpec) -> None:
    transforms = pytest.importorskip("torchvision.transforms")
    steps = [transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()]
    theirs = transforms.Compose([*steps, transforms.Normalize(spec.mean, spec.std)])
    for path in sorted((shared_data / "street/photos").iterdir())[:4]:
        photo = open_photo(path)
        ours = normalise(prepare(photo, None, spec, "centre")[None], spec)[0]
        assert np.abs(ours - theirs(photo).numpy()).max() < 1e-5


def test_removed_pixels_are_black_before_anything_is_resized(spec: BackboneSpec) -> None:
    stripes = np.tile([True, False], (896, 448))
    prepared = prepare(Image.new("RGB", (896, 896), "white"), stripes, spec, "centre")
    assert np.abs(prepared.astype(int) - 127).max() <= 4  # every second pixel was black when they were blended


def test_the_garment_crop_shows_the_whole_garment_undistorted_with_a_margin(spec: BackboneSpec) -> None:
    keep = box((800, 400), 100, 700, 300, 400)  # 100 × 600, at the photo's right edge
    white = prepare(Image.new("RGB", (400, 800), "white"), keep, spec, "garment")[..., 0] > 127
    rows, columns = np.flatnonzero(white.any(1)), np.flatnonzero(white.any(0))
    assert len(rows) / len(columns) == pytest.approx(6, rel=0.03)
    assert len(rows) == pytest.approx(224 / 1.12, abs=1)
    assert (rows[0] + rows[-1]) / 2 == pytest.approx(111.5, abs=1)
    assert (columns[0] + columns[-1]) / 2 == pytest.approx(111.5, abs=1)
    assert white[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()


@pytest.mark.parametrize(("wide", "high"), [(600, 100), (100, 600), (300, 300)])
def test_the_garments_longer_side_decides_its_size(wide: int, high: int, spec: BackboneSpec) -> None:
    keep = box((800, 800), 20, 20 + high, 20, 20 + wide)
    white = prepare(Image.new("RGB", (800, 800), "white"), keep, spec, "garment")[..., 0] > 127
    seen = white.any(0).sum(), white.any(1).sum()
    assert seen == pytest.approx((200 * wide / max(wide, high), 200 * high / max(wide, high)), abs=1)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory in Linux's unit")
@pytest.mark.parametrize("crop", ["centre", "garment"])
@pytest.mark.parametrize("size", [(4, 20_000), (20_000, 4)])
def test_a_thin_strip_costs_no_more_memory_than_a_photo(size: tuple[int, int], crop: str, spec: BackboneSpec) -> None:
    import resource

    photo = Image.new("RGB", size, "red")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    prepared = prepare(photo, np.ones((size[1], size[0]), bool), spec, crop)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB; whole it would be gigabytes
    assert (prepared[..., 0] > 0).any()
    assert (prepared[..., 1:] == 0).all()


def test_a_very_fine_photo_is_seen_like_a_coarse_one(spec: BackboneSpec) -> None:
    coarse = noise(8, 10).resize((400, 1000), Image.Resampling.NEAREST)
    fine = coarse.resize((3200, 8000), Image.Resampling.NEAREST)
    seen = [
        prepare(photo, box((photo.height, photo.width), 0, photo.height * 9 // 10, 0, photo.width), spec, "garment")
        for photo in (coarse, fine)
    ]
    assert np.abs(seen[0].astype(int) - seen[1]).mean() < 1


def test_the_garment_crop_does_not_depend_on_where_the_garment_is(spec: BackboneSpec) -> None:
    garment = noise(100, 150)
    seen = []
    for left, top in ((0, 0), (150, 40), (300, 250)):
        photo = noise(400, 400)
        photo.paste(garment, (left, top))
        seen.append(prepare(photo, box((400, 400), top, top + 150, left, left + 100), spec, "garment"))
    assert np.array_equal(seen[0], seen[1])
    assert np.array_equal(seen[0], seen[2])


def test_padding_and_removed_pixels_take_the_fill(spec: BackboneSpec) -> None:
    prepared = prepare(noise(60, 60), box((60, 60), 0, 60, 0, 10), spec, "garment", (255, 0, 255))
    assert prepared[0, 0].tolist() == prepared[112, 200].tolist() == [255, 0, 255]


def test_without_a_mask_the_garment_crop_is_the_centre_crop(spec: BackboneSpec) -> None:
    photo = noise(300, 500)
    assert np.array_equal(prepare(photo, None, spec, "garment"), prepare(photo, None, spec, "centre"))


def test_a_mask_that_does_not_fit_is_refused(spec: BackboneSpec) -> None:
    with pytest.raises(MaskError, match="mask is 30×20, its photo 20×30"):
        prepare(noise(20, 30), np.ones((20, 30), bool), spec, "garment")
    with pytest.raises(MaskError, match="keeps no pixel"):
        prepare(noise(20, 30), np.zeros((30, 20), bool), spec, "centre")
    with pytest.raises(SettingError, match="no crop 'face'; there are: centre, garment"):
        prepare(noise(20, 30), None, spec, "face")


def test_normalising_centres_each_channel_and_puts_it_first(spec: BackboneSpec) -> None:
    batch = np.zeros((2, 4, 5, 3), np.uint8)
    batch[1] = (127, 255, 0)
    planes = normalise(batch, spec)
    assert planes.shape == (2, 3, 4, 5)
    assert planes.dtype == np.float32
    assert planes[1, :, 2, 2] == pytest.approx([0, 1, -127 / 128], abs=1e-6)  # the network's own (x - 127) / 128


DIGESTS = {1: "d1cdbe4785d669d7", 2: "ebbaa85a7b5bafe6"}
"""Of what is kept of the photos below, and of what networks read of it, by MASKED."""


def test_whoever_changes_what_is_kept_of_a_photo_raises_its_number(
    spec: BackboneSpec, by_colour: BackboneSpec, tmp_path: Path
) -> None:
    white, skin, red, blue, green = (250, 250, 250), (225, 195, 170), (220, 20, 30), (20, 30, 210), (40, 180, 60)
    thing = np.full((240, 200, 3), white, np.uint8)
    thing[60:200, 50:150] = red
    person = np.full((300, 200, 3), green, np.uint8)
    for colour, top, bottom, left, right in (
        (skin, 20, 60, 80, 120), (red, 60, 150, 60, 140), (skin, 70, 150, 40, 56), (blue, 150, 260, 70, 130),
    ):  # fmt: skip
        person[top:bottom, left:right] = colour
    labels = np.zeros(person.shape[:2], np.uint8)
    for name, colour in (("skin", skin), ("top", red), ("pants", blue)):
        labels[(person == colour).all(2)] = LABELS.index(name)
    encode_mask(labels).save(tmp_path / "mask.png")
    parser, digest = Parser(by_colour), sha256()
    two = np.hstack([person, np.tile(np.uint8(green), (300, 60, 1)), person[:, 30:150]])
    cut = np.full((240, 140, 3), green, np.uint8)  # it runs out of the photo, so that a parser is asked
    cut[60:130, :90], cut[130:200, :90] = red, blue
    for photo, mask in ((thing, None), (cut, None), (person, None), (person, str(tmp_path / "mask.png")), (two, None)):
        picture = Image.fromarray(photo)
        for reader in (parser, None):
            seen = see(picture, mask, reader)
            for masking in MASKINGS:
                for own in (frozenset[str](), frozenset(("dress",)), frozenset(("pants",)), frozenset(("bag",))):
                    keep, _ = seen.keep(masking, own)
                    digest.update(b"" if keep is None else np.packbits(keep).tobytes())
                    for crop in CROPS:
                        digest.update(prepare(picture, keep, spec, crop, cut=seen.cut(masking)).tobytes())
    found = digest.hexdigest()[:16]
    assert DIGESTS.get(MASKED) == found, (
        f"what is kept of photos has changed: raise MASKED in modiste/vision/masks.py, so that shops embed again, and "
        f"write {found!r} for it into DIGESTS"
    )
