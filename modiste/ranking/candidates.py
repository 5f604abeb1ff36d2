"""What is ranked, and for what: candidates and queries as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modiste.arrays import Array, Bools, Floats, Ints, Reals, Singles
from modiste.errors import SettingError
from modiste.ranking.relevance import Scale, Weights

WHOSE = 10
"""How many groups a category has: adults' and children's, of five codes of gender each."""

_PAIRS = 8192  # whose vectors are in memory at once
_NONE = np.empty(0, np.int64)
Rows = slice | Ints


@dataclass(frozen=True, eq=False)
class Candidates:
    """Every item that could be recommended, as arrays aligned by row; a snapshot, whose popularity is that moment's.

    Args:
        vectors: float32 (n, d), the look and, in the last ``colour_dim`` places, the colour, each of unit length; may
            be the read-only map of a file. What is in the rows of items without a vector doesn't matter.
        has_vector: bool (n,); the terms of look and colour of an item without one are 0.
        normpop: float64 (n,), normalised popularity in [0, 1]; zeros where the paper's formula isn't asked for.
        category: integers (n,), row of ``similarity``; -1: no category, similar to nothing.
        similarity: float64 (c, c) in [0, 1], symmetric.
        gender: int8 (n,): 1 men, 2 women; 3 perhaps men, 4 perhaps women, as photos propose, and 0 unknown, which pass
            every filter.
        product: integers (n,), equal for the views of one product.
        item_ids: n different ids; only those of candidates that tie are read.
        distance_km: float64 (n,) from the shopper to the item's store, NaN where it is not known.
        allowed: bool (n,), False for items that must not be recommended to anybody now; None: all may.
        group: int64 (n,), 10 · (category + 1) + 5 · children + gender; made of them where it isn't given.
        children: bool (n,), for children; None: none is.
        fashion: (n,), the logarithms of what was bought lately and of what was in a year, weighted, at least 0;
            None: nothing was.
        newness: (n,), at least 0: higher the later it came; None: not known of any.
        price: float64 (n,), log10 of what each costs, those of different currencies far apart; NaN where it is not
            known; None: not known of any.
        worn: float64 (n,), how much oftener than others it is worn with what is asked about, as a logarithm; None: not
            known of any.
        boost: float64 (n,), added to the relevance whatever the query is; None: 0.
        colour_dim: how many of the vectors' places are the colour's.
        scales: how look and colour are calibrated.

    Raises:
        SettingError: the arrays' lengths differ.
    """

    vectors: Singles
    has_vector: Bools
    normpop: Floats
    category: Array
    similarity: Floats
    gender: NDArray[np.int8]
    product: Array
    item_ids: Sequence[str]
    distance_km: Floats | None = None
    allowed: Bools | None = None
    group: Ints | None = None
    children: Bools | None = None
    fashion: Reals | None = None
    newness: Reals | None = None
    price: Floats | None = None
    worn: Floats | None = None
    boost: Floats | None = None
    colour_dim: int = 0
    scales: tuple[Scale, Scale] = (Scale(), Scale())

    def __post_init__(self) -> None:
        aligned = ("vectors", "has_vector", "normpop", "category", "gender", "product", "distance_km", "allowed")
        for name in (*aligned, "children", "fashion", "newness", "price", "worn", "boost"):
            value = getattr(self, name)
            if value is not None and len(value) != len(self.item_ids):
                raise SettingError(f"candidates have {len(self.item_ids)} ids but {len(value)} rows of {name}")

    def __len__(self) -> int:
        return len(self.item_ids)

    def updated(self, **changes: Array | None) -> "Candidates":
        """The same items with what is given of normpop, distances, price, allowed, worn and boost; groups stay."""
        given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
        return replace(self, **given, group=self.groups)

    @cached_property
    def groups(self) -> Ints:
        """int64 (n,): category, age and gender as one number, 10 · (category + 1) + 5 · children + gender."""
        if self.group is not None:
            return self.group
        made = (np.asarray(self.category, np.int64) + 1) * WHOSE + self.gender
        return made if self.children is None else made + 5 * self.children

    @property
    def look_dim(self) -> int:
        """How many of the vectors' places are the look's."""
        return int(self.vectors.shape[1]) - self.colour_dim

    def popularity(self, weights: Weights) -> Reals:
        """(n,): what the formula takes for popularity."""
        if weights.formula == "paper":
            return self.normpop
        return np.zeros(len(self), np.float32) if self.fashion is None else self.fashion

    @cached_property
    def ends(self) -> tuple[float, float]:
        """The lowest and highest log popularity."""
        if self.fashion is None or not len(self):
            return 0.0, 0.0
        return float(self.fashion.min()), float(self.fashion.max())

    @cached_property
    def peak(self) -> float:
        """How far the highest popularity is above the lowest, as the formula that they were made for takes it."""
        return self.ends[1] - self.ends[0] if self.fashion is not None else float(np.ptp(self.normpop))

    @cached_property
    def similarity_with_unknown(self) -> Floats:
        """float64 (c + 1, c + 1): the similarity with a last row and column of zeros, which index -1 finds."""
        return np.pad(np.asarray(self.similarity, np.float64), (0, 1))

    def admits(self, gender: int) -> Bools:
        """bool (n,): the items a shopper of ``gender`` may be shown, before her own purchases are left out."""
        suits: Bools = ~_barred(self.gender, np.full(1, gender, np.int8))
        return suits if self.allowed is None else suits & self.allowed

    def views_of(self, rows: Ints) -> Ints:
        """The rows of every item whose product is that of one of ``rows``, themselves among them, sorted."""
        return np.flatnonzero(np.isin(self.product, np.unique(self.product[rows])))


@dataclass(frozen=True, eq=False)
class Queries:
    """The purchases (or photos) to recommend for, one row each.

    Args:
        item: int64 (q,), the purchased item's row among the candidates; -1: none, then ``vectors`` has its embedding.
        vectors: float32 (q, d) of unit length, read where ``item`` is -1; a row of zeros, or None, is no photo at all.
        trendiness: float64 (q,), the shopper's τ in [0, 1].
        gender: int8 (q,): 1 men, 2 women, whom nothing of the other's is shown; 3 perhaps men, 4 perhaps women, 0 not
            known, without a filter.
        children: int8 (q,): 1 adults' items alone, 2 children's alone; 3 rather adults', 4 rather children's, 0 both,
            without a filter; None: both.
        kinship: float64 (q, c + 1), how much each category suits the query, the last one none; None: as alike as the
            item's own category.
        together: for each query rows of the candidates, int64 (m,) without repeats, that are bought together with what
            was bought, and how much so, float64 (m,) above 0.
        freshness: float64 (q,), what newness is worth to the shopper; None: 0.
        usual: float64 (q, 2), what the shopper usually pays, as the candidates' ``price`` says it, NaN: not known, and
            how sure that is, in [0, 1]; None: not known.
        excluded: for each query the rows that the shopper bought; they and their products' other views are left out, as
            are the views of ``item`` itself.

    Raises:
        SettingError: the lengths differ or a trendiness is outside [0, 1].
    """

    item: Ints
    vectors: Singles | None
    trendiness: Floats
    gender: NDArray[np.int8]
    excluded: Sequence[Ints] | None = None
    children: NDArray[np.int8] | None = None
    kinship: Floats | None = None
    together: Sequence[tuple[Ints, Floats]] | None = None
    freshness: Floats | None = None
    usual: Floats | None = None

    def __post_init__(self) -> None:
        for name in (one.name for one in fields(self)):
            value = getattr(self, name)
            if value is not None and len(value) != len(self.item):
                raise SettingError(f"there are {len(self.item)} queries but {len(value)} rows of {name}")
        if not np.all((self.trendiness >= 0) & (self.trendiness <= 1)):
            raise SettingError("a trendiness must lie in [0, 1]")

    def __len__(self) -> int:
        return len(self.item)

    def at(self, rows: Ints) -> "Queries":
        """The queries ``rows`` alone."""

        def some(value: Any) -> Any:
            if value is None or isinstance(value, np.ndarray):
                return None if value is None else value[rows]
            return [value[row] for row in rows.tolist()]

        return Queries(**{one.name: some(getattr(self, one.name)) for one in fields(self)})

    @classmethod
    def joined(cls, many: Sequence["Queries"]) -> "Queries":
        """All of them behind one another; what one of them has not, none may have."""

        def all_of(name: str) -> Any:
            values = [getattr(one, name) for one in many]
            if values[0] is None:
                return None
            return [row for value in values for row in value] if isinstance(values[0], list) else np.concatenate(values)

        return cls(**{one.name: all_of(one.name) for one in fields(cls)})

    def embedded(self, candidates: Candidates) -> tuple[Singles, Bools]:
        """Every query's vector, float32 (q, d), zeros where it has none, and bool (q,) whether it has one."""
        known = np.asarray(self.item) >= 0
        vectors = np.zeros((len(self), candidates.vectors.shape[1]), np.float32)
        vectors[known] = candidates.vectors[self.item[known]]
        has = np.zeros(len(self), bool)
        has[known] = candidates.has_vector[self.item[known]]
        if self.vectors is not None:
            vectors[~known] = self.vectors[~known]
            has[~known] = np.any(self.vectors[~known] != 0, axis=1)
        vectors[~has] = 0
        return vectors, has

    def categories(self, candidates: Candidates) -> Ints:
        """int64 (q,): every query's category, -1 where it has none."""
        categories = np.full(len(self), -1, np.int64)
        known = np.asarray(self.item) >= 0
        categories[known] = candidates.category[self.item[known]]
        return categories

    def taken(self, row: int, candidates: Candidates) -> Ints:
        """The candidates' rows that query ``row`` must not be shown: what she bought, in all its views."""
        bought = np.asarray(self.excluded[row] if self.excluded is not None else [], np.int64)
        if self.item[row] >= 0:
            bought = np.append(bought, self.item[row])
        return candidates.views_of(bought)


