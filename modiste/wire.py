"""What goes over HTTP: what the service takes and sends, as models that it and its client share.

OpenAPI is written from these. How to rank is asked with :class:`~modiste.ask.Ask`, the service's query.
"""

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from modiste.ask import Ask, Id, Name, Near, Position, Price, Share
from modiste.catalog.events import KINDS
from modiste.catalog.items import AGE_GROUPS, GENDERS
from modiste.catalog.values import arrival, availability, kind_of, moment, nearest_kind
from modiste.catalog.words import asked_gender, gender_and_age, unknown_person

_DATE = r"^(19[789]|20[0-9])[0-9]-[0-9]{2}-[0-9]{2}([T ][0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2})?)?$"


def _moment(at: Any) -> datetime:
    if not isinstance(at, str):
        raise ValueError("must be a date, such as 2025-03-31T14:05:00Z")
    return moment(at)


def _arrival(at: Any) -> date:
    if not isinstance(at, str):
        raise ValueError("must be a date, such as 2025-03-31")
    return arrival(at)


def _kind(word: Any) -> Any:
    if not isinstance(word, str) or (kind := kind_of(word)) is not None:
        return kind if isinstance(word, str) else word
    near = nearest_kind(word)
    raise ValueError(
        f"{word[:80]!r} is not known; " + (f"did you mean {near}?" if near else f"there are: {', '.join(KINDS)}")
    )


def _availability(word: Any) -> Any:
    return meant if isinstance(word, str) and (meant := availability(word)) is not None else word


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
GenderWord = Annotated[Gender, BeforeValidator(asked_gender, json_schema_input_type=Gender)]
_Kind = Literal["view", "cart", "purchase", "return", "cancel"]
Kind = Annotated[_Kind, BeforeValidator(_kind, json_schema_input_type=_Kind)]
Availability = Annotated[bool, BeforeValidator(_availability, json_schema_input_type=bool)]
Arrival = Annotated[
    date,
    BeforeValidator(_arrival, json_schema_input_type=Annotated[str, Field(pattern=_DATE, examples=["2025-03-31"])]),
]
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
    except (ValueError, RecursionError):
        raise ValueError("must be a JSON object of strings") from None


class ItemIn(Input):
    """What is known of an item; what is left out is forgotten, but a photo is kept."""

    category: Name | None = Field(None, description="The shop's word or the taxonomy's.")
    gender: Gender | None = Field(None, description="For whom: men or women, or another word for them.")
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
    available: Availability | None = Field(None, description="False: sold out, and not recommended.")
    stock: Stock | None = Field(None, description="How many there are; 0: sold out, and not recommended.")
    store_id: Id | None = Field(None, description="One of /v1/stores.")
    popularity: Price | None = Field(None, description="Purchases before any is recorded here.")
    came: Arrival | None = Field(None, description="The day it came into the shop; left out, what is known stays.")
    attributes: Annotated[
        Annotated[dict[Name, Name], Field(max_length=100)],
        BeforeValidator(_json_object),
    ] = Field({}, description="Texts by name; in a form, a JSON object of strings.", examples=['{"season": "spring"}'])

    @model_validator(mode="before")
    @classmethod
    def _in_a_shops_words(cls, given: Any) -> Any:
        """For whom it is, as a table says it: "Girls" is women and children, "Unisex" neither."""
        if not isinstance(given, Mapping):
            return given
        said = {name: word for name in ("gender", "age_group") if isinstance(word := given.get(name), str)}
        told = {name: gender_and_age(word) for name, word in said.items()}
        for name, word in said.items():
            if not told[name][2] or not word.strip():
                raise ValueError(f"{name} {unknown_person(word, GENDERS if name == 'gender' else AGE_GROUPS)}")
        found = dict(given)
        if "gender" in told and said["gender"] not in GENDERS:
            found["gender"] = told["gender"][0]
            found["age_group"] = found.get("age_group") or told["gender"][1]
        if "age_group" in told:
            found["age_group"] = told["age_group"][1]
        return found


