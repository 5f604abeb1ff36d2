"""Whatever a shop's folder holds becomes upright RGB, or a PhotoError that says why not."""

import os
import struct
import subprocess
import sys
import zlib
from base64 import b85decode
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from modiste.catalog.readers import PHOTO_SUFFIXES
from modiste.errors import PhotoError
from modiste.vision.photos import FORMATS, check_photo, open_photo


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
    with pytest.raises(PhotoError, match="more than 64 megapixels"):
        check_photo(png_header(10_000, 10_000))
    with pytest.raises(PhotoError, match="more than 64 megapixels"):  # past Pillow's own limit
        check_photo(png_header(60_000, 60_000))


def test_only_regular_files_of_a_bounded_size_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    with (tmp_path / "sparse.jpg").open("wb") as sparse:
        sparse.write(encoded(gradient(), "JPEG"))
        sparse.truncate(4_000_000_000)
    for name, reason in (("pipe", "pipe or a device"), ("device", "pipe or a device"), ("sparse", "has 4,000 MB")):
        for read in (open_photo, check_photo):
            with pytest.raises(PhotoError, match=reason):
                read(tmp_path / f"{name}.jpg")


def png_header(width: int, height: int, bits: int = 8, kind: int = 2) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    chunks = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return chunks + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


@pytest.mark.parametrize("size", [(1, 64_000_000), (64_000_000, 1), (1, 70_000)])
def test_a_strip_is_refused(size: tuple[int, int]) -> None:
    for read in (open_photo, check_photo):
        with pytest.raises(PhotoError, match="a side has at most 65,535"):
            read(png_header(*size, bits=1, kind=0))


def jpeg_header(side: int, **options: object) -> bytes:
    jpeg = bytearray(encoded(gradient(), "JPEG", **options))
    place = jpeg.index(b"\xff\xc2" if "progressive" in options else b"\xff\xc0")
    jpeg[place + 5 : place + 9] = struct.pack(">HH", side, side)
    return bytes(jpeg)


def tiff_header(tile: int) -> bytes:
    tags = {256: 16, 257: 16, 258: 8, 259: 5, 262: 1, 277: 1, 322: tile, 323: tile, 324: 200, 325: 9}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(100)


@pytest.mark.parametrize(
    "photo",
    [
        png_header(7500, 7500),
        png_header(7500, 7500, kind=6),
        jpeg_header(7500, progressive=True, subsampling=0),
        tiff_header(16_000),
    ],
)
def test_a_photo_that_would_take_too_much_is_refused_by_its_header(photo: bytes) -> None:
    with pytest.raises(PhotoError, match=r"MB to decode \(.*make it smaller"):
        open_photo(photo)


@pytest.mark.parametrize(("kind", "mode"), [("JPEG", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("TIFF", "I;16")])
def test_a_large_photo_is_read_at_a_part_of_its_size(kind: str, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modiste.vision.photos.READ_PIXELS", 60_000)
    monkeypatch.setattr("modiste.vision.photos._BAND", 7_000)
    whole = gradient().resize((300, 450)) if mode != "I;16" else Image.new(mode, (300, 450), 32896)
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = open_photo(encoded(whole if mode == "I;16" else whole.convert(mode), kind, exif=exif))
    assert (photo.size, photo.info["full_size"]) == ((225, 150), (450, 300))
    expected = np.full((150, 225, 3), 128) if mode == "I;16" else np.rot90(np.asarray(whole.reduce(2)), -1)
    assert np.abs(np.asarray(photo).astype(int) - expected).mean() < (8 if mode == "P" else 2)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
@pytest.mark.parametrize(
    ("kind", "mode", "side", "options"),
    [("PNG", "RGBA", 5900, {"compress_level": 1}), ("WEBP", "RGB", 3400, {"method": 0})],
)
def test_no_photo_takes_more_than_200_mb(
    kind: str, mode: str, side: int, options: dict[str, object], tmp_path: Path
) -> None:
    (tmp_path / "photo").write_bytes(encoded(Image.new(mode, (side, side)), kind, **options))
    program = """
import sys; from pathlib import Path; from modiste.vision.photos import open_photo
def peak(): return int(next(one for one in open("/proc/self/status") if one.startswith("VmHWM")).split()[1]) * 1024
before = peak(); open_photo(Path(sys.argv[1])); print(peak() - before)
"""
    command = [sys.executable, "-c", program, tmp_path / "photo"]
    assert 50e6 < float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) < 200e6


HEIC = b85decode(  # 64×96, the top third red, turned by EXIF to lie on its side
    "0000SW^{RQXk}?*00000ZE0pPXk}?*ZE0a<0004(ZDn*}000000000XXk=`10000000000aA{+700000000000000000000G-+&aV*mgE07O6l"
    "0ssL300001y8r<I00000002M$0ssI200H{|0RR9100000Bme*aIB98aW&i*H00062000$fZf0cy000000RRAKc4ILB0000LX>Mj^0ssI300IC2"
    "MR;ju000004sdC7Z2$lO00031007o$aB^?}006gXaAR)(004Msc4I>U18@KU0FVFx0000U@BsY%`1k+-4+CHT0RR|40Sp2E{{wIU00RJ!00093"
    "00RIXx&lC90096iLID8-Z~y=U0FVFx0{{R603M(qfrXapNhz*w0vZem00093$N&HX00=;000968L;=Baup&SJ000wXZ)|dIV{CW;0RRmE27mwn"
    "02FC+aAg1h0000006+i$0AK(B01$9#cxeCt0009B2nYZG02gU+ZD9Za00000009621c3qr1ONa48fkK6W&i*H000004r63<V*mmG0RRC2003-l"
    "WMOmw002BF0k0E)c_c;1zyI;!NB_gVczuqUVkuAjmt=m5T>tYcy#~{TG3{5}Mhdv*^i?w3NWS4^#uRs%!5hE;000I>cxh$;08LE*DgXcg2mk>A"
    "5&#1L000311^@s60000"
)


def test_heic_and_avif_are_photos_too() -> None:
    pytest.importorskip("pi_heif", reason="needs the extra formats")
    photo = open_photo(HEIC)
    assert photo.size in ((64, 96), (96, 64))
    assert len({photo.getpixel(place)[0] > 150 for place in ((4, 4), (60, 60), (4, 60), (60, 4))}) == 2
    check_photo(HEIC)
    avif = encoded(Image.new("RGBA", (40, 60), (255, 0, 0, 0)), "AVIF")
    assert open_photo(avif).getpixel((20, 30)) == (255, 255, 255)


def test_a_heic_without_the_extra_is_told_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modiste.vision.photos.FORMATS", ("JPEG", "PNG"))
    with pytest.raises(PhotoError, match=r"needs the extra formats: .*pip install"):
        open_photo(HEIC)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "WEBP", "AVIF"])
