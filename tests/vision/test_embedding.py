"""Photos become vectors in batches; what can't be embedded is told, and nothing else suffers from it."""

import csv
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modiste.errors import MaskError, SettingError
from modiste.vision import embedding
from modiste.vision.backbones import BackboneSpec, Encoder, get_backbone
from modiste.vision.embedding import EmbeddedBatch, Embedder, PhotoJob, VectorSpace, embed_photos, see
from modiste.vision.masks import LABELS, encode_mask, named
from modiste.vision.parsing import Parser
from modiste.vision.photos import open_photo
from modiste.vision.preparing import normalise, prepare

RED, GREEN, BLUE = np.eye(3)


class Outfit:
    """A photo with a red dress and blue pants on a meadow, or on plain green, 64 × 96 pixels, and its mask."""

    def __init__(self, folder: Path, name: str, plain: bool = False) -> None:
        grass = np.full((96, 64), 255) if plain else np.random.default_rng(0).integers(1, 256, (96, 64))
        photo = Image.fromarray((grass[..., None] * [0, 1, 0]).astype(np.uint8))
        photo.paste((255, 0, 0), (16, 8, 48, 48))
        photo.paste((0, 0, 255), (16, 48, 48, 88))
        labels = np.zeros((96, 64), np.uint8)
        labels[8:48, 16:48], labels[48:88, 16:48] = LABELS.index("dress"), LABELS.index("pants")
        self.image, self.mask = str(folder / f"{name}.png"), str(folder / f"{name}_segm.png")
        photo.save(self.image)
        encode_mask(labels).save(self.mask)


@pytest.fixture
def outfit(tmp_path: Path) -> Outfit:
    return Outfit(tmp_path, "outfit")


@pytest.fixture
def encoder(mean_colour: BackboneSpec) -> Encoder:
    return Encoder(mean_colour)


def together(batches: Iterator[EmbeddedBatch]) -> tuple[dict[str, np.ndarray], dict[str, str], dict[str, str]]:
    vectors, failures, remarks = {}, {}, {}
    for batch in batches:
        vectors.update(zip(batch.item_ids, batch.vectors, strict=True))
        failures.update(batch.failures)
        remarks.update(batch.remarks)
    return vectors, failures, remarks


@pytest.mark.parametrize(
    ("masking", "own", "crop", "expected"),
    [
        ("none", {"dress"}, "centre", [0.25, 0.25, 0.25]),
        ("clothes", {"dress"}, "garment", [1, 0, 1]),
        ("own", {"dress"}, "garment", [1, 0, 0]),
        ("own", {"pants"}, "centre", [0, 0, 1]),
        ("own", {"outer"}, "garment", [1, 0, 1]),
        ("own", {"skirt"}, "garment", [0, 0, 1]),
    ],
)
def test_the_vector_is_of_the_pixels_that_stay(
    masking: str, own: set[str], crop: str, expected: list[float], outfit: Outfit, encoder: Encoder
) -> None:
    job = PhotoJob("a", outfit.image, outfit.mask, frozenset(own))
    vectors, failures, remarks = together(embed_photos([job], encoder, masking, crop))
    assert vectors["a"] == pytest.approx(np.array(expected) / np.linalg.norm(expected), abs=0.02)
    assert not failures
    assert bool(remarks) == (not own & {"dress", "pants"}), "a mask that shows nothing of what its item is"


def test_several_garments_of_one_photo_are_told_apart_at_the_cost_of_one_parse(
    tmp_path: Path, encoder: Encoder, by_colour: BackboneSpec
) -> None:
    outfit = Outfit(tmp_path, "plain", plain=True)

    class Counted(Parser):
        parsed = 0

        def parse(self, photo: Image.Image) -> np.ndarray:
            self.parsed += 1
            return super().parse(photo)

    with Image.open(outfit.image) as photo:
        photo.paste((255, 255, 255), (24, 0, 40, 8))  # without a face it would be one thing
        photo.save(outfit.image)
    parser = Counted(by_colour)
    jobs = [PhotoJob(name, outfit.image, None, frozenset({name})) for name in ("dress", "pants")]
    vectors, _, _ = together(embed_photos(jobs, encoder, "own", "garment", parser))
    assert vectors["dress"] @ RED > 0.85, "its box, with what stands around it on a plain ground"
    assert vectors["pants"] @ BLUE > 0.85
    assert parser.parsed == 1


