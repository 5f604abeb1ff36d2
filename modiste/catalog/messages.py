"""What a storefront's own tracking says, as the shop's events: GA4's and Segment's names and shapes.

GA4: the Measurement Protocol (``{"client_id", "events": [{"name", "params"}]}``), and what pages push to the data layer
(``{"event", "ecommerce"}``). Segment's spec of e-commerce (``{"event", "properties", "userId"}``, alone or as
``{"batch": […]}``). In both the id of a list goes where they have one: ``item_list_id`` and ``list_id``.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from modiste.catalog.values import composed
from modiste.errors import SettingError

KINDS = {
    "view_item_list": "seen", "Product List Viewed": "seen",
    "select_item": "clicked", "Product Clicked": "clicked",
    "view_item": "view", "Product Viewed": "view",
    "add_to_cart": "cart", "Product Added": "cart",
    "purchase": "purchase", "Order Completed": "purchase",
    "refund": "return", "Order Refunded": "return",
}  # fmt: skip
"""What a name means: a list was ``seen`` or one of its items ``clicked``, or a kind of event."""

_ITEMS = ("items", "products")
_IDS = ("item_id", "product_id", "sku", "variant", "item_variant", "id")


def is_message(sent: Any) -> bool:
    """Whether it has the shape of one of these, rather than of the shop's own events."""
    return isinstance(sent, Mapping) and not sent.keys().isdisjoint(("events", "batch", "event", "name"))


def told(sent: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a message tells, in the fields of an event: kind (one of KINDS' values), shopper_id, session, at, order_id,
    item_id, quantity, line, list_id; those that it doesn't say are left out.

    ``item_id`` is a list of the ids that the item may have in the shop, the likeliest first. A refund that names no
    items is one of the whole order and has no item_id. Raises SettingError for a name that isn't known, or without what
    its kind needs.
    """
    found: list[dict[str, Any]] = []
    for message in _single(sent):
        name = _first(message, "event", "name")
        kind = KINDS.get(str(name))
        if kind is None:
            raise SettingError(f"event {str(name)[:80]!r} tells of no list and no order; there are: {', '.join(KINDS)}")
        try:
            found += _of(kind, message)
        except SettingError as error:
            raise SettingError(f"{name}: {error}") from None
    return found


def _single(sent: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Each message for itself, with what its envelope says."""
    for many in ("events", "batch"):
        if many in sent:
            if not isinstance(sent[many], list) or not all(isinstance(one, Mapping) for one in sent[many]):
                raise SettingError(f"{many} must be a list of events")
            shared = {name: value for name, value in sent.items() if name != many}
            for one in sent[many]:
                yield {**shared, **one}
            return
    yield dict(sent)


def _of(kind: str, message: Mapping[str, Any]) -> list[dict[str, Any]]:
    said: dict[str, Any] = {}
    for place in ("params", "properties", "ecommerce"):
        inner = message.get(place)
        said |= inner if isinstance(inner, Mapping) else {}
    shared = {
        "kind": kind,
        "session": _text(_first(message, "client_id", "anonymousId")),
        "shopper_id": _text(_first(message, "user_id", "userId")),
        "at": _time(message),
        "order_id": _text(_first(said, "transaction_id", "order_id")),
        "list_id": _text(_first(said, "item_list_id", "list_id")),
    }
    shared["shopper_id"] = shared["shopper_id"] or shared["session"]
    items: list[Any] = next((said[name] for name in _ITEMS if isinstance(said.get(name), list)), [])
    if not items and _ids(said):  # Segment's events of one product have it at the top
        items = [said]
    if kind in ("seen", "clicked"):
        shared["list_id"] = shared["list_id"] or next((_text(_first(one, "item_list_id")) for one in items), None)
        if not shared["list_id"]:
            raise SettingError("there is no item_list_id or list_id; send the list_id that came with the list")
        items = items[:1] if kind == "clicked" else [{}]
    elif shared["shopper_id"] is None:
        raise SettingError("there is no user_id, userId, client_id or anonymousId")
    if not items:
        if kind != "return" or not shared["order_id"]:
            raise SettingError("it names no items")
        items = [{}]
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for one in items:
        ids = _ids(one) if isinstance(one, Mapping) else []
        if not ids and one != {}:
            raise SettingError("an item has no item_id, product_id or sku")
        row = rows.setdefault(tuple(ids), {**shared, "item_id": ids, "quantity": 0})
        row["quantity"] += _count(_first(one, "quantity"))
        row["list_id"] = row["list_id"] or _text(_first(one, "item_list_id"))
    return [{name: value for name, value in row.items() if value not in (None, [])} for row in rows.values()]


def _first(said: Mapping[str, Any], *names: str) -> Any:
    return next((said[name] for name in names if said.get(name) not in (None, "")), None)


def _ids(one: Mapping[str, Any]) -> list[str]:
    told = (one[name] for name in _IDS if isinstance(one.get(name), str | int) and one[name])
    return list(dict.fromkeys(composed(str(value)) for value in told))


def _text(value: Any) -> str | None:
    return composed(str(value)) if isinstance(value, str | int) and value != "" else None


def _count(value: Any) -> int:
    try:
        return 1 if value is None else int(value)
    except (TypeError, ValueError):
        raise SettingError(f"quantity {value!r} must be a whole number") from None


def _time(message: Mapping[str, Any]) -> str | None:
    """When it happened: microseconds, or a date as Segment writes it."""
    micros = _first(message, "timestamp_micros")
    return _text(micros if micros is not None else _first(message, "originalTimestamp", "timestamp", "sentAt"))
