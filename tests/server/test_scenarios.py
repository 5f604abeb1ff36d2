"""Scenarios over HTTP: put, listed, compared, undone, and asked for by name."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from threading import Event
from time import sleep
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Response

from modiste.client import Client
from modiste.server.connections import Connections
from modiste.server.limits import WorkQueue
from modiste.server.pages.coming import as_it_comes
from modiste.server.settings import Settings
from modiste.shop.reports import Progress

from ..running import TOKEN, running, until

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


# The pages

FORM = {"version": "0", "top": "3", "gender": "any", "rule-0-name": "Winter", "rule-0-do": "pin", "rule-0-place": "1",
        "rule-0-items": "Denim-blue-women", "rule-0-by": "3", "author": "Ann", "reason": "winter"}  # fmt: skip


def post(service: httpx.Client, action: str, **fields: str) -> httpx.Response:
    return service.post("/scenarios/home", data=FORM | fields | {"action": action})


def test_a_form_tries_publishes_and_undoes_a_scenario(service: httpx.Client) -> None:
    assert "There is none yet" in service.get("/scenarios").text
    assert service.get("/scenarios?name=home").headers["location"].endswith("/scenarios/home")
    tried = post(service, "preview")
    assert tried.status_code == 200
    assert "100.0% of the lists change</strong>, of 2 shoppers" in tried.text
    assert "Pinned by rule “Winter”." in tried.text
    assert service.get("/v1/scenarios").json()["scenarios"] == []
    assert post(service, "publish").status_code == 303
    made = service.get("/v1/scenarios/home").json()
    assert (made["scenario"], made["author"], made["reason"]) == (SAID, "Ann", "winter")
    page = service.get("/scenarios/home").text
    assert 'name="rule-0-items"' in page
    assert "Denim-blue-women</textarea>" in page
    late = post(service, "publish", top="4")
    assert late.status_code == 422
    assert "is no more what was read" in late.text
    assert 'value="4"' in late.text, "what was typed stays"
    assert post(service, "publish", top="4", version="1", **{"rule-0-gone": "1"}).status_code == 303
    assert service.get("/v1/scenarios/home").json()["scenario"] == {"top": 4, "gender": "any"}
    assert service.post("/scenarios/home/undo", data={"to": "1", "version": "2"}).status_code == 303
    assert service.get("/v1/scenarios/home").json()["scenario"] == SAID
    assert service.post("/scenarios/home/undo", data={"to": "0", "version": "3"}).status_code == 303
    assert "This scenario was removed" in service.get("/scenarios/home").text


def test_whatever_a_scenario_says_its_form_says_again(service: httpx.Client) -> None:
    from starlette.datastructures import FormData

    from modiste.scenario import Scenario
    from modiste.server.pages.scenarios import RULE_FIELDS, filled, read

    said = Scenario.of({
        "about": "Home", "top": 7, "preset": "paper", "alpha": 0.25, "penalty": 4, "scaling": "none", "sold_out": True,
        "categories": ["Coats", "Dresses"], "exclude": ["1", "2"], "near": "48.86,2.35",
        "match": "any", "fallback": "popular",
        "rules": [
            {"name": "A", "do": "limit", "most": 2, "of": "brand", "from": "2026-11-01T09:30"},
            {"name": "B", "do": "together", "where": ["price < 8", "brand = X"], "with": ["category = Coats"]},
            {"name": "C", "do": "bury", "items": ["1", "2"], "by": 1.5},
        ],
    })  # fmt: skip
    values = filled(said.as_data())
    fields = [(name, value) for name, value in values.items() if isinstance(value, str)]
    fields += [("categories", name) for name in values["categories"]]
    fields += [
        (f"rule-{place}-{name}", rule[name]) for place, rule in enumerate(values["rules"]) for name in RULE_FIELDS
    ]
    assert Scenario.of(read(FormData(fields))) == said


def test_a_form_changes_nothing_for_who_may_not_write(service: httpx.Client) -> None:
    for path in ("/scenarios/home", "/scenarios/home/undo"):
        answer = httpx.post(f"{service.base_url}{path}", data=FORM | {"action": "publish"})
        assert answer.status_code == 401
    assert service.get("/v1/scenarios").json()["scenarios"] == []


def test_a_preview_of_everybody_tells_how_far_it_is(service: httpx.Client) -> None:
    form = {"top": "2", "action": "preview", "everybody": "1"}
    page = service.post("/scenarios/home", data=form, headers={"Accept": "text/html"}).text
    assert re.findall(r"<p>(\d+ of \d+ shoppers)</p>", page) == ["2 of 2 shoppers"]
    assert "of the lists change</strong>, of 2 shoppers" in page
    assert (page.count('id="preview"'), page.count("</html>")) == (1, 1)
    wrong = service.post("/scenarios/home", data=form | {"top": "many"}, headers={"Accept": "text/html"})
    assert (wrong.status_code, "Nothing was published" in wrong.text) == (422, True)


def test_work_that_nobody_waits_for_ends() -> None:
    ended = Event()

    def work(progress: Progress) -> Response:
        try:
            for done in count():
                progress(done, 1000)
                sleep(0.01)
        finally:
            ended.set()
        return Response()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, Any]]:
        yield {"connections": Connections(10, lambda _: None)}

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    def long() -> Response:
        return as_it_comes(Response(b"<p>begun</p><!-- so far --><!-- what came -->"), WorkQueue(1, 0), work)

    with running(app, Settings()) as url, httpx.stream("GET", url) as answer:
        lines = answer.iter_text()
        assert next(lines) == "<p>begun</p>"
        assert "of 1,000 shoppers" in next(lines)
        assert not ended.is_set()
        answer.close()
        until(ended.is_set, 20)
