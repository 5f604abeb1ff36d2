"""Who may do what, and where a request may come from."""

import re
import socket
from pathlib import Path

import httpx
import pytest
from fastapi import Request

from modiste.server.app import check, create_app
from modiste.server.auth import ROLES, leave_of
from modiste.server.origins import client_of
from modiste.server.rates import Rates
from modiste.server.settings import Settings
from modiste.shop.shop import Shop

from ..running import BEARER, ONCE, TOKEN, running, until
from .test_limits import one_in_hand

DRESS = "Dresses-red-women"
ORIGIN = {"Origin": "https://shop.example"}

asks_no_database = pytest.mark.parametrize("template", ["sqlite"], indirect=True)
"""What is decided by the request alone is the same whatever the shop lies in."""

LEAVES = {
    "anyone": """
        GET /health
        GET /storefront/modiste-list.js
        POST /v1/impressions
        POST /v1/clicks
        GET /login
        POST /login
        POST /logout
        * /static
    """,
    "publishable": """
        GET /v1/items/{item_id:id}/similar
        GET /v1/items/{item_id:id}/goes-with
        GET /v1/items/{item_id:id}/photo
        GET /v1/items/{item_id:id}/thumbnail
        GET /v1/shoppers/{shopper_id:id}/recommendations
        GET /v1/recommendations
        POST /v1/recommendations
    """,
    "viewer": """
        GET /openapi.json
        GET /v1/items
        GET /v1/items/{item_id:id}
        GET /v1/items/{item_id:id}/mask
        POST /v1/search
        GET /v1/shoppers/{shopper_id:id}
        GET /v1/trending
        GET /v1/scenarios
        GET /v1/scenarios/{name}
        GET /v1/scenarios/{name}/versions
        GET /v1/storefront
        GET /v1/ab
        GET /v1/ab/{name}
        GET /v1/stores
        GET /metrics
        GET /
        GET /docs
        GET /storefront
        GET /experiments
        GET /experiments/{name}
        GET /scenarios
        GET /scenarios/{name}
        GET /items
        GET /items/{item_id:path}
        GET /search
        POST /search
        GET /shoppers
        GET /shoppers/{shopper_id:path}
        GET /v1/overview
        GET /overview
        GET /trending
        GET /items.csv
        GET /shoppers.csv
        GET /stores.csv
        GET /trending.csv
        GET /scenarios.csv
        GET /storefront.csv
        GET /stores
    """,
    "merchandiser": """
        POST /scenarios/{name}
        POST /scenarios/{name}/undo
        POST /storefront
        POST /storefront/{name}/stop
        POST /v1/ab
        POST /v1/ab/{name}/stop
        POST /items
        POST /items/{item_id:path}
        POST /compare
    """,
    "server": """
        PUT /v1/scenarios/{name}
        POST /v1/scenarios/{name}/undo
        POST /v1/scenarios/{name}/preview
        DELETE /v1/scenarios/{name}
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
        GET /audit
        GET /audit.csv
    """,
}
"""What every route asks for. A new one must be written down here: is it what its users may, and nobody else?"""

ROUTES = [(*line.split(), leave) for leave, lines in LEAVES.items() for line in lines.strip().splitlines()]


WALKED = [one for one in ROUTES if one[1] not in ("/login", "/logout")]  # which end or begin a session


def test_every_route_has_its_leave_written_down() -> None:
    found = {
        (method, route.path, leave_of(route))
        for route in create_app(".").routes
        for method in getattr(route, "methods", None) or ["*"]
    }
    assert found - {("HEAD", "/openapi.json", "viewer")} == set(ROUTES)


def statuses(client: httpx.Client, **headers: str) -> dict[tuple[str, str], int]:
    """What each route answers to a request that says nothing else."""
    made = {}
    for method, path, _ in WALKED:
        address = re.sub(r"{[^}]*}", "1", path if path != "/static" else "/static/icon.svg")
        made[method, path] = client.request(method.replace("*", "GET"), address, headers=headers).status_code
    return made


def refused(client: httpx.Client, **headers: str) -> set[tuple[str, str, str]]:
    """The routes that refuse whoever sends these headers."""
    answers = statuses(client, **headers)
    return {one for one in WALKED if answers[one[:2]] in (401, 403)}


CLOSED = {one for one in ROUTES if one[2] != "anyone"}

