"""At first sight: whether a photo shows anything, what stands on a plain ground, and whether nobody is there."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageDraw, ImageFilter

from modiste.vision.backbones import BackboneSpec
from modiste.vision.ground import flooded, look
from modiste.vision.masks import shows_person
from modiste.vision.parsing import Parser
from modiste.vision.photos import open_photo


def shadowed(colour: tuple[int, int, int], ground: int) -> tuple[Image.Image, np.ndarray]:
    """A disc of a colour with its soft shadow on a grey ground, 600 × 500 and a little noisy, and where it is."""
    shadow = Image.new("L", (600, 500), ground)
    ImageDraw.Draw(shadow).ellipse((180, 330, 460, 400), fill=int(ground * 0.75))
    photo = shadow.filter(ImageFilter.GaussianBlur(18)).convert("RGB")
    where = Image.new("L", (600, 500))
    ImageDraw.Draw(where).ellipse((200, 120, 420, 370), fill=255)
    photo.paste(colour, mask=where)
    noise = np.random.default_rng(0).integers(-1, 2, (500, 600, 1))
    noisy = np.clip(np.asarray(photo).astype(int) + noise, 0, 255)
    return Image.fromarray(noisy.astype(np.uint8)), np.asarray(where) > 0


@pytest.mark.parametrize("colour", [(30, 40, 90), (150, 150, 150), (15, 15, 15), (60, 150, 80)])
@pytest.mark.parametrize("ground", [255, 242, 226])
def test_a_thing_on_a_plain_ground_is_kept_and_ground_and_shadow_are_not(
    colour: tuple[int, int, int], ground: int
) -> None:
    photo, truth = shadowed(colour, ground)
    scene = look(photo)
    assert scene.thing is not None
    assert scene.nobody
    assert scene.thing[truth].mean() > 0.95
    assert scene.thing[~truth].mean() < 0.02


def lit(kind: str) -> np.ndarray:
    """A ground of 600 × 500 as studios have them, float64 (500, 600, 3)."""
    y, x = np.indices((500, 600)) / 500
    levels = np.full((500, 600), 248.0)
    if kind == "darker to its edges":
        levels -= 90 * ((y - 0.5) ** 2 + (x - 0.6) ** 2)
    if kind == "wall and floor":
        levels -= 16 / (1 + np.exp((0.7 - y) * 60))
    return levels[..., None] * ((0.93, 0.88, 0.8) if kind == "beige" else (1, 1, 1))


@pytest.mark.parametrize("kind", ["darker to its edges", "wall and floor", "beige"])
@pytest.mark.parametrize("pale", [False, True], ids=["navy", "pale"])
def test_a_thing_ends_in_a_step_and_light_and_shadow_do_not(kind: str, pale: bool) -> None:
    where = Image.new("L", (600, 500))
    ImageDraw.Draw(where).polygon([(230, 80), (370, 80), (420, 400), (180, 400)], fill=255)
    fallen = Image.new("L", (600, 500))
    fallen.paste(where, (12, 16))
    shadow = np.asarray(fallen.filter(ImageFilter.GaussianBlur(14)))[..., None] / 255
    weave = np.random.default_rng(0).normal(0, 4, (500, 600, 1))
    cloth = np.array([214, 212, 210] if pale else [40, 50, 90]) + weave
    truth = np.asarray(where) > 0
    photo = np.where(truth[..., None], cloth, lit(kind) * (1 - (0 if pale else 0.2) * shadow))
    saved = BytesIO()
    Image.fromarray(photo.round().astype(np.uint8)).save(saved, "JPEG", quality=92, subsampling=0)
    scene = look(open_photo(saved.getvalue()))
    assert scene.thing is not None
    assert scene.thing[truth].mean() > 0.95
    assert scene.thing[60:440, 150:450][~truth[60:440, 150:450]].mean() < 0.02


def test_ground_is_seen_through_a_handle_and_white_cloth_is_not_ground() -> None:
    photo = Image.new("RGB", (600, 500), (250, 250, 250))
    draw = ImageDraw.Draw(photo)
    draw.rectangle((150, 200, 450, 440), fill=(30, 30, 30))
    draw.ellipse((220, 60, 380, 330), outline=(30, 30, 30), width=16)
    draw.rectangle((200, 300, 400, 400), fill=(245, 245, 245))
    scene = look(photo)
    assert scene.thing is not None
    assert not scene.thing[120:180, 270:330].any()
    assert scene.thing[300:400, 200:400].all()


def test_skin_or_a_thing_that_runs_out_of_the_photo_may_be_somebody() -> None:
    photo, _ = shadowed((200, 150, 120), 255)
    assert not look(photo).nobody
    photo, _ = shadowed((30, 40, 90), 255)
    assert not look(photo.crop((0, 0, 600, 300))).nobody


def test_a_busy_ground_is_not_plain() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 60, 3), np.uint8)
    scene = look(Image.fromarray(noise).resize((600, 900), Image.Resampling.BILINEAR))
    assert not scene.empty
    assert scene.thing is None


def placeholder() -> Image.Image:
    photo = Image.new("RGB", (400, 400), (240, 240, 240))
    ImageDraw.Draw(photo).text((150, 190), "no image", fill=(120, 120, 120), font_size=24)
    saved = BytesIO()
    photo.save(saved, "JPEG")
    return Image.open(saved).convert("RGB")


@pytest.mark.parametrize(
    "photo",
    [
        Image.new("RGB", (1, 1), "red"),
        Image.new("RGB", (300, 400), "white"),
        Image.new("RGB", (300, 400), (12, 90, 30)),
        placeholder(),
    ],
    ids=["1 × 1", "white", "green", "placeholder"],
)
def test_nothing_is_seen_where_nothing_is(photo: Image.Image) -> None:
    assert look(photo).empty


def test_a_narrow_white_thing_on_white_is_no_placeholder() -> None:
    cloth = np.random.default_rng(0).normal(214, 8, (25, 20)).round().astype(np.uint8)
    photo = Image.new("RGB", (400, 400), (250, 250, 250))
    photo.paste(Image.fromarray(cloth).resize((70, 150), Image.Resampling.BICUBIC).convert("RGB"), (150, 100))
    assert not look(photo).empty
    photo.paste((214, 214, 214), (150, 100, 220, 250))
    assert look(photo).empty, "a drawn sign is flat"


def test_a_flood_goes_round_corners_and_not_through_walls() -> None:
    maze = np.array([list(row) for row in ("..#..", "#.#.#", "#...#", "#####", ".....")]) == "."
    seeds = np.zeros_like(maze)
    seeds[0, 0] = True
    reached = flooded(seeds, maze)
    assert reached[:3].sum() == maze[:3].sum()
    assert not reached[3:].any()


@settings(max_examples=50)
@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=7)), st.data())
def test_a_flood_reaches_what_steps_from_pixel_to_pixel_do(through: np.ndarray, data: st.DataObject) -> None:
    seeds = data.draw(arrays(bool, through.shape))
    reached, before = seeds & through, None
    while before is None or (reached != before).any():
        before = reached.copy()
        for one, free in ((reached, through), (reached.T, through.T)):
            one[1:] |= one[:-1] & free[1:]
            one[:-1] |= one[1:] & free[:-1]
    assert (flooded(seeds, through) == reached).all()


def test_of_two_people_apart_the_larger_one_stays(by_colour: BackboneSpec) -> None:
    parser = Parser(by_colour)
    noise = np.random.default_rng(0).integers(0, 90, (192, 256, 1)) * [0, 1, 0]
    photo = Image.fromarray((noise + np.array([0, 160, 0])).astype(np.uint8))
    for left, right, top in ((90, 150, 40), (5, 35, 80)):
        photo.paste((255, 255, 255), (left, top - 20, right, top))
        photo.paste((255, 0, 0), (left, top, right, 180))
    labels = parser.labels(photo, look(photo))
    assert shows_person(labels)
    assert labels[100, 120] > 0
    assert not labels[:, :50].any()


@pytest.mark.data
def test_shoes_and_bags_of_a_real_shop_need_no_network(shared_data: Path) -> None:
    photos = [
        *sorted((shared_data / "studio/photos").glob("m_ab*"))[:8],
        *(shared_data / "studio/photos").glob("l_wj0[1-2]*_main*"),
    ]
    scenes = {photo.name: look(open_photo(photo)) for photo in photos}
    bags = [scene for name, scene in scenes.items() if name.startswith("m_ab")]
    assert all(scene.thing is not None and 0.1 < scene.thing.mean() < 0.8 for scene in bags)
    assert sum(scene.nobody for scene in bags) >= 4
    assert not any(scene.nobody for name, scene in scenes.items() if name.startswith("l_wj"))
