"""What goes with an item: a list for each other part of an outfit, each with its reason."""

from collections.abc import Iterable
from dataclasses import dataclass

from modiste.ask import Ask
from modiste.catalog.taxonomy import Taxonomy
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


def goes_with(snapshot: Snapshot, ask: Ask, item_id: str, companions: Companions) -> list[GoesWith]:
    """A list for each part that is worn with an item, where there is anything for it; ``companions`` are what is bought
    with it. Raises UnknownIdError, SettingError.
    """
    item = snapshot.item(snapshot.row(item_id))
    wanted = snapshot.taxonomy.chosen(ask.categories or snapshot.categories, snapshot.categories)
    kinds = [name for name in snapshot.categories if name in wanted]
    made = []
    for part, some in suiting(snapshot.taxonomy, item["category"] or item["proposed"], kinds).items():
        one = ask.model_copy(update={"categories": list(some), "match": "all"})
        if found := Question.for_outfit(snapshot, one, item_id, companions).merged():
            made.append(GoesWith(part, some, found))
    return made