CATALOGUE = {
    ("GET", "/v1/items", "viewer"), ("GET", "/v1/items/{item_id:id}", "viewer"),
    ("GET", "/v1/items/{item_id:id}/similar", "publishable"),
    ("GET", "/v1/items/{item_id:id}/goes-with", "publishable"),
    ("GET", "/v1/recommendations", "publishable"), ("POST", "/v1/recommendations", "publishable"),
}  # fmt: skip
"""What whoever is on this machine may read, without a key."""


@asks_no_database
def test_whoever_has_no_key_gets_nowhere_and_the_token_everywhere(shop_path: Path) -> None:
    with running(shop_path, Settings(token=TOKEN)) as url, httpx.Client(base_url=url, timeout=120) as client:
        assert refused(client) == CLOSED - CATALOGUE
        assert refused(client, **{"X-Forwarded-For": "192.0.2.1"}) == CLOSED
        assert refused(client, Origin="https://shop.example") == CLOSED
        assert refused(client, **BEARER) == set()
        for wrong in ("Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"):
            answer = client.get("/v1/stores", headers={"Authorization": wrong})
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), wrong
            assert TOKEN not in answer.text
        assert client.get("/v1/stores", headers={"Authorization": b"Bearer \xff"}).status_code == 401  # type: ignore[dict-item]


@asks_no_database
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


@asks_no_database
def test_before_there_is_a_key_whoever_sits_here_is_the_owner_and_web_pages_are_not(shop_path: Path) -> None:
    with running(shop_path, Settings()) as url, httpx.Client(base_url=url, timeout=120) as client:
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


@asks_no_database
@pytest.mark.parametrize("settings", [Settings(), Settings(token=TOKEN), Settings(hosts=("shop.example",))])
def test_a_name_that_is_not_the_shops_reads_nothing(template: Path, settings: Settings) -> None:
    """A page at attacker.example may have that name resolve to this machine: then it asks as if it were our own."""
    with running(template, settings) as url, httpx.Client(base_url=url, headers=BEARER, timeout=120) as client:
        for host in ("attacker.example", "shop.example.evil", "10.0.0.1", "", "127.0.0.1.nip.io"):
            rebound = {"Host": f"{host}:{client.base_url.port}", "Origin": f"http://{host}:{client.base_url.port}"}
            answers = statuses(client, **rebound)
            assert {status for (_, path), status in answers.items() if path != "/health"} == {421}, host
            assert answers["GET", "/health"] == 200
        assert "MODISTE_HOSTS" in client.get("/items", headers={"Host": "evil"}).json()["detail"]


@asks_no_database
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


@pytest.fixture
def keys(shop_path: Path) -> dict[str, str]:
    """A key of each kind; the publishable one is for the pages of shop.example."""
    with Shop.open(shop_path) as shop:
        return {
            role: shop.keys.add(role, role, origins=[ORIGIN["Origin"]] if role == "publishable" else [])
            for role in ("publishable", "viewer", "server", "admin")
        }


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_a_key_may_do_what_its_role_may_and_no_more(shop_path: Path, keys: dict[str, str]) -> None:
    with running(shop_path, Settings()) as url, httpx.Client(base_url=url, timeout=120) as client:
        assert refused(client) == CLOSED - CATALOGUE  # there is a key: who sits here is no longer the owner
        for role, key in keys.items():
            more = ROLES[ROLES.index(role) + 1 :]  # type: ignore[arg-type]
            assert refused(client, **bearer(key), **ORIGIN) == {one for one in ROUTES if one[2] in more}, role


def test_a_publishable_key_is_for_its_own_pages(shop_path: Path, keys: dict[str, str]) -> None:
    key, similar = keys["publishable"], f"/v1/items/{DRESS}/similar"
    with running(shop_path, Settings()) as url, httpx.Client(base_url=url, headers=bearer(key), timeout=120) as client:
        read = client.get(similar, headers=ORIGIN)
        assert read.json()["recommendations"][0]["why"]
        assert (read.headers["access-control-allow-origin"], read.headers["vary"]) == (ORIGIN["Origin"], "Origin")
        assert client.get(similar, headers={"Referer": "https://shop.example/p/1?x=2"}).status_code == 200
        for headers in (
            {},
            {"Origin": "https://other.example"},
            {"Origin": "null"},
            {"Origin": "http://shop.example"},
            {"Origin": "https://shop.example.evil"},
            {"Referer": "https://other.example/https://shop.example"},
            {"Sec-Fetch-Mode": "cors"},
        ):
            refusal = client.get(similar, headers=headers)
            assert refusal.status_code == 403, headers
            assert "access-control-allow-origin" not in refusal.headers
        picture = ONCE.get(
            f"{url}/v1/items/{DRESS}/thumbnail?key={key}&height=60", headers={"Sec-Fetch-Mode": "no-cors"}
        )
        assert (picture.status_code, picture.headers["cache-control"]) == (200, "public, max-age=60")
        assert picture.headers["cross-origin-resource-policy"] == "cross-origin"
        assert ONCE.get(f"{url}{similar}?top=2&key={key}", headers=ORIGIN).status_code == 200
        assert ONCE.get(f"{url}{similar}?key={keys['server']}").status_code == 401
        assert ONCE.get(f"{url}/v1/stores?key={key}", headers=ORIGIN).status_code == 401
        for top in (51, "+51", " 51", "5_1", "51.0", "٥١", "9" * 5000):
            assert client.get(similar, params={"top": top}, headers=ORIGIN).status_code == 403, top


