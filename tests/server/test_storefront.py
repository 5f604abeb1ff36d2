"""Lists carry an id over HTTP, what comes back of them is counted once, and A/B tests decide who sees which."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from modiste.behaviour.ab import variant_of
from modiste.shop.shop import Shop

DRESS = "Dresses-red-women"
NOBODY = {"Authorization": ""}
"""As a page reports: without a key."""


def beacon(service: httpx.Client, what: str, sent: Any) -> httpx.Response:
    """As ``navigator.sendBeacon`` of a page on another origin sends it."""
    headers = {**NOBODY, "Content-Type": "text/plain;charset=UTF-8", "Origin": "https://shop.example"}
    return service.post(f"/v1/{what}", content=json.dumps(sent), headers=headers | {"Sec-Fetch-Site": "cross-site"})


def funnel(service: httpx.Client) -> dict[str, Any]:
    (row,) = service.get("/v1/storefront").json()["lists"]
    return dict(row)


def test_every_list_carries_an_id_and_none_is_written(service: httpx.Client) -> None:
    for path in (f"/v1/items/{DRESS}/similar", "/v1/recommendations", "/v1/shoppers/1/recommendations"):
        answer = service.get(path)
        assert answer.json()["list_id"] == answer.headers["x-list-id"]
    assert service.get("/v1/storefront").json()["lists"] == []
    many = service.get("/v1/recommendations", params={"placement": "home", "session": "s-1"}).json()
    assert many["placement"] == "home"


def test_a_page_reports_what_was_seen_and_clicked_once(service: httpx.Client) -> None:
    asked = {"placement": "product-page", "session": "s-1"}
    answer = service.get(f"/v1/items/{DRESS}/similar", params=asked).json()
    seen, first = {"list_id": answer["list_id"], "session": "s-1"}, answer["recommendations"][0]["item_id"]
    assert beacon(service, "impressions", [seen]).json() == {"recorded": 1, "known": 0, "refused": []}
    assert beacon(service, "impressions", seen).json() == {"recorded": 0, "known": 1, "refused": []}
    assert beacon(service, "clicks", [{**seen, "item_id": first}]).json()["recorded"] == 1
    assert beacon(service, "clicks", [{**seen, "item_id": first}]).json()["recorded"] == 0
    row = funnel(service)
    assert (row["placement"], row["lists"], row["people"]) == ("product-page", 1, 1)
    assert (row["clicked"]["people"], row["bought"]["people"]) == (1, 0)

    wrong = beacon(service, "clicks", [{**seen, "item_id": DRESS}, {"list_id": "x", "item_id": first}, 3, seen])
    assert [(one["line"], one["detail"][:20]) for one in wrong.json()["refused"]] == [
        (1, "item 'Dresses-red-wo"), (2, "list_id is not the i"), (3, "Input should be a va"),
        (4, "item_id: Field requi"),
    ]  # fmt: skip
    assert beacon(service, "impressions", []).status_code == 422
    assert service.post("/v1/impressions", content=b"{").status_code == 400


def test_what_pages_report_is_bounded_by_address_and_by_list(service: httpx.Client) -> None:
    anybodys = service.get(f"/v1/items/{DRESS}/similar").json()["list_id"]
    hers = service.get(f"/v1/items/{DRESS}/similar", params={"session": "s-1"}).json()["list_id"]

    def reported(address: str, list_id: str, many: int = 1) -> httpx.Response:
        sent = json.dumps([{"list_id": list_id, "session": "s-2"}] * many)
        return service.post("/v1/impressions", content=sent, headers={**NOBODY, "X-Forwarded-For": address})

    assert [reported("192.0.2.1", anybodys, 1000).status_code for _ in range(3)] == [200, 200, 200]
    late = reported("192.0.2.1", hers, 1000)  # of which some seconds on a busy machine leave room for a few
    assert late.status_code == 429
    assert 800 < int(late.headers["retry-after"]) <= 1000
    assert reported("192.0.2.2", anybodys, 1000).json()["refused"][-1]["detail"].startswith("too many report this list")
    assert reported("192.0.2.2", hers).json()["recorded"] == 1
    assert reported("2001:db8::1", hers, 1000).status_code == 200
    assert [reported(f"2001:db8::{n}", hers, 1000).status_code for n in (2, 3, 4)] == [200, 200, 429], "one network"


def test_what_is_bought_of_a_click_is_told_and_taken_back(service: httpx.Client) -> None:
    answer = service.get("/v1/recommendations", params={"placement": "home", "session": "s-1"}).json()
    item = answer["recommendations"][0]["item_id"]
    beacon(service, "clicks", [{"list_id": answer["list_id"], "item_id": item}])
    bought = {"shopper_id": "ann", "session": "s-1", "item_id": item, "order_id": "A-9"}
    assert service.post("/v1/events", json=[bought]).json()["recorded"] == 1
    assert funnel(service)["bought"]["people"] == funnel(service)["pieces"] == 1
    service.post("/v1/events", json=[{**bought, "kind": "return"}])
    assert (funnel(service)["bought"]["people"], funnel(service)["returned"]) == (0, 1)
    known = service.get("/v1/shoppers/ann/export").json()["lists"]
    assert [(one["visitor"], one["clicked"]) for one in known] == [("s-1", [item])]
    assert service.delete("/v1/shoppers/ann").status_code == 204
    assert service.get("/v1/storefront").json()["lists"] == []


def test_what_googles_and_segments_scripts_send_is_understood(service: httpx.Client) -> None:
    answer = service.get("/v1/recommendations", params={"placement": "home", "session": "s-1"}).json()
    item, other = (one["item_id"] for one in answer["recommendations"][:2])
    google = {
        "client_id": "s-1", "user_id": "ann",
        "events": [
            {"name": "view_item_list", "params": {"item_list_id": answer["list_id"]}},
            {"name": "select_item", "params": {"item_list_id": answer["list_id"], "items": [{"item_id": item}]}},
            {"name": "add_to_cart", "params": {"items": [{"item_id": item, "quantity": 2}]}},
            {"name": "purchase", "params": {"transaction_id": "T1", "items": [{"item_id": item}, {"item_id": other}]}},
        ],
    }  # fmt: skip
    assert service.post("/v1/events", json=google).json() == {"recorded": 5, "known": 0, "refused": []}
    assert (funnel(service)["people"], funnel(service)["bought"]["people"]) == (1, 1)
    segment = {"type": "track", "userId": "ann", "properties": {"order_id": "T1"}}
    sent = [{**segment, "event": "Order Refunded"}, {**segment, "event": "Page"}, {**segment, "event": "Product Added"}]
    told = service.post("/v1/events", json=sent).json()
    assert told["recorded"] == 2
    assert [one["line"] for one in told["refused"]] == [2, 3]
    assert "'Page' tells of no list and no order" in told["refused"][0]["detail"]
    assert (funnel(service)["cart"]["people"], funnel(service)["bought"]["people"]) == (1, 0)
    assert service.post("/v1/events", json=sent[:1]).json()["refused"][0]["detail"].startswith("there is no order 'T1'")


def test_a_shopper_sees_her_side_of_a_test_by_the_placements_name(service: httpx.Client) -> None:
    for name, top in (("warm", 2), ("cold", 3)):
        service.put(f"/v1/scenarios/{name}", json={"scenario": {"top": top}}).raise_for_status()
    given = {"name": "winter", "a": "warm", "b": "cold", "placement": "home", "rate": 0.2, "counts": "clicked"}
    started = service.post("/v1/ab", json=given)
    assert (started.status_code, started.json()["planned"] > 1000) == (201, True)
    assert service.post("/v1/ab", json=given).status_code == 422
    sizes = {}
    for number in range(12):
        who = f"s-{number}"
        answer = service.get("/v1/recommendations", params={"scenario": "home", "session": who}).json()
        assert answer["scenario"] == {"a": "warm", "b": "cold"}[variant_of("winter", who)]
        sizes[answer["scenario"]] = len(answer["recommendations"])
        beacon(service, "impressions", [{"list_id": answer["list_id"]}])
    assert sizes == {"warm": 2, "cold": 3}
    stands = service.get("/v1/ab/winter").json()
    assert (stands["state"], stands["waiting"], stands["a"]["shoppers"]) == ("open", 12, 0)
    assert service.post("/v1/ab/winter/stop").json()["test"]["stopped"]
    assert service.get("/v1/recommendations", params={"scenario": "home"}).status_code == 404
    assert [one["name"] for one in service.get("/v1/ab").json()["tests"]] == ["winter"]
    assert service.get("/v1/ab/summer").status_code == 404
    assert service.post("/v1/ab", json=given, headers=NOBODY).status_code in (401, 403)


def test_the_component_is_one_small_file_that_any_page_may_load(reading: httpx.Client) -> None:
    answer = reading.get("/storefront/modiste-list.js", headers=NOBODY)
    assert answer.status_code == 200
    assert len(answer.content) < 6000
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "max-age=3600" in answer.headers["cache-control"]
    again = reading.get("/storefront/modiste-list.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_lists_of_the_last_days_can_be_asked_for(service: httpx.Client, shop_path: Path) -> None:
    answer = service.get("/v1/recommendations", params={"session": "s-1"}).json()
    beacon(service, "impressions", [{"list_id": answer["list_id"]}])
    now = datetime.now(UTC)
    asked = {"since": (now - timedelta(days=1)).isoformat(), "days": 3}
    assert len(service.get("/v1/storefront", params=asked).json()["lists"]) == 1
    assert service.get("/v1/storefront", params={"until": (now - timedelta(days=1)).isoformat()}).json()["lists"] == []
    with Shop.open(shop_path) as shop:
        assert shop.storefront.funnel()[0].placement == "guest"
