"""Shoppers, stores and purchases over HTTP."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from modiste.shop.shop import Shop

DRESS = "Dresses-red-women"
BY_NOW = (datetime.now(UTC) + timedelta(hours=20)).isoformat()
IN_TWO_DAYS = (datetime.now(UTC) + timedelta(days=2)).isoformat()


def ids(answer: httpx.Response) -> list[str]:
    answer.raise_for_status()
    return [one["item_id"] for one in answer.json()["recommendations"]]


def test_a_recommendation_says_what_it_is_made_of(reading: httpx.Client) -> None:
    answer = reading.get("/v1/shoppers/1/recommendations", params={"top": 3, "near": "48.8,2.3"}).json()
    assert answer["known"]
    for one in answer["recommendations"]:
        assert sum(one["terms"].values()) == pytest.approx(one["relevance"])
        assert one["because"] == DRESS
        assert one["store_id"] in ("left", "right")
        assert one["distance_km"] == pytest.approx(0 if one["store_id"] == "left" else 13.31, abs=0.01)
        assert one["photo"].endswith("/photo")
        assert "you bought" in one["why"]


ONE = dict.fromkeys(("alpha", "colour", "beta", "gamma", "together", "newness"), 0) | {"gender": "any", "top": 1}


def test_weights_steer_the_list(reading: httpx.Client) -> None:
    path = "/v1/shoppers/1/recommendations"
    looks = ids(reading.get(path, params=ONE | {"alpha": 30, "colour": 15}))
    trend = ids(reading.get(path, params=ONE | {"beta": 20, "trendiness": 1}))
    assert looks == ["Dresses-red-men"]
    assert trend == ["Tees_Tanks-blue-men"]  # the most popular
    visual = {"preset": "visual", "alpha": 30, "colour": 15, "gender": "any", "top": 1}
    assert ids(reading.get(path, params=visual)) == looks


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ({}, {"Dresses-blue-women", "Denim-red-women", "Denim-blue-women", "Tees_Tanks-red-women",
              "Tees_Tanks-blue-women"}),
        ({"categories": "Denim"}, {"Denim-red-women", "Denim-blue-women"}),
        ({"max_price": 50}, {"Dresses-blue-women", "Denim-red-women"}),
        ({"categories": "Tees_Tanks", "max_price": 50}, set()),
        (
            {"categories": "Tees_Tanks", "max_price": 50, "match": "any"},
            {"Dresses-blue-women", "Denim-red-women", "Tees_Tanks-red-women", "Tees_Tanks-blue-women"},
        ),
        ({"near": "48.8,2.3", "within": 5}, {"Denim-red-women", "Tees_Tanks-red-women"}),
        ({"gender": "men", "categories": "Denim"}, {"Denim-red-men", "Denim-blue-men"}),
        ({"gender": "any", "categories": "Denim", "exclude": ["Denim-red-men", "long gone"]},
         {"Denim-blue-men", "Denim-red-women", "Denim-blue-women"}),
    ],
)  # fmt: skip
def test_filters_keep_what_was_asked_for(reading: httpx.Client, asked: dict[str, Any], left: set[str]) -> None:
    assert set(ids(reading.get("/v1/shoppers/1/recommendations", params=asked | {"top": 50}))) == left


@pytest.mark.parametrize(
    "asked",
    [
        {"top": 0}, {"top": 1001}, {"top": 10**30}, {"top": "nan"}, {"preset": "best"}, {"alpha": "nan"},
        {"alpha": "inf"}, {"beta": -1},
        {"preset": "visual", "alpha": 0, "colour": 0}, {"penalty": 3}, {"penalty": 0}, {"trendiness": 1.5},
        {"gender": "Boys"}, {"age": "ladys"}, {"categories": "Frocky"},
        {"near": "here"}, {"near": "91,0"}, {"near": "nan,nan"}, {"near": "1,2,3"}, {"within": 5},
        {"near": "48.8,2.3", "within": -1}, {"min_price": "inf"}, {"min_price": 5, "max_price": 4}, {"match": "some"},
        {"categories": "a\x00"}, {"exclude": "\x1b"}, {"explain": 1}, {"half_life": 0},
        {"scaling": "best"}, {"distance": -1},
    ],
)  # fmt: skip
def test_questions_that_make_no_sense_are_refused(reading: httpx.Client, asked: dict[str, Any]) -> None:
    for path in ("/v1/shoppers/1/recommendations", f"/v1/items/{DRESS}/similar"):
        answer = reading.get(path, params=asked)
        assert answer.status_code == 422
        assert list(answer.json()) == ["detail"]


def test_a_shopper_nobody_knows_gets_a_list_of_many_kinds(reading: httpx.Client) -> None:
    answer = reading.get("/v1/shoppers/nobody/recommendations", params={"top": 3, "trendiness": 1}).json()
    assert not answer["known"]
    assert {one["category"] for one in answer["recommendations"]} == {"Dresses", "Denim", "Tees_Tanks"}
    assert answer["recommendations"][0]["item_id"] == "Tees_Tanks-blue-men"
    assert all(one["because"] is None for one in answer["recommendations"])
    assert reading.get("/v1/shoppers/nobody").status_code == 404


def test_a_shopper_is_as_trendy_as_given_or_as_estimated(service: httpx.Client) -> None:
    estimated = service.get("/v1/shoppers/1").json()
    assert estimated["estimated"]
    given = service.put("/v1/shoppers/1", json={"trendiness": 0.9, "latitude": 48.8, "longitude": 2.3}).json()
    assert given == service.get("/v1/shoppers/1").json()
    assert (given["trendiness"], given["estimated"], given["latitude"], given["purchases"]) == (0.9, False, 48.8, 1)
    near = service.get("/v1/shoppers/1/recommendations", params={"top": 20, "within": 5}).json()["recommendations"]
    assert {one["store_id"] for one in near} == {"left"}
    assert service.put("/v1/shoppers/1", json={"trendiness": None}).json() == estimated


def test_nothing_fits_is_an_answer_with_its_reason(reading: httpx.Client) -> None:
    path = "/v1/shoppers/1/recommendations"
    *better, worst = reading.get(path, params={"top": 50, "gender": "any"}).json()["recommendations"]
    asked = {"gender": "any", "exclude": [one["item_id"] for one in better]}
    answer = reading.get(path, params=asked).json()
    assert answer["recommendations"] == []
    assert "drawn at random" in answer["nothing"]
    filled = reading.get(path, params=asked | {"fallback": "popular"}).json()
    assert ([one["item_id"] for one in filled["recommendations"]], filled["nothing"]) == ([worst["item_id"]], None)


def test_a_new_shopper_may_be_put(service: httpx.Client) -> None:
    put = service.put("/v1/shoppers/a%2Fb", json={"trendiness": 0})
    assert (put.status_code, put.json()["shopper_id"]) == (201, "a/b")
    assert service.put("/v1/shoppers/a%2Fb", json={"trendiness": 1}).status_code == 200
    assert service.put("/v1/shoppers/1", json={}).status_code == 200
    assert service.get("/v1/shoppers/a%2Fb/recommendations").json()["known"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"no json", b"[]", b"null", b'{"trendiness": 2}', b'{"trendiness": "0.5"}', b'{"trendiness": NaN}',
        b'{"latitude": 1}', b'{"latitude": 91, "longitude": 0}', b'{"trendines": 0.5}', b'{"trendiness": 1e999}',
        b'{"latitude": ' + b"9" * 5000 + b', "longitude": 0}', b"[" * 100_000, b"\xff\xfe", b'"\\ud800"',
    ],
)  # fmt: skip
def test_what_cannot_be_a_shopper_is_refused(reading: httpx.Client, body: bytes) -> None:
    answer = reading.put("/v1/shoppers/1", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert isinstance(answer.json()["detail"], str)


def test_purchases_are_recorded_once_by_their_order_id(service: httpx.Client) -> None:
    order = {"shopper_id": "7", "item_id": DRESS, "at": "2025-03-31T14:05:00Z", "order_id": "B-1"}
    assert service.post("/v1/purchases", json=order).json() == {"recorded": 1, "known": 0}
    assert service.post("/v1/purchases", json=order).json() == {"recorded": 0, "known": 1}
    many = [order, order | {"order_id": "B-2"}, {"shopper_id": "8", "item_id": DRESS}, order | {"order_id": "B-2"}]
    assert service.post("/v1/purchases", json=many).json() == {"recorded": 2, "known": 2}
    assert service.get("/v1/shoppers/7").json()["purchases"] == 2
    assert service.get("/v1/shoppers/8/recommendations").json()["known"]


def test_all_purchases_are_recorded_or_none(service: httpx.Client) -> None:
    orders = [{"shopper_id": "7", "item_id": DRESS}, {"shopper_id": "7", "item_id": "no such"}]
    answer = service.post("/v1/purchases", json=orders)
    assert (answer.status_code, "no such" in answer.json()["detail"]) == (404, True)
    assert service.get("/v1/shoppers/7").status_code == 404


def test_dates_are_bounded(service: httpx.Client) -> None:
    dates: list[tuple[object, bool]] = [
        ("2025-03-31", True), ("2025-03-31T14:05:00", True), ("2025-03-31T14:05:00.123Z", True),
        ("2025-03-31T14:05:00+14:00", True), ("1970-01-01T00:00:00Z", True), ("1970-01-01T00:00:00+00:01", False),
        ("1969-12-31", False), ("1900-01-01", False), ("2099-12-31", False), ("2199-12-31", False), (None, True),
        (BY_NOW, True), (IN_TWO_DAYS, False), ("0001-01-01T00:00:00+23:59", False),
        ("9999-12-31T23:59:59-23:59", False), ("yesterday", False), ("2025-02-30", False), (1_700_000_000, False),
        ("1700000000", True), ("2025-03-31T14:05:00+99:99", False), ("", False), ("2025-03-31\x00", False),
        ("２０２５-03-31", False),
    ]  # fmt: skip
    for at, fine in dates:
        answer = service.post("/v1/purchases", json={"shopper_id": "7", "item_id": DRESS, "at": at})
        assert answer.status_code == (200 if fine else 422), (at, answer.text)


def test_a_time_with_a_zone_is_kept_as_utc(service: httpx.Client, shop_path: Path) -> None:
    order = {"shopper_id": "7", "item_id": DRESS, "at": "2025-03-31T14:05:00+02:00"}
    service.post("/v1/purchases", json=order).raise_for_status()
    with Shop.open(shop_path) as shop:
        assert shop.purchases.frame()["at"].max() == datetime(2025, 3, 31, 12, 5)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b"[{}]", b'"text"', b"17", b'[{"shopper_id": "1"}]', b'{"shopper_id": 1, "item_id": "x"}',
        b'{"shopper_id": "\\u0000", "item_id": "x"}', b'{"shopper_id": "\\ud800", "item_id": "x"}',
        b'{"shopper_id": "", "item_id": "x"}', b'{"shopper_id": "1", "item_id": "x", "\\ud800": 1}',
        b'[' + b'{"shopper_id": "1", "item_id": "x"},' * 1000 + b'{"shopper_id": "1", "item_id": "x"}]',
    ],
)  # fmt: skip
def test_what_cannot_be_a_purchase_is_refused(reading: httpx.Client, body: bytes) -> None:
    answer = reading.post("/v1/purchases", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert isinstance(answer.json()["detail"], str)


def test_trending_is_what_is_bought_now_against_before(service: httpx.Client) -> None:
    now = datetime.now(UTC)
    for days, item_id in ((1, "Denim-red-men"), (2, "Denim-red-men"), (9, "Denim-red-men"), (9, DRESS), (9, DRESS)):
        order = {"shopper_id": "7", "item_id": item_id, "at": (now - timedelta(days=days)).isoformat()}
        service.post("/v1/purchases", json=order).raise_for_status()
    answer = service.get("/v1/trending", params={"window": 7, "top": 2}).json()
    assert answer["window"] == 7
    assert answer["items"][0]["item_id"] == "Denim-red-men"
    assert {name: answer["items"][0][name] for name in ("bought", "before", "change")} == {
        "bought": 2,
        "before": 1,
        "change": 1,
    }
    dresses = service.get("/v1/trending", params={"window": 7, "categories": "Dresses", "top": 50}).json()["items"]
    assert {one["category"] for one in dresses} == {"Dresses"}
    assert next(one["change"] for one in dresses if one["item_id"] == DRESS) == -2
    assert service.get("/v1/trending", params={"window": 0}).status_code == 422


def test_stores_come_nearest_first(reading: httpx.Client) -> None:
    assert [one["distance_km"] for one in reading.get("/v1/stores").json()["stores"]] == [None, None]
    stores = reading.get("/v1/stores", params={"near": "48.9,2.4"}).json()["stores"]
    assert [one["store_id"] for one in stores] == ["right", "left"]
    assert stores[1]["distance_km"] == pytest.approx(13.31, abs=0.01)
    close = reading.get("/v1/stores", params={"near": "48.9,2.4", "within": 1}).json()["stores"]
    assert [one["name"] for one in close] == ["Right"]
    assert reading.get("/v1/stores", params={"within": 1}).status_code == 422


def test_events_come_at_once_and_what_cannot_be_is_named_by_its_line(service: httpx.Client) -> None:
    sent = [
        {"shopper_id": "7", "item_id": "Dresses-red-women", "order_id": "A-7", "quantity": 2},
        {"shopper_id": "7", "item_id": "Denim-blue-men", "kind": "Page View"},
        {"shopper_id": "7", "item_id": "sock"},
        {"shopper_id": "7", "item_id": "Denim-blue-men", "kind": "retrun"},
        {"shopper_id": "7", "item_id": "Denim-blue-men", "at": "2099-01-01"},
        {"shopper_id": "7", "item_id": "Dresses-red-women", "order_id": "A-7", "kind": "return"},
    ]
    answer = service.post("/v1/events", json=sent)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["recorded"], answer.json()["known"]) == (3, 0)
    assert [(one["line"]) for one in answer.json()["refused"]] == [3, 4, 5]
    for word, one in zip(("sock", "did you mean return", "future"), answer.json()["refused"], strict=True):
        assert word in one["detail"]
    assert service.get("/v1/shoppers/7").json()["purchases"] == 1
    assert service.get("/v1/items/Dresses-red-women").json()["popularity_now"] == 2, "one of two is left"


def test_times_are_those_that_tables_have(service: httpx.Client) -> None:
    for at in ("2025-03-31 14:05:00 +0100", "2025-03-31T14:05:00.000+0000", "2025/03/31", "1743426300"):
        answer = service.post("/v1/purchases", json={"shopper_id": "7", "item_id": "Denim-blue-men", "at": at})
        assert answer.json() == {"recorded": 1, "known": 0}, (at, answer.text)


def test_an_order_s_number_may_be_another_shopper_s_too(service: httpx.Client) -> None:
    for who in "ab":
        order = {"shopper_id": who, "item_id": "Denim-blue-men", "order_id": "1"}
        assert service.post("/v1/purchases", json=order).json() == {"recorded": 1, "known": 0}


def test_a_purchase_is_taken_back(service: httpx.Client, shop_path: Path) -> None:
    service.post("/v1/purchases", json={"shopper_id": "7", "item_id": "Denim-blue-men"}).raise_for_status()
    with Shop.open(shop_path) as shop:
        [event_id] = shop.purchases.events_of("7")["event_id"]
    assert service.delete(f"/v1/purchases/{event_id}", headers={"Authorization": "Bearer no"}).status_code == 401
    assert service.delete(f"/v1/purchases/{event_id}").status_code == 204
    assert service.delete(f"/v1/purchases/{event_id}").status_code == 204, "gone already"
    assert service.delete(f"/v1/purchases/{event_id + 9}").status_code == 404
    assert service.get("/v1/shoppers/7").json()["purchases"] == 0


def test_a_guest_is_recommended_what_suits_her_cart(reading: httpx.Client) -> None:
    asked = {"items": [DRESS, "sock", "Denim-blue-women"], "top": 20}
    answer = reading.get("/v1/recommendations", params=asked)
    assert answer.json()["unknown"] == ["sock"]
    assert {one["because"] for one in answer.json()["recommendations"]} == {DRESS, "Denim-blue-women"}
    assert not {DRESS, "Denim-blue-women"} & set(ids(answer))
    cart = reading.post("/v1/recommendations", json={"items": asked["items"]}, params={"top": 20})
    assert cart.json()["recommendations"] == answer.json()["recommendations"]
    assert ids(reading.get("/v1/recommendations")) == ids(reading.get("/v1/shoppers/nobody/recommendations"))
    assert reading.get("/v1/recommendations", params={"item": DRESS}).status_code == 422


def test_a_shopper_has_her_data_and_is_forgotten(service: httpx.Client, shop_path: Path) -> None:
    known = service.get("/v1/shoppers/1/export").json()
    assert [(one["item_id"], one["order_id"]) for one in known["events"]] == [(DRESS, "A-1")]
    before = service.get(f"/v1/items/{DRESS}").json()["popularity_now"]
    for method in ("GET", "DELETE"):
        path = "/v1/shoppers/1" + ("/export" if method == "GET" else "")
        assert service.request(method, path, headers={"Authorization": "Bearer no"}).status_code == 401
    assert service.delete("/v1/shoppers/1").status_code == 204
    for path in ("/v1/shoppers/1", "/v1/shoppers/1/export"):
        assert service.get(path).status_code == 404
    assert service.delete("/v1/shoppers/1").status_code == 404
    assert service.get(f"/v1/items/{DRESS}").json()["popularity_now"] == before - 1
