"""What an operator sees: health, metrics, logs, request ids, headers."""

import json
import logging
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from threading import Event

import httpx
import pytest
from fastapi import Request
from sqlalchemy import create_engine, text

from modiste.server.app import check_at_start, create_app
from modiste.server.logs import REQUESTS, JsonFormatter
from modiste.server.metrics import Meters
from modiste.server.settings import Settings
from modiste.shop.shop import Shop
from modiste.shop.sync import Sources, sync

from ..garments import drawn
from ..running import BEARER, ONCE, TOKEN, Served, metric, running, until

ORDER = {"shopper_id": "7", "item_id": "Dresses-red-women"}


def test_a_service_with_a_database_is_ready(reading: httpx.Client) -> None:
    answer = reading.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"alive": True, "ready": True})


def test_a_service_without_its_database_is_alive_but_not_ready(service: httpx.Client, shop_path: Path) -> None:
    with Shop.open(shop_path) as shop, shop.storage.engine.connect() as connection:
        for table in ("spaces", "settings", "counts"):
            connection.execute(text(f"ALTER TABLE {table} RENAME TO gone_{table}"))
        connection.commit()
    answer = service.get("/health")
    assert (answer.status_code, answer.json()) == (503, {"alive": True, "ready": False})
    for path in ("/v1/items", "/shoppers"):
        answer = service.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "database" in answer.json()["detail"]
    page = service.get("/shoppers", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["retry-after"]) == (503, "5")
    assert "<h1>" in page.text


def test_a_database_that_goes_while_the_shop_is_checked_is_a_line_in_the_log(
    shop_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Shop.open(shop_path) as shop:
        with shop.storage.engine.begin() as connection:
            connection.execute(text("ALTER TABLE spaces RENAME TO gone_spaces"))
        with caplog.at_level(logging.WARNING):
            check_at_start(shop, Meters(), Event())
    (line,) = caplog.messages
    assert line.startswith("the shop can't be checked: ")


def test_a_value_that_a_check_meets_is_not_in_the_log(shop_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Shop.open(shop_path) as shop:
        with shop.storage.engine.begin() as connection:
            connection.execute(text("UPDATE settings SET value = 'jane-doe' WHERE name = 'normpop'"))
        with caplog.at_level(logging.WARNING):
            check_at_start(shop, Meters(), Event())
    assert caplog.messages
    assert "jane-doe" not in caplog.text


def test_a_full_pool_is_503_and_a_fault_of_the_program_is_500(shop_path: Path) -> None:
    app = create_app(shop_path, Settings())

    @app.get("/twice")
    def twice(request: Request) -> None:
        with request.app.state.shop.storage.engine.begin() as connection:
            for _ in range(2):
                connection.execute(text("INSERT INTO shoppers (shopper_id, simulated) VALUES ('9', FALSE)"))

    @app.get("/greedy")
    def greedy(request: Request) -> None:
        engine = create_engine(
            request.app.state.shop.storage.engine.url, pool_size=1, max_overflow=0, pool_timeout=0.01
        )
        try:
            with closing(engine.connect()), closing(engine.connect()):
                raise AssertionError
        finally:
            engine.dispose()

    with running(app, Settings()) as url:
        assert ONCE.get(f"{url}/twice").status_code == 500
        full = ONCE.get(f"{url}/greedy")
    assert (full.status_code, full.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize(
    "path",
    ["/", "/shoppers", "/items/Dresses-red-women", "/search", "/health", "/metrics", "/openapi.json", "/v1/items",
     "/v1/items/Dresses-red-women", "/v1/items/Dresses-red-women/photo", "/v1/items/Dresses-red-women/thumbnail",
     "/v1/nowhere", "/static/icon.svg"],
)  # fmt: skip
def test_head_is_get_without_a_body(reading: httpx.Client, path: str) -> None:
    got, head = reading.get(path), reading.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    for name in ("content-type", "etag", "cache-control", "location"):
        assert head.headers.get(name) == got.headers.get(name)
    if path != "/metrics":
        assert head.headers.get("content-length") == got.headers.get("content-length")


def test_head_is_counted_as_head(service: httpx.Client) -> None:
    service.head("/v1/stores")
    found = service.get("/metrics").text
    assert metric(found, "modiste_request_seconds_count", route="/v1/stores", method="HEAD", status="200") == 1


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/items", "GET, HEAD, POST"), ("POST", "/v1/items/x", "DELETE, GET, HEAD, PUT"),
        ("GET", "/v1/search", "POST"), ("HEAD", "/v1/search", "POST"), ("GET", "/v1/purchases", "POST"),
        ("PUT", "/search", "GET, HEAD, POST"), ("POST", "/shoppers", "GET, HEAD"),
        ("DELETE", "/items/x", "GET, HEAD, POST"),
        ("POST", "/", "GET, HEAD"), ("POST", "/health", "GET, HEAD"), ("POST", "/static/icon.svg", "GET, HEAD"),
    ],
)  # fmt: skip
def test_a_refused_method_names_those_of_its_path(reading: httpx.Client, method: str, path: str, allowed: str) -> None:
    answer = reading.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_what_a_service_finds_at_its_start_is_mended_and_counted(shop_path: Path) -> None:
    with Shop.open(shop_path) as shop:
        with shop.storage.writing() as writing:
            writing.execute(text("UPDATE counts SET count = 99"))
        Path(shop.items["Denim-blue-men"]["image"]).unlink()
        with running(shop_path, Settings()) as url:

            def found(kind: str, mended: str) -> float:
                return metric(ONCE.get(f"{url}/metrics").text, "modiste_check_findings", kind=kind, mended=mended)

            until(lambda: found("counts", "true") == 12)
            assert (found("missing", "false"), found("vectors", "true")) == (1, 0)
        assert [one.kind for one in shop.check()] == ["missing"]


def test_the_popularity_is_never_younger_than_now(service: httpx.Client) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=5)
    service.post("/v1/purchases", json=ORDER | {"at": ahead.isoformat()}).raise_for_status()
    assert metric(service.get("/metrics").text, "modiste_popularity_age_seconds") == 0


