"""What the service takes and answers, each as a type; OpenAPI is written from these."""

import math
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from modiste.catalog.values import moment as check_date
from modiste.errors import SettingError
from modiste.ranking.relevance import PRESETS, Weights
from modiste.shop.filters import Filter

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PLACE = (
    r"^-?(90(\.0{1,12})?|[1-8]?[0-9](\.[0-9]{1,12})?),-?(180(\.0{1,12})?|(1[0-7][0-9]|[1-9]?[0-9])(\.[0-9]{1,12})?)$"
)
_DATE = r"^(19[789]|20[0-9])[0-9]-[0-9]{2}-[0-9]{2}([T ][0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2})?)?$"


def _plain(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("may not hold control characters")
    return text


def _place(near: str | None) -> str | None:
    if near is not None and not re.fullmatch(_PLACE, near):
        raise ValueError("write it as latitude,longitude in degrees, such as 48.86,2.35")
    return near


def _moment(at: Any) -> datetime:
    """ISO text as naive UTC, of a time that an order may have."""
    try:
        if not isinstance(at, str) or not re.fullmatch(_DATE, at):
            raise ValueError
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise ValueError("must be a date, such as 2025-03-31T14:05:00Z") from None
    moment = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    try:
        check_date(moment)
    except SettingError as error:
        raise ValueError(str(error)) from None
    return moment


_NO_CONTROL = {"pattern": r"^[^\x00-\x1f\x7f-\x9f]+$"}
Id = Annotated[
    str, Field(min_length=1, max_length=200, json_schema_extra=_NO_CONTROL, examples=["0002"]), AfterValidator(_plain)
]
Text = Annotated[str, Field(min_length=1, max_length=500, json_schema_extra=_NO_CONTROL), AfterValidator(_plain)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Price = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Moment = Annotated[
    datetime,
    BeforeValidator(
        _moment, json_schema_input_type=Annotated[str, Field(pattern=_DATE, examples=["2025-03-31T14:05:00Z"])]
    ),
]
Gender = Literal["men", "women"]
Url = Annotated[str, Field(examples=["/v1/items/0002/photo"])]


class Problem(BaseModel):
    """Why a request was refused: what was wrong, where, and what to do."""

    detail: str = Field(examples=["no item '0002' in street"])
    request_id: str | None = Field(None, description="For an unforeseen error: where to look in the log.")


# What is asked


class Near(BaseModel):
    """A place, and how far from it a store may be."""

    near: Annotated[str | None, AfterValidator(_place)] = Field(
        None,
        description="Latitude,longitude in degrees; default: the shopper's own place.",
        examples=["48.86,2.35"],
        json_schema_extra={"anyOf": [{"type": "string", "pattern": _PLACE}, {"type": "null"}]},
    )
    within: float | None = Field(
        None, ge=0, le=20_100, allow_inf_nan=False, description="Only what is in stores so near, in km."
    )

    @property
    def place(self) -> tuple[float, float] | None:
        """(latitude, longitude) of ``near``."""
        if self.near is None:
            return None
        latitude, _, longitude = self.near.partition(",")
        return float(latitude), float(longitude)


class Filters(BaseModel):
    """Which items may be listed."""

    categories: list[Text] = Field([], max_length=100, description="Only these categories.", examples=[["Dresses"]])
    min_price: Price | None = Field(None, description="The lowest price.")
    max_price: Price | None = Field(None, description="The highest price.")
    match: Literal["all", "any"] = Field(
        "all", description="Whether all of these conditions must hold, or any of them."
    )

    @property
    def where(self) -> Filter | None:
        """The filter as the shop takes it; None where nothing is asked."""
        if not self.categories and self.min_price is None and self.max_price is None:
            return None
        return Filter(frozenset(self.categories), self.min_price, self.max_price, self.match == "any")


class Asking(Filters, Near):
    """How to rank, and what to leave out."""

    top: int = Field(5, ge=1, le=200, description="How many.")
    preset: Literal["balanced", "paper", "visual"] = Field("balanced", description="Weights by name.")
    alpha: Weight | None = Field(None, description="Weight of the visual term, instead of the preset's.")
    beta: Weight | None = Field(None, description="Weight of the popularity term, instead of the preset's.")
    gamma: Weight | None = Field(None, description="Weight of the category term, instead of the preset's.")
    penalty: int | None = Field(
        None, ge=2, le=20, multiple_of=2, description="The exponent p of |popularity - trendiness|: 2, 4, …"
    )
    trendiness: Share | None = Field(
        None, description="Instead of the shopper's own: 0 dislikes trends, 1 follows them."
    )
    gender: Literal["men", "women", "any"] | None = Field(
        None, description="Whose garments; default: those of the items that the list is made from."
    )
    explain: bool = Field(False, description="Add one sentence to each recommendation that says why.")

    @property
    def weights(self) -> Weights:
        """The preset with the weights that were given. Raises SettingError if all are 0."""
        chosen = PRESETS[self.preset]
        return Weights(
            chosen.alpha if self.alpha is None else self.alpha,
            chosen.beta if self.beta is None else self.beta,
            chosen.gamma if self.gamma is None else self.gamma,
            chosen.penalty if self.penalty is None else self.penalty,
            chosen.scaling,
            chosen.distance,
        )

    @property
    def only(self) -> Gender | None:
        """The gender asked for, if it is one."""
        return None if self.gender in (None, "any") else self.gender  # type: ignore[return-value]


class ShopperAsking(Asking):
    """How to rank for a shopper or an item."""

    exclude: list[Id] = Field([], max_length=1000, description="Items to leave out; unknown ones are no error.")


class SearchAsking(Asking):
    """How to rank what looks like a photo."""

    top: int = Field(12, ge=1, le=200, description="How many.")
    preset: Literal["balanced", "paper", "visual"] = Field("visual", description="Weights by name.")
    category: Text | None = Field(
        None, description="What kind of garment is meant; without it, all garments in the photo count."
    )


class Browsing(Filters):
    """Which items to list."""

    limit: int = Field(50, ge=1, le=500, description="How many on a page.")
    offset: int = Field(0, ge=0, le=1_000_000_000, description="How many to pass over.")
    gender: Gender | None = Field(None, description="Only items for them, or for no one in particular.")
    store_id: Id | None = Field(None, description="Only items of this store.")


class ThumbnailAsking(BaseModel):
    """How large."""

    height: int = Field(
        220,
        ge=16,
        le=1024,
        description="Pixels, rounded up to 60, 120, 160, 220, 330, 480, 720 or 1024; at most twice as wide as high.",
    )


class TrendingAsking(BaseModel):
    """Over which time, and of what."""

    window: float = Field(30, ge=0.05, le=3650, allow_inf_nan=False, description="Days.")
    categories: list[Text] = Field([], max_length=100, description="Only these categories.")
    top: int = Field(10, ge=1, le=200, description="How many.")


class PurchaseIn(BaseModel):
    """One item bought by one shopper."""

    model_config = ConfigDict(extra="forbid", strict=True)
    shopper_id: Id = Field(examples=["1"])
    item_id: Id
    at: Moment | None = Field(
        None,
        description="ISO date and time from 1970 to a day from now; without a zone it is UTC. Default: now.",
    )
    order_id: Id | None = Field(
        None, description="Your own key: the same item sent again under it is kept once.", examples=["A-1001"]
    )


class ShopperIn(BaseModel):
    """What is known of a shopper; what is left out is forgotten."""

    model_config = ConfigDict(extra="forbid", strict=True)
    trendiness: Share | None = Field(None, description="Null: to be estimated from her purchases.")
    latitude: Latitude | None = None
    longitude: Longitude | None = None

    @model_validator(mode="after")
    def _whole_place(self) -> Self:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("give latitude and longitude, or neither")
        return self


# What is answered


class Item(BaseModel):
    """One photo's worth of catalogue."""

    item_id: str
    category: str | None
    gender: Gender | None
    product: str = Field(description="The item without its view: two items of one product are the same garment.")
    view: str | None
    price: float | None
    store_id: str | None
    attributes: dict[str, str]
    popularity: float | None = Field(description="The count of purchases before any was recorded here, as given.")
    popularity_now: float = Field(description="The count with the purchases recorded here.")
    normalised_popularity: float = Field(description="That count in [0, 1], min-max over the catalogue.")
    photo: Url | None
    thumbnail: Url | None
    mask: Url | None


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

    visual: float
    popularity: float
    category: float
    distance: float


class Recommendation(BaseModel):
    """One recommended item and why."""

    item_id: str
    relevance: float
    terms: Terms
    because: str | None = Field(description="The item whose purchase or view caused it; null: a photo, or popularity.")
    category: str | None
    store_id: str | None
    distance_km: float | None = Field(
        description="From the place asked for, or the shopper's own, to the item's store."
    )
    photo: Url | None
    thumbnail: Url | None
    why: str | None = Field(description="One sentence a shopper understands, with explain=1.")


class Similar(BaseModel):
    """Items like one item."""

    item_id: str
    recommendations: list[Recommendation]


class ForShopper(BaseModel):
    """A shopper's recommendations."""

    shopper_id: str
    known: bool = Field(description="False: nobody knows this shopper, and the list is what is popular, of many kinds.")
    recommendations: list[Recommendation]


class Found(BaseModel):
    """What looks like a photo, and what was seen in it."""

    width: int
    height: int
    labels: str | None = Field(description="What the parser saw: a palette PNG of the photo's size, as a data URI.")
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
    photo: Url | None
    thumbnail: Url | None


class Trending(BaseModel):
    """What sells, best first."""

    window: float
    items: list[Trend]


class Store(BaseModel):
    """A store, and how far it is."""

    store_id: str
    name: str
    latitude: float
    longitude: float
    distance_km: float | None


class Stores(BaseModel):
    """The stores; the nearest first where a place was given."""

    stores: list[Store]


class Recorded(BaseModel):
    """What came of sending purchases; all are on disk."""

    recorded: int = Field(description="How many were new.")
    known: int = Field(description="How many were recorded before, under the same order_id.")


class Health(BaseModel):
    """Whether the service lives, and whether it can answer."""

    alive: bool
    ready: bool


def number(value: Any) -> float | None:
    """A finite number, or None: JSON has no other."""
    return float(value) if value is not None and math.isfinite(value) else None
