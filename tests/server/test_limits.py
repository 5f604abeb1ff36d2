"""How much the service takes at once, and what it is set to."""

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


def test_a_large_upload_is_refused_as_it_comes(template: Path) -> None:
    with running(template, Settings(max_upload=50_000)) as url:
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
    with running(template, Settings(max_pixels=100_000)) as url:
        answer = ONCE.post(f"{url}/v1/search", files={"photo": ("a", drawn(size=(1000, 1000)))})
        assert (answer.status_code, "0.1 megapixels" in answer.json()["detail"]) == (422, True)
        put = ONCE.put(f"{url}/v1/items/x", files={"photo": ("a", drawn(size=(1000, 1000)))})
        assert put.status_code == 201  # the limit is that of searches
        assert ONCE.delete(f"{url}/v1/items/x").status_code == 204


def test_a_photo_larger_than_usual_may_be_allowed(template: Path) -> None:
    large = BytesIO()
    Image.linear_gradient("L").resize((5000, 4000)).save(large, "PNG")
    for most, status in ((16_000_000, 422), (24_000_000, 200)):
        with running(template, Settings(max_pixels=most)) as url:
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
        asked.sendall(b"GET /long HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + TOKEN.encode() + b"\r\n\r\n")
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
        ("multipart/form-data; boundary=b", part("attributes", '{"a":' * 20_000)),
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
    with running(template, Settings(embed_at_once=1, embed_queue=1)) as url:

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
                assert ONCE.get(service.base_url.join("/v1/stores"), timeout=20, headers=BEARER).status_code == 200
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

        def get(path: str) -> httpx.Response:
            return ONCE.get(url + path, headers=BEARER)

        with one_in_hand(app, url):
            for refused in (
                get("/v1/stores"),
                ONCE.post(f"{url}/v1/search", files={"photo": ("a", b"x")}, headers=BEARER),
            ):
                assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
            assert ONCE.get(f"{url}/health").status_code == 200
            assert get("/metrics").status_code == 200
        until(lambda: get("/v1/stores").status_code == 200)


def test_settings_come_from_the_environment() -> None:
    given = {
        "MODISTE_TOKEN": " abc ",
        "MODISTE_HOSTS": "Shop.example., 192.0.2.1",
        "MODISTE_MAX_UPLOAD_MB": "1.5",
        "MODISTE_MAX_MEGAPIXELS": "12",
        "MODISTE_EMBED_AT_ONCE": "3",
        "MODISTE_EMBED_QUEUE": "0",
        "MODISTE_IN_FLIGHT": "7",
        "MODISTE_CONNECTIONS": "9",
        "MODISTE_PROXIES": "10.0.0.0/8, 192.0.2.7",
    }
    hosts, proxies = ("shop.example", "192.0.2.1"), ("10.0.0.0/8", "192.0.2.7")
    made = Settings("abc", hosts, 1_500_000, 12_000_000, 3, 0, 7, connections=9, proxies=proxies)
    assert Settings.from_environment(given) == made
    assert Settings.from_environment({"MODISTE_TOKEN": ""}) == Settings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODISTE_IN_FLIGHT", "many"),
        ("MODISTE_IN_FLIGHT", "0"),
        ("MODISTE_MAX_UPLOAD_MB", "nan"),
        ("MODISTE_MAX_MEGAPIXELS", "179"),
        ("MODISTE_HOSTS", "https://shop.example"),
        ("MODISTE_PROXIES", "proxy.example"),
        ("MODISTE_TOKEN", "a b"),
        ("MODISTE_TOKEN", "ü"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name):
        Settings.from_environment({name: value})
