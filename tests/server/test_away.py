"""A database that is away, a full or read-only disk: what is said, what is still answered, and that it is over."""

import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import psycopg
import pytest

from modiste.server.settings import Settings
from modiste.shop import users
from modiste.shop.shop import Shop

from ..disks import mounted
from ..garments import drawn
from ..running import BEARER, TOKEN, running, until
from ..shops import copied
from .test_login import HTML, SECRET, log_in

DRESS = "Dresses-red-women"
ORDER = {"shopper_id": "7", "item_id": DRESS}


@contextmanager
def away(shop: Path) -> Iterator[None]:
    """The shop's database can't be reached: its folder is elsewhere, or its server lets nobody in."""
    if (shop / "shop.db").exists():
        shop.rename(shop.with_name("elsewhere"))
        yield
        shop.with_name("elsewhere").rename(shop)
        return
    url = tomllib.loads((shop / "shop.toml").read_text())["database"]
    name = re.findall(r"/([a-z0-9_]+)\?", url)[0]
    with psycopg.connect(url.replace(f"/{name}?", "/postgres?"), autocommit=True) as server:
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        yield
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def test_while_the_database_is_away_what_was_known_last_is_answered_and_no_order_taken(
    service: httpx.Client, shop_path: Path
) -> None:
    service.put("/v1/scenarios/home", json={"scenario": {"top": 5}}).raise_for_status()
    questions = (
        "/v1/shoppers/1/recommendations", f"/v1/items/{DRESS}/similar", f"/v1/recommendations?items={DRESS}",
        f"/v1/items/{DRESS}/similar?scenario=home",
    )  # fmt: skip
    for question in questions:
        now = service.get(question)
        assert (now.json()["as_of"], "x-modiste-as-of" in now.headers) == (None, False)
    with away(shop_path):
        for question in questions:
            answer = service.get(question)
            assert answer.status_code == 200, answer.text
            assert answer.json()["as_of"]
            assert answer.headers["x-modiste-as-of"]
            assert len(answer.json()["recommendations"]) >= 5
        assert service.get(questions[0]).json()["known"] is False
        assert service.post("/v1/search", files={"photo": ("a", drawn())}).json()["as_of"]
        assert service.get(f"/v1/items/{DRESS}").headers["x-modiste-as-of"]
        for refused in (
            service.post("/v1/purchases", json=ORDER),
            service.put("/v1/items/new", data={"category": "Denim"}),
            service.put("/v1/shoppers/7", json={}),
            service.get("/v1/items"),
            service.get("/shoppers", headers={"Accept": "text/html"}),
        ):
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            assert "database doesn" in refused.text
        assert service.get("/health").json() == {"alive": True, "ready": False}
    until(lambda: service.post("/v1/purchases", json=ORDER).status_code == 200, 20)
    assert service.get("/v1/shoppers/7/recommendations").json()["known"]
    assert service.get("/v1/items").status_code == 200


def test_a_page_says_of_when_it_is_while_the_database_is_away(shop_path: Path) -> None:
    with Shop.open(shop_path) as shop:
        for name in ("mia", "vera"):
            shop.users.add(name, SECRET, "merchandiser")
    with running(shop_path, Settings()) as url, httpx.Client(base_url=url, headers=HTML, timeout=60) as client:
        log_in(client, "vera")
        client.get("/items?q=denim")
        log_in(client, "mia")
        pages = ("/overview", "/items?q=dress", f"/items/{DRESS}", "/scenarios")
        for page in pages:
            assert "database" not in client.get(page).raise_for_status().text
        client.get("/shoppers/1").raise_for_status()
        with away(shop_path):
            for page in pages:
                answer = client.get(page)
                assert answer.status_code == 200
                assert answer.headers["x-modiste-as-of"]
                said = re.findall(r'role="alert">(.*?)</p>', answer.text)
                assert "doesn't answer" in said[0]
                assert "changes are not taken" in said[0]
            hidden = client.post(f"/items/{DRESS}", data={"do": "hide"}, headers={"Origin": url})
            assert (hidden.status_code, "nothing was changed" in hidden.text) == (503, True)
            for other in ("/items?q=skirts", "/items?q=denim", "/shoppers/1"):  # never seen, another's, a shopper's
                assert client.get(other).status_code == 503
            client.cookies.clear()
            assert client.get("/overview", follow_redirects=False).status_code in (303, 503)
        log_in(client, "mia")
        until(lambda: "database" not in client.get("/overview").text, 20)


