"""The lists of all shoppers or all items, written to one file: many questions in one matrix product, and resumable."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import polars as pl
import sqlalchemy as sa

from modiste.ask import Ask
from modiste.catalog.tables import as_cells
from modiste.catalog.values import utc_now
from modiste.errors import SettingError, SourceError
from modiste.ranking.candidates import Queries
from modiste.ranking.topk import Ranking, merge
from modiste.shop import schema
from modiste.shop.question import Question
from modiste.shop.recommendations import SHOWN, TERMS, Recommendation
from modiste.shop.reports import Progress
from modiste.shop.snapshot import Snapshot
from modiste.shop.storage import chunks
from modiste.shop.storefront import Served

if TYPE_CHECKING:
    from modiste.shop.shop import Shop

OF = ("shoppers", "items")
"""Whose lists."""

BLOCK = 1000
"""So many lists are made and kept at a time; an interrupted run loses at most those."""

FEED = ".feed"
"""The ending of a file that has a list a line."""

_WRITE: dict[str, Callable[[pl.LazyFrame, Path], Any]] = {
    ".parquet": lambda lists, file: lists.sink_parquet(file),
    ".csv": lambda lists, file: as_cells(lists).sink_csv(file),
    ".jsonl": lambda lists, file: lists.sink_ndjson(file),
}


def recommend_all(
    shop: "Shop", out: Path, of: str = "shoppers", *, block: int = BLOCK, progress: Progress | None = None, **ask: Any
) -> int:
    """Write what :meth:`Shop.recommend <modiste.shop.shop.Shop.recommend>` says to every shopper or about every item.

    ``out`` ends with .parquet, .csv, .jsonl or .feed. Its columns: shopper_id (or for_item), rank from 1, item_id,
    relevance, because, why, and the weighted terms, which add up to relevance. Lists stand in the order of their ids.
    A .csv says of a text that a spreadsheet would take for a formula that it is none, with an apostrophe before it.
    A .feed, for e-mails and static sites, has a list a line, as JSON: its list_id, to report what was seen and clicked
    of it, and recommendations with all that a page shows of an item; photo is the service's address, without its name.

    ``ask``: the fields of :class:`~modiste.ask.Ask`. Each ``block`` of lists is of one moment of the shop, and kept
    beside ``out`` until all are there: interrupted, the same call goes on. Returns how many lists were written, now and
    before: with ``within`` and without ``near``, shoppers without a position have none.
    Raises SettingError for another ending or a question that can't be asked, SourceError where nothing can be written.
    """
    if of not in OF:
        raise SettingError(f"there are no lists of {of!r}; there are those of {' and '.join(OF)}")
    endings = (*_WRITE, FEED)
    if out.suffix.lower() not in endings:
        raise SettingError(
            f"{out.name} must end with {', '.join(endings)}; the ending says in which form it is written"
        )
    asked = shop.scenarios.asked(Ask.of(**ask))
    shop.items.chosen(asked.categories)
    parts = out.with_name(f"{out.name}.parts")
    try:
        rules = [one.as_data() for one in asked.rules]
        ids = _planned(shop, parts, {"of": of, "block": block, "ask": asked.model_dump(mode="json"), "rules": rules})
        for start in range(0, len(ids), block):
            part = parts / f"{start:012d}.parquet"
            if not part.exists():
                some = ids[start : start + block]
                rows = list(_of_shoppers(shop, asked, some) if of == "shoppers" else _of_items(shop, asked, some))
                unfinished = part.with_name(f"new-{part.name}")
                pl.DataFrame(rows, _columns(of), orient="row").write_parquet(unfinished)
                unfinished.replace(part)
            if progress:
                progress(min(start + block, len(ids)), len(ids))
        made = sorted(parts.glob("[0-9]*.parquet"))  # named one by one: a folder's name may look like a pattern
        whole = parts / f"whole{out.suffix}"
        if out.suffix.lower() == FEED:
            _feed(shop, of, asked, made, whole)
        else:
            lists = pl.scan_parquet(made, glob=False) if ids else pl.LazyFrame(schema=_columns(of))
            _WRITE[out.suffix.lower()](lists, whole)
        whole.replace(out)
        shutil.rmtree(parts)
    except OSError as error:
        raise SourceError(f"{out} can't be written: {error.strerror or error}; make room or choose another") from error
    if of == "shoppers" and _by_own_place(asked):
        with shop.storage.reading() as connection:
            return len(_placed(connection, ids))
    return len(ids)


def _by_own_place(ask: Ask) -> bool:
    return ask.within is not None and ask.near is None


def _placed(connection: sa.Connection, shopper_ids: Sequence[str]) -> set[str]:
    table, placed = schema.shoppers.c, set[str]()
    for some in chunks(shopper_ids):
        wanted = sa.select(table.shopper_id).where(table.shopper_id.in_(some), table.latitude.is_not(None))
        placed.update(connection.execute(wanted).scalars())
    return placed


def _feed(shop: "Shop", of: str, ask: Ask, parts: Sequence[Path], file: Path) -> None:
    """Write the lists of ``parts``, one a line."""
    snapshot, now = shop.snapshot(), utc_now()
    whose = next(iter(_columns(of)))
    with file.open("w", encoding="utf-8") as lines:
        for part in parts:
            for (who,), rows in pl.read_parquet(part).group_by(whose, maintain_order=True):
                shown = [
                    {"item_id": row["item_id"], "because": row["because"], "why": row["why"]}
                    | {name: snapshot.item(place)[name] for name in ("category", *SHOWN)}
                    | {"photo": f"/v1/items/{quote(row['item_id'], safe='')}/photo"}
                    for row in rows.iter_rows(named=True)
                    if (place := snapshot.find(row["item_id"])) >= 0
                ]
                ids, person = tuple(one["item_id"] for one in shown), str(who) if of == "shoppers" else None
                served = Served(ask.scenario or "feed", ask.scenario, ids, now, person)
                line = {whose: who, "scenario": ask.scenario, "list_id": shop.storefront.sign(served)}
                lines.write(json.dumps(line | {"recommendations": shown}, ensure_ascii=False) + "\n")


def _columns(of: str) -> dict[str, Any]:
    who = "shopper_id" if of == "shoppers" else "for_item"
    columns = {who: pl.String, "rank": pl.Int32, "item_id": pl.String, "relevance": pl.Float64, "because": pl.String}
    return columns | {"why": pl.String} | dict.fromkeys(TERMS, pl.Float64)


def _planned(shop: "Shop", parts: Path, plan: dict[str, Any]) -> list[str]:
    """Whose lists are to be made: those of an interrupted run with the same plan, else all there are now."""
    file = parts / "plan.json"
    try:
        known = json.loads(file.read_text("utf-8"))
        if {name: known[name] for name in plan} == plan:
            return list(known["ids"])
    except (OSError, ValueError, KeyError):
        pass
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir(parents=True)
    column = schema.shoppers.c.shopper_id if plan["of"] == "shoppers" else schema.items.c.item_id
    with shop.storage.reading() as connection:
        ids = list(connection.execute(sa.select(column).order_by(column)).scalars())
    unfinished = parts / "new-plan.json"
    unfinished.write_text(json.dumps({**plan, "ids": ids}), "utf-8")
    unfinished.replace(file)
    return ids


_Row = tuple[Any, ...]


def _rows(who: str, found: Sequence[Recommendation]) -> Iterator[_Row]:
    for rank, one in enumerate(found, 1):
        terms = [one.terms[name] for name in TERMS]
        yield who, rank, one.item_id, one.relevance, one.because, one.why, *terms


def _of_items(shop: "Shop", ask: Ask, item_ids: Sequence[str]) -> Iterator[_Row]:
    with shop.moments.now(ask.space) as (snapshot, _):
        questions = {one: Question.for_item(snapshot, ask, one) for one in item_ids if snapshot.find(one) >= 0}
    for item_id, found in _answered(questions).items():
        yield from _rows(item_id, found)


def _of_shoppers(shop: "Shop", ask: Ask, shopper_ids: Sequence[str]) -> Iterator[_Row]:
    with shop.moments.now(ask.space) as (snapshot, connection):
        [questions] = questions_of(shop, snapshot, connection, [ask], shopper_ids)
    for shopper_id, found in lists_of(questions).items():
        yield from _rows(shopper_id, found)


def questions_of(
    shop: "Shop", snapshot: Snapshot, connection: sa.Connection, asks: Sequence[Ask], shopper_ids: Sequence[str]
) -> list[dict[str, Question]]:
    """For each way of asking what suits those shoppers that there are, by their ids, in one moment.

    Where what is near a shopper's own position is asked for, those without one are left out.
    """
    people = shop.shoppers.those(connection, shopper_ids)
    placed = any(_by_own_place(ask) for ask in asks)
    there = {who: people[who] for who in shopper_ids if who in people and (people[who].position or not placed)}
    return shop.questions_of(snapshot, connection, there, asks)


def lists_of(questions: Mapping[str, Question]) -> dict[str, list[Recommendation]]:
    """The list of each shopper, by her id, where all of them ask alike: as many as can be in one ranking."""
    nobody: dict[tuple[float, bool, Any], list[Recommendation]] = {}
    lists: dict[str, list[Recommendation]] = {}
    many: dict[str, Question] = {}
    for shopper_id, question in questions.items():
        ask = question.ask
        if not question.of_items:
            key = (
                float(question.queries.trendiness[0]),
                question.told,
                None if question.distances is None else shopper_id,
            )
            if key not in nobody:
                nobody[key] = question.spread()
            lists[shopper_id] = nobody[key]
        elif (ask.weights.distance or ask.within is not None) and question.distances is not None:
            lists[shopper_id] = question.merged()  # her own place decides what is ranked how
        else:
            many[shopper_id] = question
    lists |= _answered(many)
    return {shopper_id: lists[shopper_id] for shopper_id in questions}


def ranked(questions: Mapping[str, Question]) -> Iterator[tuple[str, Question, Ranking, list[list[int]]]]:
    """Some questions that differ in their queries alone, in one ranking: of each its name, itself, its part of the
    ranking, and the query and place there of the best, as deep as its list may need them."""
    if not questions:
        return
    first = next(iter(questions.values()))
    ends = np.cumsum([len(one.queries) for one in questions.values()]).tolist()
    queries = Queries.joined([one.queries for one in questions.values()])
    joined = replace(first, queries=queries)
    ranking = joined.ranking(first.depth)
    parts = list(pairwise([0, *ends]))
    for (who, question), (start, end), pinned in zip(
        questions.items(), parts, joined.pinnable(ranking, parts), strict=True
    ):
        part = ranking.part(start, end)
        yield who, replace(question, pinned=pinned), part, merge(part, first.depth).tolist()


def _answered(questions: Mapping[str, Question]) -> dict[str, list[Recommendation]]:
    """The merged list of each of some questions that ask alike."""
    alike: dict[tuple[int, ...], dict[str, Question]] = {}
    for who, question in questions.items():  # rules make candidates of different items
        alike.setdefault(question.apart, {})[who] = question
    lists: dict[str, list[Recommendation]] = {}
    for some in alike.values():
        for who, question, part, places in ranked(some):
            made = question.arranged(part, places, whole=len(places) < question.depth)
            lists[who] = question.merged() if made is None else made
    return {who: lists[who] for who in questions}