def test_a_given_mask_counts_more_than_the_parser(outfit: Outfit, encoder: Encoder, by_colour: BackboneSpec) -> None:
    labels = np.zeros((96, 64), np.uint8)
    labels[:8] = LABELS.index("dress")
    encode_mask(labels).save(outfit.mask)
    job = PhotoJob("a", outfit.image, outfit.mask, frozenset({"dress"}))
    vectors, _, _ = together(embed_photos([job], encoder, "own", "garment", Parser(by_colour)))
    assert vectors["a"] == pytest.approx(GREEN, abs=0.02)


def test_a_photo_without_mask_or_garment_is_embedded_whole(
    outfit: Outfit, encoder: Encoder, by_colour: BackboneSpec
) -> None:
    meadow = np.array([0, 220, 0]) + np.random.default_rng(0).integers(0, 2, (96, 64, 1)) * [0, 35, 0]
    Image.fromarray(meadow.astype(np.uint8)).save(outfit.image)
    for parser in (None, Parser(by_colour)):
        vectors, _, _ = together(embed_photos([PhotoJob("a", outfit.image)], encoder, "own", "garment", parser))
        assert vectors["a"] == pytest.approx(GREEN)


def test_encoded_bytes_are_embedded_like_a_file(outfit: Outfit, encoder: Encoder) -> None:
    jobs = [PhotoJob("file", outfit.image), PhotoJob("bytes", Path(outfit.image).read_bytes())]
    vectors, _, _ = together(embed_photos(jobs, encoder, "none", "centre"))
    assert np.array_equal(vectors["file"], vectors["bytes"])


def test_broken_photos_and_masks_are_told_and_stop_nothing(outfit: Outfit, encoder: Encoder, tmp_path: Path) -> None:
    whole = Path(outfit.image).read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    encode_mask(np.zeros((96, 64), np.uint8)).save(tmp_path / "empty.png")
    encode_mask(np.ones((10, 20), np.uint8)).save(tmp_path / "small.png")
    encode_mask(np.full((96, 64), LABELS.index("hair"), np.uint8)).save(tmp_path / "hair.png")
    Image.new("RGB", (64, 96), (128, 0, 128)).save(tmp_path / "purple.png")
    jobs = [
        PhotoJob("half", str(tmp_path / "half.png"), outfit.mask),
        PhotoJob("gone", str(tmp_path / "gone.png")),
        *(PhotoJob(name, outfit.image, str(tmp_path / f"{name}.png")) for name in ("empty", "small", "hair", "purple")),
        PhotoJob("lost", outfit.image, str(tmp_path / "lost.png")),
        PhotoJob("good", outfit.image, outfit.mask),
    ]
    vectors, failures, remarks = together(embed_photos(jobs, encoder, "clothes", "garment", batch_size=3))
    assert set(vectors) == {"good", "empty", "hair"}
    assert remarks["empty"] == "mask empty.png is nothing but background and was not used"
    assert remarks["hair"] == "no garment was found on it; it was taken whole"
    assert "truncated" in failures["half"]
    assert failures["gone"] == "there is no such photo"
    assert failures["small"] == "mask small.png is 20×10, its photo 64×96"
    assert failures["purple"] == "mask purple.png has 100% of its pixels off the palette"
    assert failures["lost"] == "there is no mask lost.png"


def test_a_mask_that_shows_nothing_of_what_an_item_is_is_remarked_on(outfit: Outfit, encoder: Encoder) -> None:
    labels = np.full((96, 64), LABELS.index("headwear"), np.uint8)
    remarks = []
    for labels[40:] in (LABELS.index("belt"), LABELS.index("headwear")):
        encode_mask(labels).save(outfit.mask)
        jobs = [PhotoJob(one, outfit.image, outfit.mask, own=frozenset({one})) for one in ("dress", "headwear")]
        vectors, _, said = together(embed_photos(jobs, encoder, "own", "garment"))
        assert set(vectors) == {"dress", "headwear"}
        remarks.append(said)
    remark = "its mask shows headwear, belt and no dress; are its labels those of the palette?"
    assert remarks == [{"dress": remark}, {}], "where there is one label, it decides nothing"