def _barred(gender: Array, wanted: Array) -> Bools:
    """Whether somebody who is known to want men's or women's things isn't shown those known to be the other's."""
    barred: Bools = wanted * gender == 2  # 1 and 2, or 2 and 1
    return barred


class Pairing:
    """The queries put beside the candidates: answers for pairs (query, row), given as two int64 arrays (k,).

    ``vectors`` float32 (q, d), ``embedded`` bool (q,), ``kinship`` float64 (q, c + 1) and ``children`` int8 (q,) are
    the queries'; ``owned`` is how many rows the shopper of any query bought at most.
    """

    def __init__(self, candidates: Candidates, queries: Queries) -> None:
        self.candidates, self.queries = candidates, queries
        self.vectors, self.embedded = queries.embedded(candidates)
        given = queries.kinship
        kin = candidates.similarity_with_unknown[queries.categories(candidates)] if given is None else given
        self.kinship: Floats = kin
        self.freshness = np.zeros(len(queries)) if queries.freshness is None else queries.freshness
        self.usual = np.tile([np.nan, 0.0], (len(queries), 1)) if queries.usual is None else queries.usual
        self.children = np.zeros(len(queries), np.int8) if queries.children is None else queries.children
        excluded = queries.excluded if queries.excluded is not None else []
        sizes, known = [len(rows) for rows in excluded], np.flatnonzero(queries.item >= 0)
        self.owned = 1 + max(sizes, default=0)
        query = np.concatenate([np.repeat(np.arange(len(sizes)), sizes), known])
        rows = np.concatenate([*excluded, queries.item[known]]).astype(np.int64)
        self._products, number = np.unique(candidates.product[rows], return_inverse=True)
        self._taken = np.zeros((len(queries), len(self._products)), bool)
        self._taken[query, number] = True

    def __len__(self) -> int:
        return len(self.queries)

    def alike(self) -> tuple[Ints, Ints]:
        """The first of all queries that differ by looks at most, int64 (m,), and which of these each is, (q,)."""
        known: dict[tuple[Any, ...], int] = {}
        number = []
        for query in range(len(self)):
            rows, values = self.queries.together[query] if self.queries.together is not None else (_NONE, _NONE)
            same = (
                self.kinship[query].tobytes(), int(self.queries.gender[query]), int(self.children[query]),
                float(self.queries.trendiness[query]), float(self.freshness[query]), self.usual[query].tobytes(),
                self._taken[query].tobytes(), rows.tobytes(), values.tobytes(),
            )  # fmt: skip
            number.append(known.setdefault(same, len(known)))
        return np.unique(number, return_index=True)[1], np.array(number, np.int64)

    def free(self, query: Ints, row: Ints) -> Bools:
        """bool (k,): whether the shopper bought no view of that product yet."""
        if not self._products.size:
            return np.ones(len(row), bool)
        product = self.candidates.product[row]
        number = np.minimum(np.searchsorted(self._products, product), len(self._products) - 1)
        free: Bools = (self._products[number] != product) | ~self._taken[query, number]
        return free

    def admissible(self, query: Ints, row: Ints) -> Bools:
        """bool (k,): whether that item may be recommended there."""
        code = self.candidates.groups[row] % WHOSE
        suits = ~self.barred[code, query]
        if self.candidates.allowed is not None:
            suits &= self.candidates.allowed[row]
        admissible: Bools = suits & self.free(query, row)
        return admissible

    @cached_property
    def barred(self) -> Bools:
        """bool (10, q): whether a query's gender or age rules out items of 5 · children + gender."""
        child, gender = np.divmod(np.arange(WHOSE)[:, None], 5)
        age = self.children
        hard: Bools = (age == 1) | (age == 2)
        barred: Bools = _barred(gender, self.queries.gender) | (hard & (child != age - 1))
        return barred

    @cached_property
    def other(self) -> Floats:
        """float64 (10, q): in how much of gender and age items of 5 · children + gender are for others than the query,
        as is said or photos propose: 0, 1 or 2; 0 where they are barred."""
        child, gender = np.divmod(np.arange(WHOSE)[:, None], 5)
        wanted, age = self.queries.gender, self.children
        other = ((gender != 0) & (wanted != 0) & (gender % 2 != wanted % 2)).astype(np.float64)
        return np.where(self.barred, 0.0, other + ((age != 0) & (child != (age - 1) % 2)))

    def prices(self, price: Reals, query: Rows = slice(None)) -> Reals:
        """How near ``price``, as the candidates have it, is to what the queries' shoppers usually pay: in [0, 1]."""
        usual, sure = self.usual[query].astype(price.dtype).T
        near: Reals = np.fmax(1 - np.abs(price - usual), 0) * sure  # NaN is no more than 0
        return near

    def together(self) -> tuple[Ints, Ints, Floats]:
        """All pairs of query and row that are bought together, and how much so."""
        found = self.queries.together or []
        query = np.repeat(np.arange(len(found)), [len(rows) for rows, _ in found])
        rows = np.concatenate([*(rows for rows, _ in found), _NONE]).astype(np.int64)
        return query, rows, np.concatenate([*(values for _, values in found), np.empty(0)])

    def similarities(self, query: Ints, row: Ints) -> tuple[Floats, Floats]:
        """Of look and of colour, float64 (k,), 0 where one of the two has no vector; of a pair always the same,
        whatever stands beside it."""
        both = np.empty((2, len(row)))
        look = self.candidates.look_dim
        for start in range(0, len(row), _PAIRS):
            some = slice(start, start + _PAIRS)
            theirs = self.candidates.vectors[row[some]].astype(np.float64)
            ours = self.vectors[query[some]].astype(np.float64)
            np.einsum("nd,nd->n", theirs[:, :look], ours[:, :look], out=both[0, some])
            np.einsum("nd,nd->n", theirs[:, look:], ours[:, look:], out=both[1, some])
        both[:, ~(self.candidates.has_vector[row] & self.embedded[query])] = 0.0
        return both[0], both[1]
