"""A question: how somebody asks, put to one moment of the shop. Candidates, ranking, recommendations with reasons."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modiste.arrays import Bools, Floats, Ints, Singles
from modiste.ask import Ask
from modiste.catalog.items import GENDERS
from modiste.errors import SettingError
from modiste.ranking.candidates import Candidates, Queries
from modiste.ranking.relevance import Weights, sentence
from modiste.ranking.topk import Ranking, merge, rank
from modiste.shop.recommendations import SHOWN, Recommendation, Recommendations
from modiste.shop.shoppers import Shopper
from modiste.shop.snapshot import Snapshot
from modiste.shop.taste import Companions, freshness, habits, taste_of, together, usual
from modiste.vision.colour import colour_words

NEWS_HALF_LIFE = 30.0
"""Days after which a purchase counts half in what the paper's formula shows to a shopper nobody knows."""


@dataclass(frozen=True)
class Garment:
    """One garment of a photo: ``label`` names it in the palette, ``colour`` in a shopper's words, ``keep``, bool
    (h, w), are its pixels; and what looks like it among the ``kinds`` of the shop that can be one."""

    label: str
    colour: str
    keep: Bools
    kinds: tuple[str, ...]
    recommendations: Recommendations


@dataclass(frozen=True)
class SearchResult:
    """How a photo was parsed, and what looks like it.

    ``photo`` is upright RGB. ``labels``, uint8 (h, w), names its pixels in the palette and ``keep``, bool (h, w), tells
    which were compared; both are None where the photo was taken whole. ``garments`` are those that somebody wears on
    it, the largest first.
    """

    photo: Image.Image
    labels: NDArray[np.uint8] | None
    keep: Bools | None
    recommendations: Recommendations
    garments: tuple[Garment, ...] = ()