@pytest.mark.parametrize("masking", ["paper", "clothes", "own"])
@pytest.mark.parametrize("kinds", [{"pants"}, {"bag"}, {"dress", "rompers"}, set()])
@pytest.mark.parametrize("person", [True, False])
def test_a_mask_of_what_was_seen_makes_the_same_vector_when_it_is_given(
    masking: str, kinds: set[str], person: bool, tmp_path: Path, encoder: Encoder, by_colour: BackboneSpec
) -> None:
    outfit, own = Outfit(tmp_path, "plain", plain=True), frozenset(kinds)
    with Image.open(outfit.image) as photo:
        photo.paste((255, 255, 255) if person else (0, 0, 255), (24, 2, 40, 8))
        photo.save(outfit.image)
    parser = Parser(by_colour)
    seen = see(open_photo(Path(outfit.image)), None, parser).labels
    assert seen is not None
    shown = named(seen, own)
    encode_mask(seen if shown is None else shown).save(outfit.mask)
    jobs = [PhotoJob(mask or "", outfit.image, mask, own) for mask in (None, outfit.mask)]
    vectors, failures, remarks = together(embed_photos(jobs, encoder, masking, "garment", parser))
    assert not failures
    assert set(remarks) <= ({outfit.mask} if person and kinds == {"bag"} else set())
    assert np.array_equal(*vectors.values())


def test_a_few_pixels_off_the_palette_are_remarked_on(outfit: Outfit, encoder: Encoder) -> None:
    with Image.open(outfit.mask) as mask:
        spoilt = mask.convert("RGB")
    spoilt.paste((128, 0, 128), (0, 0, 7, 1))
    spoilt.save(outfit.mask)
    job = PhotoJob("a", outfit.image, outfit.mask)
    vectors, _, remarks = together(embed_photos([job], encoder, "clothes", "garment"))
    assert list(vectors) == ["a"]
    assert remarks == {"a": "7 pixels of the mask lie off the palette"}


def test_a_mask_counts_until_one_in_twenty_of_its_pixels_is_off_the_palette(outfit: Outfit, encoder: Encoder) -> None:
    with Image.open(outfit.mask) as mask:
        spoilt = mask.convert("RGB")
    for high, usable in ((4, True), (5, False)):  # 4 and 5 rows of 96
        spoilt.paste((128, 0, 128), (0, 0, 64, high))
        spoilt.save(outfit.mask)
        job = PhotoJob("a", outfit.image, outfit.mask)
        vectors, failures, _ = together(embed_photos([job], encoder, "clothes", "garment"))
        assert ("a" in vectors, "a" in failures) == (usable, not usable)


def test_the_fill_reaches_the_vector(outfit: Outfit, encoder: Encoder) -> None:
    job = PhotoJob("a", outfit.image, outfit.mask, frozenset({"dress"}))
    vectors, _, _ = together(embed_photos([job], encoder, "own", "centre", fill=(0, 255, 0)))
    assert vectors["a"] == pytest.approx(np.array([1, 3, 0]) / np.sqrt(10), abs=0.02)  # a quarter is the dress


