"""Masks for photos that have none: a parser network that names the garment at each pixel."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modiste.catalog.palette import LABELS
from modiste.errors import SourceError
from modiste.vision.backbones import BackboneSpec, normalise, open_session


class Parser:
    """A parser ready to run; any ONNX network with a TOML entry of kind "parser" will do."""

    def __init__(self, spec: BackboneSpec, threads: int = 0) -> None:
        if spec.kind != "parser":
            raise SourceError(f"{spec.name} is a {spec.kind}, not a parser")
        unknown = [name for name in spec.labels if spec.palette.get(name, name) not in LABELS]
        if unknown or not spec.labels:
            raise SourceError(
                f"{spec.name}.toml: labels {unknown or 'missing'}; map them to the palette under [palette]"
            )
        self.spec = spec
        self.session = open_session(spec, threads)
        self._label = np.array([LABELS.index(spec.palette.get(name, name)) for name in spec.labels], np.uint8)

    def parse(self, photos: list[Image.Image]) -> list[NDArray[np.uint8]]:
        """The masks of RGB photos: for each its labels, uint8 at the photo's size, in the paper's palette (0–23).

        Photos are stretched to the network's input, as in its training, and the labels back to the photo.
        """
        size = (self.spec.width, self.spec.height)
        small = [np.asarray(photo.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)) for photo in photos]
        batch = normalise(np.stack(small), self.spec)
        logits = self.session.run([self.spec.output], {self.spec.input: batch})[0]
        found = self._label[logits.argmax(1)]
        return [
            np.asarray(Image.fromarray(grid).resize(photo.size, Image.Resampling.NEAREST))
            for grid, photo in zip(found, photos, strict=True)
        ]
