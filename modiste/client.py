"""A client of a running service: the routes as methods, their answers as the models of :mod:`modiste.wire`.

>>> from modiste import Client
>>> with Client("http://127.0.0.1:8000", token="…") as client:  # doctest: +SKIP
...     client.record([{"shopper_id": "1", "item_id": "0002", "order_id": "A-1001"}])
...     client.recommend("1", top=5, gender="any").recommendations[0].why
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ValidationError

from modiste import wire
from modiste.ask import Ask, OutfitAsk, SearchAsk
from modiste.catalog.files import read
from modiste.errors import MissingExtraError, PhotoError, ServiceError

try:
    import httpx
except ModuleNotFoundError as missing:
    raise MissingExtraError("client", "modiste.Client") from missing

Answer = TypeVar("Answer", bound=BaseModel)


class Client:
    """A client of the service at ``url``. ``token`` is needed to write; ``timeout`` is in seconds.

    ``**ask`` are the fields of :class:`wire.Placed`, those of :meth:`search` of SearchAsk; SettingError says what
    is wrong with one before anything is sent. Every method raises ServiceError, with the service's own words, where it
    refuses or can't be reached. Close it when done, or use ``with``.
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

    def items(self, **browse: Any) -> wire.Items:
        """One page of the catalogue, in the order of ids. ``browse``: the fields of :class:`wire.Browse`."""
        return self._get(wire.Items, "/v1/items", browse)

    def item(self, item_id: str) -> wire.Item:
        """One item, with its popularity now."""
        return self._get(wire.Item, wire.address("items", item_id))

    def put_item(
        self, item_id: str, photo: bytes | Path | None = None, photos: Sequence[bytes | Path] = (), **fields: Any
    ) -> wire.Put:
        """Make an item or replace what is known of it; without ``photo`` (encoded, or a file) it keeps the one it has,
        and without ``photos``, further ones, those.

        ``fields``: those of :class:`wire.ItemIn`, one at least; ``attributes`` is a mapping of texts.
        Raises PhotoError if the file can't be read.
        """
        if fields.get("attributes") is not None:
            fields["attributes"] = json.dumps(dict(fields["attributes"]))
        files = [] if photo is None else [("photo", ("photo", _bytes(photo)))]
        files += [("photos", ("photo", _bytes(one))) for one in photos]
        return self._send(wire.Put, "PUT", wire.address("items", item_id), data=_given(fields), files=files)

    def put_items(self, items: Iterable[Mapping[str, Any]]) -> wire.PutSome:
        """Make up to 1000 items, or replace what is known of them but for photos: item_id and those of
        :class:`wire.ItemIn` each. Those that can't be are in the answer, with line and reason."""
        return self._send(wire.PutSome, "POST", "/v1/items", json=[_dated(one) for one in items])

    def delete_item(self, item_id: str) -> None:
        """Forget an item, with its embeddings and its purchases."""
        self._request("DELETE", wire.address("items", item_id))

    def photo(self, item_id: str) -> bytes:
        """The item's photo, as it was given."""
        return self._request("GET", wire.address("items", item_id, "photo")).content

    def thumbnail(self, item_id: str, height: int = 220) -> bytes:
        """The item's photo as a JPEG about ``height`` pixels high: the service rounds up to one of a few heights."""
        return self._request("GET", wire.address("items", item_id, "thumbnail"), params={"height": height}).content

    def mask(self, item_id: str) -> bytes:
        """What garment each pixel of the item's photo is, as a palette PNG."""
        return self._request("GET", wire.address("items", item_id, "mask")).content

    # Recommendations

    def similar(self, item_id: str, **ask: Any) -> wire.Similar:
        """The Top-K for someone who looks at this item."""
        return self._get(wire.Similar, wire.address("items", item_id, "similar"), _sent(wire.Placed.of(**ask)))

    def goes_with(self, item_id: str, **ask: Any) -> wire.GoesWith:
        """What is worn with an item: a list for each other part of an outfit."""
        return self._get(wire.GoesWith, wire.address("items", item_id, "goes-with"), _sent(OutfitAsk.of(**ask)))

    def recommend(self, shopper_id: str, **ask: Any) -> wire.ForShopper:
        """The Top-K for a shopper; for one nobody knows, what is popular."""
        path = wire.address("shoppers", shopper_id, "recommendations")
        return self._get(wire.ForShopper, path, _sent(wire.Placed.of(**ask)))

    def recommend_to_guest(self, items: Sequence[str], **ask: Any) -> wire.ForGuest:
        """The Top-K for someone unknown whose session or cart has ``items``, the newest last."""
        cart, query = {"items": list(items)}, _sent(wire.Placed.of(**ask))
        return self._send(wire.ForGuest, "POST", "/v1/recommendations", json=cart, params=query)

    def search(self, photo: bytes | Path, **ask: Any) -> wire.SearchResult:
        """What looks like a photo (encoded, or a file). Raises PhotoError if the file can't be read."""
        query, files = _sent(SearchAsk.of(**ask)), {"photo": ("photo", _bytes(photo))}
        return self._send(wire.SearchResult, "POST", "/v1/search", params=query, files=files)

    def trending(
        self, window: float = 30.0, *, top: int = 10, categories: Sequence[str] = (), by: str = "item"
    ) -> wire.Trending:
        """What sells, over ``window`` days and against as many days before; by category, colour or price band too."""
        query = {"window": window, "top": top, "categories": list(categories), "by": by}
        return self._get(wire.Trending, "/v1/trending", query)

    # The storefront

    def report_seen(self, lists: Iterable[Mapping[str, Any]]) -> wire.RecordedSome:
        """Report up to 1000 lists that came into view, each with its list_id; see :class:`wire.SeenIn`."""
        return self._send(wire.RecordedSome, "POST", "/v1/impressions", json=[_dated(one) for one in lists])

    def report_clicks(self, clicks: Iterable[Mapping[str, Any]]) -> wire.RecordedSome:
        """Report up to 1000 items that were clicked, each with the list_id of its list and its item_id."""
        return self._send(wire.RecordedSome, "POST", "/v1/clicks", json=[_dated(one) for one in clicks])

    def storefront(self, since: str | None = None, until: str | None = None, days: float = 7.0) -> list[wire.Funnel]:
        """What came of the lists, by placement, scenario and variant; see :class:`wire.Since`."""
        query = {"since": since, "until": until, "days": days}
        return self._get(wire.Storefront, "/v1/storefront", query).lists

    def tests(self) -> list[wire.Test]:
        """All A/B tests, the latest first."""
        return self._get(wire.Tests, "/v1/ab").tests

    def test(self, name: str) -> wire.Standing:
        """How an A/B test stands."""
        return self._get(wire.Standing, wire.address("ab", name))

    def start_test(self, name: str, a: str, b: str, **said: Any) -> wire.Test:
        """Start an A/B test of two scenarios. ``said``: the other fields of :class:`wire.TestIn`."""
        return self._send(wire.Test, "POST", "/v1/ab", json={"name": name, "a": a, "b": b, **said})

    def stop_test(self, name: str) -> wire.Standing:
        """Stop an A/B test; how it stands."""
        return self._send(wire.Standing, "POST", wire.address("ab", name, "stop"))

    # Scenarios

    def scenarios(self) -> list[wire.Scenario]:
        """Every scenario at its latest version, by name."""
        return self._get(wire.Scenarios, "/v1/scenarios").scenarios

    def scenario(self, name: str) -> wire.Scenario:
        """A scenario as it is now."""
        return self._get(wire.Scenario, wire.address("scenarios", name))

    def scenario_versions(self, name: str) -> list[wire.Version]:
        """All versions of a scenario, the latest first, each with what it changed."""
        return self._get(wire.Versions, wire.address("scenarios", name, "versions")).versions

    def put_scenario(
        self, name: str, scenario: Mapping[str, Any], *, author: str = "", reason: str = "", expected: int | None = None
    ) -> wire.Scenario:
        """Make a scenario or a new version of it; ``expected`` is the version that was read."""
        body = _given({"scenario": dict(scenario), "author": author or None, "reason": reason or None})
        headers = {} if expected is None else {"If-Match": f'"{expected}"'}
        return self._send(wire.Scenario, "PUT", wire.address("scenarios", name), json=body, headers=headers)

    def preview_scenario(self, name: str, scenario: Mapping[str, Any], sample: int | None = 500) -> wire.Preview:
        """What putting it would do to the lists of ``sample`` shoppers, None: of all; nothing is changed."""
        body = {"scenario": dict(scenario), "sample": sample}
        return self._send(wire.Preview, "POST", wire.address("scenarios", name, "preview"), json=body)

    def undo_scenario(self, name: str, to: int | None = None, *, author: str = "", reason: str = "") -> wire.Scenario:
        """Bring back the version before the latest one, or the version ``to``, as a new version."""
        body = _given({"to": to, "author": author or None, "reason": reason or None})
        return self._send(wire.Scenario, "POST", wire.address("scenarios", name, "undo"), json=body)

    def remove_scenario(self, name: str) -> None:
        """Remove a scenario; its versions stay."""
        self._request("DELETE", wire.address("scenarios", name))

    def overview(self, window: float = 28.0) -> wire.Overview:
        """How the shop does: sales, what rises and falls over ``window`` days, what is recommended, what to do."""
        return self._get(wire.Overview, "/v1/overview", {"window": window})

    # Shoppers, stores, purchases

    def shopper(self, shopper_id: str) -> wire.Shopper:
        """What is known of a shopper."""
        return self._get(wire.Shopper, wire.address("shoppers", shopper_id))

    def put_shopper(
        self,
        shopper_id: str,
        trendiness: float | None = None,
        latitude: float | None = None,
        longitude: float | None = None,
    ) -> wire.Shopper:
        """Make a shopper or replace what is known of her; trendiness None is estimated from her purchases."""
        known = {"trendiness": trendiness, "latitude": latitude, "longitude": longitude}
        return self._send(wire.Shopper, "PUT", wire.address("shoppers", shopper_id), json=known)

    def export_shopper(self, shopper_id: str) -> wire.Known:
        """All that is known of a shopper, for herself."""
        return self._get(wire.Known, wire.address("shoppers", shopper_id, "export"))

    def forget_shopper(self, shopper_id: str) -> None:
        """Forget a shopper and all that she did."""
        self._request("DELETE", wire.address("shoppers", shopper_id))

    def stores(self, near: str | tuple[float, float] | None = None, within: float | None = None) -> list[wire.Store]:
        """The stores; with ``near``, the nearest first, and with ``within`` only those so near, in km."""
        return self._get(wire.Stores, "/v1/stores", _sent(Ask.of(near=near, within=within))).stores

    def record(self, purchases: Iterable[Mapping[str, Any]]) -> wire.Recorded:
        """Record up to 1000 purchases, all or none; when this returns they are on the service's disk.

        Each has the fields of :class:`wire.PurchaseIn`: a shopper_id and an item_id, and may have an order_id, a
        quantity, and at, a datetime or ISO text: without it the purchase is of now, without a zone the time is UTC.
        """
        return self._send(wire.Recorded, "POST", "/v1/purchases", json=[_dated(one) for one in purchases])

    def record_events(self, events: Iterable[Mapping[str, Any]]) -> wire.RecordedSome:
        """Record up to 1000 events, as :meth:`record`, each with a kind: view, cart, purchase, return or cancel.

        Those that can't be are in the answer, with line and reason.
        """
        return self._send(wire.RecordedSome, "POST", "/v1/events", json=[_dated(one) for one in events])

    def take_back(self, event_id: int) -> None:
        """Forget a purchase or another event that never was."""
        self._request("DELETE", f"/v1/purchases/{event_id}")

    # For whoever watches

    def health(self) -> wire.Health:
        """Whether the service lives and is ready. Raises ServiceError where it can't be reached at all."""
        return self._send(wire.Health, "GET", "/health", fine=(200, 503))

    def metrics(self) -> str:
        """The metrics in Prometheus's text format."""
        return self._request("GET", "/metrics").text

    def _get(self, model: type[Answer], path: str, query: Mapping[str, Any] | None = None) -> Answer:
        return self._send(model, "GET", path, params=_given(query or {}))

    def _send(self, model: type[Answer], method: str, path: str, **parts: Any) -> Answer:
        answer = self._request(method, path, **parts)
        try:
            return model.model_validate_json(answer.content)
        except ValidationError as error:
            detail = "the answer is none that this version knows"
            raise ServiceError(f"{method} {path}: {detail}", answer.status_code) from error

    def _request(self, method: str, path: str, *, fine: Sequence[int] = (), **parts: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **parts)
        except httpx.HTTPError as error:
            raise ServiceError(
                f"{self._http.base_url} doesn't answer ({error}); is the service up? Start it with: modiste serve SHOP"
            ) from error
        if answer.is_success or answer.status_code in fine:
            return answer
        try:
            detail = str(answer.json()["detail"])
        except (ValueError, KeyError, TypeError):  # not this service, but something before it
            detail = answer.text[:200] or answer.reason_phrase
        wait = answer.headers.get("retry-after", "")
        raise ServiceError(
            f"{method} {path}: {detail} ({answer.status_code})",
            answer.status_code,
            answer.headers.get("x-request-id"),
            float(wait) if wait.isdigit() else None,
        )


def _sent(ask: Ask) -> dict[str, Any]:
    """What was asked for, as a query; the service's defaults are the same."""
    return ask.model_dump(exclude_unset=True, exclude_none=True)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in _dated(values).items() if value is not None}


def _dated(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in values.items()}


MAX_PHOTO = 200_000_000
"""Bytes of a photo that is sent."""


def _bytes(photo: bytes | Path) -> bytes:
    if isinstance(photo, bytes):
        return photo
    try:
        return read(photo, MAX_PHOTO)
    except OSError as error:
        raise PhotoError(f"{photo} can't be read: {error.strerror}") from error
