"""A day of abuse of a real service: what it wrote names no shopper and tells no secret."""

import json
import os
import re
import signal
import socket
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from modiste.shop import database

from ..garments import drawn
from ..running import BEARER, TOKEN, Served, until
from .test_away import away
from .test_serving import workers_of

HER = "jane-doe-4711"
PASSWORD, WRONG = "hush-the-database", "hush-a-wrong-token"
DRESS = "Dresses-red-women"


def raw(url: str, sent: bytes) -> None:
    """Send bytes that are no request, or only half of one, and leave."""
    address = httpx.URL(url)
    with socket.create_connection((address.host, address.port or 0), timeout=20) as connection:
        connection.sendall(sent)


def abuse(url: str, client: httpx.Client) -> set[int]:
    """Wrong, broken and forbidden requests that name her wherever something can be named; their statuses."""
    order, path = {"shopper_id": HER, "item_id": DRESS, "order_id": f"{HER}-1"}, f"/v1/shoppers/{HER}"
    page, form = {"Accept": "text/html"}, {"Content-Type": f"multipart/form-data; boundary={HER}"}
    answers = [
        client.put(path, json={"trendiness": 0.4, "latitude": 48.8517, "longitude": 2.3}),
        client.post("/v1/purchases", json=order),
        client.post("/v1/purchases", json=order | {"item_id": HER}),
        client.post("/v1/purchases", json=order | {"at": HER}),
        client.post("/v1/purchases", json=[order | {HER: HER}] * 3),
        client.post("/v1/purchases", content=f'{{"shopper_id": "{HER}'.encode()),
        client.put(path, json={"trendiness": HER}),
        client.put(f"/v1/shoppers/{HER}%00", json={}),
        client.get(f"{path}/recommendations"),
        client.get(f"{path}/recommendations", params={HER: HER}),
        client.get(f"{path}/recommendations", params={"near": HER}),
        client.get(f"/shoppers/{HER}", headers=page),
        client.get(f"/shoppers/{HER}{HER}", headers=page),
        client.get(f"/{HER}", headers=page),
        client.request(HER[:4].upper(), path),
        client.get(path, headers={"Host": HER}),
        client.get(path, headers={"Referer": f"{url}{path}", "Cookie": f"who={HER}", "X-Request-ID": f"{HER} {HER}"}),
        client.get("/v1/trending", headers={"Authorization": f"Bearer {WRONG}"}),
        client.put(path, json={}, headers={"Authorization": f"Bearer {WRONG}"}),
        client.post("/v1/search", files={"photo": (HER, HER.encode())}),
        client.post("/v1/search", files={HER: (HER, drawn())}),
        client.put(f"/v1/items/{HER}", data={"title": HER, "price": HER}),
        client.post(
            "/v1/search", content=HER.encode(), headers={"Content-Type": f"multipart/form-data; boundary={HER}"}
        ),
        client.put(f"/v1/items/{HER}", content=HER.encode(), headers=form),
    ]
    for sent in (
        f"{HER}\r\n\r\n",
        f"GET /{HER} HTTP/9\r\n\r\n",
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX: {HER}",
        f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 90\r\n\r\n{HER}",
        f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{HER}\r\n",
    ):
        raw(url, sent.encode())
    return {answer.status_code for answer in answers}


def with_password(shop: Path) -> None:
    """Have the database's URL tell a password, which a server that trusts everybody doesn't look at."""
    settings = shop / "shop.toml"
    if settings.exists():
        url = re.sub(r"//(\w+)(:[^@]*)?@", rf"//\1:{PASSWORD}@", tomllib.loads(settings.read_text())["database"])
        assert PASSWORD in url
        settings.write_text(f"database = {json.dumps(url)}\n")


@contextmanager
def broken(shop: Path) -> Iterator[None]:
    """Her name stands where a number belongs, and in the message of every error that comes of it."""
    engine = database.connect(shop)
    number = sa.text("SELECT value FROM settings WHERE name = 'normpop'")
    change = sa.text("UPDATE settings SET value = :value WHERE name = 'normpop'")
    with engine.connect() as connection:
        value = connection.execute(number).scalar_one()
    for one in (HER, value):
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            connection.execute(change, {"value": one})
        if one == HER:
            yield
    engine.dispose()


@pytest.mark.parametrize("template", ["postgresql"], indirect=True)
def test_nothing_that_is_written_names_a_shopper_or_tells_a_secret(
    shop_path: Path, serve: Callable[..., Served]
) -> None:
    with_password(shop_path)
    served = serve(shop_path, "--workers", 2, MODISTE_TOKEN=TOKEN)
    with httpx.Client(base_url=served.url, headers=BEARER, timeout=120) as client:
        statuses = abuse(served.url, client)
        assert {200, 201, 401, 404, 405, 422} <= statuses
        assert not statuses & set(range(500, 600))
        with broken(shop_path):
            assert 500 in abuse(served.url, client)
        with away(shop_path):
            assert 503 in abuse(served.url, client)
        until(lambda: client.get("/health").status_code == 200)
        for pid in workers_of(served):
            os.kill(pid, signal.SIGKILL)
        workers_of(served, 4)
        abuse(served.url, client)
        metrics = client.get("/metrics").text
    served.stop()
    written = served.out.read_text() + served.err.read_text() + metrics
    assert any(line.get("traceback") for line in served.logs)
    assert "Traceback" not in served.err.read_text()
    for secret in (HER, HER[:4].upper(), TOKEN, WRONG, PASSWORD, DRESS, "48.8517"):
        assert secret not in written, [line for line in written.splitlines() if secret in line][:3]
