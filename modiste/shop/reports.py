"""What came of what was done: counts, and every row or photo that was not taken, with its reason."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from modiste.catalog.columns import Understood
from modiste.catalog.items import Rejected
from modiste.vision.embedding import VectorSpace

Progress = Callable[[int, int], None]
"""Called with (done, total) as long work goes on."""


@dataclass(frozen=True)
class AddReport:
    """What came of adding items, stores or purchases; of these, how many of which kind were added.

    ``photos``: those that could not be had or are placeholders, each with the reason; their items were taken.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    unknown_categories: dict[str, int] = field(default_factory=dict)
    understood: Understood = field(default_factory=Understood)
    kinds: dict[str, int] = field(default_factory=dict)
    photos: list[Rejected] = field(default_factory=list)


@dataclass(frozen=True)
class PutReport:
    """What came of putting one item: whether it is new, whether it has a vector now, and if not, why."""

    created: bool
    embedded: bool
    remark: str | None = None


@dataclass(frozen=True)
class EmbedReport:
    """What came of embedding: photos embedded now, present before, set aside with a reason, and
    remarks on photos that were embedded all the same (a mask with pixels off the palette)."""

    space: VectorSpace
    embedded: int
    present: int
    failures: list[Rejected]
    remarks: list[Rejected]
    seconds: float


@dataclass(frozen=True)
class Coverage:
    """How far a shop is ready: counts; vectors, missing and failed are photos in the default vector space."""

    items: int
    photos: int
    vectors: int
    missing: int
    failed: int
    shoppers: int
    purchases: int
    last_purchase: datetime | None


@dataclass(frozen=True)
class Status:
    """What a shop has and lacks.

    ``on_offer`` items may be recommended, ``without_category`` have none, for ``proposed`` of which photos propose one;
    ``events`` are how many of each kind;
    ``unmatched`` is how much was returned or cancelled for which no purchase is known.
    """

    coverage: Coverage
    on_offer: int
    without_category: int
    proposed: int
    events: dict[str, int]
    unmatched: int

    def next_steps(self, shop: str) -> list[str]:
        """What to do next, the first thing first; ``shop`` is its folder as commands name it."""
        have, steps = self.coverage, []
        if not have.items:
            return [f"add items: modiste add items {shop} PHOTOS-OR-TABLE"]
        if not self.on_offer:
            steps.append(f"nothing is on offer; add the items again as they are now: modiste add items {shop} TABLE")
        if have.photos < have.items:
            steps.append(f"{have.items - have.photos} items have no photo: name photos in the column image")
        if have.missing:
            steps.append(f"{have.missing} photos have no vector: modiste embed {shop}")
        if have.failed:
            steps.append(f"{have.failed} photos could not be embedded: modiste embed {shop} tells why")
        if self.without_category:
            known = f"; photos propose one for {self.proposed}, see their pages" if self.proposed else ""
            steps.append(f"{self.without_category} items have no category: name it in the column category{known}")
        if not have.purchases:
            steps.append(f"nobody bought anything: modiste add purchases {shop} ORDERS, or modiste simulate {shop}")
        if self.unmatched:
            steps.append(f"{self.unmatched} returned pieces are of no known purchase: add the older orders")
        return steps or [f"ask: modiste recommend {shop} --shopper ID"]
