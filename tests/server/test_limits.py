"""Who may write, and how much the service takes at once."""

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from PIL import Image
from sqlalchemy import text

from modiste.errors import SettingError
from modiste.server.app import create_app
from modiste.server.connections import client_of
from modiste.server.settings import Settings, is_local
from modiste.shop.shop import Shop

from ..garments import drawn
from ..running import BEARER, ONCE, TOKEN, running, until

DRESS = "Dresses-red-women"
ORDER = {"shopper_id": "7", "item_id": DRESS}


def write_all(client: httpx.Client, **headers: str) -> set[int]:
    """Every route that writes, tried with these headers; the statuses."""
    return {
        client.put("/v1/items/x", data={"title": "X"}, headers=headers).status_code,
        client.delete("/v1/items/x", headers=headers).status_code,
        client.put("/v1/shoppers/x", json={}, headers=headers).status_code,
        client.post("/v1/purchases", json=ORDER, headers=headers).status_code,
        client.post("/v1/items", json=[{"item_id": "y"}], headers=headers).status_code,
        client.post("/v1/events", json=[ORDER], headers=headers).status_code,
        client.get("/v1/shoppers/x/export", headers=headers).status_code,
        client.delete("/v1/shoppers/x", headers=headers).status_code,
    }


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer \xff"],
)
def test_writes_need_the_token(reading: httpx.Client, authorization: str) -> None:
    answer = reading.post("/v1/purchases", json=ORDER, headers={"Authorization": authorization.encode("latin-1")})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN not in answer.text
    assert write_all(reading) == {401}


def test_reads_need_no_token(reading: httpx.Client) -> None:
    assert reading.get("/v1/items").status_code == 200


def test_a_body_is_not_read_for_one_who_may_not_write(reading: httpx.Client) -> None:
    with socket.create_connection((reading.base_url.host, reading.base_url.port or 0), timeout=120) as raw:
        raw.sendall(
            b"PUT /v1/items/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            b"Content-Length: 1000000\r\n\r\n--b\r\n"
        )
        assert raw.recv(100).startswith(b"HTTP/1.1 401")


def test_without_a_token_this_machine_may_write_and_web_pages_may_not(shop_path: Path) -> None:
    with running(shop_path, Settings()) as url, httpx.Client(base_url=url) as client:
        port = client.base_url.port
        assert client.post("/v1/purchases", json=ORDER).status_code == 200
        assert write_all(client, Origin=url) == {201, 204, 200}
        for headers in (
            {"Origin": "https://elsewhere.example"},
            {"Origin": f"http://127.0.0.1:{(port or 0) + 1}"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"X-Forwarded-For": "127.0.0.1"},
            {"Forwarded": "for=127.0.0.1"},
        ):
            assert write_all(client, **headers) == {403}, headers
        rebound = {"Host": f"attacker.example:{port}", "Origin": f"http://attacker.example:{port}"}
        assert write_all(client, **rebound) == {403}
        assert client.get("/v1/items", headers=rebound).status_code == 403
        assert client.get("/v1/items", headers={"Host": f"LOCALHOST:{port}"}).status_code == 200


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("::ffff:127.0.0.1", True), ("localhost", True),
        ("0.0.0.0", False), ("192.168.0.2", False), ("::", False), ("localhost.example", False), ("", False),
        ("127.0.0.1.example", False),
    ],
)  # fmt: skip
def test_what_is_this_machine(host: str, local: bool) -> None:
    assert is_local(host) is local


def test_whose_an_address_is() -> None:
    assert client_of("192.0.2.1") == client_of("::ffff:192.0.2.1") != client_of("192.0.2.2")
    assert client_of("2001:db8::1") == client_of("2001:db8::ffff:1%eth0") != client_of("2001:db8:0:1::1")


def test_cors_is_off_unless_configured(reading: httpx.Client, template: Path) -> None:
    asks = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in reading.get("/v1/items", headers=asks).headers
    assert reading.options("/v1/purchases", headers=asks).status_code == 405
    with running(template, Settings(token=TOKEN, origins=("https://shop.example",))) as url:
        allowed = ONCE.options(f"{url}/v1/purchases", headers=asks)
        assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
        for method, path, status in (("GET", "/v1/items/none", 404), ("PUT", "/v1/items/x", 401)):
            refused = ONCE.request(method, url + path, headers={"Origin": "https://shop.example"})
            assert refused.status_code == status
            assert refused.headers["access-control-allow-origin"] == "https://shop.example"
        other = ONCE.get(f"{url}/v1/items", headers={"Origin": "https://other.example"})
        assert "access-control-allow-origin" not in other.headers


