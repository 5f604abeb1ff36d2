"""Logging in and out, and what pages of others can't make a browser do."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from modiste.server.settings import Settings
from modiste.shop.shop import Shop
from modiste.shop.users import MOST_TRIES

from ..running import BEARER, TOKEN, running
from .test_auth import CATALOGUE, CLOSED, ROLES, ROUTES, refused

SECRET = "fifteen small buttons"
HTML = {"Accept": "text/html"}


@pytest.fixture
def address(shop_path: Path) -> Iterator[str]:
    """Of a service where vera reads, mia changes what is shown, and ada may do everything."""
    with Shop.open(shop_path) as shop:
        for name, role in (("vera", "viewer"), ("mia", "merchandiser"), ("ada", "admin")):
            shop.users.add(name, SECRET, role)
    with running(shop_path, Settings(token=TOKEN)) as url:
        yield url


def log_in(client: httpx.Client, name: str, password: str = SECRET, **more: str) -> httpx.Response:
    form = {"name": name, "password": password} | more
    return client.post("/login", data=form, headers=HTML | {"Origin": str(client.base_url).rstrip("/")})


def test_people_may_do_what_their_role_may_and_nothing_after_they_left(address: str) -> None:
    for name, role in (("vera", "viewer"), ("mia", "merchandiser"), ("ada", "admin")):
        with httpx.Client(base_url=address, timeout=120) as client:
            assert refused(client) == CLOSED - CATALOGUE
            assert log_in(client, name).status_code == 303
            more = ROLES[ROLES.index(role) + 1 :]  # type: ignore[arg-type]
            assert refused(client, Origin=address) == {one for one in ROUTES if one[2] in more}
            session = dict(client.cookies)
            left = client.post("/logout", headers={"Origin": address})
            assert (left.status_code, left.headers["location"]) == (303, "/login")
            assert not client.cookies
            client.cookies.update(session)
            read = {one for one in CATALOGUE if one[0] == "GET"}  # a form with a cookie says whose page it is from
            assert refused(client) == CLOSED - read  # the session ended on the shop's side too


def test_who_must_log_in_first_comes_to_where_she_wanted(address: str) -> None:
    with httpx.Client(base_url=address, headers=HTML, timeout=120) as client:
        sent = client.get("/items?categories=Dresses&q=a b")
        assert sent.status_code == 303
        form = client.get(sent.headers["location"]).text
        (wanted,) = re.findall(r'name="next" value="([^"]*)"', form)
        there = log_in(client, "vera", next=wanted.replace("&amp;", "&"))
        assert client.get(there.headers["location"]).url == f"{address}/items?categories=Dresses&q=a%20b"
        assert "vera" in client.get("/items").text
        for elsewhere in (
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "javascript:alert(1)",
            "/\n/evil",
        ):
            assert log_in(client, "vera", next=elsewhere).headers["location"] == "/"
    with httpx.Client(base_url=address, timeout=120) as program:
        assert program.get("/v1/stores", headers=HTML).status_code == 401
        assert program.get("/items").status_code == 401
        part = program.get("/items", headers={"HX-Request": "true"})
        assert (part.status_code, part.headers["hx-redirect"]) == (401, "/login")


def test_the_cookie_is_for_the_service_alone(address: str) -> None:
    with httpx.Client(base_url=address, timeout=120) as client:
        plain = log_in(client, "vera").headers["set-cookie"]
        for part in ("HttpOnly", "SameSite=lax", "Path=/;", "Max-Age=43200"):
            assert part in plain + ";"
        assert "Secure" not in plain
        behind = {"X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/fashion", "Origin": address}
        safe = client.post("/login", data={"name": "vera", "password": SECRET}, headers=behind)
        assert safe.headers["location"] == "/fashion/"
        assert "Secure" in safe.headers["set-cookie"]
        assert "Path=/fashion" in safe.headers["set-cookie"]


def test_a_session_that_was_there_before_is_not_the_one_that_begins(address: str) -> None:
    """Whoever planted a cookie in somebody's browser doesn't come in with it."""
    with httpx.Client(base_url=address, timeout=120) as client, httpx.Client(base_url=address, timeout=120) as attacker:
        log_in(attacker, "vera")
        planted = attacker.cookies["modiste-session"]
        client.cookies.set("modiste-session", planted, domain="127.0.0.1", path="/")
        assert client.get("/items").status_code == 200
        log_in(client, "ada")
        assert client.cookies["modiste-session"] != planted
        assert attacker.get("/items").status_code == 401  # and the one that was there has ended


def test_a_form_of_another_site_does_nothing(address: str) -> None:
    others: list[dict[str, str]] = [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        {},
    ]
    by_id = ("/v1/impressions", "/v1/clicks")  # whose leave is a list's id
    writing = [(method, path) for method, path, _ in ROUTES if method not in ("GET", "*") and path not in by_id]
    with httpx.Client(base_url=address, timeout=120) as client:
        log_in(client, "ada")
        for number, headers in enumerate(others):
            for method, path in writing:
                answer = client.request(method, re.sub(r"{[^}]*}", "1", path), headers=headers)
                assert answer.status_code == 403, (method, path, headers)
            assert client.get("/shoppers").status_code == 200  # still logged in
            assert client.get("/v1/shoppers/1").status_code == 200  # still there
            by_key = client.put(f"/v1/shoppers/9{number}", json={}, headers=BEARER | headers)
            assert by_key.status_code == 201  # no browser sends a key by itself


def test_nobody_is_logged_in_as_somebody_else_by_another_site(address: str) -> None:
    with httpx.Client(base_url=address, timeout=120) as client:
        form = {"name": "vera", "password": SECRET}
        assert client.post("/login", data=form, headers={"Origin": "https://evil.example"}).status_code == 403
        assert not client.cookies


def test_guessing_is_slowed_and_told(address: str) -> None:
    with httpx.Client(base_url=address, headers=HTML, timeout=120) as client:
        for number in range(MOST_TRIES):
            wrong = log_in(client, "vera", f"guess {number}")
            assert (wrong.status_code, "belong together" in wrong.text) == (401, True)
        late = log_in(client, "vera")
        assert (late.status_code, "minutes" in late.text) == (429, True)
        assert 0 < int(late.headers["retry-after"]) <= 900
        elsewhere = {"X-Forwarded-For": "192.0.2.1", "Origin": address}
        assert client.post("/login", data={"name": "vera", "password": SECRET}, headers=elsewhere).status_code == 303
        for nobody in ("", "nobody", "a\x00b", "x" * 201):
            assert log_in(client, nobody).status_code in (401, 422)


def test_it_is_known_who_changed_what_and_no_shopper_is_named(address: str, shop_path: Path) -> None:
    with httpx.Client(base_url=address, timeout=120) as client:
        log_in(client, "ada")
        own = {"Origin": address}
        client.put("/v1/shoppers/4711", json={}, headers=own).raise_for_status()  # what a back end sends is not listed
        client.delete("/v1/shoppers/4711", headers=own).raise_for_status()
        assert client.delete("/v1/shoppers/4711", headers=own).status_code == 404  # nothing was changed
        page = client.get("/audit", headers=HTML)
        assert page.status_code == 200
        cells = re.findall(r"<td>([^<]*)</td>", page.text)
        assert cells == ["ada", "forget a shopper", "", "ada", "log in", ""]
        log_in(client, "mia")
        assert client.get("/audit").status_code == 403
        assert "/audit" not in client.get("/items").text
    with Shop.open(shop_path) as shop:
        assert "4711" not in str(shop.audit.frame().to_dicts())