def test_a_publishable_key_tells_nothing_of_a_shopper(shop_path: Path, keys: dict[str, str]) -> None:
    path = "/v1/shoppers/{}/recommendations"
    with running(shop_path, Settings()) as url, httpx.Client(base_url=url, timeout=120) as client:
        for shopper in ("1", "nobody"):
            told = client.get(path.format(shopper), headers=bearer(keys["publishable"]) | ORIGIN).json()
            assert told["known"] is None
            for one in told["recommendations"]:
                assert [one[name] for name in ("relevance", "terms", "because", "distance_km", "why")] == [None] * 4 + [
                    ""
                ]
        told = client.get(path.format("1"), headers=bearer(keys["server"])).json()
        assert (told["known"], told["recommendations"][0]["because"]) == (True, DRESS)


def test_a_withdrawn_key_is_refused_and_a_new_one_taken_while_the_service_runs(shop_path: Path) -> None:
    with running(shop_path, Settings()) as url, Shop.open(shop_path) as shop:
        assert ONCE.get(f"{url}/v1/stores").status_code == 200
        key = shop.keys.add("back-end", "server")
        until(lambda: ONCE.get(f"{url}/v1/stores").status_code == 401, 20)
        assert ONCE.get(f"{url}/v1/stores", headers=bearer(key)).status_code == 200
        shop.keys.remove("back-end")
        another = shop.keys.add("another", "viewer")
        until(lambda: ONCE.get(f"{url}/v1/stores", headers=bearer(key)).status_code == 401, 20)
        for number in range(5):  # the refusal of one has just read the keys
            assert ONCE.get(f"{url}/v1/stores", headers=bearer(another + "x")).status_code == 401
            new = shop.keys.add(f"new-{number}", "viewer")
            assert ONCE.get(f"{url}/v1/stores", headers=bearer(new)).status_code == 200