def test_a_page_elsewhere_may_read_why_it_was_refused(template: Path) -> None:
    origin = {"Origin": "https://shop.example"}
    few = Settings(token=TOKEN, origins=("https://shop.example",), hosts=("shop.example",), in_flight=1)
    app = create_app(template, few)

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError

    with running(app, few) as url:
        large = ONCE.post(f"{url}/v1/purchases", content=b"x" * 1_100_000, headers=origin)
        named = ONCE.get(f"{url}/v1/stores", headers=origin | {"Host": "other.example"})
        wrong = ONCE.get(f"{url}/broken", headers=origin)
        with one_in_hand(app, url):
            full = ONCE.get(f"{url}/v1/stores", headers=origin)
    assert [one.status_code for one in (named, large, full, wrong)] == [403, 413, 429, 500]
    for answer in (named, large, full, wrong):
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert answer.headers["x-request-id"]
        assert "detail" in answer.json()


def test_hosts_are_the_names_that_a_service_answers_to(template: Path) -> None:
    with running(template, Settings(token=TOKEN, hosts=("shop.example",))) as url:
        for host, status in (
            ("shop.example", 200), ("SHOP.example.:8000", 200), ("127.0.0.1:1", 200), ("[::1]:1", 200),
            ("shop.example.evil", 403), ("evil", 403), ("", 403),
        ):  # fmt: skip
            answer = ONCE.get(f"{url}/v1/stores", headers={"Host": host})
            assert answer.status_code == status, host
            assert status == 200 or "MODISTE_HOSTS" in answer.json()["detail"]
    with running(template, Settings(token=TOKEN)) as url:
        assert ONCE.get(f"{url}/v1/stores", headers={"Host": "any.example"}).status_code == 200


def test_a_large_upload_is_refused_as_it_comes(template: Path) -> None:
    with running(template, Settings(token=TOKEN, max_upload=50_000)) as url:
        said = ONCE.post(f"{url}/v1/search", files={"photo": ("a", b"x" * 60_000)})
        assert said.status_code == 413
        assert "0.05 MB" in said.json()["detail"]

        def endless():  # says no length, and never ends by itself
            yield b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
            for _ in range(100_000):
                yield b"x" * 1000

        form = {"Content-Type": "multipart/form-data; boundary=b"}
        unsaid = ONCE.post(f"{url}/v1/search", content=endless(), headers=form)
        assert unsaid.status_code == 413
        assert ONCE.get(f"{url}/health").status_code == 200


def test_a_large_body_of_json_is_refused(reading: httpx.Client) -> None:
    body = b'[{"shopper_id": "' + b"x" * 1_100_000 + b'"}]'
    answer = reading.post("/v1/purchases", content=body, headers=BEARER | {"Content-Type": "application/json"})
    assert answer.status_code == 413


def test_a_photo_of_too_many_pixels_is_refused_before_it_is_decoded(template: Path) -> None:
    with running(template, Settings(token=TOKEN, max_pixels=100_000)) as url:
        answer = ONCE.post(f"{url}/v1/search", files={"photo": ("a", drawn(size=(1000, 1000)))})
        assert (answer.status_code, "0.1 megapixels" in answer.json()["detail"]) == (422, True)
        put = ONCE.put(f"{url}/v1/items/x", files={"photo": ("a", drawn(size=(1000, 1000)))}, headers=BEARER)
        assert put.status_code == 201  # with the token; the limit is that of strangers' searches
        assert ONCE.delete(f"{url}/v1/items/x", headers=BEARER).status_code == 204


def test_a_photo_larger_than_usual_may_be_allowed(template: Path) -> None:
    large = BytesIO()
    Image.linear_gradient("L").resize((5000, 4000)).save(large, "PNG")
    for most, status in ((16_000_000, 422), (24_000_000, 200)):
        with running(template, Settings(token=TOKEN, max_pixels=most)) as url:
            assert ONCE.post(f"{url}/v1/search", files={"photo": ("a", large.getvalue())}).status_code == status
            page = ONCE.post(f"{url}/search", files={"photo": ("a", large.getvalue())}, headers={"Origin": url})
            assert page.status_code == status


