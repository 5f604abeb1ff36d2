"""From photos to vectors: decoding, masking and inference overlapped, in batches, with every failure reported."""

import json
from collections import deque
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modiste.arrays import Bools, Singles
from modiste.catalog.palette import LABELS
from modiste.errors import MaskError, PhotoError, SettingError
from modiste.vision.backbones import CROPS, BackboneSpec, Encoder
from modiste.vision.colour import COLOUR_DIM, colour_of
from modiste.vision.ground import look
from modiste.vision.masks import FORM, MASKINGS, Mask, counts_of, decode_mask, garment_pixels, garments_of, named
from modiste.vision.parsing import Parser
from modiste.vision.photos import open_photo
from modiste.vision.preparing import BLACK, Fill, normalise, prepare

MASK_SOURCES = ("given", "parser", "auto")
"""Whose masks count: the catalogue's alone, the parser's alone, or the parser's where none is given."""

OFF_PALETTE_AT_MOST = 0.05
"""A mask with a larger share of pixels in no colour of the palette is taken for something else than a mask."""

HAIR_FROM = 0.9
"""How alike in colour a hat and the hair are from which it is hair: on Luma, where nobody wears one, 12 of 18 hats that
the parser finds; of 77 given masks of hats on street photos two."""


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """What makes vectors comparable; two spaces never are. Any difference in a field is another space.

    ``weights`` and ``parser`` are the SHA-256 of the ONNX files (parser: empty where none is used). ``dim`` is the
    length of a vector as the backbone gives it, before any reduction. ``fill`` is the colour of removed pixels.
    ``form`` is the program's own part (:data:`~modiste.vision.masks.FORM`): how it masks, cuts out and tells colours.
    """

    backbone: str
    weights: str
    masking: str
    crop: str
    masks: str
    parser: str
    dim: int
    fill: Fill = BLACK
    form: str = FORM

    @classmethod
    def of(
        cls,
        spec: BackboneSpec,
        masking: str,
        crop: str,
        masks: str = "given",
        parser: BackboneSpec | None = None,
        fill: Fill = BLACK,
    ) -> Self:
        """The space of a backbone with a way of masking and cropping. Raises SettingError for an unknown one.

        What makes no difference is left out: without masking there is no source of masks and no fill.
        """
        for what, value, known in (
            ("masking", masking, MASKINGS),
            ("crop", crop, CROPS),
            ("masks", masks, MASK_SOURCES),
        ):
            if value not in known:
                raise SettingError(f"no {what} {value!r}; there are: {', '.join(known)}")
        if masking == "none":
            masks, fill = "given", BLACK
        digest = parser.sha256 if parser and masks != "given" else ""
        return cls(spec.name, spec.sha256, masking, crop, masks, digest, spec.dim, fill)

    @property
    def key(self) -> str:
        """A short name that a person can read and that no other space has."""
        digest = sha256(self.to_json().encode()).hexdigest()[:8]
        return f"{self.backbone}-{self.masking}-{self.crop}-{self.masks}-{digest}"

    @property
    def row(self) -> dict[str, str]:
        """As the shop's table of vector spaces has it."""
        return {"key": self.key, "settings": self.to_json(), "form": self.form}

    def to_json(self) -> str:
        """The fields as a JSON object."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Inverse of :meth:`to_json`."""
        fields = json.loads(text)
        return cls(**{**fields, "fill": tuple(fields["fill"])})


@dataclass(frozen=True, slots=True)
class PhotoJob:
    """One item to embed: its photo (a path, or an encoded photo's bytes), its given mask if any, and ``own``, the mask
    labels of its category."""

    item_id: str
    image: str | bytes
    mask: str | None = None
    own: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class EmbeddedBatch:
    """A batch's items with their unit vectors, float32 (n, dim), the colours of their kept pixels, float32
    (n, COLOUR_DIM), and those set aside, each with its reason.

    ``remarks`` are about items that were embedded all the same: pixels of a mask that lay off the palette.
    """

    item_ids: list[str]
    vectors: Singles
    colours: Singles
    failures: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[tuple[str, str]] = field(default_factory=list)


