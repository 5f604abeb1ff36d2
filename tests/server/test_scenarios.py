"""Scenarios over HTTP: put, listed, compared, undone, and asked for by name."""

import httpx
import pytest

from modiste.client import Client

from ..running import TOKEN

PIN = {"name": "Winter", "do": "pin", "items": ["Denim-blue-women"], "place": 1}
SAID = {"top": 3, "gender": "any", "rules": [PIN]}


def put(service: httpx.Client, scenario: dict, name: str = "product-page", **more) -> httpx.Response:
    headers = more.pop("headers", {})
    body = {"scenario": scenario, "author": "Ann", "reason": "winter"} | more
    return service.put(f"/v1/scenarios/{name}", json=body, headers=headers)


def test_a_scenario_is_put_read_compared_and_undone(service: httpx.Client) -> None:
    answer = put(service, SAID)
    made = answer.json()
    assert answer.status_code == 200, made
    assert made["scenario"] == SAID
    assert (made["version"], made["author"], made["reason"]) == (1, "Ann", "winter")
    changed = put(service, SAID | {"top": 5, "rules": []}, headers={"If-Match": '"1"'})
    assert changed.headers["etag"] == '"2"'
    refused = put(service, SAID, headers={"If-Match": '"1"'})
    assert (refused.status_code, "version 2" in refused.json()["detail"]) == (412, True)
    [listed] = service.get("/v1/scenarios").json()["scenarios"]
    assert listed == service.get("/v1/scenarios/product-page").json()
    latest, first = service.get("/v1/scenarios/product-page/versions").json()["versions"]
    assert [one["what"] for one in latest["changes"]] == ["top", "rule “Winter”"]
    assert latest["changes"][0] == {"what": "top", "before": "3", "after": "5"}
    assert first["version"] == 1
    undone = service.post("/v1/scenarios/product-page/undo", json={"author": "Bob"}).json()
    assert (undone["version"], undone["scenario"], undone["author"]) == (3, SAID, "Bob")
    assert service.delete("/v1/scenarios/product-page").status_code == 204
    gone = service.get("/v1/scenarios/product-page")
    assert (gone.status_code, gone.json()["detail"]) == (
        404,
        "no scenario 'product-page' in street; there are none yet",
    )
    assert service.get("/v1/scenarios/product-page/versions").json()["versions"][0]["scenario"] is None
    assert service.post("/v1/scenarios/product-page/undo", json={"to": 2}).json()["scenario"]["top"] == 5


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/v1/shoppers/1/recommendations", ("shopper_id", "known")),
        ("/v1/shoppers/nobody/recommendations", ("shopper_id", "known")),
        ("/v1/items/Dresses-red-women/similar", ("item_id",)),
        ("/v1/recommendations?items=Dresses-red-women", ("unknown",)),
    ],
)
def test_lists_are_asked_for_by_a_scenario_and_say_what_its_rules_did(service, path, names) -> None:
    put(service, SAID)
    mark = "&" if "?" in path else "?"
    answer = service.get(f"{path}{mark}scenario=product-page").json()
    assert answer["scenario"] == "product-page"
    assert answer["rules"] == ["rule “Winter” pinned place 1"]
    assert len(answer["recommendations"]) == 3
    first, second = answer["recommendations"][:2]
    assert (first["item_id"], first["rules"]) == ("Denim-blue-women", ["pinned by rule “Winter”"])
    assert second["rules"] == []
    assert sum(first["terms"].values()) == pytest.approx(first["relevance"])
    assert set(names) <= set(answer)
    assert len(service.get(f"{path}{mark}scenario=product-page&top=2").json()["recommendations"]) == 2
    missing = service.get(f"{path}{mark}scenario=product-pag")
    assert missing.status_code == 404
    assert "did you mean product-page?" in missing.json()["detail"]
    plain = service.get(path).json()
    assert (plain["scenario"], plain["rules"]) == (None, [])


def test_what_is_wrong_with_a_scenario_is_said_with_its_rule(service: httpx.Client) -> None:
    for scenario, words in (
        ({"tpo": 3}, "did you mean top?"),
        ({"rules": [PIN | {"items": ["Denim-blue-woman"]}]}, "rule 'Winter': no item 'Denim-blue-woman'"),
        ({"rules": [PIN | {"do": "pni"}]}, "did you mean pin?"),
    ):
        answer = put(service, scenario)
        assert answer.status_code == 422
        assert words in answer.json()["detail"]
    assert service.get("/v1/scenarios").json() == {"scenarios": []}
    assert put(service, {}, name="Home").status_code == 422
    assert service.get("/v1/scenarios/product-page/versions").status_code == 404


def test_a_preview_tells_what_would_change_and_changes_nothing(service: httpx.Client) -> None:
    put(service, SAID)
    asked = {"scenario": SAID | {"rules": [PIN | {"do": "hide", "place": None}]}, "sample": None}
    told = service.post("/v1/scenarios/product-page/preview", json=asked).json()
    assert (told["population"], told["everybody"]["shoppers"], told["margin"]) == (2, 2, None)
    assert told["everybody"]["changed"] == 100
    assert told["falls"] == [{"item_id": "Denim-blue-women", "before": 2, "after": 0}]
    assert told["examples"][0]["before"][0] == "Denim-blue-women"
    assert service.get("/v1/scenarios/product-page").json()["version"] == 1
    assert service.post("/v1/scenarios/product-page/preview", json={"scenario": {"tpo": 1}}).status_code == 422
    with Client(str(service.base_url), TOKEN) as client:
        assert client.preview_scenario("product-page", SAID).everybody.changed == 0


def test_only_who_may_write_changes_scenarios_and_the_client_has_them(service: httpx.Client) -> None:
    url = str(service.base_url)
    assert httpx.put(f"{url}/v1/scenarios/home", json={"scenario": {}}).status_code == 401
    with Client(url, TOKEN) as client:
        assert client.put_scenario("home", SAID, author="Ann").version == 1
        assert client.put_scenario("home", {}, author="Ann", expected=1).version == 2
        assert [one.name for one in client.scenarios()] == ["home"]
        assert client.undo_scenario("home").scenario == SAID
        assert client.scenario("home").version == 3
        assert [one.version for one in client.scenario_versions("home")] == [3, 2, 1]
        assert client.recommend("1", scenario="home").recommendations[0].rules == ["pinned by rule “Winter”"]
        client.remove_scenario("home")
        assert client.scenarios() == []