@contextmanager
def one_in_hand(app: FastAPI, url: str) -> Iterator[None]:
    """A service of the application has a request in hand for so long."""
    begun, done = threading.Event(), threading.Event()

    @app.get("/long")
    def long() -> None:
        begun.set()
        done.wait(60)

    address = httpx.URL(url)
    with socket.create_connection((address.host, address.port or 0), timeout=120) as asked:
        asked.sendall(b"GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            assert begun.wait(60)
            yield
        finally:
            done.set()


def part(name: str, content: str) -> bytes:
    """A multipart body of one field."""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{content}\r\n--b--\r\n'.encode()


@pytest.mark.parametrize(
    ("form", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"x"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\n"),
        ("multipart/form-data; boundary=b; charset=utf-7", part("category", "+2AA-")),
        ("multipart/form-data; boundary=b; charset=no-such", part("photo", "x")),
        ("application/x-www-form-urlencoded", b"photo=x&category=%ED%A0%80%00"),
    ],
)
def test_forms_that_are_none_are_refused(service: httpx.Client, form: str, body: bytes) -> None:
    for method, path in (("POST", "/v1/search"), ("PUT", f"/v1/items/{DRESS}")):
        before = service.get(f"/v1/items/{DRESS}").json()
        answer = service.request(method, path, content=body, headers={"Content-Type": form})
        assert answer.status_code in (400, 422)
        assert service.get(f"/v1/items/{DRESS}").json() == before


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"category": "Denim"}'), ("application/json", b""), ("text/plain", b"x"), (None, b"x"),
        ("image/png", drawn()), ("multipart", b"x"),
    ],
)  # fmt: skip
def test_a_body_that_is_no_form_is_refused_and_nothing_is_forgotten(
    service: httpx.Client, kind: str | None, body: bytes
) -> None:
    before = service.get(f"/v1/items/{DRESS}").json()
    headers = {} if kind is None else {"Content-Type": kind}
    for method, path in (("POST", "/v1/search"), ("PUT", f"/v1/items/{DRESS}")):
        answer = service.request(method, path, content=body, headers=headers)
        assert answer.status_code == 415, answer.text
        assert "multipart/form-data" in answer.json()["detail"]
        assert answer.headers["x-request-id"]
    assert service.get(f"/v1/items/{DRESS}").json() == before


def test_a_misspelt_field_is_named_and_nothing_is_forgotten(service: httpx.Client) -> None:
    before = service.get(f"/v1/items/{DRESS}").json()
    for sent in ({"data": {"categroy": "Denim"}}, {"data": {"price": "5"}, "files": {"foto": ("a", drawn())}}):
        answer = service.put(f"/v1/items/{DRESS}", **sent)
        assert answer.status_code == 422
        assert ("categroy" if "files" not in sent else "foto") in answer.json()["detail"]
        assert "category" in answer.json()["detail"]
    assert service.get(f"/v1/items/{DRESS}").json() == before
    search = service.post("/v1/search", data={"category": "Denim"}, files={"photo": ("a", drawn())})
    assert (search.status_code, "'category'" in search.json()["detail"]) == (422, True)


def test_more_photos_than_the_service_takes_are_refused_and_the_rest_are_answered(template: Path) -> None:
    """One photo at a time, one more may wait, and sixteen come at once."""
    photo, start = drawn(size=(1600, 2400), form="JPEG"), threading.Barrier(16)
    with running(template, Settings(token=TOKEN, embed_at_once=1, embed_queue=1)) as url:

        def ask(_: int) -> httpx.Response:
            start.wait()
            return ONCE.post(f"{url}/v1/search", files={"photo": ("a", photo)})

        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(ask, range(16)))
            counts = Counter(answer.status_code for answer in answers)
        assert set(counts) == {200, 429}
        assert counts[200] >= 2
        for answer in answers:
            if answer.status_code == 429:
                assert int(answer.headers["retry-after"]) >= 1
                assert "busy" in answer.json()["detail"]
        assert ONCE.post(f"{url}/v1/search", files={"photo": ("a", photo)}).status_code == 200


