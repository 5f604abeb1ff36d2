"""How one may ask for recommendations: the same names in Python, on the command line, over HTTP and on the page."""

import re
from dataclasses import replace
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from modiste.catalog.values import HIGHEST_PRICE, LONGEST_ID, composed, identifier, position_of
from modiste.catalog.words import asked_age, asked_gender
from modiste.errors import SettingError
from modiste.ranking.relevance import PRESETS, Scaling, Weights
from modiste.rules import Rule

Position = tuple[float, float]
"""(latitude, longitude) in degrees."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NO_CONTROL = {"pattern": r"^[^\x00-\x1f\x7f-\x9f]+$"}
_POSITION = (
    r"^-?(90(\.0{1,12})?|[1-8]?[0-9](\.[0-9]{1,12})?),-?(180(\.0{1,12})?|(1[0-7][0-9]|[1-9]?[0-9])(\.[0-9]{1,12})?)$"
)


def _position(near: Any) -> str | None:
    """``near`` as text: "48.86,2.35" as it comes, or (48.86, 2.35)."""
    if near is None:
        return None
    if isinstance(near, str) and not re.fullmatch(_POSITION, near):
        raise ValueError("write it as latitude,longitude in degrees, such as 48.86,2.35")
    latitude, longitude = position_of(near)
    return f"{latitude!r},{longitude!r}"


Weight = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
Signed = Annotated[float, Field(ge=-1000, le=1000, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Price = Annotated[float, Field(ge=0, le=HIGHEST_PRICE, allow_inf_nan=False)]
Near = Annotated[
    str,
    BeforeValidator(
        _position, json_schema_input_type=Annotated[str, Field(pattern=_POSITION, examples=["48.86,2.35"])]
    ),
]


def plain(text: str) -> str:
    """The text, composed. Raises ValueError where it holds control characters."""
    if _CONTROL.search(text):
        raise ValueError("may not hold control characters")
    return composed(text)


Name = Annotated[str, Field(min_length=1, max_length=500, json_schema_extra=_NO_CONTROL), AfterValidator(plain)]
Id = Annotated[
    str,
    Field(min_length=1, max_length=LONGEST_ID, json_schema_extra=_NO_CONTROL, examples=["0002"]),
    AfterValidator(identifier),
]


_Whose = Literal["men", "women", "any"]
_Age = Literal["adults", "children", "any"]
Whose = Annotated[_Whose, BeforeValidator(asked_gender, json_schema_input_type=_Whose)]
Age = Annotated[_Age, BeforeValidator(asked_age, json_schema_input_type=_Age)]


WEIGHTS = ("alpha", "colour", "beta", "gamma", "distance", "together", "newness", "price", "penalty", "scaling")
"""What belongs to a preset: whoever asks for another preset asks for its weights too."""


class Ask(BaseModel):
    """How to rank, and which items may be recommended; every field has a default.

    In Python the fields are keyword arguments (``shop.recommend(shopper="1", top=5, preset="paper")``), on the command
    line options (``--top 5``), over HTTP query parameters (``?top=5``). :meth:`of` raises SettingError.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    top: int = Field(5, ge=1, le=1000, description="How many.")
    preset: Literal["balanced", "paper", "visual"] = Field("balanced", description="Weights by name.")
    alpha: Weight | None = Field(
        None, description="Weight of the look (cut, texture, pattern), instead of the preset's."
    )
    colour: Signed | None = Field(
        None, description="Weight of the colour, instead of the preset's; below 0 asks for another colour."
    )
    beta: Weight | None = Field(None, description="Weight of the popularity term, instead of the preset's.")
    gamma: Weight | None = Field(None, description="Weight of the category term, instead of the preset's.")
    distance: Weight | None = Field(None, description="Weight of a store's nearness, instead of the preset's.")
    together: Weight | None = Field(
        None, description="Weight of what is bought together with what was bought, instead of the preset's."
    )
    newness: Weight | None = Field(None, description="Weight of how new an item is, instead of the preset's.")
    price: Weight | None = Field(
        None,
        description="Weight of how near a price is to what she usually pays, instead of what was learnt from orders.",
    )
    penalty: int | None = Field(
        None, ge=2, le=20, multiple_of=2,
        description="The paper's formula: the exponent p of |popularity - trendiness|: 2, 4, ...",
    )  # fmt: skip
    scaling: Scaling | None = Field(
        None,
        description="The paper's formula: minmax stretches the cosines of each query to [0, 1], none leaves them.",
    )
    trendiness: Share | None = Field(
        None,
        description="Instead of the shopper's own: 0 avoids what others buy, 1 follows them; 1/3 takes no notice.",
    )
    gender: Whose | None = Field(
        None, description="Whose garments; default: those of the items that the list is made from."
    )
    age: Age | None = Field(None, description="For whom; default: as the items that the list is made from.")
    near: Near | None = Field(None, description="latitude,longitude in degrees; default: the shopper's own position.")
    within: float | None = Field(
        None, ge=0, le=20_100, allow_inf_nan=False, description="Only what is in stores so near, in km."
    )
    categories: list[Name] = Field([], max_length=100, description="Only these categories.", examples=[["Dresses"]])
    min_price: Price | None = Field(None, description="The lowest price.")
    max_price: Price | None = Field(None, description="The highest price.")
    match: Literal["all", "any"] = Field(
        "all", description="Whether category and price must both hold, or one of them is enough."
    )
    sold_out: bool = Field(False, description="Whether what is sold out may be recommended too.")
    exclude: list[Id] = Field(
        [], max_length=1000, description="Items to leave out, in all their views; unknown ones are no error."
    )
    half_life: float | None = Field(
        None,
        ge=0.01,
        le=36_600,
        allow_inf_nan=False,
        description="Days after which a purchase counts half; default: 20, and in the paper's formula none fades.",
    )
    space: Name | None = Field(
        None, description="A backbone's name or a vector space's key; default: the one embedded into last."
    )
    variety: Share = Field(
        0, description="How much each item must differ from those before it: 0 not at all, 1 as much as it must suit."
    )
    fallback: Literal["none", "unfiltered", "popular"] = Field(
        "none",
        description="Where fewer than top pass the filters: unfiltered fills up with what suits without categories, "
        "prices and distance, popular with what is bought most.",
    )
    tuning: Name | None = Field(
        None, description="Weights learnt from orders, by their name, or defaults; default: those in use."
    )
    scenario: Name | None = Field(
        None, description="The name of a scenario: its settings count where nothing else is said, its rules always."
    )
    _rules: tuple[Rule, ...] = PrivateAttr(())

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_price is not None and self.max_price is not None and self.min_price > self.max_price:
            raise ValueError(f"min_price {self.min_price:g} is above max_price {self.max_price:g}")
        if self.scenario is None:  # whose weights are not known yet
            _ = self.weights  # not all 0
        return self

    @classmethod
    def of(cls, **fields: Any) -> Self:
        """From keyword arguments. Raises SettingError that names the field, for an unknown one with the nearest."""
        if unknown := next((name for name in fields if name not in cls.model_fields), None):
            near = get_close_matches(unknown, cls.model_fields, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(cls.model_fields)}"
            raise SettingError(f"one can't ask for {unknown!r}; {hint}")
        try:
            return cls(**fields)
        except ValidationError as error:
            raise SettingError("; ".join(map(sentence, error.errors()))) from None

    @property
    def given(self) -> dict[str, Any]:
        """The fields that somebody said, by name."""
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in force, of the scenario that was asked for."""
        return self._rules

    def ruled(self, rules: tuple[Rule, ...]) -> Self:
        """The same with ``rules``, which are no field: nobody asks for them but by a scenario's name."""
        made = self.model_copy()
        made._rules = rules
        return made

    @property
    def weights(self) -> Weights:
        """The preset's weights with those that were given in their place. Raises SettingError if all are 0."""
        given: dict[str, Any] = {name: value for name in WEIGHTS if (value := getattr(self, name)) is not None}
        base = PRESETS[self.preset]
        if base.formula == "choice" and (self.penalty or self.scaling):
            raise SettingError("penalty and scaling belong to the paper's formula; ask for preset paper too")
        return replace(base, **given)

    @property
    def position(self) -> Position | None:
        """(latitude, longitude) of ``near``."""
        if self.near is None:
            return None
        latitude, _, longitude = self.near.partition(",")
        return float(latitude), float(longitude)


class SearchAsk(Ask):
    """How to rank what looks like a photo."""

    top: int = Field(12, ge=1, le=1000, description="How many.")
    preset: Literal["balanced", "paper", "visual"] = Field("visual", description="Weights by name.")
    category: Name | None = Field(None, description="Which garment of the photo is meant; default: all of them count.")


class OutfitAsk(Ask):
    """How to rank what goes with an item; looks, kinds and presets play no part."""

    top: int = Field(3, ge=1, le=1000, description="How many of each part of an outfit.")


def sentence(error: Any) -> str:
    """One of pydantic's complaints as a sentence that names the field and what was given."""
    what = str(error["msg"]).removeprefix("Value error, ")
    where = ".".join(str(part) for part in error["loc"])
    given = error.get("input")
    short = isinstance(given, int | float | str) and len(str(given)) <= 80 and repr(given) not in what
    shown = f" (not {given!r})" if where and short else ""
    return f"{where}: {what}{shown}" if where else what
