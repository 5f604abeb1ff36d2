"""A scenario: a named way of asking for one placement, such as a product's page, with rules for what is shown there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from modiste.ask import WEIGHTS, Ask, sentence
from modiste.catalog.files import MAX_TOML, as_toml, read, read_toml
from modiste.errors import SettingError, SourceError
from modiste.rules import DOES, Rule, near

FIELDS = tuple(name for name in Ask.model_fields if name != "scenario")
"""The settings of a scenario: what one may ask for."""

MOST_RULES = 200
"""More than that nobody keeps in mind."""

_TOGETHER = (("preset", WEIGHTS), ("min_price", ("max_price",)), ("max_price", ("min_price",)))


@dataclass(frozen=True)
class Scenario:
    """How to ask, by the names of :class:`~modiste.ask.Ask`, and rules in their order. Make it with :meth:`of`.

    ``about`` says in words which placement it is.
    """

    settings: Mapping[str, Any]
    rules: tuple[Rule, ...] = ()
    about: str = ""

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """From what TOML or JSON makes of a scenario: fields of Ask, ``rules`` and ``about``.

        Raises SettingError that names the rule and the field, for an unknown word with the nearest known one.
        """
        known = (*FIELDS, "rules", "about")
        if unknown := next((name for name in data if name not in known), None):
            raise SettingError(f"a scenario has no {unknown!r}{near(unknown, known)}")
        rules, about = data.get("rules") or (), data.get("about") or ""
        if not isinstance(rules, list | tuple) or not all(isinstance(one, Mapping) for one in rules):
            raise SettingError("rules must be a list of rules; in TOML each begins with [[rules]]")
        if len(rules) > MOST_RULES:
            raise SettingError(f"there are {len(rules)} rules; a scenario may have {MOST_RULES}")
        if not isinstance(about, str) or len(about) > 500:
            raise SettingError("about must be a text of at most 500 characters")
        settings = {name: value for name, value in data.items() if name in FIELDS and value is not None}
        asked = Ask.of(**settings)
        made = tuple(rule_of(one, place) for place, one in enumerate(rules, 1))
        names = [one.name for one in made]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise SettingError(f"two rules are called {twice!r}; give each a name of its own")
        return cls({name: getattr(asked, name) for name in FIELDS if name in settings}, made, about)

    @classmethod
    def load(cls, file: Path) -> Self:
        """From a TOML file, or JSON where its name ends so. Raises SourceError that names the file."""
        try:
            is_json = file.suffix.lower() == ".json"
            data = json.loads(read(file, MAX_TOML)) if is_json else read_toml(file)
            if not isinstance(data, dict):
                raise SettingError("a scenario is an object with settings and rules")
            return cls.of(data)
        except OSError as error:
            raise SourceError(f"{file} can't be read: {error.strerror}") from error
        except RecursionError:
            raise SourceError(f"{file} is nested too deep; a scenario is settings and a list of rules") from None
        except ValueError as error:  # both readers raise kinds of it, and so do settings
            raise SourceError(f"{file}: {error}") from error

    def as_data(self) -> dict[str, Any]:
        """As it is sent and kept, in JSON's types; :meth:`of` reads it again."""
        about = {"about": self.about} if self.about else {}
        rules = {"rules": [one.as_data() for one in self.rules]} if self.rules else {}
        return about | dict(self.settings) | rules

    def as_toml(self) -> str:
        """As a person edits it; :meth:`load` reads it again."""
        data = self.as_data()
        rules = data.pop("rules", [])
        parts = [as_toml(data), *("[[rules]]\n" + as_toml(one) for one in rules)]
        return "\n".join(part for part in parts if part)

    def asked(self, ask: Ask) -> dict[str, Any]:
        """The fields of Ask that ``ask`` comes to: the scenario's settings but where somebody said otherwise."""
        said = ask.given
        settings = dict(self.settings)
        for name, others in _TOGETHER:
            if name in said:
                for one in others:
                    settings.pop(one, None)
        return settings | said


@lru_cache(maxsize=256)
def scenario_of(content: str) -> Scenario:
    """From the JSON that :meth:`Scenario.as_data` makes; texts that were read lately are not read again."""
    return Scenario.of(json.loads(content))


def rule_of(data: Mapping[str, Any], place: int = 1) -> Rule:
    """One rule. Raises SettingError that names it, or its ``place`` where it has no name."""
    said = data.get("name")
    named = f"rule {said!r}" if isinstance(said, str) and said.strip() else f"rule {place}"
    known = [field.alias or name for name, field in Rule.model_fields.items()]
    if unknown := next((str(name) for name in data if name not in known), None):
        raise SettingError(f"{named}: a rule has no {unknown!r}{near(unknown, known)}")
    do = data.get("do")
    if isinstance(do, str) and do not in DOES:
        raise SettingError(f"{named}: no rule can {do!r}{near(do, list(DOES))}")
    try:
        return Rule.model_validate(dict(data))
    except ValidationError as error:
        raise SettingError(f"{named}: {'; '.join(map(sentence, error.errors()[:3]))}") from None
