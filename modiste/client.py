"""A client of a running service: the routes as methods, their answers as typed dictionaries.

>>> from modiste import Client
>>> with Client("http://127.0.0.1:8000", token="…") as client:  # doctest: +SKIP
...     client.record([{"shopper_id": "1", "item_id": "0002", "order_id": "A-1001"}])
...     client.recommend("1", top=5, explain=True)["recommendations"]
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NotRequired, Self, TypedDict, Unpack, cast
from urllib.parse import quote

from modiste.errors import MissingExtraError, PhotoError, ServiceError

try:
    import httpx
except ModuleNotFoundError as missing:
    raise MissingExtraError("client", "modiste.Client") from missing

Gender = Literal["men", "women"]

# What is asked


class Filters(TypedDict, total=False):
    """Which items may be listed: ``match`` tells whether all conditions must hold, or any."""

    categories: Sequence[str]
    min_price: float
    max_price: float
    match: Literal["all", "any"]


class Browsing(Filters, total=False):
    """Which page of which items."""

    limit: int
    offset: int
    gender: Gender
    store_id: str


class Asking(Filters, total=False):
    """How to rank. ``near`` is (latitude, longitude) in degrees, ``within`` in km; weights override the preset's."""

    top: int
    preset: Literal["balanced", "paper", "visual"]
    alpha: float
    beta: float
    gamma: float
    penalty: int
    trendiness: float
    gender: Literal["men", "women", "any"]
    near: tuple[float, float]
    within: float
    explain: bool


class ShopperAsking(Asking, total=False):
    """How to rank, and which items to leave out."""

    exclude: Sequence[str]


class SearchAsking(Asking, total=False):
    """How to rank, and what kind of garment is meant."""

    category: str


class ItemFields(TypedDict, total=False):
    """What an item is told to be."""

    category: str
    gender: Gender
    product: str
    view: str
    price: float
    store_id: str
    popularity: float
    attributes: Mapping[str, str]


class Purchase(TypedDict):
    """One item bought by one shopper; without ``at`` it was now, and without a zone ``at`` is UTC."""

    shopper_id: str
    item_id: str
    at: NotRequired[datetime | str]
    order_id: NotRequired[str]


# What is answered


class Item(TypedDict):
    """One photo's worth of catalogue; pictures are addresses below the service's."""

    item_id: str
    category: str | None
    gender: Gender | None
    product: str
    view: str | None
    price: float | None
    store_id: str | None
    attributes: dict[str, str]
    popularity: float | None
    popularity_now: float
    normalised_popularity: float
    photo: str | None
    thumbnail: str | None
    mask: str | None


class Items(TypedDict):
    """One page of the catalogue."""

    total: int
    limit: int
    offset: int
    items: list[Item]


class Put(TypedDict):
    """What came of putting an item."""

    created: bool
    embedded: bool
    remark: str | None
    item: Item


class Terms(TypedDict):
    """The weighted terms of the relevance; they add up to it."""

    visual: float
    popularity: float
    category: float
    distance: float


class Recommendation(TypedDict):
    """One recommended item and why."""

    item_id: str
    relevance: float
    terms: Terms
    because: str | None
    category: str | None
    store_id: str | None
    distance_km: float | None
    photo: str | None
    thumbnail: str | None
    why: str | None


class Similar(TypedDict):
    """Items like one item."""

    item_id: str
    recommendations: list[Recommendation]


class ForShopper(TypedDict):
    """A shopper's recommendations; ``known`` is false where nobody knows her."""

    shopper_id: str
    known: bool
    recommendations: list[Recommendation]


class Found(TypedDict):
    """What looks like a photo; ``labels`` and ``mask`` are PNG pictures as data URIs."""

    width: int
    height: int
    labels: str | None
    mask: str | None
    recommendations: list[Recommendation]


class Shopper(TypedDict):
    """What is known of a shopper."""

    shopper_id: str
    trendiness: float
    estimated: bool
    latitude: float | None
    longitude: float | None
    purchases: int


class Trend(TypedDict):
    """How an item sells."""

    item_id: str
    category: str | None
    popularity: float
    normalised_popularity: float
    bought: int
    before: int
    change: int
    photo: str | None
    thumbnail: str | None


class Trending(TypedDict):
    """What sells, best first."""

    window: float
    items: list[Trend]


class Store(TypedDict):
    """A store, and how far it is in km."""

    store_id: str
    name: str
    latitude: float
    longitude: float
    distance_km: float | None


class Recorded(TypedDict):
    """How many purchases were new, and how many were recorded before."""

    recorded: int
    known: int


class Health(TypedDict):
    """Whether the service lives, and whether it can answer."""

    alive: bool
    ready: bool