def embed_photos(
    jobs: Sequence[PhotoJob],
    encoder: Encoder,
    masking: str,
    crop: str,
    parser: Parser | None = None,
    batch_size: int = 16,
    workers: int = 2,
    fill: Fill = BLACK,
) -> Iterator[EmbeddedBatch]:
    """Embed photos in batches. While one batch is in the network, the next ones are decoded and masked by ``workers``.

    Jobs that share a photo are decoded and parsed once. A photo or mask that can't be used, or a photo that shows
    nothing, is a failure of its items and stops nothing. Photos without a given mask get the parser's; without one,
    or where no garment is found, they are embedded whole. At most two batches wait for the network, however long
    ``jobs`` is.
    """
    photos: dict[str | bytes, list[PhotoJob]] = {}
    for job in jobs:
        photos.setdefault(job.image, []).append(job)
    waiting = iter(photos.values())
    pending: deque[Future[list[_Prepared]]] = deque()
    ready: list[_Prepared] = []
    with ThreadPoolExecutor(workers, thread_name_prefix="photos") as pool:
        try:
            while True:
                while len(pending) < 2 * batch_size and (same := next(waiting, None)) is not None:
                    pending.append(pool.submit(_prepared, same, encoder.spec, masking, crop, parser, fill))
                if not pending:
                    break
                ready.extend(pending.popleft().result())
                while len(ready) >= batch_size:
                    yield _embedded(ready[:batch_size], encoder)
                    del ready[:batch_size]
            if ready:
                yield _embedded(ready, encoder)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class EmbeddedPhoto:
    """One photo as a vector space sees it: its labels in the palette, uint8 (h, w), the pixels kept, bool (h, w), both
    None where it was taken whole, the labels also where nobody knows a single thing's; its unit vector, float32 (dim,),
    before any reduction, and the colour vector of the kept pixels, float32 (COLOUR_DIM,). ``cut`` tells whether these
    were cut out for the look."""

    labels: NDArray[np.uint8] | None
    keep: Bools | None
    vector: Singles
    colour: Singles
    cut: bool = True


class Embedder:
    """A vector space's networks, loaded once, for photos that come one at a time; safe to use from several threads.

    Raises SettingError where the installed networks, or the form, are not those the space was made with.
    """

    def __init__(self, space: VectorSpace, spec: BackboneSpec, parser: BackboneSpec | None) -> None:
        other = spec.sha256 != space.weights or (space.parser and (parser is None or parser.sha256 != space.parser))
        if other or space.form != FORM:
            raise SettingError(
                f"the vectors of {space.key} were made {'with other networks' if other else 'by another Modiste'} than "
                "is installed; embed the catalogue again with: modiste embed SHOP"
            )
        self.space = space
        self.encoder = Encoder(spec)
        self.parser = Parser(parser) if parser else None

    def embed(self, photo: Image.Image, own: frozenset[str] = frozenset()) -> EmbeddedPhoto:
        """Parse an RGB photo, keep its garment pixels, embed it. ``own``: the labels of the garment that is meant.

        Raises MaskError for a photo that shows nothing at all.
        """
        parser = self.parser if self.space.masking != "none" else None
        seen = see(photo, None, parser)
        keep, _ = seen.keep(self.space.masking, own)
        cut = seen.cut(self.space.masking)
        square = prepare(photo, keep, self.encoder.spec, self.space.crop, self.space.fill, cut)
        vector = self.encoder.embed(normalise(square[None], self.encoder.spec))[0]
        labels = None if parser is None or seen.labels is None else named(seen.labels, own)
        return EmbeddedPhoto(labels, keep, vector, colour_of(np.asarray(photo), keep), cut)

    def garments(
        self, photo: Image.Image, labels: NDArray[np.uint8] | None, cut: bool = True
    ) -> dict[str, EmbeddedPhoto]:
        """Each garment on a photo of these ``labels``, uint8 (h, w), by its own, the largest first, embedded as an item
        of this kind is; none where nobody is on the photo, and no hat of the hair's own colour, which is hair."""
        if labels is None:
            return {}
        spec, space, pixels = self.encoder.spec, self.space, np.asarray(photo)
        found, hair = garments_of(labels), labels == np.uint8(LABELS.index("hair"))
        hat = found.get("headwear") if hair.any() else None
        if hat is not None and np.vdot(colour_of(pixels, hat), colour_of(pixels, hair)) >= HAIR_FROM:
            del found["headwear"]
        if not found:
            return {}
        squares = [prepare(photo, keep, spec, space.crop, space.fill, cut) for keep in found.values()]
        vectors = self.encoder.embed(normalise(np.stack(squares), spec))
        return {
            label: EmbeddedPhoto(labels, keep, vector, colour_of(pixels, keep), cut)
            for (label, keep), vector in zip(found.items(), vectors, strict=True)
        }


