"""The service's description of itself."""

import json
from pathlib import Path

import httpx

from modiste.server.openapi import document

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"


def test_the_committed_openapi_is_the_live_one(reading: httpx.Client) -> None:
    refresh = "refresh it with: python -m modiste.server.openapi > docs/openapi.json"
    assert json.loads(COMMITTED.read_text()) == reading.get("/openapi.json").json(), refresh
    assert COMMITTED.read_text() == document(), refresh


def test_every_route_is_described(reading: httpx.Client) -> None:
    for path, methods in reading.get("/openapi.json").json()["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["description"].endswith("."), where
            private = path not in ("/health", "/storefront/modiste-list.js", "/v1/impressions", "/v1/clicks")
            assert bool(operation.get("security")) is private, where
            assert ("401" in operation["responses"]) is private, where
            for parameter in operation.get("parameters", []):
                assert parameter["description"], f"{where} {parameter['name']}"