@contextmanager
def locked(shop_path: Path) -> Iterator[None]:
    """The shop's database as another writer holds it; in PostgreSQL most readers wait as well."""
    with Shop.open(shop_path) as shop, shop.storage.engine.connect().execution_options(writes=True) as connection:
        connection.begin()
        if connection.dialect.name == "postgresql":
            connection.execute(text("LOCK TABLE settings, spaces IN ACCESS EXCLUSIVE MODE"))
        yield
        connection.rollback()


def test_others_are_answered_while_a_photo_is_worked_on(service: httpx.Client, shop_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        with locked(shop_path):
            put = pool.submit(service.put, "/v1/items/new", files={"photo": ("a", drawn())})
            search = pool.submit(service.post, "/v1/search", files={"photo": ("a", drawn())})
            for _ in range(50):
                assert ONCE.get(service.base_url.join("/v1/stores"), timeout=20).status_code == 200
            if (shop_path / "shop.db").exists():  # SQLite: readers don't wait for the lock that stops the put
                search.result(timeout=60)
            else:
                assert not search.done()
            assert not put.done()
        assert (put.result().status_code, search.result().status_code) == (201, 200)


def test_an_item_put_without_a_photo_waits_its_turn_too(shop_path: Path) -> None:
    """It may have the photo that it keeps embedded anew, under another category."""
    one_at_once = Settings(token=TOKEN, embed_at_once=1, embed_queue=0)
    with running(shop_path, one_at_once) as url, ThreadPoolExecutor(2) as pool:
        with locked(shop_path):
            asked = [
                pool.submit(ONCE.put, f"{url}/v1/items/{DRESS}", data={"category": "Denim"}, headers=BEARER)
                for _ in range(2)
            ]
            refused = next(as_completed(asked)).result()
            assert refused.status_code == 429
        assert sorted(one.result().status_code for one in asked) == [200, 429]


def test_health_says_not_ready_while_the_database_hangs(service: httpx.Client, shop_path: Path) -> None:
    if (shop_path / "shop.db").exists():
        pytest.skip("nobody can make readers of SQLite wait")
    with locked(shop_path), ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: ONCE.get(service.base_url.join("/health")), range(40)))
        assert {answer.status_code for answer in answers} == {503}
        assert answers[0].json() == {"alive": True, "ready": False}
    until(lambda: service.get("/health").status_code == 200)


def test_more_requests_than_the_service_takes_are_refused_but_it_can_still_be_watched(template: Path) -> None:
    one = Settings(token=TOKEN, in_flight=1)
    app = create_app(template, one)
    with running(app, one) as url:
        with one_in_hand(app, url):
            for refused in (ONCE.get(f"{url}/v1/stores"), ONCE.post(f"{url}/v1/search", files={"photo": ("a", b"x")})):
                assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            assert ONCE.get(f"{url}/health").status_code == 200
            assert ONCE.get(f"{url}/metrics").status_code == 200
        until(lambda: ONCE.get(f"{url}/v1/stores").status_code == 200)


def test_settings_come_from_the_environment() -> None:
    given = {
        "MODISTE_TOKEN": " abc ",
        "MODISTE_CORS": "https://a.example/, https://b.example",
        "MODISTE_HOSTS": "Shop.example., 192.0.2.1",
        "MODISTE_MAX_UPLOAD_MB": "1.5",
        "MODISTE_MAX_MEGAPIXELS": "12",
        "MODISTE_EMBED_AT_ONCE": "3",
        "MODISTE_EMBED_QUEUE": "0",
        "MODISTE_IN_FLIGHT": "7",
        "MODISTE_CONNECTIONS": "9",
    }
    hosts = ("shop.example", "192.0.2.1")
    origins = ("https://a.example", "https://b.example")
    made = Settings("abc", origins, hosts, 1_500_000, 12_000_000, 3, 0, 7, connections=9)
    assert Settings.from_environment(given) == made
    assert Settings.from_environment({"MODISTE_TOKEN": ""}) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODISTE_IN_FLIGHT", "many"),
        ("MODISTE_IN_FLIGHT", "0"),
        ("MODISTE_MAX_UPLOAD_MB", "nan"),
        ("MODISTE_MAX_MEGAPIXELS", "179"),
        ("MODISTE_HOSTS", "shop.example"),
        ("MODISTE_HOSTS", "https://shop.example"),
        ("MODISTE_TOKEN", "a b"),
        ("MODISTE_TOKEN", "ü"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        Settings.from_environment({name: value})
