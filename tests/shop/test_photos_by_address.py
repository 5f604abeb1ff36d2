"""A catalogue whose photos are addresses: they come into the shop's folder, and what can't be had is told."""

import csv
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from modiste.shop.shop import Shop


class Web(ThreadingHTTPServer):
    """Serves ``files`` by path, and 404 for the rest; under /moved/ from elsewhere, under /flaky/ at the second try,
    under /slow/ after a while."""

    daemon_threads = True

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Web

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        _, *how, name = self.path.split("/")
        if how == ["moved"] or (how == ["flaky"] and self.server.asked.count(self.path) == 1):
            self.send_response(302 if how == ["moved"] else 503)
            self.send_header("Location", f"/{name}")
            self.end_headers()
            return
        if how == ["slow"]:
            time.sleep(0.3)
        body = self.server.files.get(f"/{name}")
        tag = f'"{hash(body)}"'
        fresh = body is not None and self.headers["If-None-Match"] == tag
        self.send_response(304 if fresh else 404 if body is None else 200)
        if body is not None:
            self.send_header("ETag", tag)
            self.send_header("Content-Type", "text/csv" if self.path.endswith(".csv") else "image/png")
        self.end_headers()
        if body is not None and not fresh:
            self.wfile.write(body)


@pytest.fixture
def web() -> Iterator[Web]:
    with Web() as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def table(file: Path, rows: list[dict[str, object]]) -> Path:
    with file.open("w", newline="") as written:
        writer = csv.DictWriter(written, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


def test_photos_by_address_lie_in_the_shop(
    tmp_path: Path, web: Web, encoded: Callable[..., bytes], database: str | None
) -> None:
    web.files = {
        "/a.png": encoded("Tees_Tanks-red-women-0"),
        "/b.png": encoded("Tees_Tanks-red-women-6"),
        "/broken.png": b"\x89PNG\r\n\x1a\n" * 9,
    }
    names = ("a", "b", "gone", "broken")
    rows: list[dict[str, object]] = [
        {"item_id": name, "image": f"{web.url}/{name}.png", "category": "Tees_Tanks"} for name in names
    ]
    with Shop.create(tmp_path / "s", database=database) as shop:
        refused = shop.items.add(table(tmp_path / "items.csv", rows))
        assert (refused.added, len(refused.photos)) == (4, 4)
        assert "allow private ones" in refused.photos[0].reason
        report = shop.items.add(tmp_path / "items.csv", private=True)
        assert (report.updated, report.unchanged, report.rejected) == (2, 2, [])
        assert [(one.file.rpartition("/")[2], one.reason.partition(" (")[0]) for one in report.photos] == [
            ("gone.png", "is answered with status 404; item 'gone' goes without"),
            ("broken.png", "not a photo that can be read"),
        ]
        assert Path(shop.items["a"]["image"]).is_relative_to(tmp_path / "s" / "photos")
        assert Path(shop.items["a"]["image"]).read_bytes() == web.files["/a.png"]
        assert shop.items["gone"]["image"] is None
        assert shop.items.add(tmp_path / "items.csv", private=True).unchanged == 4


def test_a_further_photo_stands_in_for_the_first_that_can_not_be_had(
    tmp_path: Path, web: Web, encoded: Callable[..., bytes]
) -> None:
    web.files = {"/b.png": encoded("Tees_Tanks-red-women-0"), "/c.png": encoded("Tees_Tanks-red-women-6")}
    row: dict[str, object] = {"item_id": "1", "image": f"{web.url}/gone.png"}
    row |= {f"image {n}": f"{web.url}/{name}.png" for n, name in ((2, "b"), (3, "c"))}
    with Shop.create(tmp_path / "s") as shop:
        report = shop.items.add(table(tmp_path / "items.csv", [row]), private=True)
        item = shop.items["1"]
        assert [Path(one).read_bytes() for one in (item["image"], *item["photos"])] == list(web.files.values())
        assert [one.file.rpartition("/")[2] for one in report.photos] == ["gone.png"]


def test_a_placeholder_that_many_products_share_is_not_their_photo(
    tmp_path: Path, web: Web, encoded: Callable[..., bytes]
) -> None:
    web.files = {
        f"/{n}.png": encoded("Tees_Tanks-red-women-0" if n < 10 else "Tees_Tanks-red-women-6") for n in range(12)
    }
    rows: list[dict[str, object]] = [
        {"item_id": f"i{n}", "product": f"p{n}", "image": f"{web.url}/{n}.png", "category": "Tees_Tanks"}
        for n in range(12)
    ]
    with Shop.create(tmp_path / "s") as shop:
        report = shop.items.add(table(tmp_path / "items.csv", rows), private=True)
        assert report.added == 12
        assert [one.reason for one in report.photos] == [
            "is the photo of 10 products; taken for a placeholder, their items go without"
        ]
        assert [n for n in range(12) if shop.items[f"i{n}"]["image"]] == [10, 11]