def test_no_more_than_two_batches_wait_for_the_network(
    outfit: Outfit, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def noted(photo: bytes) -> Image.Image:
        opened.append(photo)
        return open_photo(photo)

    monkeypatch.setattr(embedding, "open_photo", noted)
    jobs = [PhotoJob(str(number), Path(outfit.image).read_bytes() + bytes([number])) for number in range(60)]
    run = embed_photos(jobs, encoder, "none", "centre", batch_size=4)
    next(run)
    time.sleep(0.3)  # long enough to open all sixty
    assert len(opened) <= 3 * 4
    run.close()


def test_order_and_vectors_do_not_depend_on_batches_or_workers(tmp_path: Path, encoder: Encoder) -> None:
    rng = np.random.default_rng(1)
    for number in range(23):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(tmp_path / f"{number}.png")
    jobs = [PhotoJob(str(number), str(tmp_path / f"{number}.png")) for number in range(23)]
    one_by_one, _, _ = together(embed_photos(jobs, encoder, "none", "centre", batch_size=1, workers=1))
    batches = list(embed_photos(jobs, encoder, "none", "centre", batch_size=5, workers=4))
    assert [len(batch.item_ids) for batch in batches] == [5, 5, 5, 5, 3]
    many, _, _ = together(iter(batches))
    assert list(many) == list(one_by_one) == [job.item_id for job in jobs]
    assert np.stack(list(many.values())) == pytest.approx(np.stack(list(one_by_one.values())), abs=1e-6)


def test_an_abandoned_run_leaves_no_thread_behind(outfit: Outfit, encoder: Encoder) -> None:
    jobs = [PhotoJob(str(number), Path(outfit.image).read_bytes() + bytes([number])) for number in range(200)]
    run = embed_photos(jobs, encoder, "none", "centre", batch_size=4)
    assert len(next(run).item_ids) == 4
    run.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("photos")]


def test_nothing_to_embed_gives_nothing(encoder: Encoder) -> None:
    assert list(embed_photos([], encoder, "own", "garment")) == []


def test_labels_come_from_the_given_mask_else_the_parser_else_nowhere(outfit: Outfit, by_colour: BackboneSpec) -> None:
    with Image.open(outfit.image) as photo:
        given = see(photo, outfit.mask, None).labels
        parsed = see(photo, None, Parser(by_colour)).labels
        assert given is not None
        assert parsed is not None
        assert ((given > 0) == (parsed > 0)).mean() > 0.98
        with pytest.raises(MaskError, match="64×96, its photo 32×96"):
            see(photo.crop((0, 0, 32, 96)), outfit.mask, None)
    noise = np.random.default_rng(0).integers(0, 256, (96, 64, 3), np.uint8)
    assert see(Image.fromarray(noise), None, None).labels is None


@pytest.mark.parametrize("size", [(1, 1), (64, 96)])
def test_a_photo_of_nothing_gets_no_vector(size: tuple[int, int], encoder: Encoder, tmp_path: Path) -> None:
    Image.new("RGB", size, (238, 238, 238)).save(tmp_path / "empty.png")
    vectors, failures, _ = together(
        embed_photos([PhotoJob("a", str(tmp_path / "empty.png"))], encoder, "own", "garment")
    )
    assert not vectors
    assert failures == {"a": "photo shows no garment: it is empty, or a placeholder"}


def test_a_vector_space_comes_back_from_json(mean_colour: BackboneSpec, by_colour: BackboneSpec) -> None:
    space = VectorSpace.of(mean_colour, "own", "garment", "auto", by_colour, (255, 255, 255))
    assert VectorSpace.from_json(space.to_json()) == space
    assert space.parser == by_colour.sha256
    assert space.key.startswith("mean_colour-own-garment-auto-")


def test_every_difference_makes_another_space(mean_colour: BackboneSpec, by_colour: BackboneSpec) -> None:
    space = VectorSpace.of(mean_colour, "own", "garment", "auto", by_colour)
    others = [
        replace(space, **{name: value})
        for name, value in (
            ("backbone", "vgg16"),
            ("weights", "0" * 64),
            ("masking", "paper"),
            ("crop", "centre"),
            ("masks", "given"),
            ("parser", "0" * 64),
            ("dim", 4),
            ("fill", (9, 9, 9)),
            ("form", "other"),
        )
    ]
    assert len({space.key, *(other.key for other in others)}) == 10


def test_what_makes_no_difference_makes_no_other_space(mean_colour: BackboneSpec, by_colour: BackboneSpec) -> None:
    bare = VectorSpace.of(mean_colour, "none", "centre")
    assert VectorSpace.of(mean_colour, "none", "centre", "auto", by_colour, (9, 9, 9)) == bare
    assert VectorSpace.of(mean_colour, "own", "centre", "given", by_colour).parser == ""


@pytest.mark.parametrize(
    ("masking", "crop", "masks"), [("all", "centre", "auto"), ("own", "head", "auto"), ("own", "centre", "mine")]
)
def test_an_unknown_choice_is_told_which_there_are(masking: str, crop: str, masks: str) -> None:
    with pytest.raises(SettingError, match="there are: "):
        VectorSpace.of(get_backbone("efficientnet_lite0"), masking, crop, masks)


