"""Fewer dimensions for a vector space: centring and PCA, fitted once on a catalogue and stored with its space."""

from dataclasses import dataclass
from io import BytesIO
from typing import Self

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Reduction:
    """``mean`` float32 (d,) and ``components`` float32 (k, d) with orthonormal rows, the strongest first."""

    mean: Vectors
    components: Vectors

    def apply(self, vectors: Vectors) -> Vectors:
        """float32 (n, d) to float32 (n, k) of unit length, without whitening."""
        reduced = (vectors - self.mean) @ self.components.T
        unit: Vectors = reduced / np.maximum(np.linalg.norm(reduced, axis=1, keepdims=True), 1e-12)
        return unit

    def to_bytes(self) -> bytes:
        """An ``.npz`` of the two arrays."""
        buffer = BytesIO()
        np.savez(buffer, mean=self.mean, components=self.components)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Inverse of :meth:`to_bytes`; never unpickles."""
        with np.load(BytesIO(data), allow_pickle=False) as arrays:
            return cls(arrays["mean"], arrays["components"])


def fit_reduction(vectors: Vectors, dim: int) -> Reduction:
    """The reduction to the ``dim`` strongest directions of float32 (n, d) vectors around their mean; n, d ≥ dim."""
    mean = vectors.mean(0, dtype=np.float64)
    centred = vectors - mean
    _, directions = np.linalg.eigh(centred.T @ centred)
    components = directions[:, ::-1][:, :dim].T
    signs = np.sign(components[np.arange(dim), np.abs(components).argmax(1)])  # one sign, whatever the LAPACK
    return Reduction(mean.astype(np.float32), (components * signs[:, None]).astype(np.float32))