def test_a_session_that_ended_is_not_believed_while_the_database_is_away(
    shop_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Shop.open(shop_path) as shop:
        shop.users.add("vera", SECRET, "viewer")
    with running(shop_path, Settings()) as url:

        def enter() -> httpx.Client:
            client = httpx.Client(base_url=url, headers=HTML | {"Origin": url}, timeout=60)
            log_in(client, "vera")
            client.get("/overview").raise_for_status()
            return client

        before, meanwhile, late = enter(), enter(), enter()
        sessions = [client.cookies["modiste-session"] for client in (before, meanwhile)]
        before.post("/logout")
        with away(shop_path):
            assert meanwhile.get("/overview").status_code == 200
            left = meanwhile.post("/logout")
            assert (left.status_code, left.headers["location"], dict(meanwhile.cookies)) == (303, "/login", {})
            for session in sessions:
                again = httpx.get(f"{url}/overview", headers=HTML | {"Cookie": f"modiste-session={session}"})
                assert again.status_code in (303, 503), "it has ended, whoever shows it"
            assert late.get("/overview").status_code == 200
            monkeypatch.setattr(users, "BELIEVED", timedelta())
            assert late.get("/overview").status_code == 503
        until(lambda: late.get("/overview").status_code == 200 and "database" not in late.get("/overview").text, 20)
        for client in (before, meanwhile, late):
            client.close()
    with Shop.open(shop_path) as shop:
        assert [shop.users.whose(session) for session in sessions] == [None, None]


def test_pages_say_so_where_the_database_was_away_from_the_start(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text('database = "postgresql://nobody@127.0.0.1:1/nowhere"\n')
    with running(tmp_path, Settings()) as url:
        for cookie in ({}, {"Cookie": "modiste-session=anybody"}):
            answer = httpx.get(f"{url}/overview", headers=HTML | cookie)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
            assert "The database doesn" in answer.text
            assert tmp_path.name in answer.text


@pytest.mark.parametrize("template", ["sqlite"], indirect=True)
def test_a_full_and_a_read_only_disk_are_said(template: Path, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "16m") as disk:
        shop = copied(template, disk.path / "street")
        with (
            running(shop, Settings(token=TOKEN)) as url,
            httpx.Client(base_url=url, headers=BEARER, timeout=60) as client,
        ):
            orders = [ORDER | {"order_id": f"A-{number}"} for number in range(1000)]
            disk.fill()
            for refused in (
                client.put("/v1/items/new", files={"photo": ("a", drawn())}),
                client.post("/v1/purchases", json=orders),
            ):
                assert refused.status_code == 507, refused.text
                assert "the disk is full" in refused.json()["detail"]
                assert str(tmp_path) not in refused.text
            assert [*shop.glob("uploads/*")] == []
            assert client.get(f"/v1/items/{DRESS}/similar").status_code == 200
            disk.make_room()
            assert client.put("/v1/items/new", files={"photo": ("a", drawn())}).status_code == 201
            assert client.post("/v1/purchases", json=orders).json()["recorded"] == 1000
        disk.remount("ro")
        with (
            running(shop, Settings(token=TOKEN)) as url,
            httpx.Client(base_url=url, headers=BEARER, timeout=60) as client,
        ):
            refused = client.post("/v1/purchases", json=ORDER)
            assert (refused.status_code, "not changed" in refused.json()["detail"]) == (503, True)
            assert client.get("/v1/shoppers/7/recommendations").json()["known"]
            assert client.get("/health").status_code == 200
            disk.remount("rw")


@pytest.mark.parametrize("template", ["postgresql"], indirect=True)
def test_a_worker_that_starts_while_the_database_is_away_opens_the_shop_when_it_is_back(shop_path: Path) -> None:
    with away(shop_path):
        stack = running(shop_path, Settings(token=TOKEN))
        url = stack.__enter__()
        with httpx.Client(base_url=url, headers=BEARER, timeout=120) as client:
            assert client.get("/health").status_code == 503
            assert client.get(f"/v1/items/{DRESS}").status_code == 503
            assert client.post("/v1/purchases", json=ORDER).status_code == 503
    try:
        with httpx.Client(base_url=url, headers=BEARER, timeout=120) as client:
            until(lambda: client.get("/health").status_code == 200, 20)
            assert client.post("/v1/purchases", json=ORDER).status_code == 200
    finally:
        stack.__exit__(None, None, None)
