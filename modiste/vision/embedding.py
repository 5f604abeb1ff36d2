"""From photos to vectors: decoding, masking and inference overlapped, in batches, with every failure reported."""

import json
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modiste.errors import MaskError, PhotoError, SettingError
from modiste.vision.backbones import BackboneSpec, Encoder, normalise
from modiste.vision.masks import MASKINGS, decode_mask, garment_pixels
from modiste.vision.parsing import Parser
from modiste.vision.photos import open_photo
from modiste.vision.preparing import CROPS, prepare

MASK_SOURCES = ("given", "parser", "auto")


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """What makes vectors comparable; two spaces never are. Any difference in a field is another space.

    ``weights`` and ``parser`` are the SHA-256 of the ONNX files (parser: empty if none is used).
    """

    backbone: str
    weights: str
    masking: str
    crop: str
    masks: str
    parser: str
    dim: int

    @classmethod
    def of(cls, spec: BackboneSpec, masking: str, crop: str, masks: str, parser: BackboneSpec | None) -> Self:
        """The space of a backbone with a way of masking and cropping. Raises SettingError for an unknown one."""
        for what, value, known in (
            ("masking", masking, MASKINGS),
            ("crop", crop, CROPS),
            ("masks", masks, MASK_SOURCES),
        ):
            if value not in known:
                raise SettingError(f"no {what} {value!r}; there are: {', '.join(known)}")
        source = "given" if masking == "none" else masks
        return cls(spec.name, spec.sha256, masking, crop, source, parser.sha256 if parser else "", spec.dim)

    @property
    def key(self) -> str:
        """A short name that a person can read and that no other space has."""
        digest = sha256(self.to_json().encode()).hexdigest()[:8]
        return f"{self.backbone}-{self.masking}-{self.crop}-{self.masks}-{digest}"

    def to_json(self) -> str:
        """The fields as a JSON object."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Inverse of :meth:`to_json`."""
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class PhotoJob:
    """One item to embed: its photo, its given mask (or None), and the mask labels of its category."""

    item_id: str
    image: str
    mask: str | None = None
    own: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class EmbeddedBatch:
    """A batch's items with their unit vectors, float32 (n, dim), and those set aside, each with its reason."""

    item_ids: list[str]
    vectors: NDArray[np.float32]
    failures: list[tuple[str, str]]


def embed_photos(
    jobs: Sequence[PhotoJob],
    encoder: Encoder,
    masking: str,
    crop: str,
    parser: Parser | None = None,
    batch_size: int = 16,
    workers: int = 2,
) -> Iterator[EmbeddedBatch]:
    """Embed photos in batches. While one batch is in the network, the next ones are decoded and masked by ``workers``.

    Jobs that share a photo are decoded and parsed once. A photo or mask that can't be used is a failure of its items
    and stops nothing. Photos without a given mask get the parser's, or, without a parser, are embedded whole.
    """
    photos: dict[tuple[str, str | None], list[PhotoJob]] = {}
    for job in jobs:
        photos.setdefault((job.image, job.mask), []).append(job)
    pending: deque[tuple[list[PhotoJob], Future[list[NDArray[np.uint8]]]]] = deque()
    waiting = iter(photos.values())
    with ThreadPoolExecutor(workers, thread_name_prefix="photos") as pool:
        try:
            ready: list[tuple[str, NDArray[np.uint8]]] = []
            failures: list[tuple[str, str]] = []
            while True:
                while len(pending) < 2 * batch_size and (same := next(waiting, None)) is not None:
                    pending.append((same, pool.submit(_squares, same, encoder.spec, masking, crop, parser)))
                if not pending:
                    break
                same, future = pending.popleft()
                try:
                    ready.extend(zip((job.item_id for job in same), future.result(), strict=True))
                except (PhotoError, MaskError) as error:
                    failures.extend((job.item_id, str(error)) for job in same)
                if len(ready) + len(failures) >= batch_size:
                    yield _embedded(ready, failures, encoder)
                    ready, failures = [], []
            if ready or failures:
                yield _embedded(ready, failures, encoder)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def labels_of(photo: Image.Image, mask: str | None, parser: Parser | None) -> NDArray[np.uint8] | None:
    """The photo's labels, uint8 at its size: the given mask's, else the parser's, else None.

    Raises MaskError if the given mask is of another size, empty, or unreadable.
    """
    if mask is None:
        return parser.parse([photo])[0] if parser else None
    labels = decode_mask(Path(mask)).labels
    if labels.shape != (photo.height, photo.width):
        size = f"{labels.shape[1]}×{labels.shape[0]}"
        raise MaskError(f"mask {Path(mask).name} is {size}, its photo {photo.width}×{photo.height}")
    if not labels.any():
        raise MaskError(f"mask {Path(mask).name} is empty: nothing but background")
    return labels


def _squares(
    same: list[PhotoJob], spec: BackboneSpec, masking: str, crop: str, parser: Parser | None
) -> list[NDArray[np.uint8]]:
    """The backbone's input for each item of one photo."""
    photo = open_photo(Path(same[0].image))
    labels = None if masking == "none" else labels_of(photo, same[0].mask, parser)
    squares = []
    for job in same:
        keep = None if labels is None else garment_pixels(labels, masking, job.own)
        if keep is not None and not keep.any():
            keep = None  # the parser found no garment: the whole photo says more than blackness
        squares.append(prepare(photo, keep, spec, crop))
    return squares


def _embedded(
    ready: list[tuple[str, NDArray[np.uint8]]], failures: list[tuple[str, str]], encoder: Encoder
) -> EmbeddedBatch:
    if not ready:
        return EmbeddedBatch([], np.zeros((0, encoder.spec.dim), np.float32), failures)
    vectors = encoder.embed(normalise(np.stack([square for _, square in ready]), encoder.spec))
    return EmbeddedBatch([item_id for item_id, _ in ready], vectors, failures)