@dataclass(frozen=True, slots=True)
class Seen:
    """What a photo shows: its labels in the palette, uint8 (h, w), None where it has to be taken whole, what there is
    to say about it, and whether its ground is plain. ``given``: somebody gave its mask."""

    labels: NDArray[np.uint8] | None
    said: str = ""
    plain: bool = False
    given: bool = False

    def keep(self, masking: str, own: Set[str] = frozenset()) -> tuple[Bools | None, str]:
        """The pixels that stay, bool (h, w), None for all, and what there is to say."""
        keep = None if self.labels is None or masking == "none" else garment_pixels(self.labels, masking, own)
        said = self.said or (self._without(own) if masking == "own" else "")
        if keep is None or keep.any():
            return keep, said
        return None, said or "no garment was found on it; it was taken whole"

    def _without(self, own: Set[str]) -> str:
        """A remark where a given mask shows nothing of what the item is: it may have another tool's labels."""
        if self.labels is None or not self.given or not own:
            return ""
        shown = [LABELS[label] for label in np.flatnonzero(counts_of(self.labels)).tolist() if label]
        if own & {*shown} or len(shown) == 1:  # the mask of one thing
            return ""
        return (
            f"its mask shows {', '.join(shown)} and no {' or '.join(sorted(own))}; are its labels those of the palette?"
        )

    def cut(self, masking: str) -> bool:
        """Whether the garment is cut out for its look. On a plain ground networks know it better uncut, in its box."""
        return masking != "own" or not self.plain


def see(photo: Image.Image, mask: str | None, parser: Parser | None) -> Seen:
    """What an RGB photo shows, by its given mask at that path, else at first sight, else by the parser.

    A given mask may also have the size of the file that the photo was read smaller from.

    Raises MaskError for a photo that shows nothing at all, and for a given mask that is unreadable, of another size, or
    hardly in the palette. A given mask of nothing but background counts as none.
    """
    scene = look(photo)
    plain = scene.thing is not None
    if scene.empty:
        raise MaskError("photo shows no garment: it is empty, or a placeholder")
    if mask is not None:
        given = mask_of(photo, mask)
        if given.labels.any():
            said = f"{given.off_palette} pixels of the mask lie off the palette" * bool(given.off_palette)
            return Seen(given.labels, said, plain, given=True)
        mask = f"mask {Path(mask).name} is nothing but background and was not used"
    if parser is not None:
        return Seen(parser.labels(photo, scene), mask or "", plain)
    sure = scene.thing if scene.nobody else None
    return Seen(None if sure is None else sure.astype(np.uint8), mask or "", plain)


def mask_of(photo: Image.Image, path: str) -> Mask:
    """A photo's given mask. Raises MaskError if it is unreadable, of another size, or hardly in the palette at all."""
    mask, name = decode_mask(Path(path)), Path(path).name
    height, width = mask.labels.shape
    full = photo.info.get("full_size", photo.size)
    if (width, height) not in (photo.size, full):
        raise MaskError(f"mask {name} is {width}×{height}, its photo {full[0]}×{full[1]}")
    if mask.off_palette > OFF_PALETTE_AT_MOST * mask.labels.size:
        raise MaskError(f"mask {name} has {mask.off_palette / mask.labels.size:.0%} of its pixels off the palette")
    if (width, height) != photo.size:  # the photo was read at a part of its size
        small = Image.fromarray(mask.labels).resize(photo.size, Image.Resampling.NEAREST)
        return replace(mask, labels=np.asarray(small))
    return mask


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An item's input for the backbone, uint8 (height, width, 3), with its colour, or None; ``said`` is then why, else
    a remark."""

    item_id: str
    square: NDArray[np.uint8] | None
    colour: Singles | None
    said: str = ""


def _prepared(
    same: list[PhotoJob], spec: BackboneSpec, masking: str, crop: str, parser: Parser | None, fill: Fill
) -> list[_Prepared]:
    """Prepare every item of one photo."""
    image = same[0].image
    try:
        photo = open_photo(image if isinstance(image, bytes) else Path(image))
    except PhotoError as error:
        return [_Prepared(job.item_id, None, None, str(error)) for job in same]
    masks: dict[str | None, Seen] = {}
    prepared = []
    for job in same:
        try:
            if job.mask not in masks:
                masks[job.mask] = see(photo, *((None, None) if masking == "none" else (job.mask, parser)))
            keep, remark = masks[job.mask].keep(masking, job.own)
            square = prepare(photo, keep, spec, crop, fill, masks[job.mask].cut(masking))
            colour = colour_of(np.asarray(photo), keep)
            prepared.append(_Prepared(job.item_id, square, colour, remark))
        except MaskError as error:
            prepared.append(_Prepared(job.item_id, None, None, str(error)))
    return prepared


def _embedded(prepared: list[_Prepared], encoder: Encoder) -> EmbeddedBatch:
    squares = [one.square for one in prepared if one.square is not None]
    vectors = np.zeros((0, encoder.spec.dim), np.float32)
    if squares:
        vectors = encoder.embed(normalise(np.stack(squares), encoder.spec))
    return EmbeddedBatch(
        [one.item_id for one in prepared if one.square is not None],
        vectors,
        np.array([one.colour for one in prepared if one.colour is not None], np.float32).reshape(-1, COLOUR_DIM),
        [(one.item_id, one.said) for one in prepared if one.square is None],
        [(one.item_id, one.said) for one in prepared if one.square is not None and one.said],
    )
