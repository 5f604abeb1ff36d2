"""What came of what was done: counts, and every row or photo that was not taken, with its reason."""

from collections.abc import Callable
from dataclasses import dataclass, field

from modiste.catalog.columns import Understood
from modiste.catalog.items import Rejected
from modiste.vision.embedding import VectorSpace

Progress = Callable[[int, int], None]
"""Called with (done, total) as long work goes on."""


@dataclass(frozen=True)
class AddReport:
    """What came of adding items, stores or purchases; of these, how many of which kind were added.

    ``photos``: those that could not be had or are placeholders, each with the reason; their items were taken.
    ``merged`` rows tell only of items that other rows are: a product of its variants, a further photo.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    unknown_categories: dict[str, int] = field(default_factory=dict)
    understood: Understood = field(default_factory=Understood)
    kinds: dict[str, int] = field(default_factory=dict)
    photos: list[Rejected] = field(default_factory=list)
    merged: int = 0


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
