"""What a query may hold: the parameters of its route and no others."""

import re
from pathlib import Path

import httpx
import pytest

from modiste.server.app import create_app
from modiste.server.settings import Settings

from ..running import BEARER, TOKEN, running
from ..shops import copied

ROUTES = [
    (method.upper(), path)
    for path, methods in create_app(".").openapi()["paths"].items()
    for method in methods
    if path.startswith("/v1/")
]
FORMS = ("/v1/items/{item_id}", "/v1/search", "/v1/ab/{name}/stop")
"""Routes that take a form or nothing at all, though something is put or posted."""


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_an_unknown_parameter_is_named_and_nothing_is_done(reading: httpx.Client, method: str, path: str) -> None:
    address = path.format(item_id="Dresses-red-women", shopper_id="1", event_id="1", name="home")
    answer = reading.request(method, address, params={"explain": 1}, headers=BEARER)
    assert answer.status_code == 422
    assert "'explain'" in answer.json()["detail"]
    assert reading.get("/v1/items/Dresses-red-women").status_code == 200


@pytest.mark.parametrize(
    ("path", "sent", "nearest"),
    [
        ("/v1/items", "catgories", "categories"), ("/v1/items", "min-price", "min_price"),
        ("/v1/items/Dresses-red-women/similar", "halflife", "half_life"),
        ("/v1/items/Dresses-red-women/thumbnail", "hight", "height"),
        ("/v1/shoppers/1/recommendations", "tpo", "top"), ("/v1/trending", "windows", "window"),
        ("/v1/stores", "withn", "within"),
    ],
)  # fmt: skip
def test_the_nearest_parameter_is_proposed(reading: httpx.Client, path: str, sent: str, nearest: str) -> None:
    answer = reading.get(path, params={sent: "1"})
    assert answer.status_code == 422
    assert f"did you mean {nearest}?" in answer.json()["detail"]


def test_an_address_without_parameters_says_so(reading: httpx.Client) -> None:
    answer = reading.get("/v1/items/Dresses-red-women", params={"top": 1})
    assert (answer.status_code, answer.json()["detail"]) == (422, "there is no parameter 'top' here; there are: none")


def test_what_is_said_twice_where_once_counts_is_refused(reading: httpx.Client) -> None:
    similar = "/v1/items/Dresses-red-women/similar"
    answer = reading.get(f"{similar}?top=1&top=2")
    assert (answer.status_code, answer.json()["detail"]) == (422, "top is given 2 times; give it once")
    assert reading.get(f"{similar}?categories=Denim&categories=Dresses").status_code == 200
    twice = b'{"shopper_id": "1", "item_id": "Denim-red-men", "item_id": "Dresses-red-women"}'
    for path, body in (
        ("purchases", twice),
        ("events", b"[%b]" % twice),
        ("clicks", twice),
        ("recommendations", twice),
    ):
        answer = reading.post(f"/v1/{path}", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, "'item_id' 2 times" in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize("name", ["If-Match", "If-None-Match", "If-Unmodified-Since"])
def test_a_condition_is_heeded_or_refused(service: httpx.Client, name: str) -> None:
    said, item = {name: '"x"'}, "/v1/items/Dresses-red-women"
    put = service.put(item, data={"category": "Denim"}, headers=said)
    removed = service.delete(item, headers=said)
    assert (put.status_code, removed.status_code) == (412 if name == "If-Match" else 422, 422)
    assert f"{name} is not heeded here" in removed.json()["detail"]
    assert service.get(item, headers=said).json()["category"] == "Dresses"


@pytest.mark.parametrize("body", [b"[" * 20_000, b'{"a":' * 20_000, b"[" * 20_000 + b"]" * 20_000])
def test_a_body_of_any_depth_is_refused_in_words(reading: httpx.Client, body: bytes) -> None:
    for method, path in ROUTES:
        if method in ("POST", "PUT") and path not in FORMS:
            address = path.format(shopper_id="1", name="home")
            answer = reading.request(method, address, content=body, headers={"Content-Type": "application/json"})
            assert (answer.status_code, answer.json()["detail"][:26]) == (400, "the body is nested too dee"), address


@pytest.mark.parametrize("said", [{}, {"X-Forwarded-Prefix": "/shop/fashion"}])
def test_behind_a_proxy_addresses_begin_with_its_path(template: Path, tmp_path: Path, said: dict[str, str]) -> None:
    prefix = said.get("X-Forwarded-Prefix", "/modiste")
    path = copied(template, tmp_path / "street")
    settings = Settings(token=TOKEN, root_path="/modiste")
    with running(path, settings) as url, httpx.Client(headers=BEARER | said) as client:
        for shown in (
            "/overview", "/trending", "/stores", "/shoppers", "/items", "/items/Dresses-red-women", "/shoppers/1",
            "/search", "/docs", "/none",
        ):  # fmt: skip
            for asked in (url + shown, url + prefix + shown):
                page = client.get(asked, headers={"accept": "text/html"}).text
                found = re.findall(r'(?:href|src|action|hx-get|hx-post)="([^"#]+)"', page)
                assert found
                assert all(one.startswith((f"{prefix}/", "data:")) for one in found), asked
        item = client.get(f"{url}/v1/items/Dresses-red-women").json()
        assert item["photo"] == f"{prefix}/v1/items/Dresses-red-women/photo"
        assert client.get(url + item["photo"]).headers["content-type"] == "image/png"
        assert client.get(f"{url}/").headers["location"] == f"{prefix}/overview"
        hostile = client.get(f"{url}/items", headers={"X-Forwarded-Prefix": "//elsewhere.example"}).text
        assert "elsewhere" not in hostile


def test_the_api_has_a_page_without_any_foreign_address(reading: httpx.Client) -> None:
    page = reading.get("/docs")
    assert page.status_code == 200
    assert "//" not in re.sub(r"<code>.*?</code>", "", page.text.replace("https://shop.example", ""))
    for path, methods in reading.get("/openapi.json").json()["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}" in page.text
    for field in ("sale_price", "sold_out", "If-Match".lower()):
        assert field in page.text.lower()
