"""Who may do what, and where a request may come from."""

import re
import socket
from pathlib import Path

import httpx
import pytest
from fastapi import Request

from modiste.server.app import create_app
from modiste.server.auth import leave_of
from modiste.server.origins import client_of
from modiste.server.settings import Settings
from modiste.shop.shop import Shop

from ..running import BEARER, ONCE, TOKEN, running, until
from .test_limits import half_asked

LEAVES = {
    "anyone": """
        GET /health
        * /static
    """,
    "viewer": """
        GET /openapi.json
        GET /v1/items
        GET /v1/items/{item_id:id}
        GET /v1/items/{item_id:id}/similar
        GET /v1/items/{item_id:id}/photo
        GET /v1/items/{item_id:id}/thumbnail
        GET /v1/items/{item_id:id}/mask
        POST /v1/search
        GET /v1/shoppers/{shopper_id:id}
        GET /v1/shoppers/{shopper_id:id}/recommendations
        GET /v1/recommendations
        POST /v1/recommendations
        GET /v1/trending
        GET /v1/stores
        GET /metrics
        GET /
        GET /docs
        GET /experiments
        GET /experiments/{name}
        GET /items
        GET /items/{item_id:path}
        GET /search
        POST /search
        GET /shoppers
        GET /shoppers/{shopper_id:path}
    """,
    "server": """
        PUT /v1/items/{item_id:id}
        DELETE /v1/items/{item_id:id}
        POST /v1/items
        PUT /v1/shoppers/{shopper_id:id}
        POST /v1/purchases
        DELETE /v1/purchases/{event_id}
        POST /v1/events
    """,
    "admin": """
        DELETE /v1/shoppers/{shopper_id:id}
        GET /v1/shoppers/{shopper_id:id}/export
    """,
}
"""What every route asks for. A new one must be written down here: is it what its users may, and nobody else?"""

ROUTES = [(*line.split(), leave) for leave, lines in LEAVES.items() for line in lines.strip().splitlines()]


def test_every_route_has_its_leave_written_down() -> None:
    found = {
        (method, route.path, leave_of(route))
        for route in create_app(".").state.routes
        for method in getattr(route, "methods", None) or ["*"]
    }
    assert found - {("HEAD", "/openapi.json", "viewer")} == set(ROUTES)


def statuses(client: httpx.Client, **headers: str) -> dict[tuple[str, str], int]:
    """What each route answers to a request that says nothing else."""
    made = {}
    for method, path, _ in ROUTES:
        address = re.sub(r"{[^}]*}", "1", path if path != "/static" else "/static/icon.svg")
        made[method, path] = client.request(method.replace("*", "GET"), address, headers=headers).status_code
    return made


def refused(client: httpx.Client, **headers: str) -> set[tuple[str, str, str]]:
    """The routes that refuse whoever sends these headers."""
    answers = statuses(client, **headers)
    return {one for one in ROUTES if answers[one[:2]] in (401, 403)}


CLOSED = {one for one in ROUTES if one[2] != "anyone"}


def test_whoever_has_no_key_gets_nowhere_and_the_token_everywhere(shop_path: Path) -> None:
    with running(shop_path, Settings(token=TOKEN)) as url, httpx.Client(base_url=url) as client:
        assert refused(client) == CLOSED
        assert refused(client, **BEARER) == set()
        for wrong in ("Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"):
            answer = client.get("/v1/items", headers={"Authorization": wrong})
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), wrong
            assert TOKEN not in answer.text
        assert client.get("/v1/items", headers={"Authorization": b"Bearer \xff"}).status_code == 401  # type: ignore[dict-item]


def test_a_body_is_not_read_for_one_who_may_not_write(template: Path) -> None:
    with (
        running(template, Settings(token=TOKEN)) as url,
        socket.create_connection(("127.0.0.1", httpx.URL(url).port or 0), timeout=120) as raw,
    ):
        raw.sendall(
            b"PUT /v1/items/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            b"Content-Length: 1000000\r\n\r\n--b\r\n"
        )
        assert raw.recv(100).startswith(b"HTTP/1.1 401")


def test_before_there_is_a_key_whoever_sits_here_is_the_owner_and_web_pages_are_not(shop_path: Path) -> None:
    with running(shop_path, Settings()) as url, httpx.Client(base_url=url) as client:
        port = client.base_url.port
        own: list[dict[str, str]] = [{}, {"Origin": url}, {"Host": f"LOCALHOST:{port}"}, {"Sec-Fetch-Site": "none"}]
        for headers in own:
            assert refused(client, **headers) == set(), headers
        for headers in (
            {"Origin": "https://elsewhere.example"},
            {"Origin": f"http://127.0.0.1:{(port or 0) + 1}"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"X-Forwarded-For": "127.0.0.1"},
            {"X-Forwarded-Proto": "http"},
            {"X-Real-IP": "127.0.0.1"},
            {"Forwarded": "for=127.0.0.1"},
            {"Via": "1.1 proxy"},
        ):
            assert refused(client, **headers) == CLOSED, headers
        followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        assert client.get("/items", headers=followed).status_code == 200
        assert client.get("/items", headers=followed | {"Sec-Fetch-Dest": "iframe"}).status_code == 403
        assert client.post("/search", headers=followed).status_code == 403