def test_metrics_count_requests_by_route_and_tell_what_the_shop_holds(service: httpx.Client) -> None:
    for path in ("/v1/items/Dresses-red-women", "/v1/items/Denim-red-men", "/v1/items/none", "/v1/nowhere"):
        service.get(path)
    service.request("BREW", "/v1/items")
    service.put("/v1/items/bare", data={"title": "Bare"}).raise_for_status()
    service.post("/v1/purchases", json=ORDER).raise_for_status()
    found = service.get("/metrics").text
    seconds = "modiste_request_seconds_count"
    assert metric(found, seconds, route="/v1/items/{item_id}", method="GET", status="200") == 2
    assert metric(found, seconds, route="/v1/items/{item_id}", method="GET", status="404") == 1
    assert metric(found, seconds, route="none", status="404") == 1
    assert metric(found, seconds, method="other", status="405") == 1
    assert (metric(found, "modiste_items"), metric(found, "modiste_photos")) == (13, 12)
    assert (metric(found, "modiste_vectors"), metric(found, "modiste_vectors_missing")) == (12, 0)
    assert metric(found, "modiste_purchases") == 3
    assert 0 <= metric(found, "modiste_popularity_age_seconds") < 60
    assert "Denim-red-men" not in found


def test_metrics_tell_what_came_of_the_last_sync(service: httpx.Client, shop_path: Path, tmp_path: Path) -> None:
    assert "modiste_sync" not in service.get("/metrics").text
    (tmp_path / "items.csv").write_text("item_id,category\nnew,Dresses\nnew,Denim\nmore,Denim\n")
    with Shop.open(shop_path) as shop:
        sync(shop, Sources(items=str(tmp_path / "items.csv")))
    found = service.get("/metrics").text
    assert (metric(found, "modiste_sync", what="added"), metric(found, "modiste_sync", what="rejected")) == (1, 2)
    assert 0 <= metric(found, "modiste_sync_age_seconds") < 60


def test_metrics_tell_of_vectors_that_are_missing(service: httpx.Client, shop_path: Path) -> None:
    (shop_path / "photos" / "more.png").write_bytes(drawn())
    (shop_path / "photos" / "more.csv").write_text("item_id,image\nmore,more.png\n")
    with Shop.open(shop_path) as shop:
        shop.items.add(shop_path / "photos" / "more.csv")
    assert metric(service.get("/metrics").text, "modiste_vectors_missing") == 1


