"""modiste.Client against the live service."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import modiste
from modiste import wire
from modiste.client import Client
from modiste.errors import ModisteError, PhotoError, ServiceError, SettingError
from modiste.server.settings import Settings

from ..garments import drawn
from ..running import TOKEN, free_port, running

DRESS = "Dresses-red-women"


@pytest.fixture
def client(shop_path: Path) -> Iterator[Client]:
    with running(shop_path, Settings(token=TOKEN)) as url, modiste.Client(url, TOKEN) as made:
        yield made


def test_items_are_put_read_and_forgotten(client: Client, tmp_path: Path) -> None:
    assert client.items(limit=2, categories=["Dresses", "Denim"]).total == 8
    (tmp_path / "photo.png").write_bytes(drawn())
    put = client.put_item(
        "a/b", tmp_path / "photo.png", category="Dresses", gender="women", price=12.5, attributes={"fit": "ä"}
    )
    assert (put.created, put.embedded, put.item.attributes) == (True, True, {"fit": "ä"})
    assert client.put_item("a/b", drawn("Denim")).created is False
    assert client.put_item("a/b", came=date(2025, 3, 31)).item.came == date(2025, 3, 31)
    client.put_items([{"item_id": "a/b", "came": date(2025, 4, 1)}])
    assert client.item("a/b").came == date(2025, 4, 1)
    assert client.item("a/b").category is None
    assert client.photo("a/b") == drawn("Denim")
    assert Image.open(BytesIO(client.thumbnail("a/b", 60))).size[1] == 60
    assert Image.open(BytesIO(client.mask("a/b"))).mode == "P"
    client.delete_item("a/b")
    with pytest.raises(ServiceError, match="no item 'a/b'"):
        client.item("a/b")


@pytest.mark.parametrize("item_id", ["a/..", "...", "/", "ü", "%2F"])
def test_ids_are_sent_as_they_are(client: Client, item_id: str) -> None:
    assert client.put_item(item_id, title=item_id).item.item_id == item_id
    assert client.item(item_id).item_id == item_id
    client.delete_item(item_id)


def test_recommendations_come_as_asked(client: Client) -> None:
    found = client.recommend("1", top=2, near=(48.8, 2.3), within=5, gender="any", exclude=[DRESS])
    assert found.known
    assert len(found.recommendations) == 2
    assert all(one.why and one.store_id == "left" for one in found.recommendations)
    assert client.recommend("1", top=2, near="48.8,2.3", within=5, gender="any", exclude=[DRESS]) == found
    assert client.similar(DRESS, preset="visual", top=1).recommendations[0].because == DRESS
    [tops] = client.goes_with("Denim-blue-women", top=1).parts
    assert (tops.part, tops.recommendations[0].item_id) == ("tops", "Tees_Tanks-blue-women")
    assert client.search(drawn("Denim", "blue"), top=1).recommendations[0].item_id.startswith("Denim-blue")
    assert client.trending(7, top=1, categories=["Dresses"]).items[0].category == "Dresses"
    assert not client.recommend("nobody").known


def test_a_guest_reads_nothing_of_popularity_at_any_door(client: Client) -> None:
    liked = "Tees_Tanks-blue-women"  # which sells most

    def everywhere(**ask: Any) -> list[str]:
        query = {name: str(value) for name, value in ask.items()}
        answers = [
            client.recommend("nobody", **ask), client.recommend_to_guest([liked], **ask),
            client.recommend_to_guest([], **ask), client.similar(liked, **ask), client.search(drawn(), beta=2, **ask),
        ]  # fmt: skip
        pages = [f"/items/{liked}"]
        return [one.model_dump_json() for one in answers] + [client._http.get(at, params=query).text for at in pages]

    assert not [said for said in everywhere() if "bought a lot" in said or '"why":""' in said]
    told = everywhere(trendiness=1.0, top=8, gender="any")[:-1]  # the page has no such slider
    assert not [said for said in told if "bought a lot" not in said]


def test_answers_are_the_models_that_the_service_sends(client: Client) -> None:
    for answer, model in (
        (client.items(), wire.Items), (client.item(DRESS), wire.Item), (client.put_item("new", title="New"), wire.Put),
        (client.similar(DRESS), wire.Similar), (client.goes_with(DRESS), wire.GoesWith),
        (client.recommend("1"), wire.ForShopper),
        (client.search(drawn()), wire.SearchResult), (client.trending(), wire.Trending),
        (client.shopper("1"), wire.Shopper), (client.put_shopper("1"), wire.Shopper),
        (client.stores()[0], wire.Store), (client.record([{"shopper_id": "1", "item_id": DRESS}]), wire.Recorded),
        (client.health(), wire.Health),
    ):  # fmt: skip
        assert type(answer) is model
    assert client.recommend("1").recommendations[0].terms.look is not None
    assert client._request("GET", "/v1/items").json() == client.items().model_dump()


def test_a_question_that_makes_no_sense_is_refused_before_it_is_sent() -> None:
    with modiste.Client(f"http://127.0.0.1:{free_port()}") as client:
        for ask, said in (({"tpo": 3}, "did you mean top"), ({"top": 0}, "top"), ({"near": "here"}, "48.86,2.35")):
            for method in (client.recommend, client.similar, client.goes_with):
                with pytest.raises(SettingError, match=said):
                    method(DRESS, **ask)
        with pytest.raises(SettingError, match="did you mean category"):
            client.search(drawn(), categroy="Denim")


def test_shoppers_stores_and_purchases(client: Client) -> None:
    assert client.put_shopper("7", trendiness=0.25).trendiness == 0.25
    assert client.shopper("7").estimated is False
    orders = [
        {"shopper_id": "7", "item_id": DRESS, "at": datetime(2025, 3, 1, tzinfo=UTC), "order_id": "B-1"},
        {"shopper_id": "7", "item_id": DRESS, "at": "2025-03-02"},
        {"shopper_id": "7", "item_id": DRESS},
    ]
    assert client.record(orders) == wire.Recorded(recorded=3, known=0)
    assert client.record(orders[:1]) == wire.Recorded(recorded=0, known=1)
    assert [store.store_id for store in client.stores(near=(48.9, 2.4))] == ["right", "left"]
    assert [store.store_id for store in client.stores(near="48.9,2.4", within=1)] == ["right"]
    assert client.health() == wire.Health(alive=True, ready=True)
    assert "modiste_items 12" in client.metrics()


def test_a_refusal_is_told_in_the_services_words(client: Client) -> None:
    with pytest.raises(ServiceError, match=r"limit.*\(422\)") as refused:
        client.items(limit=0)
    assert isinstance(refused.value, ModisteError)
    assert refused.value.status == 422
    assert refused.value.request_id
    with pytest.raises(ServiceError, match="did you mean store_id"):
        client.items(store="left")
    with pytest.raises(ServiceError, match="no field 'prize'"):
        client.put_item("new", prize=5)
    with (
        modiste.Client(str(client._http.base_url), "wrong") as stranger,
        pytest.raises(ServiceError, match="no such key") as refused,
    ):
        stranger.delete_item(DRESS)
    assert refused.value.status == 401
    with pytest.raises(PhotoError, match=r"none\.png"):
        client.search(Path("none.png"))


def test_a_busy_service_says_when_to_come_back(template: Path) -> None:
    with (
        running(template, Settings(in_flight=0)) as url,
        modiste.Client(url) as client,
        pytest.raises(ServiceError, match="busy") as refused,
    ):
        client.stores()
    assert (refused.value.status, refused.value.retry_after) == (429, 1.0)


def test_a_service_that_is_not_up_is_told() -> None:
    with (
        modiste.Client(f"http://127.0.0.1:{free_port()}") as client,
        pytest.raises(ServiceError, match="modiste serve"),
    ):
        client.stores()


def test_a_list_is_reported_and_two_scenarios_are_tested(client: Client) -> None:
    for name in ("home", "home-2"):
        client.put_scenario(name, {"top": 3})
    started = client.start_test("winter", "home", "home-2", rate=0.2, counts="clicked")
    found = client.recommend_to_guest([DRESS], scenario="home", session="s-1")
    assert found.list_id is not None
    assert client.report_seen([{"list_id": found.list_id}]).recorded == 1
    click = {"list_id": found.list_id, "item_id": found.recommendations[0].item_id, "at": datetime.now(UTC)}
    assert client.report_clicks([click, {**click, "item_id": "nothing"}]).refused[0].line == 2
    (row,) = client.storefront(days=3)
    assert (row.placement, row.scenario, row.experiment, row.clicked.people) == ("home", found.scenario, "winter", 1)
    assert client.tests() == [started]
    assert (client.test("winter").waiting, client.stop_test("winter").state) == (1, "open")
