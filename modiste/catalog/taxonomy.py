"""Which categories there are and how alike they are: the paper's semantic similarity (arXiv 2506.07773)."""

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from modiste.arrays import Floats
from modiste.catalog.palette import LABELS
from modiste.errors import SourceError

PAPER = Path(__file__).with_name("categories.toml")
"""The paper's taxonomy: 17 categories in six groups."""

_SECTIONS = ("within", "groups", "between", "aliases", "labels")


@dataclass(frozen=True)
class Taxonomy:
    """Categories in groups, and how alike they are: 1 to itself, ``within`` in a group, ``between`` two groups.

    Every method takes a category by its own name or by any word that :meth:`canonical` knows for it.
    A category the taxonomy doesn't know is similar to itself alone; None (no category) to nothing.

    >>> taxonomy = Taxonomy.load()
    >>> taxonomy.canonical("T-shirt"), taxonomy.similarity("jeans", "Shorts"), taxonomy.similarity("Denim", "Suiting")
    ('Tees_Tanks', 0.8, 0.2)
    """

    groups: Mapping[str, tuple[str, ...]]
    within: float
    between: Mapping[frozenset[str], float]
    _own_labels: Mapping[str, frozenset[str]] = field(repr=False)
    _group: Mapping[str, str] = field(repr=False)
    _words: Mapping[str, str] = field(repr=False)

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Read a taxonomy from a TOML file laid out as ``categories.toml`` beside this module; None: the paper's.

        Raises SourceError, naming the file and the key, for a file that can't be read, an unknown section, group,
        category or label, a number outside [0, 1], a pair of groups written twice with two numbers (asymmetric),
        and a category or alias that stands in two places.
        """
        return cls(**_Document(path or PAPER).taxonomy())

    @property
    def categories(self) -> tuple[str, ...]:
        """All names, in the order of their groups."""
        return tuple(self._group)

    def canonical(self, word: str | None) -> str | None:
        """The category that ``word`` stands for, whatever its case, accents, punctuation or plural s.

        A word nobody mapped comes back as it is, stripped; None or an empty word is None.
        """
        stripped = (word or "").strip()
        if not stripped:
            return None
        key = _key(stripped)
        for candidate in (key, key + "s", key.removesuffix("s")):
            if candidate in self._words:
                return self._words[candidate]
        return stripped

    def knows(self, category: str | None) -> bool:
        """Whether ``category`` is one of the taxonomy's, or a word for one."""
        return self.canonical(category) in self._group

    def similarity(self, a: str | None, b: str | None) -> float:
        """How alike two categories are, in [0, 1]; symmetric."""
        return self._alike(self.canonical(a), self.canonical(b))

    def _alike(self, one: str | None, other: str | None) -> float:
        if one is None or other is None:
            return 0.0
        if one == other:
            return 1.0
        if one not in self._group or other not in self._group:
            return 0.0
        pair = frozenset((self._group[one], self._group[other]))
        return self.within if len(pair) == 1 else self.between.get(pair, 0.0)

    def matrix(self, names: Sequence[str | None]) -> Floats:
        """float64 (n, n): the similarity of every pair of ``names``, in their order; repeats are allowed."""
        canonical = [self.canonical(name) for name in names]
        distinct = list(dict.fromkeys(canonical))
        place = {name: number for number, name in enumerate(distinct)}
        small = np.array([[self._alike(a, b) for b in distinct] for a in distinct], dtype=np.float64)
        where = np.array([place[name] for name in canonical], dtype=np.intp)
        return small.reshape(len(distinct), len(distinct))[np.ix_(where, where)]

    def labels(self, category: str | None) -> frozenset[str]:
        """The palette labels that are this category's own garment; empty when the taxonomy doesn't know it."""
        return self._own_labels.get(self.canonical(category) or "", frozenset())