@pytest.mark.data
def test_real_photos_are_nearest_to_their_own_garment(shared_data: Path) -> None:
    photos = sorted((shared_data / "street/photos").iterdir())[:8]
    jobs = [
        PhotoJob(path.stem, str(path), str(shared_data / "street/masks" / f"{path.stem}_segm.png")) for path in photos
    ]
    encoder = Encoder(get_backbone("efficientnet_lite0"))
    garment, failures, _ = together(embed_photos(jobs, encoder, "clothes", "garment"))
    centre, _, _ = together(embed_photos(jobs, encoder, "paper", "centre"))
    assert not failures
    similarity = np.stack(list(garment.values())) @ np.stack(list(centre.values())).T
    assert (similarity.argmax(1) == np.arange(8)).mean() >= 0.75


@pytest.mark.data
def test_the_house_embedding_knows_garments_of_photographers_it_never_saw(shared_data: Path) -> None:
    with (shared_data / "garments/items.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows = [row for row in rows if int(sha256(row["photographer"].encode()).hexdigest(), 16) % 1000 < 150][::4]
    jobs = [PhotoJob(row["item_id"], str(shared_data / "garments" / row["image"])) for row in rows]
    kind, photographer = (np.array([row[name] for row in rows]) for name in ("category", "photographer"))
    parser, right = Parser(get_backbone("garment_parser"), threads=1), {}
    for name in ("efficientnet_lite0", "modiste_s"):
        vectors, _, _ = together(embed_photos(jobs, Encoder(get_backbone(name)), "clothes", "garment", parser))
        found = np.stack([vectors[job.item_id] for job in jobs])
        cosine = np.where(photographer[:, None] == photographer, -1, found @ found.T)
        right[name] = (kind[cosine.argmax(1)] == kind).mean()
    assert right["modiste_s"] > max(0.6, right["efficientnet_lite0"])


@pytest.mark.data
def test_to_the_house_embedding_a_garment_in_another_colour_looks_alike(shared_data: Path) -> None:
    encoder, copies = Encoder(get_backbone("modiste_s")), []
    for path in sorted((shared_data / "street/photos").iterdir())[::100]:
        photo = open_photo(path)
        hue, saturation, value = photo.convert("HSV").split()
        recoloured = Image.merge("HSV", (hue.point(lambda level: (level + 90) % 256), saturation, value)).convert("RGB")
        copies += [photo, photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT), recoloured]
    found = encoder.embed(
        normalise(np.stack([prepare(copy, None, encoder.spec, "garment") for copy in copies]), encoder.spec)
    )
    plain, mirrored, other = found.reshape(-1, 3, found.shape[1]).swapaxes(0, 1)
    strangers = (plain @ plain.T)[~np.eye(len(plain), dtype=bool)].reshape(len(plain), -1).max(axis=1)
    for copy in (mirrored, other):
        assert ((plain * copy).sum(axis=1) > strangers).all()


@pytest.mark.parametrize(("hat", "found"), [((120, 70, 40), ["dress"]), ((0, 0, 255), ["dress", "headwear"])])
def test_a_hat_of_the_hair_s_colour_is_hair(
    hat: tuple[int, int, int], found: list[str], mean_colour: BackboneSpec
) -> None:
    photo, labels = Image.new("RGB", (64, 96), (220, 180, 160)), np.full((96, 64), LABELS.index("skin"), np.uint8)
    for top, bottom, label, colour in (
        (0, 10, "headwear", hat),
        (10, 20, "hair", (120, 70, 40)),
        (40, 96, "dress", (255, 0, 0)),
    ):
        photo.paste(colour, (16, top, 48, bottom))
        labels[top:bottom, 16:48] = LABELS.index(label)
    embedder = Embedder(VectorSpace.of(mean_colour, "own", "garment"), mean_colour, None)
    assert list(embedder.garments(photo, labels)) == found
    bare = np.where(labels == LABELS.index("hair"), 0, labels).astype(np.uint8)
    assert list(embedder.garments(photo, bare)) == ["dress", "headwear"], "without hair to compare it with"
