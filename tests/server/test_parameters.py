"""What a query may hold: the parameters of its route and no others."""

import httpx
import pytest

from modiste.server.app import create_app

from ..running import BEARER

ROUTES = [
    (method.upper(), path)
    for path, methods in create_app(".").openapi()["paths"].items()
    for method in methods
    if path.startswith("/v1/")
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_an_unknown_parameter_is_named_and_nothing_is_done(reading: httpx.Client, method: str, path: str) -> None:
    address = path.format(item_id="Dresses-red-women", shopper_id="1")
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
