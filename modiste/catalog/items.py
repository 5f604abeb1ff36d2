"""What an item is: the one record every room speaks of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

GENDERS = ("men", "women")
"""The genders an item can be made for; an unknown one is None and passes every gender filter."""

AGE_GROUPS = ("adults", "children")
"""The ages an item can be made for: a girl's dress is women's, for children."""


@dataclass(frozen=True, slots=True)
class Item:
    """One photo's worth of catalogue: a garment seen from one view.

    ``image`` and ``mask`` are absolute paths (or None: an item without a photo has every term but the visual one).
    ``category`` is the taxonomy's name where the shop's word is known to it, else the shop's own word.
    ``product`` is the item without its view: two items of one product are never recommended for each other.
    ``popularity`` is the initial count of purchases, None where the catalogue doesn't say. ``url`` is the product's
    page, ``currency`` that of both prices (ISO 4217), ``photos`` are further photos beside ``image``; both may be
    http(s) addresses until they are downloaded. ``came`` is the day on which it came into the shop; None: not said.
    """

    item_id: str
    category: str | None = None
    gender: str | None = None
    image: str | None = None
    mask: str | None = None
    product: str = ""
    view: str | None = None
    price: float | None = None
    store_id: str | None = None
    popularity: float | None = None
    title: str | None = None
    url: str | None = None
    brand: str | None = None
    colour: str | None = None
    size: str | None = None
    age_group: str | None = None
    currency: str | None = None
    sale_price: float | None = None
    available: bool | None = None
    stock: int | None = None
    came: date | None = None
    photos: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.product:
            object.__setattr__(self, "product", self.item_id)

    @property
    def on_offer(self) -> bool:
        """Whether it may be recommended: nothing says that it is sold out."""
        return self.available is not False and (self.stock is None or self.stock > 0)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row or file that was not taken, and why. ``row`` is 1-based with the header as row 1, None for files."""

    file: str
    row: int | None
    reason: str

    def __str__(self) -> str:
        where = self.file if self.row is None else f"{self.file}, row {self.row}"
        return f"{where}: {self.reason}"