@pytest.mark.parametrize("settings", [Settings(), Settings(token=TOKEN), Settings(hosts=("shop.example",))])
def test_a_name_that_is_not_the_shops_reads_nothing(template: Path, settings: Settings) -> None:
    """A page at attacker.example may have that name resolve to this machine: then it asks as if it were our own."""
    with running(template, settings) as url, httpx.Client(base_url=url, headers=BEARER) as client:
        for host in ("attacker.example", "shop.example.evil", "10.0.0.1", "", "127.0.0.1.nip.io"):
            rebound = {"Host": f"{host}:{client.base_url.port}", "Origin": f"http://{host}:{client.base_url.port}"}
            answers = statuses(client, **rebound)
            assert {status for (_, path), status in answers.items() if path != "/health"} == {421}, host
            assert answers["GET", "/health"] == 200
        assert "MODISTE_HOSTS" in client.get("/items", headers={"Host": "evil"}).json()["detail"]


def test_hosts_are_the_names_that_a_service_answers_to(template: Path) -> None:
    with running(template, Settings(token=TOKEN, hosts=("shop.example",))) as url:
        for host in ("shop.example", "SHOP.example.:8000", "127.0.0.1:1", "[::1]:1"):
            assert ONCE.get(f"{url}/v1/stores", headers=BEARER | {"Host": host}).status_code == 200, host


@pytest.mark.parametrize(
    ("proxies", "sent", "client", "scheme"),
    [
        (("127.0.0.1",), {}, "127.0.0.1", "http"),
        (("127.0.0.1",), {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}, "192.0.2.1", "https"),
        (("127.0.0.1",), {"X-Forwarded-For": "10.9.9.9, 192.0.2.1"}, "192.0.2.1", "http"),
        (("127.0.0.1", "192.0.2.0/24"), {"X-Forwarded-For": "1.1.1.1, 10.9.9.9, 192.0.2.1"}, "10.9.9.9", "http"),
        (("127.0.0.1",), {"Forwarded": 'for=1.1.1.1, for="[2001:db8::1]:47";proto=https'}, "2001:db8::1", "https"),
        (("127.0.0.1",), {"X-Forwarded-For": "nonsense"}, "127.0.0.1", "http"),
        (("127.0.0.1",), {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=1.1.1.1"}, "127.0.0.1", "http"),
        (("10.0.0.0/8",), {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}, "127.0.0.1", "http"),
    ],
)
def test_only_a_trusted_proxy_is_believed(
    tmp_path: Path, proxies: tuple[str, ...], sent: dict[str, str], client: str, scheme: str
) -> None:
    Shop.create(tmp_path / "street").close()
    settings = Settings(token=TOKEN, proxies=proxies)
    app = create_app(tmp_path / "street", settings)

    @app.get("/seen")
    def seen(request: Request) -> list[str]:
        return [client_of(request), request.url.scheme]

    with running(app, settings) as url:
        assert ONCE.get(f"{url}/seen", headers=BEARER | sent).json() == [client, scheme]
        page = ONCE.get(f"{url}/items", headers=BEARER | {"X-Forwarded-Prefix": "/fashion"}).text
        assert ('href="/fashion/items"' in page) is (proxies[0] == "127.0.0.1")


def test_cors_is_off_unless_configured(template: Path) -> None:
    asks = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    with running(template, Settings(token=TOKEN)) as url:
        assert "access-control-allow-origin" not in ONCE.get(f"{url}/v1/items", headers=asks | BEARER).headers
        assert ONCE.options(f"{url}/v1/purchases", headers=asks | BEARER).status_code == 405
    with running(template, Settings(token=TOKEN, origins=("https://shop.example",))) as url:
        allowed = ONCE.options(f"{url}/v1/purchases", headers=asks)
        assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
        for method, path, headers, status in (
            ("GET", "/v1/items/none", BEARER, 404),
            ("PUT", "/v1/items/x", {}, 401),
        ):
            answer = ONCE.request(method, url + path, headers=headers | {"Origin": "https://shop.example"})
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        other = ONCE.get(f"{url}/v1/items", headers=BEARER | {"Origin": "https://other.example"})
        assert "access-control-allow-origin" not in other.headers


def test_a_page_elsewhere_may_read_why_it_was_refused(template: Path) -> None:
    origin = BEARER | {"Origin": "https://shop.example"}
    few = Settings(token=TOKEN, origins=("https://shop.example",), hosts=("shop.example",), in_flight=1)
    app = create_app(template, few)

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError

    with running(app, few) as url:
        large = ONCE.post(f"{url}/v1/purchases", content=b"x" * 1_100_000, headers=origin)
        named = ONCE.get(f"{url}/v1/stores", headers=origin | {"Host": "other.example"})
        wrong = ONCE.get(f"{url}/broken", headers=origin)
        with half_asked(url):
            until(lambda: ONCE.get(f"{url}/v1/stores", headers=BEARER).status_code == 429)
            full = ONCE.get(f"{url}/v1/stores", headers=origin)
    assert [one.status_code for one in (named, large, full, wrong)] == [421, 413, 429, 500]
    for answer in (named, large, full, wrong):
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert answer.headers["x-request-id"]
        assert "detail" in answer.json()
