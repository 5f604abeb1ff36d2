"""Whatever is asked, allowed by the OpenAPI or not, is answered as the OpenAPI says, and never with a 5xx."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from modiste.catalog.items import Item
from modiste.server.app import create_app
from modiste.server.settings import Settings
from modiste.shop.shop import Shop

from ..garments import drawn
from ..running import BEARER, TOKEN, running
from ..shops import copied, url_of

SHARE = float(os.environ.get("MODISTE_TORTURE") or 0)
EXAMPLES = int(os.environ.get("MODISTE_FUZZ_EXAMPLES") or max(5, 200 * SHARE))
"""How many random questions each route is asked, always the same ones, after some hundred at the limits of what
the OpenAPI allows; set the variable to look further, or ``make torture``."""

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.ignored_auth,
    checks.unsupported_method,
    checks.allow_header_conformance,
]


@pytest.fixture(scope="module")
def address(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a live service whose shop has the item and the shopper of the examples."""
    path = copied(template, tmp_path_factory.mktemp("fuzzed") / "street")
    with Shop.open(path) as shop:
        shop.items.put(Item("0002", "Dresses", "women"), drawn())
    with running(path, Settings(token=TOKEN)) as url:
        yield url


LINE = 60_000
"""No server reads a longer line: it is a 400 before any route is asked."""


@pytest.fixture(scope="module")
def modes(template: Path) -> list[GenerationMode]:
    """What is asked: of PostgreSQL what the OpenAPI allows, as the rest is refused before a database is asked."""
    return [GenerationMode.POSITIVE] if url_of(template) and not SHARE else list(GenerationMode)


# 412: a form may have an empty field, which is none, beside an If-Match that doesn't hold
REFUSED = ["400", "401", "403", "404", "405", "406", "409", "412", "415", "422", "428", "429", "5xx"]
CONFIG = SchemathesisConfig.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": REFUSED}}})

schema = schemathesis.openapi.from_dict(create_app(".").openapi(), config=CONFIG)


@schema.parametrize()
@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
)
def test_every_route_keeps_its_word(case: schemathesis.Case, address: str, modes: list[GenerationMode]) -> None:
    if case.meta is not None and case.meta.generation.mode not in modes:
        return
    if len(urlencode(case.query or {}, doseq=True)) > LINE:
        return
    unsaid = [] in (case.query or {}).values()  # what is wrong with it may be an empty list, which no query can say
    if isinstance(case.body, dict) and "photo" in case.body:
        # no fuzzer draws a photo, and the question that comes with it is to be answered; its photo may have been what
        # was wrong with it
        case.body, unsaid = case.body | {"photo": drawn()}, True
    held_to = [one for one in CHECKS if not (unsaid and one is checks.negative_data_rejection)]
    case.call_and_validate(base_url=address, headers=BEARER, checks=held_to)
