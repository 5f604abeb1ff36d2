"""What goes with an item: a list for each other part of an outfit, each with its reason."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import sqlalchemy as sa

from modiste.arrays import Ints, Singles
from modiste.ask import Ask
from modiste.catalog.palette import LABELS
from modiste.catalog.taxonomy import Taxonomy
from modiste.ranking.candidates import WHOSE, Candidates, Pairing
from modiste.ranking.worn import Worn
from modiste.shop import schema
from modiste.shop.moments import decoded
from modiste.shop.question import Question
from modiste.shop.recommendations import Recommendations
from modiste.shop.snapshot import Snapshot
from modiste.shop.taste import Companions

PARTS = {
    "tops": {"top"},
    "bottoms": {"pants", "leggings", "skirt"},
    "dresses": {"dress", "rompers"},
    "outerwear": {"outer"},
    "shoes": {"footwear"},
    "bags": {"bag"},
    "headwear": {"headwear"},
    "scarves": {"neckwear"},
    "belts": {"belt"},
    "ties": {"tie"},
    "socks": {"socks"},
    "gloves": {"gloves"},
    "eyewear": {"eyeglass"},
    "jewellery": {"ring", "wrist wearing", "necklace", "earrings"},
}
"""The parts of an outfit, in the order in which they are proposed, with the labels of a mask that are each."""

_INSTEAD = {"tops": {"dresses"}, "bottoms": {"dresses"}, "dresses": {"tops", "bottoms"}}
"""What a part is worn instead of, beside another of its own."""


@dataclass(frozen=True)
class GoesWith:
    """One part of an outfit that an item goes with: the ``kinds`` of the shop that can be it, and the best of these."""

    part: str
    kinds: tuple[str, ...]
    recommendations: Recommendations


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is worn on the photos of a shop's items: one of each product and colour. ``rows`` int64 (n,) are theirs."""

    worn: Worn
    rows: Ints

    @classmethod
    def of(cls, snapshot: Snapshot, space: str | None, reading: sa.Connection | None) -> Self | None:
        """As the tables have it at this moment, read once; without them as it was known last. None: there is nothing.

        Raises UnknownIdError for a vector space that the shop doesn't have.
        """
        if not snapshot.spaces:
            return None
        key, reduction = snapshot.space(space).key, snapshot.matrix(space).reduction
        kept: tuple[Any, Self | None] = snapshot.kept.get(f"worn {key}", (None, None))
        state, known = kept
        if reading is not None:
            table, items = schema.worn.c, schema.items.c
            now = reading.execute(sa.select(sa.func.count(), sa.func.max(table.revision)).where(table.space == key))
            if state != (state := (*now.one(), reduction is None)):
                wanted = sa.select(*schema.worn.c, items.product, items.colour.label("said")).join_from(
                    schema.worn, schema.items, items.item_id == table.item_id
                )
                found = reading.execute(
                    wanted.where(table.space == key, table.vector.is_not(None)).order_by(table.item_id, table.label)
                ).all()
                first = {(one.product, one.said): one.item_id for one in reversed(found)}
                found = [one for one in found if first[one.product, one.said] == one.item_id]
                known = None
                if found:
                    rows = np.array([snapshot.row(one.item_id) for one in found], np.int64)
                    vectors = decoded([(one.vector, one.colour) for one in found], reduction)
                    label = np.array([LABELS.index(one.label) for one in found], np.int64)
                    known = cls(Worn(np.unique(rows, return_inverse=True)[1], label, vectors), rows)
                snapshot.kept[f"worn {key}"] = state, known
        return known

    def put_to(self, question: Question, category: str | None, kinds: Iterable[str]) -> Question:
        """The question about an item of a ``category``, and what of ``kinds`` goes with it, with what this tells."""
        snapshot, shop, [row] = question.snapshot, question.candidates, question.queries.item
        if question.weights.colour <= 0 or not shop.has_vector[row]:
            return question
        pairing = Pairing(shop, question.queries)
        others = (pairing.barred | (pairing.other > 0))[shop.groups[self.rows] % WHOSE, 0]
        worn, of = self.worn.at(~others), np.append(self.rows[~others], -1)
        lift, seen_on = np.zeros(len(shop)), np.full(len(shop), -1)
        own = [LABELS.index(label) for label in snapshot.taxonomy.worn(category)]
        [asked] = self._alone(shop, np.array([row]), own)
        for kind in kinds:
            theirs = [LABELS.index(label) for label in snapshot.taxonomy.worn(kind)]
            some = np.flatnonzero((shop.category == snapshot.categories.index(kind)) & shop.has_vector)
            lift[some], told = worn.suits(asked, own, self._alone(shop, some, theirs), theirs)
            seen_on[some] = of[told]
        return replace(question, candidates=shop.updated(worn=lift), seen_on=seen_on)

    def _alone(self, shop: Candidates, rows: Ints, labels: Collection[int]) -> Singles:
        """The vectors of items of such labels, ``rows`` in order, (n, d): as their garments are worn alone, where they
        are; an item's own may show what is worn with it."""
        vectors = shop.vectors[rows]
        mine = np.isin(self.rows, rows) & np.isin(self.worn.label, list(labels))
        vectors[np.searchsorted(rows, self.rows[mine])] = self.worn.vectors[mine]
        return vectors


def parts(taxonomy: Taxonomy, category: str | None) -> set[str]:
    """The parts of an outfit that a category may be; none for what isn't worn with others, or nobody knows."""
    labels = taxonomy.worn(category)
    return {part for part, own in PARTS.items() if own & labels}


def suiting(taxonomy: Taxonomy, category: str | None, kinds: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Which of some ``kinds`` are worn with an item of ``category``, by the part of the outfit that they are.

    Never two of one part, and no top or trousers with a dress. A kind that may be several parts, as a suit, is in no
    list; one that is a top or worn over one, as a hoodie, is a top.
    """
    own = parts(taxonomy, category)
    taken = own.union(*(_INSTEAD.get(part, set()) for part in own))
    found: dict[str, list[str]] = {part: [] for part in PARTS}
    for kind in kinds if own else ():
        theirs = parts(taxonomy, kind)
        if not theirs & taken and (len(theirs) == 1 or theirs == {"tops", "outerwear"}):
            found[next(part for part in PARTS if part in theirs)].append(kind)
    return {part: tuple(some) for part, some in found.items() if some}


def goes_with(
    snapshot: Snapshot, ask: Ask, item_id: str, companions: Companions, evidence: Evidence | None = None
) -> list[GoesWith]:
    """A list for each part that is worn with an item, where there is anything for it; ``companions`` are what is bought
    with it. Raises UnknownIdError, SettingError.
    """
    item = snapshot.item(snapshot.row(item_id))
    category = item["category"] or item["proposed"]
    wanted = snapshot.taxonomy.chosen(ask.categories or snapshot.categories, snapshot.categories)
    kinds = [name for name in snapshot.categories if name in wanted]
    made = []
    for part, some in suiting(snapshot.taxonomy, category, kinds).items():
        one = ask.model_copy(update={"categories": list(some), "match": "all"})
        question = Question.for_outfit(snapshot, one, item_id, companions)
        if evidence is not None:
            question = evidence.put_to(question, category, some)
        if found := question.merged():
            made.append(GoesWith(part, some, found))
    return made
