"""What is changed, reported or counted in one worker holds in the other at the next request."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from modiste.shop.shop import Shop

from ..running import Served, metric
from .test_login import log_in
from .test_serving import workers_of
from .test_storefront import beacon

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which worker has a connection")

DRESS, DENIM = "Dresses-red-women", "Denim-red-women"
SECRET = "fifteen small buttons"


def worker_of(client: httpx.Client, pids: list[int]) -> int | None:
    """The worker that answers ``client``, which keeps its connection."""
    answer = client.get("/health")
    near, far = (answer.extensions["network_stream"].get_extra_info(end)[1] for end in ("client_addr", "server_addr"))
    ends = f"0100007F:{far:04X}", f"0100007F:{near:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    socket = next((f"socket:[{line[9]}]" for line in lines if (line[1], line[2]) == ends), None)
    for pid in pids:
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if str(file.readlink()) == socket:
                    return pid
    return None


@pytest.fixture
def both(shop_path: Path, serve: Callable[..., Served]) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """A client of each of two workers, both logged in as mia, an admin, by the first one's session."""
    served = serve(shop_path, "--workers", 2)
    with Shop.open(shop_path) as shop:
        shop.users.add("mia", SECRET, "admin")
        shop.scenarios.put("product-page", {"top": 5})
        shop.scenarios.put("other", {"top": 2})
    pids, found = workers_of(served), dict[int, httpx.Client]()
    with ExitStack() as stack:
        for _ in range(200):
            made = httpx.Client(base_url=served.url, headers={"Origin": served.url}, timeout=120)
            pid = worker_of(stack.enter_context(made), pids)
            assert pid is not None
            if found.setdefault(pid, made) is not made:
                made.close()
            if len(found) == 2:
                break
        one, other = found.values()
        log_in(one, "mia")
        other.cookies.update(one.cookies)
        yield one, other
        assert [worker_of(client, pids) for client in (one, other)] == list(found), "each kept its connection"


def test_two_workers_are_one_service(shop_path: Path, both: tuple[httpx.Client, httpx.Client]) -> None:
    one, other = both

    def shown(client: httpx.Client, **asked: str) -> list[str]:
        asked = {"placement": "product-page", "scenario": "product-page", "gender": "any", **asked}
        answer = client.get(f"/v1/items/{DRESS}/similar", params=asked).raise_for_status()
        return [found["item_id"] for found in answer.json()["recommendations"]]

    # what is counted
    for client in both:
        client.get("/v1/stores").raise_for_status()
    told = [client.get("/metrics").text for client in both]
    assert [metric(text, "modiste_request_seconds_count", route="/v1/stores") for text in told] == [2, 2]

    # scenarios, and what is hidden
    assert len(shown(other)) == 5
    rule = {"name": "First", "do": "pin", "items": [DENIM], "place": 1}
    one.put("/v1/scenarios/product-page", json={"scenario": {"top": 3, "rules": [rule]}}).raise_for_status()
    assert (shown(other)[0], len(shown(other))) == (DENIM, 3)
    other.post("/v1/scenarios/product-page/undo", json={}).raise_for_status()
    assert len(shown(one)) == 5
    gone = shown(one)[0]
    other.post(f"/items/{gone}", data={"do": "hide"})
    assert gone not in shown(one)

    # A/B tests, and list ids: signed by one, reported to the other
    test = {"name": "winter", "a": "product-page", "b": "other", "rate": 0.1, "counts": "clicked"}
    one.post("/v1/ab", json=test).raise_for_status()
    lengths = [{len(shown(client, session=f"s-{number}")) for client in both} for number in range(20)]
    assert {len(each) for each in lengths} == {1}, "everybody sees one side, whoever answers"
    assert set.union(*lengths) == {2, 5}
    served = one.get(f"/v1/items/{DRESS}/similar", params={"scenario": "product-page", "session": "s-1"}).json()
    click = {"list_id": served["list_id"], "item_id": served["recommendations"][0]["item_id"]}
    assert beacon(other, "clicks", [click]).json()["recorded"] == 2
    assert beacon(one, "clicks", [click]).json() == {"recorded": 0, "known": 1, "refused": []}
    assert [row["clicked"]["people"] for row in one.get("/v1/storefront").json()["lists"]] == [1]
    other.post("/v1/ab/winter/stop").raise_for_status()
    assert {len(shown(one, session=f"s-{number}")) for number in range(20)} == {5}

    # keys, and their rates
    with Shop.open(shop_path) as shop:
        slow = {"Authorization": f"Bearer {shop.keys.add('slow', 'viewer', per_minute=4)}"}
    asked = [client.get("/v1/stores", headers=slow).status_code for client in (one, other, one, other, one, other)]
    assert asked == [200, 200, 200, 200, 429, 429]

    # who has left
    one.post("/logout")
    assert other.get("/v1/stores").status_code == 401