class Browse(Input):
    """Which items to list."""

    categories: list[Name] = Field([], max_length=100, description="Only these categories.", examples=[["Dresses"]])
    min_price: Price | None = Field(None, description="The lowest price.")
    max_price: Price | None = Field(None, description="The highest price.")
    match: Literal["all", "any"] = Field(
        "all", description="Whether category and price must both hold, or one of them is enough."
    )
    gender: GenderWord | None = Field(None, description="Only items for them, or for no one in particular.")
    store_id: Id | None = Field(None, description="Only items of this store.")
    limit: int = Field(50, ge=1, le=500, description="How many on a page.")
    offset: int = Field(0, ge=0, le=1_000_000_000, description="How many to pass over.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        Ask.of(min_price=self.min_price, max_price=self.max_price)
        return self


class Placed(Ask):
    """How to recommend, and where the list will be shown to whom."""

    placement: Name | None = Field(
        None, description="Where it will be shown; default: as the scenario is called. An A/B test runs on a placement."
    )
    session: Id | None = Field(
        None, description="What the page calls its visitor: she stays on her side of an A/B test; nothing else of it."
    )


class GuestAsk(Placed):
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

    kind: Kind = Field(
        "purchase", description="A return or cancellation takes purchases back: of its order, or the last one."
    )
    session: Id | None = Field(
        None, description="What the shop's pages called her before they knew her: what she saw then counts as hers."
    )


ListId = Annotated[
    str, Field(min_length=1, max_length=60_000, pattern="^[A-Za-z0-9_-]+$", description="As it came with the list.")
]


class SeenIn(Input):
    """A list that came into view."""

    list_id: ListId
    session: Id | None = Field(None, description="What the page calls its visitor, if the list wasn't made for her.")
    at: Moment | None = Field(None, description="When; default: now.")


class ClickIn(SeenIn):
    """An item of a list that was clicked."""

    item_id: Id


class Since(Input):
    """Which lists: those that were seen in this time, and how long after a click what is bought counts for it."""

    since: Moment | None = Field(None, description="From then on.")
    until: Moment | None = Field(None, description="To before then.")
    days: float = Field(7, gt=0, le=90, allow_inf_nan=False, description="Days after a click.")


class TestIn(Input):
    """An A/B test to start."""

    name: Name = Field(examples=["winter"])
    a: Name = Field(description="The scenario that is used now.", examples=["product-page"])
    b: Name = Field(description="The scenario that may be better.", examples=["product-page-2"])
    placement: Name | None = Field(None, description="Where; default: as a is called.")
    counts: Literal["clicked", "cart", "bought"] = Field("bought", description="What a shopper must do to count.")
    days: float = Field(7, gt=0, le=90, allow_inf_nan=False, description="So soon after she first saw a list.")
    rate: Share | None = Field(None, description="How many do it now, as a share; default: as measured here.")
    lift: float = Field(
        0.1, ge=-1, le=100, allow_inf_nan=False, description="The change to find, relative: 0.1 is a tenth more."
    )
    interleaved: bool = Field(False, description="Both lists in one: quicker, and counts clicks.")


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


class ScenarioIn(Input):
    """A scenario, and who changes it and why."""

    scenario: dict[str, Any] = Field(
        description="Fields of how one may ask, by name; rules, a list of rules in their order; about, in words.",
        examples=[{"top": 8, "rules": [{"name": "Winter coats", "do": "pin", "place": 1, "items": ["0002"]}]}],
    )
    author: Name | None = None
    reason: Name | None = None


class PreviewIn(Input):
    """A scenario as it would be, and how many shoppers to try it on."""

    scenario: dict[str, Any] = Field(
        description="As it would be put.", examples=[{"top": 8, "categories": ["Dresses"]}]
    )
    sample: int | None = Field(500, ge=1, le=1_000_000, description="So many shoppers; null: all, which takes longer.")


class UndoIn(Input):
    """Which version to bring back, who does it and why."""

    to: int | None = Field(None, ge=1, le=1_000_000_000, description="Default: the one before the latest.")
    author: Name | None = None
    reason: Name | None = None


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
    came: date | None = Field(description="The day it came: as given, else that it was added; null: of any age.")
    hidden: bool = Field(description="Whether somebody took it out of every list, whatever its source says.")
    attributes: dict[str, str]
    popularity: float | None = Field(description="The count of purchases before any was recorded here, as given.")
    popularity_now: float = Field(description="The count with the purchases recorded here.")
    normalised_popularity: float = Field(description="That count in [0, 1], min-max over the catalogue.")
    photos: list[Address] = Field(description="Further photos.")
    mask: Address | None
    proposed: str | None = Field(description="Where the shop names no category: the one that its photos propose.")
    proposed_share: float | None = Field(description="Of the products most like it, how many have it, in [0, 1].")
    proposed_gender: Gender | None = Field(
        description="Where the shop names no gender: the one that its name or its photos propose. It hides nothing."
    )
    proposed_gender_share: float | None = Field(
        description="Of the products most like it, how many have it, in [0, 1]; null where its name says it."
    )


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
    worn: float = Field(
        0.0, description="What photos tell of what is worn with it; below 0 where that is other things."
    )
    newness: float
    price: float
    gender: float = Field(0.0, description="Below 0 where it is, or perhaps is, for the other gender or another age.")
    boost: float = Field(0.0, description="What a scenario's rules add; below 0 where they bury it.")


class Recommendation(Shown):
    """One recommended item and why: all that a page of it needs."""

    relevance: float | None = Field(description="The sum of the terms; null where they are.")
    terms: Terms | None = Field(description="Null: they would tell a web page what a shopper bought.")
    because: str | None = Field(description="The item whose purchase or view caused it; null: a photo, or popularity.")
    distance_km: float | None = Field(
        description="From the position asked for, or the shopper's own, to the item's store."
    )
    why: str = Field(description="One sentence a shopper understands.")
    rules: list[str] = Field([], description="What a scenario's rules did to it, a sentence each.")


class Answer(BaseModel):
    """A list, and the scenario that it was asked by."""

    list_id: str | None = Field(None, description="To be sent back when it is seen or clicked; also X-List-ID.")
    placement: str | None = Field(None, description="Where it is shown.")
    scenario: str | None = Field(None, description="The scenario that was asked for, or that an A/B test chose.")
    rules: list[str] = Field([], description="What each of the scenario's rules did to this list, in order.")
    nothing: str | None = Field(
        None, description="Why the list is empty though something passed the filters. Null: it isn't."
    )
    recommendations: list[Recommendation]
    as_of: datetime | None = Field(
        None, description="The database was away, and this is what was known then. Null: it is as things are now."
    )


class Similar(Answer):
    """Items like one item."""

    item_id: str


class OutfitPart(BaseModel):
    """One part of an outfit, and what of it goes with an item."""

    part: str = Field(examples=["shoes"])
    kinds: list[str] = Field(description="The categories of the shop that can be it.")
    recommendations: list[Recommendation]


class GoesWith(BaseModel):
    """What is worn with an item."""

    item_id: str
    parts: list[OutfitPart] = Field(
        description="None: the item isn't worn with others, or nobody knows what it is, or the shop has nothing else."
    )
    as_of: datetime | None = Field(
        None, description="The database was away, and this is what was known then. Null: it is as things are now."
    )


class ForShopper(Answer):
    """A shopper's recommendations."""

    shopper_id: str
    known: bool | None = Field(
        description="False: nobody knows her, and the list is what is popular, of many categories. Null: it isn't told."
    )


class ForGuest(Answer):
    """A guest's recommendations."""

    unknown: list[str] = Field(description="Those of her items that the shop doesn't have.")


class Garment(BaseModel):
    """One garment that somebody wears on a photo, and what looks like it."""

    label: str = Field(description="What it is, as the masks' palette names it.", examples=["skirt"])
    colour: str = Field(description="In words.", examples=["navy and white"])
    mask: str = Field(description="Its pixels, white on black: a PNG as a data URI.")
    kinds: list[str] = Field(description="The categories of the shop that can be one; none: the list is empty.")
    recommendations: list[Recommendation]


class SearchResult(Answer):
    """What looks like a photo, and how the photo was parsed."""

    width: int
    height: int
    labels: str | None = Field(
        description="The photo's parse: a palette PNG of its size, as a data URI. Null: it was taken whole, or shows "
        "one thing alone and nobody said what it is; `mask` has its pixels."
    )
    mask: str | None = Field(description="The pixels that counted, white on black: a PNG as a data URI. Null: all.")
    proposed_gender: Gender | None = Field(
        None,
        description="Where no gender is asked for: whose it is by what looks like it. It hides nothing; the others' "
        "things stand lower.",
    )
    proposed_gender_share: float | None = Field(
        None, description="Of the products most like it, how many are theirs, in [0, 1]."
    )
    garments: list[Garment] = Field(description="Those that somebody wears on it, the largest first.")


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


class SalesChange(BaseModel):
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
    groups: list[SalesChange] = Field(description="Empty unless asked for by category, colour or price.")


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
    rising: list[SalesChange] = Field(description="Items that rise by more than chance, the least probable first.")
    falling: list[SalesChange]
    reach: Reach
    never_sold: int = Field(description="Items on offer that nobody bought, here or before.")
    lists: "list[Funnel]" = Field(description="What came of the lists seen on the shop's pages in the last 7 days.")
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
    unknown_categories: dict[str, int] = Field(description="Those that nobody knows, with how many items have them.")
    refused: list[Refused]


class Scenario(BaseModel):
    """A scenario at one version."""

    name: str
    version: int
    at: datetime = Field(description="When it was changed, UTC.")
    author: str
    reason: str
    scenario: dict[str, Any] | None = Field(description="As it is put; null: it was removed.")


class Scenarios(BaseModel):
    """The scenarios, by name."""

    scenarios: list[Scenario]


class Measures(BaseModel):
    """What some lists show, on average."""

    popularity: float = Field(description="The percentage of what is on offer that sells less.")
    price: float | None = Field(description="Of those items that have one.")
    variety: float = Field(description="How many categories a list has.")
    coverage: float = Field(description="The percentage of what is on offer that any of the lists shows.")


class PreviewGroup(BaseModel):
    """Some shoppers, and what changes for them."""

    name: str
    shoppers: int
    changed: float = Field(description="The percentage of their lists that change.")
    before: Measures
    after: Measures


class Mover(BaseModel):
    """An item, and in how many lists it stands."""

    item_id: str
    before: int
    after: int


class PreviewExample(BaseModel):
    """One shopper's list, as item ids."""

    shopper_id: str
    before: list[str]
    after: list[str]


class Preview(BaseModel):
    """What a change of a scenario would do to the lists of shoppers."""

    name: str
    population: int = Field(description="How many shoppers there are.")
    margin: tuple[float, float] | None = Field(
        description="The 95% interval of the percentage that changes among all; null where all were looked at."
    )
    everybody: PreviewGroup
    thirds: list[PreviewGroup] = Field(description="The same by thirds of trendiness, the lowest first.")
    rises: list[Mover]
    falls: list[Mover]
    examples: list[PreviewExample]


class Change(BaseModel):
    """One difference between a version and the one before it."""

    what: str = Field(description="A setting, or a rule by its name.")
    before: str | None
    after: str | None


class Version(Scenario):
    """A version, and what it changed."""

    changes: list[Change]


class Versions(BaseModel):
    """All versions of a scenario, the latest first."""

    versions: list[Version]


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


class ListSeen(BaseModel):
    """A list that somebody saw."""

    seen: datetime
    placement: str
    scenario: str | None
    visitor: str | None = Field(description="As the storefront called her then.")
    items: list[str]
    clicked: list[str]


class Known(BaseModel):
    """All that the shop knows of a shopper."""

    shopper_id: str
    trendiness: float | None = Field(description="As given; null: not given.")
    latitude: float | None
    longitude: float | None
    events: list[Event]
    lists: list[ListSeen] = Field(description="Those that she saw on the shop's pages in the last 180 days.")


class Portion(BaseModel):
    """So many of those who saw a list, as a share with its 95% interval."""

    people: int
    share: float
    low: float
    high: float


class Funnel(BaseModel):
    """What came of the lists of one placement, scenario and variant."""

    placement: str
    scenario: str | None
    experiment: str | None = Field(description="The A/B test that they were part of.")
    variant: str | None = Field(description="a or b; ab: interleaved.")
    lists: int = Field(description="Lists that were seen.")
    people: int = Field(description="Who saw them.")
    pieces: int = Field(description="Bought after a click.")
    returned: int = Field(description="Of these, taken back.")
    clicked: Portion
    cart: Portion
    bought: Portion = Field(description="And kept.")


class Storefront(BaseModel):
    """What came of the lists."""

    days: float
    lists: list[Funnel]


class Test(BaseModel):
    """An A/B test."""

    name: str
    placement: str
    a: str
    b: str
    started: datetime
    stopped: datetime | None
    counts: str
    days: float
    rate: float | None = Field(description="The share that it was planned with.")
    lift: float
    planned: int = Field(description="So many shoppers find such a change with a chance of 80%.")
    interleaved: bool


class Tests(BaseModel):
    """All A/B tests."""

    tests: list[Test]


class Between(BaseModel):
    """A difference, b less a, and the interval that may be looked at every day."""

    value: float
    low: float
    high: float


class Arm(BaseModel):
    """What came of one side."""

    shoppers: int
    hits: int = Field(description="Who did what counts.")


class Standing(BaseModel):
    """How an A/B test stands."""

    test: Test
    state: Literal["a", "b", "same", "open", "broken"] = Field(description="Which is better, if that is known.")
    verdict: str = Field(description="In words.")
    warnings: list[str] = Field(description="What got worse meanwhile.")
    difference: Between
    a: Arm
    b: Arm
    waiting: int = Field(description="Shoppers whose days are not over.")
    both: int = Field(description="Shoppers who saw both sides, and are left out.")
    days_left: float | None


class Health(BaseModel):
    """Whether the service lives, and whether it can answer."""

    alive: bool
    ready: bool