def test_a_key_has_its_rate(shop_path: Path) -> None:
    with Shop.open(shop_path) as shop:
        slow = shop.keys.add("slow", "viewer", per_minute=3)
        public = shop.keys.add("pages", "publishable", origins=[ORIGIN["Origin"]], per_minute=2)
    with running(shop_path, Settings()) as url:
        answers = [ONCE.get(f"{url}/v1/stores", headers=bearer(slow)) for _ in range(4)]
        assert [one.status_code for one in answers] == [200, 200, 200, 429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 20
        for address in ("192.0.2.1", "192.0.2.2"):  # one visitor takes nothing from another
            headers = bearer(public) | ORIGIN | {"X-Forwarded-For": address}
            asked = [ONCE.get(f"{url}/v1/recommendations?top=1", headers=headers).status_code for _ in range(3)]
            assert asked == [200, 200, 429]
            picture = f"{url}/v1/items/Dresses-red-women/thumbnail"
            assert ONCE.get(picture, headers=headers).status_code == 200, "pictures are not counted"


def test_room_comes_back_evenly() -> None:
    now = 0.0
    rates = Rates(clock=lambda: now)
    assert [rates.take("a", 60) for _ in range(61)] == [0.0] * 60 + [1.0]
    now = 1.5
    assert [rates.take("a", 60), rates.take("a", 60), rates.take("b", 60)] == [0.0, 0.5, 0.0]
    assert rates.take("c", 60, count=3000, burst=3000) == 0.0
    assert rates.take("c", 60, count=1000, burst=3000) == 1000.0, "what is refused takes no room"


def test_workers_count_what_is_asked_of_any_of_them(tmp_path: Path) -> None:
    one, other = Rates(tmp_path / "rates", lambda: 5.0), Rates(tmp_path / "rates", lambda: 5.0)
    assert [rates.take("a", 4) for rates in (one, other, one, other, one)] == [0.0] * 4 + [15.0]


def test_the_service_may_be_public_with_a_key(
    shop_path: Path, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODISTE_HOSTS", "shop.example")
    assert check(shop_path, "0.0.0.0")[1]


def test_a_browser_may_ask_for_a_publishable_keys_pages_alone(shop_path: Path, keys: dict[str, str]) -> None:
    asks = ORIGIN | {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    with running(shop_path, Settings()) as url:
        allowed = ONCE.options(f"{url}/v1/recommendations", headers=asks)
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, ORIGIN["Origin"])
        assert "access-control-allow-credentials" not in allowed.headers
        for wrong in ({"Origin": "https://other.example"}, {"Access-Control-Request-Method": "DELETE"}):
            answer = ONCE.options(f"{url}/v1/recommendations", headers=asks | wrong)
            assert answer.status_code == 400
        assert (
            "access-control-allow-origin" not in ONCE.options(f"{url}/v1/items", headers=asks | {"Origin": "x"}).headers
        )


def test_without_a_publishable_key_there_is_no_cors(template: Path) -> None:
    asks = BEARER | ORIGIN | {"Access-Control-Request-Method": "GET"}
    with running(template, Settings(token=TOKEN)) as url:
        assert "access-control-allow-origin" not in ONCE.get(f"{url}/v1/items", headers=asks).headers
        assert ONCE.options(f"{url}/v1/purchases", headers=asks).status_code == 405


def test_a_page_elsewhere_may_read_why_it_was_refused(shop_path: Path, keys: dict[str, str]) -> None:
    origin = BEARER | ORIGIN
    few = Settings(token=TOKEN, hosts=("shop.example",), in_flight=1)
    app = create_app(shop_path, few)

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError

    with running(app, few) as url:
        large = ONCE.post(f"{url}/v1/purchases", content=b"x" * 1_100_000, headers=origin)
        named = ONCE.get(f"{url}/v1/stores", headers=origin | {"Host": "other.example"})
        wrong = ONCE.get(f"{url}/broken", headers=origin)
        with one_in_hand(app, url):
            full = ONCE.get(f"{url}/v1/stores", headers=origin)
    assert [one.status_code for one in (named, large, full, wrong)] == [421, 413, 429, 500]
    for answer in (named, large, full, wrong):
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert answer.headers["x-request-id"]
        assert answer.headers["x-frame-options"] == "DENY"
        assert "detail" in answer.json()


def test_every_answer_has_the_safe_headers(shop_path: Path, keys: dict[str, str]) -> None:
    app = create_app(shop_path, Settings(token=TOKEN))

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError

    with running(app, Settings()) as url, httpx.Client(base_url=url, headers=BEARER, timeout=120) as client:
        answers = [
            client.get(path, headers={"X-Forwarded-Proto": "https"} | headers)
            for path, headers in (
                ("/health", {}), ("/login", {}), ("/items", {}), ("/nowhere", {}), ("/v1/nowhere", {}), ("/broken", {}),
                ("/static/icon.svg", {}), ("/static/none", {}), (f"/v1/items/{DRESS}/thumbnail", {}),
                ("/v1/items?limit=0", {}), ("/items", {"Authorization": "Bearer wrong"}), ("/items", {"Host": "evil"}),
                ("/openapi.json", {}),
                ("/v1/items/none", {}), ("/experiments/none", {}), ("/items", {"HX-Request": "true"}),
            )
        ]  # fmt: skip
        answers.append(
            client.get("/items", headers={"X-Forwarded-Proto": "https", "Accept": "text/html", "Authorization": ""})
        )
        answers.append(client.post("/v1/purchases", content=b"x" * 1_100_000, headers={"X-Forwarded-Proto": "https"}))
        asks = {"X-Forwarded-Proto": "https", "Access-Control-Request-Method": "GET"}
        answers.append(client.options("/v1/items", headers=asks | ORIGIN))
    assert {one.status_code for one in answers} == {200, 303, 401, 404, 413, 421, 422, 500}
    for answer in answers:
        where = f"{answer.status_code} {answer.url}"
        assert answer.headers["x-content-type-options"] == "nosniff", where
        assert answer.headers["x-frame-options"] == "DENY", where
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], where
        assert "unsafe" not in answer.headers["content-security-policy"], where
        assert answer.headers["referrer-policy"] == "same-origin", where
        assert answer.headers["cross-origin-opener-policy"] == "same-origin", where
        assert answer.headers["cross-origin-resource-policy"] == "same-origin", where
        assert answer.headers["strict-transport-security"], where
        kept = answer.headers["cache-control"]
        assert kept == "no-store" or "/static/" in where or kept.startswith("private"), where
