"""A network is an ONNX file and a TOML entry: both are checked before anything is run."""

import re
from pathlib import Path

import numpy as np
import pytest

from modiste.errors import SourceError, UnknownIdError
from modiste.testing import BackboneContract
from modiste.vision.backbones import SHIPPED, BackboneSpec, Encoder, get_backbone, list_backbones, read_entry, verify
from modiste.vision.photos import open_photo
from modiste.vision.preparing import normalise, prepare


def rewritten(spec: BackboneSpec, pattern: str, replacement: str) -> BackboneSpec:
    entry = spec.path.with_suffix(".toml")
    entry.write_text(re.sub(pattern, replacement, entry.read_text()))
    return read_entry(entry)


def test_the_shipped_parser_is_the_file_its_entry_names() -> None:
    (spec,) = (spec for spec in list_backbones("parser") if spec.folder == SHIPPED)
    assert verify(spec) is None
    assert spec.licence
    assert spec.origin


class TestMeanColour(BackboneContract):
    """A network of a user's own, by its entry."""

    @pytest.fixture(autouse=True)
    def installed(self, mean_colour: BackboneSpec) -> None:
        self.backbone = mean_colour


@pytest.mark.data
def test_a_flipped_photo_is_nearer_than_another_photo(shared_data: Path) -> None:
    spec = get_backbone("efficientnet_lite0")
    photos = [open_photo(path) for path in sorted((shared_data / "garments/photos").iterdir())[:12]]
    squares = np.stack([prepare(photo, None, spec, "centre") for photo in photos])
    encoder = Encoder(spec)
    vectors = encoder.embed(normalise(squares, spec))
    flipped = encoder.embed(normalise(squares[:, :, ::-1], spec))
    assert ((flipped @ vectors.T).argmax(1) == np.arange(12)).all()


def test_a_known_network_gives_the_known_vector(mean_colour: BackboneSpec) -> None:
    batch = np.full((1, 3, 32, 32), [[[[3.0]], [[0.0]], [[4.0]]]], np.float32)
    assert Encoder(mean_colour).embed(batch) == pytest.approx(np.array([[0.6, 0, 0.8]]))


def test_a_users_folder_adds_networks(mean_colour: BackboneSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODISTE_CACHE", str(mean_colour.folder))
    assert get_backbone("mean_colour") == mean_colour
    assert "efficientnet_lite0" in {spec.name for spec in list_backbones("backbone")}
    assert mean_colour.name not in {spec.name for spec in list_backbones("parser")}


def test_a_shipped_network_is_not_replaced_by_a_users_of_its_name(
    mean_colour: BackboneSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = mean_colour.path.with_suffix(".toml")
    entry.rename(entry.with_name("efficientnet_lite0.toml"))
    monkeypatch.setenv("MODISTE_CACHE", str(mean_colour.folder))
    assert get_backbone("efficientnet_lite0").folder == SHIPPED


def test_a_vector_of_nothing_stays_zero(mean_colour: BackboneSpec) -> None:
    assert Encoder(mean_colour).embed(np.zeros((1, 3, 32, 32), np.float32)).tolist() == [[0, 0, 0]]


def test_an_unknown_network_is_told_which_there_are_and_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODISTE_CACHE", str(tmp_path / "nowhere"))
    with pytest.raises(UnknownIdError, match=r"no network 'lite9' .*efficientnet_lite0") as told:
        get_backbone("lite9")
    assert "export" not in str(told.value)
    with pytest.raises(UnknownIdError, match="modiste backbones export vgg16"):
        get_backbone("vgg16")


def test_a_file_that_is_not_the_entrys_is_to_be_installed_again(mean_colour: BackboneSpec) -> None:
    mean_colour.path.write_bytes(mean_colour.path.read_bytes() + b"\0")
    assert "sha256 differs); install it again" in str(verify(mean_colour))
    mean_colour.path.unlink()
    assert "install mean_colour again" in str(verify(mean_colour))


@pytest.mark.parametrize(
    ("pattern", "replacement", "complaint"),
    [
        ("dim = 3", "dimension = 3", "dimension: "),
        ('kind = "backbone"\n', "", "kind: "),
        ("width = 32", 'width = "wide"', "width: "),
        ("std = .*", "std = [1.0, 0.0, 1.0]", "std.1: "),
        ('file = "', 'file = "../', "file: "),
        ("dim = 3", "dim = = 3", "TOML"),
    ],
)
def test_a_wrong_entry_names_the_file_and_the_key(
    pattern: str, replacement: str, complaint: str, mean_colour: BackboneSpec
) -> None:
    with pytest.raises(SourceError, match=rf"mean_colour\.toml.*{complaint}"):
        rewritten(mean_colour, pattern, replacement)


def test_an_entry_that_does_not_fit_its_network_says_so(mean_colour: BackboneSpec) -> None:
    with pytest.raises(SourceError, match="has no output 'vector', but colour"):
        Encoder(rewritten(mean_colour, 'output = "colour"', 'output = "vector"'))
    spec = rewritten(mean_colour, 'output = "vector"', 'output = "colour"')
    with pytest.raises(SourceError, match=r"can't be run on input \(1, 3, 16, 32\)"):
        Encoder(spec).embed(np.zeros((1, 3, 16, 32), np.float32))
    with pytest.raises(SourceError, match=r"gave \(1, 3\), its entry promises \(n, 4\)"):
        Encoder(rewritten(spec, "dim = 3", "dim = 4")).embed(np.zeros((1, 3, 32, 32), np.float32))


def test_a_parser_is_no_backbone(by_colour: BackboneSpec) -> None:
    with pytest.raises(SourceError, match="by_colour is not a backbone"):
        Encoder(by_colour)


def test_a_file_that_is_no_network_is_named(mean_colour: BackboneSpec) -> None:
    from hashlib import sha256

    mean_colour.path.write_bytes(b"not a network")
    spec = rewritten(mean_colour, 'sha256 = ".*"', f'sha256 = "{sha256(b"not a network").hexdigest()}"')
    with pytest.raises(SourceError, match=r"mean_colour\.onnx can't be run by ONNX Runtime"):
        Encoder(spec)
