"""The words of shops for whom a garment is and which colour it has, in the languages of their markets (words.toml)."""

import html
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from modiste.catalog.files import read_toml
from modiste.catalog.items import AGE_GROUPS, GENDERS
from modiste.errors import SettingError

_Meaning = TypeVar("_Meaning")

LONGEST = 4
"""So many words may stand for one thing, at most."""

_DATA: dict[str, Any] = read_toml(Path(__file__).with_name("words.toml"))
_UNDIVIDED = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i"})  # no accents to Unicode
_POSSESSIVE = re.compile(r"['’`´](s\b)?")
_AND = re.compile(r"[&+,;]")
_STEPS = re.compile(r"[>›»→|]")
_LISTED = re.compile(r"[/,;|+&]")

CONNECTORS = frozenset(_DATA["connectors"])
"""Words between two things, or before what only describes the first, as :func:`tokens` gives them."""

COLOURS: tuple[str, ...] = tuple(_DATA["colours"])
"""The colours that :func:`colour` knows."""


def tokens(text: str) -> list[str]:
    """The words of a text without case, accents and possessives: "Men's Tees & Tops" is men, tees, and, tops."""
    spoken = _AND.sub(" and ", _POSSESSIVE.sub("", html.unescape(text).casefold()))
    marked = unicodedata.normalize("NFKD", spoken.translate(_UNDIVIDED))
    return re.findall(r"[^\W_]+", "".join(one for one in marked if not unicodedata.combining(one)))


def joined(text: str) -> str:
    """What is left of a text when case, accents, spaces and punctuation are taken away."""
    return "".join(tokens(text))


def gender(word: str | None) -> str | None:
    """``men`` or ``women`` for a word that says so; None, which passes every filter, for any other."""
    return gender_and_age(word)[0]


def known_gender(word: str | None) -> str | None:
    """``men``, ``women`` or None as it came; no other word will do."""
    if word is not None and word not in GENDERS:
        raise SettingError(f"no gender {word!r}; there are: {', '.join(GENDERS)}")
    return word


def asked_gender(word: Any) -> Any:
    """``men``, ``women`` or ``any`` for a word of a filter that says so; what is no text comes back.

    Raises ValueError for a word that doesn't, with the nearest that does.
    """
    return _asked(word, 0)


def asked_age(word: Any) -> Any:
    """As :func:`asked_gender`, ``adults``, ``children`` or ``any``."""
    return _asked(word, 1)


def _asked(word: Any, which: int) -> Any:
    if not isinstance(word, str) or word == "any":
        return word
    told = gender_and_age(word)
    if told[which] is not None:
        if which == 0 and told[1] == "children":
            raise ValueError(f"{word[:80]!r} says an age too; ask for gender {told[0]} and age children")
        return told[which]
    if tokens(word) and told == (None, None, True):  # unisex
        return "any"
    raise ValueError(unknown_person(word, (*(GENDERS, AGE_GROUPS)[which], "any")))


def unknown_person(word: str, there: Collection[str]) -> str:
    """A sentence on a word that says not for whom a garment is, with the nearest that does."""
    near = None if gender_and_age(word)[2] else nearest_person(word)
    return f"{word[:80]!r} is not known; " + (f"did you mean {near}?" if near else f"there are: {', '.join(there)}")


def gender_and_age(text: str | None) -> tuple[str | None, str | None, bool]:
    """For whom a garment is: gender (men, women), age group (adults, children), and whether the text was understood.

    The text may be a word ("Herren", "Girls"), several ("Kids Girl") or a category with its path
    ("Women > Dresses > Maxi Dresses"). Boys are men and children, girls women and children. Gender or age is None where
    the text leaves it open ("male" any age, "kids" any gender) or names both ("Men/Women", "Unisex"). A text is
    understood if a word of it was; an empty one says nothing and is. In a path the narrower step decides.

    >>> gender_and_age("Herren"), gender_and_age("Girls > Dresses"), gender_and_age("Unisex"), gender_and_age("Blue")
    (('men', 'adults', True), ('women', 'children', True), (None, None, True), (None, None, False))
    """
    gender = age = None
    understood = not tokens(text or "")
    for step in _STEPS.split(html.unescape(text or "")):  # the deeper one decides
        said = [meaning for _, _, meaning in _people(tokens(step)) if meaning[0] != "nobody"]
        genders = {one for one, _ in said if one in GENDERS} | ({*GENDERS} if ("anybody", "any") in said else set())
        ages = {one for _, one in said if one != "any"}
        gender, age = _only(genders, gender), _only(ages, age)
        understood = understood or bool(said)
    return gender, age, understood