def test_a_sane_request_id_is_kept_and_another_is_made(reading: httpx.Client) -> None:
    assert reading.get("/v1/stores", headers={"X-Request-ID": "abc-1.2_3"}).headers["x-request-id"] == "abc-1.2_3"
    sent: list[dict[str, str]] = [{}, {"X-Request-ID": "a b"}, {"X-Request-ID": "x" * 65}]
    made = [reading.get("/v1/stores", headers=headers).headers["x-request-id"] for headers in sent]
    assert len(set(made)) == 3
    assert all(len(one) == 32 for one in made)
    assert reading.get("/v1/nowhere", headers={"X-Request-ID": "abc"}).headers["x-request-id"] == "abc"


@pytest.mark.parametrize("template", ["sqlite"], indirect=True)
def test_every_request_is_one_line_of_json_without_secrets(shop_path: Path, serve: Callable[..., Served]) -> None:
    with Shop.open(shop_path) as shop:
        shop.users.add("vera", "fifteen small buttons", "viewer")
        key = shop.keys.add("reader", "viewer")
    served = serve(shop_path, MODISTE_TOKEN=TOKEN)
    with httpx.Client(base_url=served.url, timeout=120) as client:
        for password in ("a wrong password", "fifteen small buttons"):
            client.post("/login", data={"name": "vera", "password": password}, headers={"Origin": served.url})
        session = client.cookies["modiste-session"]
        assert client.get(f"/v1/items?key={key}").status_code == 422
        client.get("/v1/stores", headers={"Authorization": f"Bearer {key}"}).raise_for_status()
        client.get("/v1/recommendations", params={"key": key}, headers={"Origin": "https://x.example"})
    ONCE.post(f"{served.url}/v1/purchases", json=ORDER, headers=BEARER | {"X-Request-ID": "one"}).raise_for_status()
    ONCE.get(f"{served.url}/v1/shoppers/1/recommendations?top=0", headers=BEARER | {"X-Request-ID": "two"})
    ONCE.post(f"{served.url}/v1/purchases", json=ORDER, headers={"Authorization": "Bearer wrong-one"})
    told = {ONCE.get(f"{served.url}{path}").headers.get("server") for path in ("/health", "/v1/nowhere")}
    served.stop()
    assert told == {None}  # what it runs on is nobody's business
    lines = {line.get("request_id"): line for line in served.logs}
    assert (lines["one"]["method"], lines["one"]["route"], lines["one"]["status"]) == ("POST", "/v1/purchases", 200)
    assert lines["one"]["level"] == "info"
    assert lines["one"]["ms"] > 0
    assert lines["one"]["time"].endswith("+00:00")
    assert (lines["two"]["route"], lines["two"]["status"]) == ("/v1/shoppers/{shopper_id}/recommendations", 422)
    assert any(line["logger"] == "uvicorn.error" for line in served.logs)
    everything = served.out.read_text() + served.err.read_text()
    for secret in (TOKEN, "wrong-one", key, session, "vera", "a wrong password", "fifteen small buttons"):
        assert secret not in everything


def test_an_unforeseen_error_is_told_by_its_id_and_explained_in_the_log_only(shop_path: Path) -> None:
    app = create_app(shop_path, Settings())

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("the secret of the shop")

    log = StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(JsonFormatter())
    REQUESTS.addHandler(handler)
    try:
        with running(app, Settings()) as url:
            answer = ONCE.get(f"{url}/broken", headers={"X-Request-ID": "abc"})
    finally:
        REQUESTS.removeHandler(handler)
    assert answer.status_code == 500
    assert answer.json()["request_id"] == "abc"
    assert "secret" not in answer.text
    (line,) = [one for one in map(json.loads, log.getvalue().splitlines()) if one["level"] == "error"]
    assert line["request_id"] == "abc"
    assert "in broken\nbuiltins.RuntimeError" in line["traceback"]
    assert "secret" not in log.getvalue(), "what went wrong is told by its kind and place"


@pytest.mark.parametrize("path", ["/v1/items", "/v1/nowhere", "/health", "/"])
def test_every_answer_has_the_safe_headers(reading: httpx.Client, path: str) -> None:
    headers = reading.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src" in headers["content-security-policy"]
    assert len(headers["x-request-id"]) == 32


def test_errors_have_one_shape(reading: httpx.Client) -> None:
    for method, path, status in (
        ("GET", "/v1/nowhere", 404),
        ("PATCH", "/v1/items", 405),
        ("GET", "/v1/items?limit=0", 422),
    ):
        answer = reading.request(method, path)
        assert answer.status_code == status
        assert list(answer.json()) == ["detail"]
