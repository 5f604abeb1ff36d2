"""What goes over HTTP: what the service takes and sends, as models that it and its client share.

OpenAPI is written from these. How to rank is asked with :class:`~modiste.ask.Ask`, the service's query.
"""

import json
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from modiste.ask import Ask, Id, Name, Near, Position, Price, Share
from modiste.catalog.values import moment
from modiste.catalog.words import gender

_DATE = r"^(19[789]|20[0-9])[0-9]-[0-9]{2}-[0-9]{2}([T ][0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2})?)?$"


def _moment(at: Any) -> datetime:
    if not isinstance(at, str):
        raise ValueError("must be a date, such as 2025-03-31T14:05:00Z")
    return moment(at)


def _gender(word: Any) -> Any:
    """``men`` or ``women`` for a word that says so, as in a table."""
    return (gender(word) if isinstance(word, str) else None) or word


Moment = Annotated[
    datetime,
    BeforeValidator(
        _moment, json_schema_input_type=Annotated[str, Field(pattern=_DATE, examples=["2025-03-31T14:05:00Z"])]
    ),
]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Gender = Literal["men", "women"]
AgeGroup = Literal["adults", "children"]
GenderWord = Annotated[Gender, BeforeValidator(_gender, json_schema_input_type=Gender)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$", examples=["EUR"])]
Stock = Annotated[int, Field(ge=-1_000_000_000, le=1_000_000_000)]
Url = Annotated[str, Field(pattern=r"^https?://[^\s/]\S*$", max_length=2000, examples=["https://shop.example/p/1"])]
Address = Annotated[str, Field(examples=["/v1/items/0002/photo"])]


def address(noun: str, name: str, part: str = "") -> str:
    """The address of a thing under /v1, or of a ``part`` of it: photo, thumbnail, mask, similar, recommendations."""
    return f"/v1/{noun}/{quoted(name)}" + (f"/{part}" if part else "")


def quoted(name: str) -> str:
    """An id as one part of a path; dots alone are written so that fewer programs take them for folders."""
    part = quote(name, safe="")
    return part if part.strip(".") else part.replace(".", "%2E")


# What is asked


class Input(BaseModel):
    """What a request may say: these fields and no others."""

    model_config = ConfigDict(extra="forbid")


def _json_object(attributes: Any) -> Any:
    try:
        return json.loads(attributes) if isinstance(attributes, str) else attributes
    except ValueError:
        raise ValueError("must be a JSON object of strings") from None


class ItemIn(Input):
    """What is known of an item; what is left out is forgotten, but a photo is kept."""

    category: Name | None = Field(None, description="The shop's word or the taxonomy's.")
    gender: GenderWord | None = Field(None, description="For whom: men or women, or another word for them.")
    age_group: Literal["adults", "children"] | None = None
    product: Name | None = Field(None, description="The item without its view; default: its own id.")
    view: Name | None = Field(None, description="front, back, …")
    title: Name | None = None
    url: Url | None = Field(None, description="The product's page.")
    brand: Name | None = None
    colour: Name | None = None
    size: Name | None = None
    price: Price | None = None
    sale_price: Price | None = None
    currency: Currency | None = Field(None, description="Of both prices.")
    available: bool | None = Field(None, description="False: sold out, and not recommended.")
    stock: Stock | None = Field(None, description="How many there are; 0: sold out, and not recommended.")
    store_id: Id | None = Field(None, description="One of /v1/stores.")
    popularity: Price | None = Field(None, description="Purchases before any is recorded here.")
    attributes: Annotated[
        Annotated[dict[Name, Name], Field(max_length=100)],
        BeforeValidator(_json_object),
    ] = Field({}, description="Texts by name; in a form, a JSON object of strings.", examples=['{"season": "spring"}'])


class Browse(Input):
    """Which items to list."""

    categories: list[Name] = Field([], max_length=100, description="Only these categories.", examples=[["Dresses"]])
    min_price: Price | None = Field(None, description="The lowest price.")
    max_price: Price | None = Field(None, description="The highest price.")
    match: Literal["all", "any"] = Field(
        "all", description="Whether category and price must both hold, or one of them is enough."
    )
    gender: Gender | None = Field(None, description="Only items for them, or for no one in particular.")
    store_id: Id | None = Field(None, description="Only items of this store.")
    limit: int = Field(50, ge=1, le=500, description="How many on a page.")
    offset: int = Field(0, ge=0, le=1_000_000_000, description="How many to pass over.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        Ask.of(min_price=self.min_price, max_price=self.max_price)
        return self


class GuestAsk(Ask):
    """How to recommend to a guest."""

    items: list[Id] = Field(
        [], max_length=100, description="What is in her session or cart, the newest last; unknown ones are no error."
    )


class Cart(Input):
    """What a guest looked at."""

    items: list[Id] = Field([], max_length=100, description="The newest last; unknown ones are no error.")


class StoresNear(Input):
    """A position, and how far from it a store may be."""

    near: Near | None = Field(None, description="latitude,longitude in degrees.")
    within: float | None = Field(None, ge=0, le=20_100, allow_inf_nan=False, description="Only stores so near, in km.")

    @property
    def position(self) -> Position | None:
        """(latitude, longitude) of ``near``."""
        return Ask.of(near=self.near).position


class WhichPhoto(Input):
    """Which of an item's photos."""

    number: int = Field(0, ge=0, le=1000, description="0 is the one it is recommended by; further ones follow.")


class ThumbnailSize(Input):
    """How large."""

    height: int = Field(
        220,
        ge=16,
        le=1024,
        description="Pixels, rounded up to 60, 120, 160, 220, 330, 480, 720 or 1024; at most twice as wide as high.",
    )


class Window(Input):
    """Over which time what sells is counted, and of what."""

    window: float = Field(30, ge=0.05, le=3650, allow_inf_nan=False, description="Days.")
    categories: list[Name] = Field([], max_length=100, description="Only these categories.")
    top: int = Field(10, ge=1, le=200, description="How many.")
    sold_out: bool = Field(False, description="Whether what is sold out is counted too.")
    by: Literal["item", "category", "colour", "price"] = Field(
        "item",
        description="Whether groups are told beside the items: categories, colours or price bands, of all items.",
    )


class Lately(Input):
    """Over which time a shop is looked at."""

    window: float = Field(28, ge=0.05, le=3650, allow_inf_nan=False, description="Days, held against as many before.")


class PurchaseIn(Input):
    """One line of an order: an item bought by a shopper."""

    model_config = ConfigDict(strict=True)
    shopper_id: Id = Field(examples=["1"])
    item_id: Id
    at: Moment | None = Field(
        None,
        description="ISO date and time from 1970 to a day from now; without a zone it is UTC. Default: now.",
    )
    order_id: Id | None = Field(
        None, description="Your own key: her same item sent again under it is kept once.", examples=["A-1001"]
    )
    line: Id | None = Field(None, description="Your own key of the order's line, where an item has several.")
    quantity: int = Field(1, ge=1, le=10_000)


class EventIn(PurchaseIn):
    """What one shopper did with one item."""

    kind: Literal["view", "cart", "purchase", "return", "cancel"] = Field(
        "purchase", description="A return or cancellation takes purchases back: of its order, or the last one."
    )


class ItemWithId(ItemIn):
    """An item among many."""

    item_id: Id


class ShopperIn(Input):
    """What is known of a shopper; what is left out is forgotten."""

    model_config = ConfigDict(strict=True)
    trendiness: Share | None = Field(None, description="Null: to be estimated from her purchases.")
    latitude: Latitude | None = None
    longitude: Longitude | None = None

    @model_validator(mode="after")
    def _whole_position(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("give latitude and longitude, or neither")
        return self


# What is answered


class Problem(BaseModel):
    """Why a request was refused: what was wrong, where, and what to do."""

    detail: str = Field(examples=["no item '0002' in street"])
    request_id: str | None = Field(None, description="For an unforeseen error: where to look in the log.")


class Shown(BaseModel):
    """What a page shows of an item."""

    item_id: str
    category: str | None
    product: str = Field(description="The item without its view: two items of one product are the same garment.")
    title: str | None
    brand: str | None
    gender: Gender | None
    age_group: AgeGroup | None
    colour: str | None
    size: str | None
    price: float | None
    currency: str | None
    sale_price: float | None
    url: str | None = Field(description="The product's page.")
    on_offer: bool = Field(description="False: sold out.")
    store_id: str | None
    photo: Address | None
    thumbnail: Address | None


class Item(Shown):
    """One photo's worth of catalogue."""

    view: str | None
    available: bool | None = Field(description="As given; null: not said.")
    stock: int | None
    hidden: bool = Field(description="Whether somebody took it out of every list, whatever its source says.")
    attributes: dict[str, str]
    popularity: float | None = Field(description="The count of purchases before any was recorded here, as given.")
    popularity_now: float = Field(description="The count with the purchases recorded here.")
    normalised_popularity: float = Field(description="That count in [0, 1], min-max over the catalogue.")
    photos: list[Address] = Field(description="Further photos.")
    mask: Address | None


class Items(BaseModel):
    """One page of the catalogue."""

    total: int = Field(description="How many items pass the filters.")
    limit: int
    offset: int
    items: list[Item]


class Put(BaseModel):
    """What came of putting an item."""

    created: bool = Field(description="False: it replaced one.")
    embedded: bool = Field(description="Whether its photo was embedded now.")
    remark: str | None
    item: Item


class Terms(BaseModel):
    """The weighted terms of the relevance; they add up to it."""

    look: float
    colour: float
    popularity: float
    category: float
    distance: float
    together: float
    newness: float


class Recommendation(Shown):
    """One recommended item and why: all that a page of it needs."""

    relevance: float
    terms: Terms
    because: str | None = Field(description="The item whose purchase or view caused it; null: a photo, or popularity.")
    distance_km: float | None = Field(
        description="From the position asked for, or the shopper's own, to the item's store."
    )
    why: str = Field(description="One sentence a shopper understands.")


class Similar(BaseModel):
    """Items like one item."""

    item_id: str
    recommendations: list[Recommendation]


class ForShopper(BaseModel):
    """A shopper's recommendations."""

    shopper_id: str
    known: bool = Field(
        description="False: nobody knows this shopper, and the list is what is popular, of many categories."
    )
    recommendations: list[Recommendation]


class ForGuest(BaseModel):
    """A guest's recommendations."""

    unknown: list[str] = Field(description="Those of her items that the shop doesn't have.")
    recommendations: list[Recommendation]


class SearchResult(BaseModel):
    """What looks like a photo, and how the photo was parsed."""

    width: int
    height: int
    labels: str | None = Field(description="The photo's parse: a palette PNG of its size, as a data URI.")
    mask: str | None = Field(description="The pixels that counted, white on black: a PNG as a data URI. Null: all.")
    recommendations: list[Recommendation]


class Shopper(BaseModel):
    """What is known of a shopper."""

    shopper_id: str
    trendiness: float = Field(description="In [0, 1]: as given, else estimated from her purchases.")
    estimated: bool
    latitude: float | None
    longitude: float | None
    purchases: int = Field(description="How many are recorded.")


class Trend(BaseModel):
    """How an item sells."""

    item_id: str
    category: str | None
    popularity: float = Field(description="The count now.")
    normalised_popularity: float
    bought: int = Field(description="Purchases in the window.")
    before: int = Field(description="Purchases in the window before it.")
    change: int = Field(description="bought - before.")
    chance: float = Field(
        description="That its share of the shop's buyers changed so by chance, corrected for all items; 1: as before."
    )
    photo: Address | None
    thumbnail: Address | None


class Change(BaseModel):
    """How something sells against the window before."""

    name: str = Field(description="The item's id, the category, the colour or the price band.")
    bought: int = Field(description="Pieces in the window.")
    before: int = Field(description="Pieces in the window before it.")
    buyers: int = Field(description="Shoppers who bought it in the window.")
    buyers_before: int = Field(description="And in the window before it.")
    chance: float = Field(description="That its share of the buyers changed so by chance, corrected for all names.")
    rises: bool = Field(description="Whether that share grew.")


class Trending(BaseModel):
    """What sells, best first."""

    window: float
    items: list[Trend]
    groups: list[Change] = Field(description="Empty unless asked for by category, colour or price.")


class Week(BaseModel):
    """What was sold in seven days."""

    begin: date
    bought: int


class Reach(BaseModel):
    """What of the catalogue a sample of lists recommends."""

    lists: int = Field(description="How many lists were made.")
    top: int = Field(description="How long each was.")
    items: int = Field(description="All there are.")
    reached: int = Field(description="Those in a list, or of which another view is.")
    why: dict[str, int] = Field(description="For what reason how many of the others are in none.")
    never: list[str] = Field(description="Some of the out-competed items, by id.")
    every: bool = Field(description="Whether there are no other lists.")
    likely: int = Field(description="How many items all lists are likely to reach at least.")


class Sync(BaseModel):
    """What came of a sync."""

    at: datetime = Field(description="UTC.")
    report: dict[str, int]


class ToDo(BaseModel):
    """Something to do."""

    said: str
    command: str


class Overview(BaseModel):
    """A shop at one moment."""

    at: datetime | None = Field(description="The last purchase, to which weeks and windows lead.")
    window: float
    items: int
    on_offer: int
    hidden: int
    photos: int
    vectors: int
    failures: dict[str, int] = Field(description="Why photos have no vector, and how many.")
    shoppers: int
    purchases: int
    weeks: list[Week]
    rising: list[Change] = Field(description="Items that rise by more than chance, the least probable first.")
    falling: list[Change]
    reach: Reach
    synced: Sync | None
    steps: list[ToDo] = Field(description="What to do next, the first thing first.")


class Store(BaseModel):
    """A store, and how far it is."""

    store_id: str
    name: str
    latitude: float
    longitude: float
    distance_km: float | None


class Stores(BaseModel):
    """The stores; the nearest first where a position was given."""

    stores: list[Store]


class Recorded(BaseModel):
    """What came of sending purchases; all are on disk."""

    recorded: int = Field(description="How many were new.")
    known: int = Field(description="How many were recorded before, under the same order_id.")


class Refused(BaseModel):
    """One of many that was not taken."""

    line: int = Field(description="Its place in what was sent, from 1.")
    detail: str


class RecordedSome(Recorded):
    """What came of sending events: those that can be are on disk."""

    refused: list[Refused]


class PutSome(BaseModel):
    """What came of sending items."""

    created: int
    updated: int
    unchanged: int
    refused: list[Refused]


class Event(BaseModel):
    """What a shopper did with an item."""

    event_id: int
    kind: Literal["view", "cart", "purchase", "return", "cancel"]
    item_id: str
    at: datetime
    quantity: int
    kept: int = Field(description="Of the quantity, what was not taken back; of a return, what took nothing back.")
    order_id: str | None
    line: str


class Known(BaseModel):
    """All that the shop knows of a shopper."""

    shopper_id: str
    trendiness: float | None = Field(description="As given; null: not given.")
    latitude: float | None
    longitude: float | None
    events: list[Event]


class Health(BaseModel):
    """Whether the service lives, and whether it can answer."""

    alive: bool
    ready: bool