class Client:
    """A client of the service at ``url``. ``token`` is needed to write; ``timeout`` is in seconds.

    Every method raises ServiceError, with the service's own words, where it refuses or can't be reached.
    Close it when done, or use ``with``.
    """

    def __init__(self, url: str, token: str | None = None, *, timeout: float = 60.0) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Items

    def items(self, **asked: Unpack[Browsing]) -> Items:
        """One page of the catalogue, in the order of ids."""
        return cast(Items, self._json("GET", "/v1/items", params=_query(asked)))

    def item(self, item_id: str) -> Item:
        """One item, with its popularity now."""
        return cast(Item, self._json("GET", _path("items", item_id)))

    def put_item(self, item_id: str, photo: bytes | Path | None = None, **fields: Unpack[ItemFields]) -> Put:
        """Make an item or replace what is known of it; without ``photo`` (encoded, or a file) it keeps the one it has.

        Raises PhotoError if the file can't be read.
        """
        form = {name: _written(value) for name, value in fields.items() if value is not None}
        files = {} if photo is None else {"photo": ("photo", _bytes(photo))}
        return cast(Put, self._json("PUT", _path("items", item_id), data=form, files=files))

    def delete_item(self, item_id: str) -> None:
        """Forget an item, with its embeddings and its purchases."""
        self._send("DELETE", _path("items", item_id))

    def photo(self, item_id: str) -> bytes:
        """The item's photo, as it was given."""
        return self._send("GET", _path("items", item_id, "photo")).content

    def thumbnail(self, item_id: str, height: int = 220) -> bytes:
        """The item's photo as a JPEG about ``height`` pixels high: the service rounds up to one of a few heights."""
        return self._send("GET", _path("items", item_id, "thumbnail"), params={"height": height}).content

    def mask(self, item_id: str) -> bytes:
        """What garment each pixel of the item's photo is, as a palette PNG."""
        return self._send("GET", _path("items", item_id, "mask")).content

    # Recommendations

    def similar(self, item_id: str, **asked: Unpack[ShopperAsking]) -> Similar:
        """The Top-K for someone who looks at this item."""
        return cast(Similar, self._json("GET", _path("items", item_id, "similar"), params=_query(asked)))

    def recommend(self, shopper_id: str, **asked: Unpack[ShopperAsking]) -> ForShopper:
        """The Top-K for a shopper; for one nobody knows, what is popular."""
        answer = self._json("GET", _path("shoppers", shopper_id, "recommendations"), params=_query(asked))
        return cast(ForShopper, answer)

    def search(self, photo: bytes | Path, **asked: Unpack[SearchAsking]) -> Found:
        """What looks like a photo (encoded, or a file). Raises PhotoError if the file can't be read."""
        files = {"photo": ("photo", _bytes(photo))}
        return cast(Found, self._json("POST", "/v1/search", params=_query(asked), files=files))

    def trending(self, window: float = 30.0, *, top: int = 10, categories: Sequence[str] = ()) -> Trending:
        """What sells, over ``window`` days and against as many days before."""
        asked = {"window": window, "top": top, "categories": list(categories)}
        return cast(Trending, self._json("GET", "/v1/trending", params=asked))

    # Shoppers, stores, purchases

    def shopper(self, shopper_id: str) -> Shopper:
        """What is known of a shopper."""
        return cast(Shopper, self._json("GET", _path("shoppers", shopper_id)))

    def put_shopper(
        self,
        shopper_id: str,
        trendiness: float | None = None,
        latitude: float | None = None,
        longitude: float | None = None,
    ) -> Shopper:
        """Make a shopper or replace what is known of her; trendiness None is estimated from her purchases."""
        known = {"trendiness": trendiness, "latitude": latitude, "longitude": longitude}
        return cast(Shopper, self._json("PUT", _path("shoppers", shopper_id), json=known))

    def stores(self, near: tuple[float, float] | None = None, within: float | None = None) -> list[Store]:
        """The stores; with ``near``, the nearest first."""
        asked = _query({"near": near, "within": within})
        return cast(list[Store], self._json("GET", "/v1/stores", params=asked)["stores"])

    def record(self, purchases: Iterable[Purchase]) -> Recorded:
        """Record up to 1000 purchases, all or none; when this returns they are on the service's disk."""
        sent = [
            {name: value.isoformat() if isinstance(value, datetime) else value for name, value in one.items()}
            for one in purchases
        ]
        return cast(Recorded, self._json("POST", "/v1/purchases", json=sent))

    # For whoever watches

    def health(self) -> Health:
        """Whether the service lives and is ready. Raises ServiceError where it can't be reached at all."""
        return cast(Health, self._json("GET", "/health", fine=(200, 503)))

    def metrics(self) -> str:
        """The metrics in Prometheus's text format."""
        return self._send("GET", "/metrics").text

    def _json(self, method: str, path: str, *, fine: Sequence[int] = (), **parts: Any) -> Any:
        return self._send(method, path, fine=fine, **parts).json()

    def _send(self, method: str, path: str, *, fine: Sequence[int] = (), **parts: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **parts)
        except httpx.HTTPError as error:
            raise ServiceError(
                f"{self._http.base_url} doesn't answer ({error}); is the service up? Start it with: modiste serve SHOP"
            ) from error
        if answer.is_success or answer.status_code in fine:
            return answer
        try:
            told = str(answer.json()["detail"])
        except (ValueError, KeyError, TypeError):  # not this service, but something before it
            told = answer.text[:200] or answer.reason_phrase
        wait = answer.headers.get("retry-after", "")
        raise ServiceError(
            f"{method} {path}: {told} ({answer.status_code})",
            answer.status_code,
            answer.headers.get("x-request-id"),
            float(wait) if wait.isdigit() else None,
        )


def _path(kind: str, one: str, part: str = "") -> str:
    """The path of an id or of a part of it; dots are written so that no client or proxy takes them for folders."""
    name = quote(one, safe="")
    if not name.strip("."):
        name = name.replace(".", "%2E")
    return f"/v1/{kind}/{name}" + (f"/{part}" if part else "")


def _query(asked: Mapping[str, Any]) -> dict[str, Any]:
    query = {name: value for name, value in asked.items() if value is not None}
    if "near" in query:
        query["near"] = ",".join(f"{degrees:.7f}" for degrees in query["near"])
    return query


def _written(value: Any) -> str:
    return json.dumps(dict(value)) if isinstance(value, Mapping) else str(value)


def _bytes(photo: bytes | Path) -> bytes:
    if isinstance(photo, bytes):
        return photo
    try:
        return photo.read_bytes()
    except OSError as error:
        raise PhotoError(f"{photo} can't be read: {error.strerror}") from error
