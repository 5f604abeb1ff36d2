"""Whatever a shop's folder holds becomes upright RGB, or a PhotoError that says why not."""

import struct
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from modiste.errors import PhotoError
from modiste.vision.photos import check_photo, open_photo


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(width: int = 40, height: int = 60) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(np.stack([x * 6, y * 4, x + y], 2).astype(np.uint8))


def test_exif_orientation_is_applied() -> None:
    photo = Image.new("RGB", (40, 20), "blue")
    photo.paste("red", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: what is left in the file is up in the world
    upright = open_photo(encoded(photo, "PNG", exif=exif))
    assert upright.size == (20, 40)
    assert upright.getpixel((10, 2)) == (255, 0, 0)
    assert upright.getpixel((10, 37)) == (0, 0, 255)


def test_damaged_exif_does_not_cost_the_photo() -> None:
    jpeg = encoded(gradient(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7fnonsense")
    assert open_photo(jpeg).size == (40, 60)


@pytest.mark.parametrize(
    ("mode", "colour", "kind", "expected"),
    [
        ("RGBA", (255, 0, 0, 0), "PNG", (255, 255, 255)),
        ("RGBA", (0, 0, 0, 127), "PNG", (128, 128, 128)),
        ("RGBA", (0, 0, 255, 255), "WEBP", (0, 0, 255)),
        ("LA", (0, 0), "PNG", (255, 255, 255)),
        ("L", 77, "PNG", (77, 77, 77)),
        ("1", 1, "PNG", (255, 255, 255)),
        ("P", 0, "GIF", (0, 0, 0)),
        ("CMYK", (0, 0, 0, 255), "JPEG", (0, 0, 0)),
        ("CMYK", (0, 255, 255, 0), "TIFF", (255, 0, 0)),
        ("I;16", 65535, "PNG", (255, 255, 255)),
        ("I;16", 32896, "PNG", (128, 128, 128)),
        ("F", 0.5, "TIFF", (128, 128, 128)),
    ],
)
def test_every_mode_becomes_rgb(mode: str, colour: object, kind: str, expected: tuple[int, int, int]) -> None:
    photo = open_photo(encoded(Image.new(mode, (8, 8), colour), kind, **({"lossless": True} if kind == "WEBP" else {})))
    assert photo.mode == "RGB"
    assert photo.getpixel((4, 4)) == pytest.approx(expected, abs=1)


def test_a_palette_with_a_transparent_colour_lies_on_white() -> None:
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([255, 0, 0, 0, 255, 0])
    assert open_photo(encoded(picture, "PNG", transparency=1)).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "MPO"])
def test_several_frames_give_the_first(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green")]
    moving = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert open_photo(moving).getpixel((0, 0)) == pytest.approx((255, 0, 0), abs=2)


def test_paths_bytes_and_streams_are_the_same_photo(tmp_path: Path) -> None:
    png = encoded(gradient(), "PNG")
    (tmp_path / "a.png").write_bytes(png)
    for source in (tmp_path / "a.png", png, BytesIO(png)):
        assert open_photo(source) == gradient()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_truncated_photo_is_refused_by_both(kind: str, tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3)).astype(np.uint8))
    whole = encoded(noise, kind)
    path = tmp_path / "half"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PhotoError, match="truncated"):
        open_photo(path)
    with pytest.raises(PhotoError, match="truncated"):
        check_photo(path)
    check_photo(whole)


def test_what_is_no_photo_is_refused_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not a photo")
    (tmp_path / "folder.jpg").mkdir()
    for name, reason in (
        ("empty.jpg", "empty"),
        ("text.jpg", "not a photo that can be read"),
        ("missing.jpg", "no such photo"),
        ("folder.jpg", "directory"),
    ):
        for read in (open_photo, check_photo):
            with pytest.raises(PhotoError, match=reason):
                read(tmp_path / name)
    with pytest.raises(PhotoError, match="empty"):
        open_photo(b"")


def test_an_absurdly_large_photo_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(PhotoError, match=r"40×60 pixels, more than 0\.002 megapixels"):
        open_photo(encoded(gradient(), "PNG"), max_pixels=2000)
    for side in (10_000, 100_000):  # the second is past Pillow's own limit
        header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
        with pytest.raises(PhotoError, match="more than 64 megapixels"):
            check_photo(bomb + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")))


SEEDS = [encoded(gradient(), kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=20), st.data())
def test_no_damage_raises_anything_but_a_photo_error(
    seed: bytes, damage: list[tuple[int, int]], data: st.DataObject
) -> None:
    broken = bytearray(seed)
    for place, value in damage:
        broken[place % len(broken)] = value
    broken = broken[: data.draw(st.integers(0, len(broken)))]
    with suppress(PhotoError):
        assert open_photo(bytes(broken), max_pixels=1_000_000).mode == "RGB"


@pytest.mark.data
def test_real_photos_open(shared_data: Path) -> None:
    for path in sorted((shared_data / "street/photos").iterdir())[:5]:
        check_photo(path)
        assert min(open_photo(path).size) > 300
