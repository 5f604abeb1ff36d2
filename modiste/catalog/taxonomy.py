"""Which categories there are and how alike they are: the paper's semantic similarity (arXiv 2506.07773)."""

import html
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np

from modiste.arrays import Floats
from modiste.catalog.files import read_toml
from modiste.catalog.items import GENDERS
from modiste.catalog.palette import LABELS
from modiste.catalog.words import CONNECTORS, LONGEST, joined, nearest, says_who, tokens
from modiste.errors import SettingError, SourceError

PAPER = Path(__file__).with_name("categories.toml")
"""The paper's taxonomy: 17 categories in six groups."""

WIDE = Path(__file__).with_name("wide.toml")
"""What shops sell: the paper's 17 categories, as alike as there, among many others, and words of ten languages."""

_SECTIONS = (
    "within", "general", "adjectives", "compounding", "whose", "groups", "alone", "between", "aliases", "languages",
    "labels",
)  # fmt: skip
_STEPS = re.compile(r"[>›»→|/\\:]")
_NOTHING = ""
"""What a word stands for that says nothing of the kind."""
_BEGINNING, _ENDING = 3, 4  # letters, at least: fewer would find a Rock in a frock


@dataclass(frozen=True)
class Taxonomy:
    """Categories in groups, and how alike they are: 1 to itself, ``within`` in a group, ``between`` two groups.

    Every method takes a category by its own name or by any word that :meth:`canonical` knows for it.
    A category the taxonomy doesn't know is similar to itself alone; None (no category) to nothing.

    >>> taxonomy = Taxonomy.load()
    >>> taxonomy.canonical("Damen > Blusen & Hemden"), taxonomy.similarity("jeans", "Shorts")
    ('Blouses_Shirts', 0.8)
    """

    groups: Mapping[str, tuple[str, ...]]
    within: float
    between: Mapping[frozenset[str], float]
    alone: frozenset[str] = field(repr=False)
    _own_labels: Mapping[str, frozenset[str]] = field(repr=False)
    _group: Mapping[str, str] = field(repr=False)
    _words: Mapping[str, str] = field(repr=False)
    _adjectives: frozenset[str] = field(repr=False)
    _endings: Mapping[str, str] = field(repr=False)
    _whose: Mapping[str, str] = field(repr=False)

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Read a taxonomy from a TOML file laid out as WIDE and PAPER are; None: WIDE.

        Raises SourceError, naming the file and the key, for a file that can't be read, an unknown section, group,
        category or label, a number outside [0, 1], a pair of groups written twice with two numbers (asymmetric),
        and a category or alias that stands in two places.
        """
        return cls(**_shipped() if path is None else _Document(path).taxonomy())

    @property
    def categories(self) -> tuple[str, ...]:
        """All names, in the order of their groups."""
        return tuple(self._group)

    def canonical(self, word: str | None) -> str | None:
        """The category that ``word`` stands for, whatever its case, accents, punctuation or plural.

        Of a path ("Women > Dresses > Maxi Dresses", "Herren/Schuhe/Sneaker") the deepest step that is known decides, of
        several words the last ("Shirt Dress", "Dress Shirt"), of several things, and of one with what belongs to it,
        the first ("T-Shirts & Vests", "Sac à main"). None for what says nothing of the kind: an empty word, one of
        the taxonomy's ``general`` ones ("Sale"), one for people ("Kids"). What nobody mapped comes back as it is,
        stripped.
        """
        stripped = (word or "").strip()
        meant = self._meant(html.unescape(stripped))
        return stripped or None if meant is None else meant or None

    def _meant(self, text: str) -> str | None:
        """The category meant, _NOTHING for none, None where no word is known."""
        if (whole := self._named(tokens(text))) is not None:
            return whole
        steps = [words for step in _STEPS.split(text) if (words := tokens(step))]
        loose = _NOTHING  # an adjective yields to what it describes: "Jackets > Denim"
        for above, step in reversed([*zip([[], *steps], steps, strict=False)]):
            for meant, adjective in self._heads(above, step):
                if not adjective:
                    return loose if loose and self._group[loose] == self._group[meant] else meant
                loose = loose or meant
        silent = all(self._named(step) == _NOTHING or says_who(step) for step in steps)
        return loose or (_NOTHING if silent else None)

    def _heads(self, above: Sequence[str], words: Sequence[str]) -> Iterator[tuple[str, bool]]:
        """What the words of a step may mean, the likeliest first, and whether that may only describe another."""
        if above and (meant := self._named([*above, *words])):
            yield meant, False
        if (meant := self._named(words)) is not None:
            if meant:
                yield meant, self._describes(words)
            return
        first = 0
        for behind in [*(place for place, word in enumerate(words) if word in CONNECTORS), len(words)]:
            for end in range(min(behind - 1 + LONGEST, len(words)), first, -1):
                for start in range(max(first, end - LONGEST), min(behind, end)):
                    if meant := self._named(words[start:end]):
                        yield meant, self._describes(words[start:end])
                        break
                else:
                    if end <= behind and (meant := self._ending(words[end - 1])):
                        yield meant, False
            first = behind + 1

    def _describes(self, words: Sequence[str]) -> bool:
        """Whether words may only describe what stands elsewhere."""
        return "".join(words).removesuffix("s") in self._adjectives

    def _named(self, words: Sequence[str]) -> str | None:
        """The category that has these words, written together, as a name or alias, in the singular or plural."""
        word = "".join(words)
        forms = (word, word + "s", word.removesuffix("s"), word.removesuffix("es"), re.sub("ies$", "y", word))
        return next((self._words[form] for form in forms if form in self._words), None)

    def _ending(self, word: str) -> str:
        """The category of the longest word that this one ends with: "Sommerkleid" is a Kleid."""
        endings = (word[place:] for place in range(_BEGINNING, len(word) - _ENDING + 1))
        return next((self._endings[ending] for ending in endings if ending in self._endings), _NOTHING)

    def knows(self, category: str | None) -> bool:
        """Whether ``category`` is one of the taxonomy's, or a word for one."""
        return self.canonical(category) in self._group

    def nearest(self, word: str) -> str | None:
        """The category with a word written most like an unknown one, in its last step; None where none is like it."""
        like = nearest(_STEPS.split(word)[-1], self._words)
        return self._words[like] or None if like else None

    def chosen(self, words: Iterable[str], own: Collection[str] = ()) -> set[str]:
        """The categories that the words of a filter stand for; a word may list several with commas.

        ``own`` are the categories that a shop's items have, which may be others than the taxonomy's. Raises
        SettingError for a word that nobody knows, with the nearest that there is.
        """
        chosen: set[str] = set()
        for word in words:
            whole = word.strip() in own
            for one in [word] if whole else filter(None, map(str.strip, word.split(","))):
                category = one.strip() if whole else self.canonical(one)
                if category is None or (category not in self._group and category not in own):
                    near = self.nearest(one) or next(iter(get_close_matches(one, own, 1)), None)
                    there = ", ".join(sorted(own or self._group)[:20])
                    raise SettingError(
                        f"no category {one[:80]!r}; " + (f"did you mean {near}?" if near else f"there are: {there}")
                    )
                chosen.add(category)
        return chosen

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
        canonical = {name: self.canonical(name) for name in dict.fromkeys(names)}
        number = {name: place for place, name in enumerate(dict.fromkeys(canonical.values()))}
        group = {name: place for place, name in enumerate(self.groups)}
        groups = np.zeros((len(group) + 1, len(group) + 1))  # the last one: of no group
        np.fill_diagonal(groups[:-1, :-1], self.within)
        for pair, value in self.between.items():
            one, other = (group[name] for name in pair)
            groups[one, other] = groups[other, one] = value
        places = [group.get(self._group.get(name or "", ""), len(group)) for name in number]
        which = np.array([number[canonical[name]] for name in names], dtype=np.intp)
        of = np.array(places, dtype=np.intp)[which]
        alike = groups[np.ix_(of, of)]
        alike[(which[:, None] == which) & (which != number.get(None, -1))] = 1.0
        return alike

    def labels(self, category: str | None) -> frozenset[str]:
        """The palette labels that are this category's own garment; empty when the taxonomy doesn't know it."""
        return self._own_labels.get(self.canonical(category) or "", frozenset())

    def worn(self, category: str | None) -> frozenset[str]:
        """As :meth:`labels`, of what is a part of an outfit; empty for what is in one of the groups ``alone``."""
        alone = self._group.get(self.canonical(category) or "") in self.alone
        return frozenset() if alone else self.labels(category)

    def worn_by(self, category: str | None, title: str | None = None) -> str | None:
        """The gender, of GENDERS, that alone wears things of a category, or of what a title names that is at all like
        it; None for both, and where nobody knows.

        >>> taxonomy = Taxonomy.load()
        >>> taxonomy.worn_by("Shoes", "Prima Pump"), taxonomy.worn_by("Denim", "Skinny Jean")
        ('women', None)
        """
        said, kind = self.canonical(category), self._meant(title or "")
        kinds = {said, kind if said not in self._group or self._alike(said, kind) else None}
        words = {*tokens(title or "")} - self._group.keys()
        found = {self._whose[one] for one in kinds | words if one is not None and one in self._whose}
        return found.pop() if len(found) == 1 else None


