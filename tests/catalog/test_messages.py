"""What GA4 and Segment call things, in the shapes that their documents give."""

from typing import Any

import pytest

from modiste.catalog.messages import is_message, told
from modiste.errors import SettingError

GA4 = {
    "client_id": "s-1",
    "user_id": "ann",
    "timestamp_micros": 1_764_000_000_000_000,
    "events": [
        {"name": "view_item_list", "params": {"item_list_id": "L1", "items": [{"item_id": "a"}, {"item_id": "b"}]}},
        {"name": "select_item", "params": {"items": [{"item_id": "a", "item_list_id": "L1", "index": 0}]}},
        {"name": "add_to_cart", "params": {"currency": "EUR", "items": [{"item_id": "a", "quantity": 2}]}},
        {
            "name": "purchase",
            "params": {
                "transaction_id": "T1", "value": 30.5,
                "items": [{"item_id": "a", "quantity": 1}, {"item_id": "b"}, {"item_id": "a", "quantity": 2}],
            },
        },
        {"name": "refund", "params": {"transaction_id": "T1"}},
    ],
}  # fmt: skip
BY = {"session": "s-1", "shopper_id": "ann", "at": "1764000000000000"}


def test_googles_events_are_understood() -> None:
    assert is_message(GA4)
    assert told(GA4) == [
        {"kind": "seen", **BY, "list_id": "L1", "quantity": 1},
        {"kind": "clicked", **BY, "list_id": "L1", "item_id": ["a"], "quantity": 1},
        {"kind": "cart", **BY, "item_id": ["a"], "quantity": 2},
        {"kind": "purchase", **BY, "order_id": "T1", "item_id": ["a"], "quantity": 3},
        {"kind": "purchase", **BY, "order_id": "T1", "item_id": ["b"], "quantity": 1},
        {"kind": "return", **BY, "order_id": "T1", "quantity": 1},
    ]


def test_the_data_layers_form_is_understood() -> None:
    pushed = {"event": "add_to_cart", "client_id": "s-1", "ecommerce": {"items": [{"item_id": "a", "quantity": "2"}]}}
    assert told(pushed) == [
        {"kind": "cart", "session": "s-1", "shopper_id": "s-1", "item_id": ["a"], "quantity": 2}
    ]  # fmt: skip


def segment(event: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "track", "event": event, "userId": "ann", "anonymousId": "s-1", "messageId": "m",
        "timestamp": "2025-11-24T16:00:00.000Z", "properties": properties,
    }  # fmt: skip


def test_segments_events_are_understood() -> None:
    by = {"session": "s-1", "shopper_id": "ann", "at": "2025-11-24T16:00:00.000Z"}
    product = {"product_id": "p1", "sku": "a", "quantity": 1}
    batch = {
        "batch": [
            segment("Product List Viewed", list_id="L1", products=[product]),
            segment("Product Clicked", list_id="L1", **product),
            segment("Product Added", **product),
            segment("Order Completed", order_id="T1", products=[product]),
            segment("Order Refunded", order_id="T1", products=[product]),
        ]
    }
    one = {**by, "item_id": ["p1", "a"], "quantity": 1}
    assert told(batch) == [
        {"kind": "seen", **by, "list_id": "L1", "quantity": 1},
        {"kind": "clicked", "list_id": "L1", **one},
        {"kind": "cart", **one},
        {"kind": "purchase", "order_id": "T1", **one},
        {"kind": "return", "order_id": "T1", **one},
    ]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"event": "page_view"}, "'page_view' tells of no list and no order"),
        ({"events": [{"name": "purchase", "params": {"items": [{"item_id": "a"}]}}]}, "purchase: there is no user_id"),
        ({"events": {}}, "events must be a list"),
        (segment("Order Completed", order_id="1"), "it names no items"),
        (segment("Order Completed", order_id="1", products=[{"price": 3}]), "has no item_id"),
        (segment("Product Added", sku="a", quantity="two"), "quantity 'two' must be a whole number"),
        (segment("Product Clicked", sku="a"), "there is no item_list_id or list_id"),
    ],
)
def test_what_cannot_be_understood_is_told(sent: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        told(sent)


def test_the_shops_own_events_are_no_messages() -> None:
    assert not is_message({"shopper_id": "1", "item_id": "a", "kind": "view"})
    assert not is_message("purchase")
