"""The same question has the same answer, to 1e-9, as it had from the shop's first design.

``tests/answers`` is a small shop as files (its README says what is in them), questions in the names of ``Ask``, and the
answers. Where an answer is meant to change, ``python tests/test_answers.py`` writes them anew; say why in the commit.
"""

import csv
import json
import math
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from modiste.ask import Ask
from modiste.shop import schema
from modiste.shop.shop import Shop
from modiste.vision.embedding import VectorSpace

FOLDER = Path(__file__).parent / "answers"
FIELDS = ("item_id", "relevance", "terms", "because", "category", "store_id", "distance_km", "why")
QUESTIONS: list[dict[str, Any]] = json.loads((FOLDER / "questions.json").read_text(encoding="utf-8"))
ANSWERS: dict[str, Any] = json.loads((FOLDER / "answers.json").read_text(encoding="utf-8"))
SPACES = {  # by their files, the one embedded into last is the default; nothing of the photos' colours is kept
    name: VectorSpace(**{**settings, "fill": tuple(settings["fill"])})
    for name, settings in json.loads((FOLDER / "spaces.json").read_text(encoding="utf-8")).items()
}


def fill(shop: Shop) -> None:
    """The files into an empty shop; no network runs."""
    assert shop.items.add(FOLDER / "items.csv").rejected == []
    assert shop.stores.add(FOLDER / "stores.csv").rejected == []
    with (FOLDER / "shoppers.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            trendiness, *position = (float(row[name]) if row[name] else None for name in list(row)[1:])
            shop.shoppers.put(row["shopper_id"], trendiness, *position)
    report = shop.purchases.add(FOLDER / "purchases.csv")
    assert (report.added, report.unchanged, report.rejected) == (167, 1, [])
    with (FOLDER / "items.csv").open(newline="") as file:
        item_ids = [row["item_id"] for row in csv.DictReader(file)]
    for second, (name, space) in enumerate(SPACES.items()):
        vectors = np.load(FOLDER / name, allow_pickle=False)
        with shop.storage.writing() as writing:
            used = datetime(2026, 1, 1, second=second)
            writing.execute(schema.spaces.insert().values(used=used, **space.row))
            rows = [
                {"space": space.key, "item_id": one, "vector": vector.tobytes(), "revision": writing.revision}
                for one, vector in zip(item_ids, vectors, strict=True)
                if vector.any()
            ]
            writing.execute(schema.vectors.insert(), rows)


def answer(shop: Shop, question: dict[str, Any]) -> list[Any]:
    """What the shop says, in the form of answers.json."""
    asked = {name: question[name] for name in ("shopper", "item", "latest") if name in question}
    ask = dict(question["ask"])
    if (name := ask.get("space")) in SPACES:
        ask["space"] = SPACES[name].key
    said = getattr(shop, question["verb"])(**asked, **ask)
    if question["verb"] == "recommend_each":
        return [[because, list(map(fields, found))] for because, found in said]
    return list(map(fields, said))


def fields(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in FIELDS} | {"terms": dict(one.terms)}


def difference(one: Any, other: Any, where: str = "") -> str | None:
    """Where two answers differ, floats by more than 1e-9; None where they don't."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return next((said for name in one if (said := difference(one[name], other[name], f"{where}.{name}"))), None)
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return next((said for number, pair in pairs if (said := difference(*pair, f"{where}[{number}]"))), None)
    if isinstance(one, float) and isinstance(other, float):
        return None if math.isclose(one, other, rel_tol=0, abs_tol=1e-9) else f"{where}: {one!r}, not {other!r}"
    return None if type(one) is type(other) and one == other else f"{where}: {one!r}, not {other!r}"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    url = None
    if request.param == "postgresql":
        url = f"{request.getfixturevalue('postgres_server')}&schema=answers_{uuid4().hex[:12]}"
    with Shop.create(tmp_path_factory.mktemp("answers") / "shop", categories="paper", database=url) as made:
        fill(made)
        yield made


@pytest.mark.parametrize("question", QUESTIONS, ids=[question["name"] for question in QUESTIONS])
def test_the_answer_is_the_one_that_was_given_before(shop: Shop, question: dict[str, Any]) -> None:
    assert difference(answer(shop, question), ANSWERS[question["name"]]) is None


def test_the_questions_speak_of_everything_that_may_be_asked() -> None:
    theirs = {
        "colour",
        "together",
        "newness",
        "price",
        "age",
        "sold_out",
        "variety",
        "fallback",
        "tuning",
        "scenario",
    }  # later than the first design
    assert {name for question in QUESTIONS for name in question["ask"]} == set(Ask.model_fields) - theirs
    assert ANSWERS.keys() == {question["name"] for question in QUESTIONS}


def main() -> None:
    """Write answers.json as the shop answers now, one recommendation (or list) a line."""
    with tempfile.TemporaryDirectory() as folder, Shop.create(Path(folder) / "shop", categories="paper") as made:
        fill(made)
        answers = {question["name"]: answer(made, question) for question in QUESTIONS}
    entries = (
        f" {json.dumps(name, ensure_ascii=False)}: ["
        + ",".join(f"\n  {json.dumps(one, ensure_ascii=False)}" for one in said)
        + ("\n ]" if said else "]")
        for name, said in answers.items()
    )
    (FOLDER / "answers.json").write_text("{\n" + ",\n".join(entries) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