@dataclass(frozen=True, eq=False)
class Question:
    """``ask`` put to ``snapshot``, with a query for each purchase or photo. ``verb`` ends "the denim …".

    ``distances`` are each row's, float64 in km, None where the position or the stores are not known.
    """

    snapshot: Snapshot
    ask: Ask
    weights: Weights
    candidates: Candidates
    queries: Queries
    distances: Floats | None
    verb: str
    habitual: bool = False

    # What may be asked

    @classmethod
    def for_shopper(
        cls,
        snapshot: Snapshot,
        ask: Ask,
        shopper: Shopper,
        bought: Sequence[tuple[str, int]],
        companions: Companions | None = None,
    ) -> "Question":
        """What suits a shopper who bought the items ``bought``, each with its day, the oldest first; ``companions`` are
        what goes with them. Raises SettingError, UnknownIdError.
        """
        ids = list(dict.fromkeys(item_id for item_id, _ in bought))
        rows = [row for item_id in ids if (row := snapshot.find(item_id)) >= 0]
        if ask.weights.formula == "paper":
            return cls._of(snapshot, ask, rows, _own(ask, shopper.trendiness), "you bought", shopper.position)
        taste = shopper.trendiness
        if shopper.estimated and ask.trendiness is None:
            taste = taste_of(snapshot, bought).trendiness
        made = cls._of(snapshot, ask, rows, _own(ask, taste), "you bought", shopper.position)
        kinship = np.tile(habits(snapshot, ids, ask.half_life), (len(rows), 1))
        pairs = [together(snapshot, companions or {})] * len(rows)
        fresh = np.full(len(rows), freshness(snapshot, bought))
        queries = replace(made.queries, kinship=kinship, together=pairs, freshness=fresh)
        return replace(made, queries=queries, habitual=True)

    @classmethod
    def for_guest(cls, snapshot: Snapshot, ask: Ask, seen: Sequence[str], trendiness: float) -> "Question":
        """What suits a guest who looked at the items ``seen``, the newest last. Raises SettingError, UnknownIdError.

        Ids that the shop doesn't have are passed over; without any other, popularity alone counts.
        """
        rows = [row for item_id in seen if (row := snapshot.find(item_id)) >= 0]
        if not rows:
            return cls.for_nobody(snapshot, ask, trendiness)
        newest = list(dict.fromkeys(rows[::-1]))[::-1]
        return cls._of(snapshot, ask, newest, _own(ask, trendiness), "you looked at", None)

    @classmethod
    def for_item(cls, snapshot: Snapshot, ask: Ask, item_id: str) -> "Question":
        """What suits someone who looks at an item, of about its popularity. Raises SettingError, UnknownIdError."""
        row = snapshot.row(item_id)
        trendiness = usual(snapshot)
        if ask.weights.formula == "paper":
            trendiness = float(snapshot.popularity(ask.half_life).normpop[row])
        return cls._of(snapshot, ask, [row], _own(ask, trendiness), "you look at", None)

    @classmethod
    def for_photo(cls, snapshot: Snapshot, ask: Ask, look: Singles, colour: Singles) -> "Question":
        """What looks like a photo of ``look``, float32 (dim,), not reduced yet, and ``colour``, (COLOUR_DIM,)."""
        reduction = snapshot.matrix(ask.space).reduction
        looks = look[None] if reduction is None else reduction.apply(look[None])
        vectors = np.hstack([looks, colour[None]])
        return cls._of(snapshot, ask, [-1], _own(ask, usual(snapshot)), "you look at", None, vectors)

    @classmethod
    def for_nobody(
        cls, snapshot: Snapshot, ask: Ask, trendiness: float, position: tuple[float, float] | None = None
    ) -> "Question":
        """What to show someone of whom no purchase is known: popularity alone counts, and old purchases fade."""
        if ask.weights.formula == "paper" and ask.half_life is None:
            ask = ask.model_copy(update={"half_life": NEWS_HALF_LIFE})
        made = cls._of(snapshot, ask, [-1], _own(ask, trendiness), "you like", position)
        return replace(made, weights=Weights(0.0, 1.0, 0.0, formula=ask.weights.formula))

    @classmethod
    def _of(
        cls,
        snapshot: Snapshot,
        ask: Ask,
        rows: Sequence[int],
        trendiness: float,
        verb: str,
        home: tuple[float, float] | None,
        vectors: Singles | None = None,
    ) -> "Question":
        """One query for each of ``rows`` (-1: no item, then ``vectors`` may have a photo's)."""
        candidates = snapshot.candidates(ask.space, ask.half_life, ask.weights.formula)
        distances = snapshot.distances_km(ask.position or home)
        item = np.array(rows, np.int64)
        gender = snapshot.column("gender")
        if ask.gender is None:
            genders = np.array([gender[row] if row >= 0 else 0 for row in rows], np.int8)
        else:
            genders = np.full(len(rows), 0 if ask.gender == "any" else GENDERS.index(ask.gender) + 1, np.int8)
        if ask.age is None:
            young = snapshot.column("children")
            ages = np.array([1 + young[row] if row >= 0 else 0 for row in rows], np.int8)
        else:
            ages = np.full(len(rows), ("any", "adults", "children").index(ask.age), np.int8)
        unwanted = {snapshot.find(item_id) for item_id in ask.exclude}.union(rows) - {-1}
        owned = np.array(sorted(unwanted), np.int64)
        queries = Queries(item, vectors, np.full(len(rows), trendiness), genders, [owned] * len(rows), ages)
        allowed = _allowed(snapshot, ask, distances)
        candidates = candidates.updated(distance_km=distances, allowed=allowed)
        return cls(snapshot, ask, ask.weights, candidates, queries, distances, verb)

    @property
    def of_items(self) -> bool:
        """Whether it is about items that were bought or looked at."""
        return bool((self.queries.item >= 0).any())

    # What is answered

    def merged(self) -> Recommendations:
        """One list over all queries, without repeats."""
        ranking = self.ranking(self.ask.top)
        return Recommendations(self._recommendation(ranking, *found) for found in merge(ranking, self.ask.top).tolist())

    def each(self, latest: int | None = None) -> list[tuple[str, Recommendations]]:
        """A list for each query (with ``latest`` only for so many, the last ones), with the item that it is about."""
        asked = self
        if latest is not None:
            asked = replace(self, queries=self.queries.at(np.arange(len(self.queries))[-latest:]))
        ranking, lists = asked.ranking(self.ask.top), []
        for query, row in enumerate(asked.queries.item.tolist()):
            places = np.flatnonzero(ranking.items[query] >= 0).tolist()
            found = Recommendations(asked._recommendation(ranking, query, place) for place in places)
            lists.append((self.snapshot.item_ids[row], found))
        return lists

    def spread(self) -> Recommendations:
        """One list of the best of each category first, then each one's second."""
        ranking = self.ranking(max(20 * self.ask.top, 200))
        places = _spread(ranking.items[0], self.candidates.category)[: self.ask.top]
        return Recommendations(self._recommendation(ranking, 0, place) for place in places)

    def ranking(self, top: int) -> Ranking:
        """The best ``top`` of each query."""
        return rank(self.candidates, self.queries, self.weights, top)

    def _recommendation(self, ranking: Ranking, query: int, place: int) -> Recommendation:
        """One place of the ranking with its reasons."""
        row, cause = int(ranking.items[query, place]), int(self.queries.item[query])
        item = self.snapshot.item(row)
        terms = {name: float(one[query, place]) for name, one in ranking.terms._asdict().items()}
        km = None if self.distances is None or np.isnan(self.distances[row]) else float(self.distances[row])
        colour = self.candidates.vectors[row, self.candidates.look_dim :]
        why = sentence(
            self.weights,
            terms,
            trendiness=float(self.queries.trendiness[query]),
            peak=self.candidates.ends[1] - self.candidates.ends[0],
            distance_km=km,
            colour=colour_words(colour) if terms["colour"] else "",
            habitual=self.habitual,
            cause=self._cause(cause),
        )
        return Recommendation(
            item_id=item["item_id"],
            relevance=float(ranking.relevance[query, place]),
            terms=terms,
            because=self.snapshot.item_ids[cause] if cause >= 0 else None,
            category=item["category"],
            store_id=item["store_id"],
            distance_km=km,
            image=item["shown"] or item["image"],
            why=why,
            item={name: item[name] for name in SHOWN} | {"on_offer": bool(self.snapshot.column("on_offer")[row])},
        )

    def _cause(self, row: int) -> str:
        if row < 0 and self.queries.vectors is not None:
            return "your photo"
        category = self.snapshot.item(row)["category"] if row >= 0 else None
        return f"the {category.replace('_', ' ').lower()} {self.verb}" if category else f"what {self.verb}"


