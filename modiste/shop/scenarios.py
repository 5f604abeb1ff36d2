"""``shop.scenarios``: named ways of asking, each change of which is a version that can be undone."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from modiste.ask import Ask
from modiste.catalog.values import utc_now
from modiste.errors import ChangedError, SettingError, StorageError, UnknownIdError
from modiste.rules import near
from modiste.scenario import Scenario, scenario_of
from modiste.shop import schema
from modiste.shop.moments import Moments, may_stand_in
from modiste.shop.reports import Progress
from modiste.shop.rules import check
from modiste.shop.storage import Storage, Writing

if TYPE_CHECKING:
    from modiste.shop.preview import Preview

A = TypeVar("A", bound=Ask)

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")


@dataclass(frozen=True)
class Version:
    """One version of a scenario: what it was from ``at`` (UTC) on, who changed it and why; None: removed."""

    name: str
    version: int
    at: datetime
    author: str
    reason: str
    scenario: Scenario | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Version":
        """From a row of the table."""
        content = row["content"]
        told = {name: value for name, value in row.items() if name != "content"}
        return cls(**told, scenario=None if content is None else scenario_of(content))


@dataclass(frozen=True)
class Change:
    """One difference between two versions: a setting or a rule, as text; None where there was none or is none."""

    what: str
    before: str | None
    after: str | None


class Scenarios:
    """A shop's scenarios."""

    def __init__(self, storage: Storage, moments: Moments, preview: Callable[..., "Preview"]) -> None:
        self._storage, self._moments, self._preview = storage, moments, preview
        self._asked: dict[str, Version] = {}  # as they were when they were last asked for

    # Reading

    def all(self) -> list[Version]:
        """The scenarios that there are, by name, each at its latest version."""
        table = schema.scenarios.c
        latest = sa.select(table.name, sa.func.max(table.version).label("version")).group_by(table.name).subquery()
        wanted = sa.select(schema.scenarios).join(
            latest, (table.name == latest.c.name) & (table.version == latest.c.version)
        )
        rows = self._storage.rows(wanted.where(table.content.is_not(None)).order_by(table.name))
        return [Version.of(row) for row in rows]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (found := self._latest(name)) is not None and found.scenario is not None

    def __getitem__(self, name: str) -> Version:
        """The latest version. Raises UnknownIdError that names the nearest."""
        found = self._latest(name)
        if found is None or found.scenario is None:
            names = [one.name for one in self.all()]
            raise UnknownIdError(f"no scenario {name!r} in {self._storage.path.name}{near(name, names)}")
        return found

    def versions(self, name: str) -> list[Version]:
        """All versions, the latest first; of one that was removed too. Raises UnknownIdError."""
        table = schema.scenarios.c
        rows = self._storage.rows(sa.select(schema.scenarios).where(table.name == name).order_by(table.version.desc()))
        if not rows:
            return [self[name]]
        return [Version.of(row) for row in rows]

    def asked(self, ask: A) -> A:
        """``ask`` with what its scenario says where nothing else was said, and the rules that are in force.

        Without a scenario it is ``ask`` itself. Raises UnknownIdError and SettingError.
        """
        if ask.scenario is None:
            return ask
        try:
            self._asked[ask.scenario] = self[ask.scenario]
        except StorageError as error:
            if not may_stand_in(error) or ask.scenario not in self._asked:
                raise
        found = self._asked[ask.scenario].scenario
        return ask if found is None else ask_of(found, ask)

    def preview(
        self,
        name: str,
        scenario: Scenario | Mapping[str, Any] | str | Path,
        *,
        sample: int | None = 500,
        progress: Progress | None = None,
    ) -> "Preview":
        """What putting ``scenario`` as ``name`` would do to the lists of ``sample`` shoppers, None: of all.

        It is compared with what ``name`` is now, where there is none with asking for nothing in particular. Raises as
        :meth:`put`; nothing is changed.
        """
        made = self.checked(name, scenario)
        now = self._latest(name)
        before = now.scenario if now is not None and now.scenario is not None else Scenario.of({})
        return self._preview(name, made, before, sample=sample, progress=progress)

    # Changing

    def checked(self, name: str, scenario: Scenario | Mapping[str, Any] | str | Path) -> Scenario:
        """The scenario as :meth:`put` would take it. Raises SettingError and SourceError."""
        if not _NAME.fullmatch(name):
            raise SettingError(
                f"a scenario is called by small letters, digits and -, such as product-page; not {name!r}"
            )
        made = scenario if isinstance(scenario, Scenario) else None
        if made is None:
            made = Scenario.of(scenario) if isinstance(scenario, Mapping) else Scenario.load(Path(str(scenario)))
        if made.rules:
            with self._moments.now() as (snapshot, _):
                check(snapshot, made.rules)
        return made

    def put(
        self,
        name: str,
        scenario: Scenario | Mapping[str, Any] | str | Path,
        *,
        author: str = "",
        reason: str = "",
        expected: int | None = None,
    ) -> Version:
        """Make a scenario, or a new version of it; where nothing differs, none.

        ``scenario``: what :meth:`Scenario.of <modiste.scenario.Scenario.of>` takes, or a TOML or JSON file.
        ``expected``: the version that was read; 0 for none. Raises SettingError that names the rule and the nearest
        known word, and ChangedError where somebody else changed it meanwhile.
        """
        made = self.checked(name, scenario)
        return self._kept(name, made, author, reason, expected)

    def undo(
        self, name: str, to: int | None = None, *, author: str = "", reason: str = "", expected: int | None = None
    ) -> Version:
        """Bring back the version before the latest one, or the version ``to``, as a new version.

        Undoing the first version removes the scenario. Raises UnknownIdError and ChangedError.
        """
        versions = self.versions(name)
        latest = versions[0].version
        wanted = latest - 1 if to is None else to
        found = next((one for one in versions if one.version == wanted), None)
        if found is None and wanted != 0:
            raise UnknownIdError(f"{name} has no version {wanted}; its versions are 1 to {latest}")
        scenario = None if found is None else found.scenario
        return self._kept(name, scenario, author, reason or f"back to version {wanted}", expected or latest)

    def remove(self, name: str, *, author: str = "", reason: str = "", expected: int | None = None) -> Version:
        """Remove a scenario; its versions stay, so that it can be undone. Raises UnknownIdError and ChangedError."""
        return self._kept(self[name].name, None, author, reason, expected)

    def _kept(self, name: str, scenario: Scenario | None, author: str, reason: str, expected: int | None) -> Version:
        for what, said in (("author", author), ("reason", reason)):
            if len(said) > 500 or not said.isprintable():
                raise SettingError(f"{what} is at most 500 characters in one line")
        content = None if scenario is None else json.dumps(scenario.as_data(), ensure_ascii=False)
        with self._storage.writing() as writing:
            latest = _latest(writing, name)
            if expected is not None and (latest.version if latest else 0) != expected:
                raise ChangedError(f"{name} is no more what was read: it has version {latest.version if latest else 0}")
            if latest is not None and latest.scenario == scenario:
                return latest
            made = Version(name, latest.version + 1 if latest else 1, utc_now(), author, reason, scenario)
            row = {"name": name, "version": made.version, "at": made.at, "author": author, "reason": reason}
            writing.execute(schema.scenarios.insert(), [row | {"content": content}])
        return made

    def _latest(self, name: str) -> Version | None:
        row = self._storage.row(_newest(name))
        return None if row is None else Version.of(row)


