"""Which items may be recommended or listed: by category and price."""

import math
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from modiste.catalog.taxonomy import Taxonomy
from modiste.errors import SettingError


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions on items; what is not given is no condition.

    ``categories`` are names in the shop's words; ``min_price`` and ``max_price`` are inclusive. All conditions that
    are given must hold, with ``any_of`` at least one of them. An item without a price meets no condition on price.

    Raises:
        SettingError: a price is negative or no number, or the lowest is above the highest.
    """

    categories: frozenset[str] = frozenset()
    min_price: float | None = None
    max_price: float | None = None
    any_of: bool = False

    def __post_init__(self) -> None:
        for name in ("min_price", "max_price"):
            price = getattr(self, name)
            if price is not None and not (math.isfinite(price) and price >= 0):
                raise SettingError(f"{name} is {price}; a price is a finite number of at least 0")
        if self.min_price is not None and self.max_price is not None and self.min_price > self.max_price:
            raise SettingError(f"min_price {self.min_price} is above max_price {self.max_price}")

    def keeps(self, items: pl.DataFrame, taxonomy: Taxonomy) -> NDArray[np.bool_]:
        """Whether each of ``items`` (columns category and price) may stay, bool (n,)."""
        conditions: list[pl.Expr] = []
        if self.categories:
            names = [taxonomy.canonical(name) for name in self.categories]
            conditions.append(pl.col("category").is_in([name for name in names if name]))
        if self.min_price is not None or self.max_price is not None:
            low, high = self.min_price or 0.0, math.inf if self.max_price is None else self.max_price
            conditions.append(pl.col("price").is_between(low, high))
        if not conditions:
            return np.ones(len(items), dtype=bool)
        joined = pl.any_horizontal(conditions) if self.any_of else pl.all_horizontal(conditions)
        return items.select(kept=joined.fill_null(False))["kept"].to_numpy()