def _own(ask: Ask, trendiness: float) -> float:
    return trendiness if ask.trendiness is None else ask.trendiness


def _allowed(snapshot: Snapshot, ask: Ask, distances: Floats | None) -> Bools | None:
    """The rows that may be recommended by category, price and distance, bool (rows,); None: all.

    An item without a price meets no condition on price. Raises SettingError for a radius around nowhere.
    """
    conditions: list[Bools] = []
    if ask.categories:
        names = {snapshot.taxonomy.canonical(name) for name in ask.categories}
        chosen = np.array([*(name in names for name in snapshot.categories), False])  # the last one: no category
        conditions.append(chosen[snapshot.column("category")])
    if ask.min_price is not None or ask.max_price is not None:
        price = snapshot.column("price")
        low, high = ask.min_price or 0.0, np.inf if ask.max_price is None else ask.max_price
        conditions.append((price >= low) & (price <= high))
    allowed = snapshot.alive if ask.sold_out else snapshot.on_offer
    for condition in [np.logical_or.reduce(conditions)] if ask.match == "any" and conditions else conditions:
        allowed = condition if allowed is None else allowed & condition
    if ask.within is not None:
        if distances is None:
            raise SettingError("within needs a position: give near as latitude,longitude, and add stores")
        near = distances <= ask.within  # false for NaN
        allowed = near if allowed is None else allowed & near
    return allowed


def _spread(items: Ints, categories: NDArray[np.integer]) -> list[int]:
    """The places of a ranking, the best of each category first, then each one's second."""
    rounds: dict[int, int] = {}
    order: list[tuple[int, int]] = []
    for place, row in enumerate(items.tolist()):
        if row >= 0:
            category = int(categories[row])
            rounds[category] = rounds.get(category, -1) + 1
            order.append((rounds[category], place))
    return [place for _, place in sorted(order)]