@cache
def _shipped() -> dict[str, Any]:
    """The fields of WIDE, read once: its six thousand words take longer than all else of opening a shop."""
    return _Document(WIDE).taxonomy()


class _Document:
    """A taxonomy file on its way in: every complaint names the file and the key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.content: dict[str, Any] = read_toml(path)
        except FileNotFoundError as error:
            raise SourceError(f"{path} doesn't exist; name a TOML file, or none for the paper's taxonomy") from error
        except (OSError, ValueError) as error:
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
        for word in self.words("general"):
            self.claim(words, "general", word, _NOTHING)
        endings: dict[str, str] = {}
        for section in ("aliases", *(f"languages.{one}" for one in self.table("languages"))):
            for category, aliases in self.lists(section):
                self.expect(f"{section}.{category}", category, group, "category")
                for alias in aliases:
                    self.claim(words, f"{section}.{category}", alias, category)
                if section.removeprefix("languages.") in self.words("compounding"):
                    endings.update((joined(alias), category) for alias in aliases)
        labels = {}
        for category, own in self.lists("labels"):
            self.expect(f"labels.{category}", category, group, "category")
            for label in own:
                self.expect(f"labels.{category}", label, LABELS, "label of the masks' palette")
            labels[category] = frozenset(own)
        alone = self.words("alone")
        for name in alone:
            self.expect("alone", name, groups, "group")
        return {
            "groups": groups,
            "within": self.share("within", self.content.get("within", 0.8)),
            "between": self.between(groups),
            "alone": frozenset(alone),
            "_own_labels": labels,
            "_group": group,
            "_words": words,
            "_adjectives": frozenset(joined(word).removesuffix("s") for word in self.words("adjectives")),
            "_endings": endings,
            "_whose": self.whose(group, words),
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

    def whose(self, group: Mapping[str, str], words: Mapping[str, str]) -> dict[str, str]:
        whose: dict[str, str] = {}
        for gender, kinds in self.lists("whose"):
            self.expect(f"whose.{gender}", gender, GENDERS, "gender")
            for kind in kinds:
                word = kind if kind in group else joined(kind)
                if word not in group and word not in words:
                    raise self.fault(f"whose.{gender}", f"names {kind!r}, which is no category, and no word for one")
                if whose.setdefault(word, gender) != gender:
                    raise self.fault(f"whose.{gender}", f"has {kind!r}, which is {whose[word]}'s already")
        return whose

    def table(self, section: str) -> dict[str, Any]:
        table = self.content
        for name in section.split("."):
            table = table.get(name, {})
            if not isinstance(table, dict):
                raise self.fault(section, f"must be a table, [{section}]")
        return table

    def lists(self, section: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        for name, words in self.table(section).items():
            yield name, self.checked(f"{section}.{name}", words)

    def words(self, section: str) -> tuple[str, ...]:
        return self.checked(section, self.content.get(section, []))

    def checked(self, key: str, words: Any) -> tuple[str, ...]:
        if not isinstance(words, list) or not all(isinstance(word, str) and word.strip() for word in words):
            raise self.fault(key, 'must be a list of words, such as ["Dresses", "Skirts"]')
        return tuple(words)

    def claim(self, words: dict[str, str], key: str, word: str, category: str) -> None:
        """Let ``word`` stand for ``category``, unless it stands for another."""
        if not joined(word):
            raise self.fault(key, f"has {word!r}, which has no letter or digit")
        if (claimed := words.setdefault(joined(word), category)) != category:
            raise self.fault(key, f"has {word!r}, which stands for {claimed or 'nothing'} already; take it out of one")

    def expect(self, key: str, name: str, known: Sequence[str] | Mapping[str, Any], what: str) -> None:
        if name not in known:
            raise self.fault(key, f"names {name!r}, which is no {what}; there are {', '.join(known)}")

    def share(self, key: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise self.fault(key, f"is {value!r}; a similarity is a number from 0 to 1")
        return float(value)

    def fault(self, key: str, complaint: str) -> SourceError:
        return SourceError(f"{self.path}: {key} {complaint}")