def test_every_orientation_is_turned_upright_once(orientation: int, kind: str) -> None:
    photo = Image.new("RGB", (32, 64), "blue")
    photo.paste("red", (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = encoded(photo, kind, exif=exif, **({"quality": 95} if kind in ("AVIF", "WEBP", "JPEG") else {}))
    expected = ImageOps.exif_transpose(Image.open(BytesIO(stored))).convert("RGB")
    assert np.abs(np.asarray(open_photo(stored)).astype(int) - np.asarray(expected)).max() <= 2
    assert open_photo(stored).size == ((32, 64) if orientation < 5 else (64, 32))


# Adobe RGB (1998) and Display P3 as lcms has them: primaries, white point, gamma


def matrix_profile(primaries: tuple[tuple[float, float], ...], gamma: float) -> bytes:
    """An ICC profile of three primaries (x, y) under D65 with one gamma."""
    xyz = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    d50 = np.array([0.96422, 1, 0.82521])
    adapt = np.linalg.inv(bradford) @ np.diag((bradford @ d50) / (bradford @ white)) @ bradford
    columns = (adapt @ (xyz * np.linalg.solve(xyz, white))).T

    def fixed(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    tags = [(b"wtpt", b"XYZ \0\0\0\0" + fixed(*d50))]
    tags += [
        (name + b"XYZ", b"XYZ \0\0\0\0" + fixed(*one)) for name, one in zip((b"r", b"g", b"b"), columns, strict=True)
    ]
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    tags += [(name + b"TRC", curve) for name in (b"r", b"g", b"b")]
    table, content = struct.pack(">I", len(tags)), b""
    for name, data in tags:
        table += name + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(content), len(data))
        content += data
    head = struct.pack(">I4sI4s4s4s", 128 + len(table) + len(content), b"lcms", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + fixed(*d50)
    return head.ljust(128, b"\0") + table + content


ADOBE = matrix_profile(((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), 2.19921875)
P3 = matrix_profile(((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)), 2.2)


@pytest.mark.parametrize("profile", [ADOBE, P3], ids=["Adobe RGB", "Display P3"])
def test_a_photo_in_other_colours_is_its_srgb_copy(profile: bytes) -> None:
    srgb = gradient().resize((200, 300))
    theirs = ImageCms.ImageCmsProfile(BytesIO(profile))
    copy = ImageCms.profileToProfile(srgb, ImageCms.createProfile("sRGB"), theirs)
    assert np.abs(np.asarray(copy).astype(int) - np.asarray(srgb)).max() > 15
    back = np.asarray(open_photo(encoded(copy, "PNG", icc_profile=profile))).astype(int)
    assert np.abs(back - np.asarray(srgb)).mean() < 1.5
    assert np.percentile(np.abs(back - np.asarray(srgb)), 99) <= 6


def test_srgb_by_any_name_and_a_broken_profile_change_nothing() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"no profile at all", ADOBE[:200]):
        assert open_photo(encoded(gradient(), "PNG", icc_profile=profile)) == gradient()
    assert open_photo(encoded(gradient().convert("L"), "PNG", icc_profile=srgb)) == gradient().convert("L").convert(
        "RGB"
    )


def test_every_ending_of_a_photo_is_of_a_format_that_is_read() -> None:
    Image.init()
    known = Image.EXTENSION | {".heic": "HEIF", ".heif": "HEIF"}
    assert {known[ending] for ending in PHOTO_SUFFIXES} - {"MPO"} <= {*FORMATS, "HEIF"}


@pytest.mark.data
def test_the_shops_cases_of_formats_and_colours(shared_data: Path) -> None:
    cases = shared_data.parent / "cases"
    if not cases.is_dir():
        pytest.skip("no shared cases")
    pytest.importorskip("pi_heif", reason="needs the extra formats")
    refused = set()
    for photo in sorted((cases / "19-photo-formats/img").iterdir()):
        try:
            check_photo(photo)
        except PhotoError:
            refused.add(photo.name)
    broken = {"html.jpg", "logo.svg", "trunc-few.jpg", "truncated.jpg", "zero.jpg"}
    assert refused == broken | {"pixel.gif", "pixel.png"}
    for colour in ("teal", "red"):
        srgb = np.asarray(open_photo(cases / f"24-icc/img/{colour}-srgb.png").reduce(8)).astype(int)
        for other in ("AdobeRGB1998", "ProPhotoRGB"):
            photo = open_photo(cases / f"24-icc/img/{colour}-{other}.jpg").reduce(8)
            assert np.abs(np.asarray(photo) - srgb).mean() < 3


SEEDS = [encoded(gradient(), kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")]


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
