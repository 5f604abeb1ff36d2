"""What a table's columns mean: by their names, by the shop's system that wrote them, or as somebody says."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from modiste.catalog.files import read_toml
from modiste.catalog.values import plain
from modiste.errors import SettingError, SourceError

PRESETS = Path(__file__).with_name("presets")
"""The folder of the layouts that are recognised by their headers."""

_HOLDS = re.compile(r"^\d+$|\.\w{3,4}$").search  # what a row says, and no header


@dataclass(frozen=True)
class Layout:
    """How a system or a shop lays out its tables: a preset, or a mapping of one's own.

    ``columns`` has of each field the columns that tell it, the next ones where the first is empty; none: no column
    does. ``constants`` has what is the same for all rows, ``words`` by field the shop's words and what we call them.
    ``pairs`` are columns with a field's name and its value, ``packed`` one of ``name=value,name=value``.
    Rows whose ``parents`` column says one of its words are products of which other rows are variants, said by the
    field product or by a column of ``children``. Where ``item_id`` is empty, it is made of ``made_id``. A photo
    without a column is looked for in ``image_files``. What is said of an order stands in its first row if
    ``lines_of`` is order_id. ``only_these``: other columns tell nothing of the item.
    """

    name: str = ""
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    pairs: Sequence[Mapping[str, str]] = ()
    parents: Mapping[str, Any] = field(default_factory=dict)
    made_id: Sequence[str] = ()
    image_files: Sequence[str] = ()
    packed: str = ""
    children: str = ""
    lines_of: str = ""
    only_these: bool = False
    of: str = ""
    known_by: Sequence[str] = ()

    @classmethod
    def said(cls, maps: Collection[str], file: str | Path | None) -> "Layout | None":
        """What a file, if any, and ``maps`` as :meth:`mapped` takes them say; None where neither says anything."""
        if not maps and file is None:
            return None
        return (cls() if file is None else cls.load(Path(file))).mapped(maps)

    @classmethod
    def load(cls, file: Path) -> "Layout":
        """Read a layout from a TOML file as those in ``presets``. Raises SourceError, naming the file and the key."""
        try:
            content = read_toml(file)
        except FileNotFoundError as error:
            raise SourceError(f"{file} doesn't exist; give a TOML file that says which column is which") from error
        except (OSError, ValueError) as error:
            raise SourceError(f"{file} can't be read as TOML: {error}") from error
        try:
            return cls._of(content)
        except SettingError as error:
            raise SourceError(f"{file}: {error}") from error

    @classmethod
    def _of(cls, content: dict[str, Any]) -> "Layout":
        for key, value in content.items():
            if key not in cls.__dataclass_fields__:
                near = get_close_matches(key, cls.__dataclass_fields__, 1)
                raise SettingError(f"{key} is no key of a mapping" + (f"; {near[0]} is" if near else ""))
            wanted: Any = cls.__dataclass_fields__[key].type
            if not isinstance(value, wanted if wanted in (str, bool) else list | dict):
                raise SettingError(f"{key} can't be {value!r}")
        columns = content.get("columns", {})
        if not isinstance(columns, dict):
            raise SettingError("columns must be a table, [columns]")
        listed = {name: [one] if isinstance(one, str) else one for name, one in columns.items()}
        for name, some in listed.items():
            if not isinstance(some, list) or not all(isinstance(one, str) for one in some):
                raise SettingError(f'columns.{name} must be a column or a list of them, such as ["Image Src"]')
        for name in ("constants", "words", "parents"):
            if not isinstance(content.get(name, {}), dict):
                raise SettingError(f"{name} must be a table, [{name}]")
        for name, value in content.get("constants", {}).items():
            if not isinstance(value, str):
                raise SettingError(f"constants.{name} must be text")
        for name, value in content.get("words", {}).items():
            if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
                raise SettingError(f'words.{name} must be a table such as {{ "addtocart" = "cart" }}')
        return cls(**{**content, "columns": listed})

    def under(self, other: "Layout") -> "Layout":
        """This layout where ``other`` says nothing else."""
        said = {name: value for name, value in vars(other).items() if value}
        both = {name: {**getattr(self, name), **getattr(other, name)} for name in ("columns", "constants", "words")}
        return replace(self, **{**said, **both})

    def mapped(self, maps: Iterable[str]) -> "Layout":
        """With columns said as ``image=Image Src``; several of a field stand in for each other, an empty one is none.

        Raises SettingError for what isn't said so.
        """
        said: dict[str, list[str]] = {}
        for one in maps:
            name, equals, column = (part.strip() for part in one.partition("="))
            if not name or not equals:
                raise SettingError(f'--map takes field=column, such as image="Image Src"; not {one!r}')
            said.setdefault(name, []).extend([column] if column else [])
        return replace(self, columns={**self.columns, **said})


@cache
def _said() -> dict[str, Any]:
    return read_toml(Path(__file__).with_name("columns.toml"))


@cache
def words(what: str) -> dict[str, list[str]]:
    """The plain words for each field of ``what`` (items, events or stores), the likeliest first."""
    said = {name: value for name, value in _said()[what].items() if isinstance(value, str)}
    return {name: [plain(word) for word in value.split()] for name, value in said.items()}


@cache
def presets(what: str) -> tuple[Layout, ...]:
    """The layouts of ``what`` that are recognised by their headers."""
    found = (Layout.load(file) for file in sorted(PRESETS.glob("*.toml")))
    return tuple(one for one in found if one.of == what)


@cache
def known(what: str) -> frozenset[str]:
    """The plain words of every column that may mean something in a table of ``what``."""
    of_presets = (plain(one) for layout in presets(what) for some in layout.columns.values() for one in some)
    signs = (plain(one) for layout in presets(what) for one in layout.known_by)
    return frozenset(word for some in words(what).values() for word in some) | {*of_presets, *signs}


@dataclass(frozen=True)
class Columns:
    """What the columns of one table mean. ``read`` has of each field the places of its columns, the likeliest first;
    ``helpers`` those of columns that the layout reads beside these, by the names it has for them; ``unread`` the other
    columns' names, each with the field that it may have been meant for, or "".
    """

    file: Path
    header: tuple[str, ...]
    layout: Layout
    read: Mapping[str, tuple[int, ...]]
    helpers: Mapping[str, int]
    unread: Mapping[str, str]

    @classmethod
    def of(cls, file: Path, header: Sequence[str], what: str, mapping: Layout | None = None) -> "Columns":
        """Understand a header.

        What ``mapping`` says counts before the preset that the header shows, and that before the words that columns
        are commonly called by. Raises SourceError if a column stands twice, or none is for a field that is required,
        and SettingError if ``mapping`` names a field or a column that isn't there.
        """
        places: dict[str, int] = {}
        alike = Counter(_spoken(name, what) for name in header if name)
        for place, name in enumerate(header):
            if name and (count := alike[_spoken(name, what)]) > 1:
                raise SourceError(f"{file} has {count} columns named {name!r}; rename or remove all but one")
            if name:
                places.setdefault(plain(name), place)
        for place, name in enumerate(header):  # Preis (EUR)
            bare, bracket, _ = name.partition("(")
            if bracket and plain(name) not in known(what):
                places.setdefault(plain(bare), place)
        layout = _layout(places, what)
        if mapping is not None:
            _check(mapping, header, places, what)
            layout = layout.under(mapping)
        read = {
            name: tuple(places[plain(one)] for one in some if plain(one) in places)
            for name, some in layout.columns.items()
        }
        taken = {place for some in read.values() for place in some}
        open_yet = [
            name for name in words(what)
            if name not in layout.constants and not read.get(name) and layout.columns.get(name) != []
        ]  # fmt: skip
        for own in (True, False):  # a field's own name is for it; then the likeliest word that no other field took
            for name in open_yet:
                if not read.get(name):
                    some = words(what)[name][: 1 if own else None]
                    read[name] = tuple(places[one] for one in some if one in places and places[one] not in taken)[:1]
                    taken.update(read[name])
        for name in open_yet:
            if name in _said()[what]["first_filled"]:
                more = [places[one] for one in words(what)[name] if one in places and places[one] not in taken]
                read[name] += tuple(more)
                taken.update(more)
        if "photos" in open_yet:  # image2, image_3
            of_photos = {*words(what)["image"], *words(what)["photos"]}
            more = [places[one] for one in places if one[-1:].isdigit() and one.rstrip("0123456789") in of_photos]
            read["photos"] += tuple(place for place in more if place not in taken)
            taken.update(more)
        read, helpers = {name: some for name, some in read.items() if some}, _helpers(layout, places)
        columns = cls(file, tuple(header), layout, read, helpers, {})
        if lacking := [name for name in _said()[what]["required"] if not columns.has(name)]:
            raise SourceError(columns._lacks(lacking, what))
        taken.update(helpers.values())
        meant = {**layout.columns, **columns.read}
        rest = {one: _near(one, what, meant) for place, one in enumerate(header) if one and place not in taken}
        return replace(columns, unread=rest)

    def has(self, name: str) -> bool:
        """Whether any column, or a constant, tells a field."""
        return (
            bool(self.read.get(name))
            or name in self.layout.constants
            or (name == "item_id" and bool(self.layout.made_id))
        )

    def called(self) -> dict[str, str]:
        """Of each field that is read, the columns or the constant that tell it."""
        named = {name: ", ".join(self.header[place] for place in some) for name, some in self.read.items()}
        return named | {name: f"always {value}" for name, value in self.layout.constants.items()}

    def _lacks(self, lacking: Sequence[str], what: str) -> str:
        has = ", ".join(name for name in self.header if name)[:400] or "none"
        needed = ", ".join(_said()[what]["required"])
        nearest = [(name, near) for name in self.header if (near := _near(name, what, {})) in lacking]
        advice = "".join(f'; is {name!r} the {near}? Then --map {near}="{name}"' for name, near in nearest)
        if not any(plain(name) in known(what) for name in self.header) and any(map(_HOLDS, self.header)):
            advice += "; if that is the first row, write a line with the columns' names above it"
        spoken = "orders" if what == "events" else what
        return f"{self.file} has no column {', '.join(lacking)} (it has {has}); {spoken} need {needed}{advice}"


def _spoken(name: str, what: str) -> str:
    """By what two columns are the same: a name that means something by its letters, any other as it is."""
    return word if (word := plain(name)) in known(what) else name


def _helpers(layout: Layout, places: Mapping[str, int]) -> dict[str, int]:
    """The places of columns that a layout reads beside those of fields."""
    names = [layout.packed, layout.children, layout.parents.get("column", ""), *layout.made_id]
    names += [one for pair in layout.pairs for one in pair.values()]
    names += list(layout.parents.get("also_named", {}).values())
    return {name: places[plain(name)] for name in names if name and plain(name) in places}


def _layout(places: Mapping[str, int], what: str) -> Layout:
    """The preset of which the header has all signs, of several the one with the most; else an empty one."""
    shown = [one for one in presets(what) if all(plain(sign) in places for sign in one.known_by)]
    return max(shown, key=lambda one: len(one.known_by), default=Layout())


def _check(mapping: Layout, header: Sequence[str], places: Mapping[str, int], what: str) -> None:
    for name in (*mapping.columns, *mapping.constants, *mapping.words):
        if name not in words(what):
            likely = get_close_matches(plain(name), words(what), 1)
            advice = f"; {likely[0]} is" if likely else f"; there are {', '.join(words(what))}"
            raise SettingError(f"{name} is no field of {what}{advice}")
    for name, some in mapping.columns.items():
        for one in some:
            if plain(one) not in places:
                raise SettingError(f"no column {one!r} for {name}; there are {', '.join(filter(None, header))[:400]}")


def _near(name: str, what: str, read: Collection[str]) -> str:
    """The field that isn't read yet for which a column's name may have been meant, or "" where none is likely."""
    open_to = {word: field for field, some in words(what).items() if field not in read for word in some}
    near = get_close_matches(plain(name), [word for word in open_to if len(word) > 3], 1, 0.8)
    return open_to[near[0]] if near else ""


@dataclass(frozen=True)
class Understood:
    """How a table was understood, beside what was taken from it.

    ``preset`` is the system whose header it has, or "". ``columns`` says of each field which columns tell it,
    ``unread`` which columns none, with the field that each may have been meant for, or "". ``unknown`` counts by field
    (category, gender, age_group, kind …) the words that nobody knows; ``remarks`` are sentences on the rest.
    ``kept``: what stands in the unread columns was kept with the items.
    """

    preset: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    kept: bool = False


NOTHING = frozenset({"nan", "null", "none", "n/a", "#n/a", "<na>", "nat", "\\n", "na"})
"""Cells, in small letters, that programs write where there is nothing."""

_SHORTENED = re.compile(r"\d([.,]\d+)?E\+?\d+").fullmatch


def shortened(name: str, ids: Iterable[str]) -> tuple[str, ...]:
    """A remark if some ids are numbers that a spreadsheet shortened, such as 1.23457E+12; else none."""
    found = [one for one in ids if _SHORTENED(one)]
    if not found:
        return ()
    return (
        f"{len(found)} times {name} is a number that a spreadsheet shortened, such as {found[0]!r}: "
        "make its column text and export it again",
    )


POINTED = "every {} ended in .0, which a column of floats adds; it was taken off"


class Lost:
    """Ids that came from a column of numbers: with ``.0`` behind them, or without the zeros before them."""

    def __init__(self, known: Iterable[str]) -> None:
        self._known = known
        self._bare: dict[str, str | None] = {}
        self.restored: dict[str, str] = {}

    def find(self, lost: str) -> str | None:
        """The one known id that ``lost`` may stand for."""
        if not self._bare and not lost[:1].isdecimal():
            return None
        if not self._bare:
            for one in self._known:
                if one.isdecimal():
                    bare = one.lstrip("0")
                    self._bare[bare] = None if bare in self._bare else one
        found = self._bare.get(without_point(lost).lstrip("0")) if lost[:1].isdecimal() else None
        if found is not None:
            self.restored[lost] = found
        return found

    def remark(self, name: str, count: int) -> str:
        """A sentence on what was found ``count`` times."""
        lost, found = next(iter(self.restored.items()))
        return f"{count} times {name} without its zeros or with .0 was taken for the shop's: {lost!r} for {found!r}"


def alike(ids: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
    """A remark if some of ``ids`` differ from known ones by lost zeros or a ``.0`` alone; else none."""
    lost = Lost(known)
    count = sum(one not in known and lost.find(one) is not None for one in ids)
    if not count:
        return ()
    one, found = next(iter(lost.restored.items()))
    return (
        f"{count} ids differ from the shop's by lost zeros or .0 alone: is {one!r} its {found!r}? Keep ids as text",
    )


def without_point(written: str) -> str:
    """Digits without the ``.0`` that a column of floats leaves behind them; any other text as it is."""
    whole = written[:-2]
    return whole if written.endswith(".0") and whole.isdecimal() else written