def spoken_gender(text: str | None) -> str | None:
    """The one gender that a title or a page's path speaks of; words of two letters are of something else there."""
    return gender(" ".join(word for word in tokens(text or "") if len(word) > 2))


def nearest_person(text: str) -> str | None:
    """The word for people that is written most like one that was not understood: "Womne" is like women."""
    return nearest(text, _persons())


def nearest(text: str, known: Iterable[str]) -> str | None:
    """Of words as :func:`joined` gives them the one written most like a text; None where none is like it."""
    return next(iter(get_close_matches(joined(text), known, n=1, cutoff=0.8)), None)


def says_who(words: Sequence[str]) -> bool:
    """Whether these words, as :func:`tokens` gives them, say for whom a garment is and nothing else."""
    people = {place for start, end, _ in _people(words) for place in range(start, end)}
    return bool(people) and all(place in people or word in CONNECTORS for place, word in enumerate(words))


def colour(text: str | None) -> tuple[str, ...]:
    """The colours of COLOURS that a shop's words name, in their order; none where no word is known.

    >>> colour("Navy/White"), colour("anthrazit"), colour("Mint Green"), colour("dunkelgrün meliert"), colour("Zebra")
    (('navy', 'white'), ('grey',), ('mint',), ('green',), ())
    """
    named: dict[str, None] = {}
    for part in _LISTED.split(html.unescape(text or "")):
        words = tokens(part)
        matches = list(_matches(words, _colours(), _DATA["colour_endings"]))
        found = [name for _, end, name in matches if len(words) == 1 or words[end - 1] not in CONNECTORS]  # or: gold
        duller = {base for name in found for base in _DATA["shades"].get(name, ())}
        named.update((name, None) for name in found if name not in duller)
    return tuple(named)


def _people(words: Sequence[str]) -> list[tuple[int, int, tuple[str, str]]]:
    """Where words speak of people: the first word, the one behind the last, (gender, age group)."""
    lone = len(words) == 1  # a letter in a longer text is a size, or "H&M"
    found = [one for one in _matches(words, _persons()) if lone or min(map(len, words[one[0] : one[1]])) > 1]
    taken = {place for start, end, _ in found for place in range(start, end)}
    for place, word in enumerate(words):
        for beginning, meaning in _persons("beginnings").items():
            if place not in taken and word.startswith(beginning) and len(word) > len(beginning) + 2:
                found.append((place, place + 1, meaning))
    return found


def _matches(
    words: Sequence[str], known: Mapping[str, _Meaning], endings: Collection[str] = ()
) -> Iterator[tuple[int, int, _Meaning]]:
    """Each place where words mean something, the longest first: its first word, the one behind its last, what."""
    start = 0
    while start < len(words):
        for end in range(min(start + LONGEST, len(words)), start, -1):
            if (meaning := known.get("".join(words[start:end]))) is not None:
                yield start, end, meaning
                start = end
                break
        else:
            ending = next((one for one in endings if words[start].endswith(one)), None)
            if ending is not None:
                yield start, start + 1, known[ending]
            start += 1


@cache
def _persons(section: str = "who") -> dict[str, tuple[str, str]]:
    return _by_key((word, (gender, age)) for age, of in _DATA[section].items() for gender, word in _pairs(of))


@cache
def _colours() -> dict[str, str]:
    return _by_key((word, name) for name, word in _pairs(_DATA["colours"]))


def _pairs(lists: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    return ((name, word) for name, words in lists.items() for word in words)


def _by_key(meanings: Iterable[tuple[str, _Meaning]]) -> dict[str, _Meaning]:
    """Raises ValueError for a word that means two things."""
    known: dict[str, _Meaning] = {}
    for word, meaning in meanings:
        if known.setdefault(joined(word), meaning) != meaning:
            raise ValueError(f"words.toml: {word!r} means {known[joined(word)]} and {meaning}; take it out of one")
    return known


def _only(said: set[str], before: str | None) -> str | None:
    """What was said now if it was one thing, what was said before if it was nothing, None if it was several."""
    return next(iter(said)) if len(said) == 1 else None if said else before