def ask_of(scenario: Scenario, ask: A, now: datetime | None = None) -> A:
    """``ask`` with what a scenario says where nothing else was said, and its rules in force ``now`` (UTC)."""
    at = now or utc_now()
    merged = {name: value for name, value in scenario.asked(ask).items() if name != "scenario"}
    made = type(ask).of(**merged)
    return made.model_copy(update={"scenario": ask.scenario}).ruled(
        tuple(one for one in scenario.rules if one.holds(at))
    )


def history(versions: Sequence[Version]) -> list[tuple[Version, list[Change]]]:
    """Each of a scenario's versions, the latest first, with what it changed."""
    before = [*(one.scenario for one in versions[1:]), None]
    return [(one, changes(was, one.scenario)) for one, was in zip(versions, before, strict=False)]


def changes(before: Scenario | None, after: Scenario | None) -> list[Change]:
    """What differs, settings first, then rules by name, then their order."""
    one, other = (_said(scenario) for scenario in (before, after))
    found = [
        Change(name, one.get(name), other.get(name))
        for name in dict.fromkeys([*one, *other])
        if one.get(name) != other.get(name)
    ]
    orders = [[rule.name for rule in scenario.rules] if scenario else [] for scenario in (before, after)]
    shared = [[name for name in order if name in orders[0] and name in orders[1]] for order in orders]
    if shared[0] != shared[1]:
        found.append(Change("order of the rules", ", ".join(shared[0]), ", ".join(shared[1])))
    return found


def _said(scenario: Scenario | None) -> dict[str, str]:
    """Each setting and rule as a line of text."""
    if scenario is None:
        return {}
    data = scenario.as_data()
    rules = data.pop("rules", [])
    said = {name: _written(value) for name, value in data.items()}
    for rule in rules:
        name = rule.pop("name")
        said[f"rule “{name}”"] = ", ".join(f"{key} {_written(value)}" for key, value in rule.items())
    return said


def _written(value: Any) -> str:
    """A setting as a person would write it."""
    if isinstance(value, list | tuple):
        return "; ".join(map(str, value)) or "none"
    return value if isinstance(value, str) else json.dumps(value)


def _newest(name: str) -> sa.Select[Any]:
    table = schema.scenarios
    return sa.select(table).where(table.c.name == name).order_by(table.c.version.desc()).limit(1)


def _latest(writing: Writing, name: str) -> Version | None:
    row = next(iter(writing.execute(_newest(name)).mappings()), None)
    return None if row is None else Version.of(row)
