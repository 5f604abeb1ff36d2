"""Fewer dimensions for a vector space: centring and PCA, fitted once on a catalogue and stored with its space."""

from dataclasses import dataclass
from io import BytesIO
from typing import Self

import numpy as np

from modiste.arrays import Singles
from modiste.errors import SettingError

_BLOCK = 256
"""Vectors reduced at a time, always so many."""

_ROWS = 8192
"""Vectors summed at a time, so that fitting needs no second copy of a large catalogue."""


@dataclass(frozen=True)
class Reduction:
    """``mean`` float32 (d,) and ``components`` float32 (k, d) with orthonormal rows, the strongest first."""

    mean: Singles
    components: Singles

    @property
    def dim(self) -> int:
        """How many dimensions are left."""
        return len(self.components)

    def apply(self, vectors: Singles) -> Singles:
        """float32 (n, d) to float32 (n, k) of unit length, without whitening; a vector at the mean stays zero.

        A vector's result has the same bits whatever others come with it: all products are of one shape.
        """
        reduced = np.zeros((len(vectors), self.dim), np.float32)
        block = np.zeros((_BLOCK, len(self.mean)), np.float32)
        for start in range(0, len(vectors), _BLOCK):
            some = vectors[start : start + _BLOCK]
            block[: len(some)] = some - self.mean
            reduced[start : start + len(some)] = (block @ self.components.T)[: len(some)]
        lengths: Singles = np.linalg.norm(reduced, axis=1, keepdims=True)
        return np.divide(reduced, np.maximum(lengths, np.float32(1e-12)))

    def to_bytes(self) -> bytes:
        """A ``.npy`` of float32 (1 + k, d): the mean, then the components."""
        buffer = BytesIO()
        np.save(buffer, np.vstack([self.mean, self.components]), allow_pickle=False)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Inverse of :meth:`to_bytes`; never unpickles."""
        rows = np.load(BytesIO(data), allow_pickle=False)
        return cls(rows[0], rows[1:])


def fit_reduction(vectors: Singles, dim: int = 128) -> Reduction:
    """The reduction to the ``dim`` strongest directions of float32 (n, d) vectors around their mean.

    k is ``dim``, or less where the vectors can't fill it: at most d and n − 1.
    Raises SettingError for dim < 1 or n < 2.
    """
    n, d = vectors.shape
    if dim < 1 or n < 2:
        raise SettingError(f"a reduction needs dim ≥ 1 and two vectors or more, not dim {dim} and {n} vectors")
    k = min(dim, d, n - 1)
    mean = vectors.mean(0, dtype=np.float64)
    scatter = np.zeros((d, d))
    for start in range(0, n, _ROWS):
        centred = vectors[start : start + _ROWS] - mean
        scatter += centred.T @ centred
    _, directions = np.linalg.eigh(scatter)
    components = directions[:, : -k - 1 : -1].T
    signs = np.sign(components[np.arange(k), np.abs(components).argmax(1)])  # one sign, whatever the LAPACK
    return Reduction(mean.astype(np.float32), (components * signs[:, None]).astype(np.float32))