def _key(word: str) -> str:
    """What is left of a word when case, accents, spaces and punctuation are taken away."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKD", word).casefold())


class _Document:
    """A taxonomy file on its way in: every complaint names the file and the key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.content = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise SourceError(f"{path} doesn't exist; name a TOML file, or none for the paper's taxonomy") from error
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SourceError(f"{path} can't be read as TOML: {error}") from error

    def taxonomy(self) -> dict[str, Any]:
        """The fields of a Taxonomy."""
        for section in self.content:
            if section not in _SECTIONS:
                raise self.fault(section, f"is not a section; a taxonomy has {', '.join(_SECTIONS)}")
        groups = dict(self.lists("groups"))
        group: dict[str, str] = {}
        words: dict[str, str] = {}
        for name, categories in groups.items():
            for category in categories:
                if category in group:
                    raise self.fault(f"groups.{name}", f"has {category!r}, which group {group[category]} has already")
                self.claim(words, f"groups.{name}", category, category)
                group[category] = name
        if not group:
            raise self.fault("groups", 'is missing or empty; write it as A = ["Dresses", "Skirts"]')
        for category, aliases in self.lists("aliases"):
            self.expect(f"aliases.{category}", category, group, "category")
            for alias in aliases:
                self.claim(words, f"aliases.{category}", alias, category)
        labels = {}
        for category, own in self.lists("labels"):
            self.expect(f"labels.{category}", category, group, "category")
            for label in own:
                self.expect(f"labels.{category}", label, LABELS, "label of the masks' palette")
            labels[category] = frozenset(own)
        return {
            "groups": groups,
            "within": self.share("within", self.content.get("within", 0.8)),
            "between": self.between(groups),
            "_own_labels": labels,
            "_group": group,
            "_words": words,
        }

    def between(self, groups: Mapping[str, tuple[str, ...]]) -> dict[frozenset[str], float]:
        pairs: dict[frozenset[str], float] = {}
        for one, row in self.table("between").items():
            self.expect(f"between.{one}", one, groups, "group")
            if not isinstance(row, dict):
                raise self.fault(f"between.{one}", "must be a table such as { B = 0.2, C = 0.3 }")
            for other, value in row.items():
                key = f"between.{one}.{other}"
                self.expect(key, other, groups, "group")
                if one == other:
                    raise self.fault(key, "pairs a group with itself; that similarity is 'within'")
                number = self.share(key, value)
                if pairs.setdefault(frozenset((one, other)), number) != number:
                    raise self.fault(
                        key, f"is {number}, but between.{other}.{one} is {pairs[frozenset((one, other))]}; write one"
                    )
        return pairs

    def table(self, section: str) -> dict[str, Any]:
        table = self.content.get(section, {})
        if not isinstance(table, dict):
            raise self.fault(section, f"must be a table, [{section}]")
        return table

    def lists(self, section: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        for name, words in self.table(section).items():
            if not isinstance(words, list) or not all(isinstance(word, str) and word.strip() for word in words):
                raise self.fault(f"{section}.{name}", 'must be a list of words, such as ["Dresses", "Skirts"]')
            yield name, tuple(words)

    def claim(self, words: dict[str, str], key: str, word: str, category: str) -> None:
        """Let ``word`` stand for ``category``, unless it stands for another."""
        if not _key(word):
            raise self.fault(key, f"has {word!r}, which has no letter or digit")
        if (claimed := words.setdefault(_key(word), category)) != category:
            raise self.fault(key, f"has {word!r}, which stands for {claimed} already; take it out of one")

    def expect(self, key: str, name: str, known: Sequence[str] | Mapping[str, Any], what: str) -> None:
        if name not in known:
            raise self.fault(key, f"names {name!r}, which is no {what}; there are {', '.join(known)}")

    def share(self, key: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise self.fault(key, f"is {value!r}; a similarity is a number from 0 to 1")
        return float(value)

    def fault(self, key: str, complaint: str) -> SourceError:
        return SourceError(f"{self.path}: {key} {complaint}")
