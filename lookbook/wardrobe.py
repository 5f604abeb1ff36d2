"""What is worn: the garments of each of the paper's categories, cut and coloured at random, and what goes with them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np

from lookbook.fabrics import DENIM, RGB, SHADES, Fabric, luminance, mix

WAIST: Final = 300.0
HIP: Final = 385.0
CROTCH: Final = 414.0
KNEE: Final = 590.0
ANKLE: Final = 756.0
"""Heights on the figure, in units below the crown of the head."""


@dataclass(frozen=True, slots=True)
class Garment:
    """One piece of clothing by its cut.

    ``shape`` is top, outer, dress, romper, pants or skirt; ``label`` its name in the mask. ``hem`` is the height of its
    lower edge, ``sleeve`` the share of the arm it covers, ``volume`` its sleeves' width, ``ease`` the room around the
    body and ``flare`` what the hem adds to it (all but the share in units).
    """

    shape: str
    label: str
    fabric: Fabric
    hem: float
    neck: str = "crew"
    sleeve: float = 0.0
    volume: float = 4.0
    ease: float = 4.0
    flare: float = 0.0
    details: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Accessories:
    """What is worn besides garments; None is not worn. Colours are RGB."""

    shoes: str
    shoe_colour: RGB
    socks: RGB | None = None
    bag: str | None = None
    bag_colour: RGB = (0, 0, 0)
    glasses: str | None = None
    hat: str | None = None
    hat_colour: RGB = (0, 0, 0)
    necklace: bool = False
    earrings: bool = False
    watch: bool = False
    belt: RGB | None = None
    scarf: RGB | None = None
    tie: RGB | None = None


@dataclass(frozen=True, slots=True)
class Outfit:
    """Everything a figure wears. ``tucked``: the top goes under what is worn below the waist."""

    garments: tuple[Garment, ...]
    accessories: Accessories
    tucked: bool

    def of(self, *shapes: str) -> Garment | None:
        """The garment of one of these shapes, or None."""
        return next((g for g in self.garments if g.shape in shapes), None)


Rng = np.random.Generator
T = TypeVar("T")


def pick(rng: Rng, choices: Sequence[T], weights: Sequence[float] | None = None) -> T:
    """One of ``choices``, by ``weights`` where given (they need not sum to one)."""
    p = None if weights is None else np.asarray(weights, dtype=np.float64) / np.sum(weights)
    return choices[int(rng.choice(len(choices), p=p))]


def _chance(rng: Rng, share: float) -> bool:
    return bool(rng.random() < share)


def _tone(rng: Rng, name: str, shades: dict[str, tuple[RGB, ...]] = SHADES) -> RGB:
    r, g, b = pick(rng, shades[name]) + rng.integers(-7, 8, 3)
    return (int(np.clip(r, 0, 255)), int(np.clip(g, 0, 255)), int(np.clip(b, 0, 255)))


def _accent(rng: Rng, colour: RGB) -> RGB:
    """A second colour that can be told from the first but mostly keeps its hue, so that the first one names both."""
    choices = [s for shades in SHADES.values() for s in shades if abs(luminance(s) - luminance(colour)) > 0.22]
    calm = mix(colour, (248, 245, 238) if luminance(colour) < 0.6 else (40, 40, 58), rng.uniform(0.4, 0.65))
    return mix(pick(rng, choices), calm, rng.uniform(0.6, 1.0))


def cloth(rng: Rng, patterns: str = "plain", weave: str = "smooth", names: Sequence[str] = ()) -> Fabric:
    """A fabric of any named colour (or of ``names``); ``patterns`` lists the choices, a repeated one is likelier."""
    name = pick(rng, tuple(names) or tuple(SHADES))
    colour = _tone(rng, name)
    pattern = pick(rng, patterns.split())
    repeat = {"stripes": (13, 30), "pinstripes": (9, 13), "checks": (15, 30), "dots": (14, 24), "print": (13, 22)}
    low, high = repeat.get(pattern, (18, 19))
    return Fabric(
        colour, name, pattern, _accent(rng, colour), float(rng.uniform(low, high)), weave, int(rng.integers(1 << 30))
    )


def _denim(rng: Rng) -> Fabric:
    name = pick(rng, tuple(DENIM), (6, 3, 1.5, 1, 1))
    return Fabric(_tone(rng, name, DENIM), name, weave="denim", seed=int(rng.integers(1 << 30)))


def _tee(rng: Rng, gender: str) -> Garment:
    men = gender == "men"
    sleeve = pick(rng, (0.0, 0.2, 0.36, 0.44), (1, 0, 5, 3) if men else (4, 2, 4, 1))
    neck = pick(rng, ("crew", "v", "scoop", "boat"), (5, 2, 0, 0) if men else (3, 3, 3, 1))
    if sleeve == 0.0 and not men:
        neck = pick(rng, ("straps", "scoop", "crew"))
    return Garment(
        "top",
        "top",
        cloth(rng, "plain plain plain plain stripes dots print"),
        hem=float(rng.uniform(402, 425) if men else pick(rng, (330, 392, 412, 440))),
        neck=neck,
        sleeve=sleeve,
        volume=float(rng.uniform(5, 9)),
        ease=float(pick(rng, (3, 7, 12))),
        flare=float(pick(rng, (0, 4, 14), (3, 2, 1))),
        details=frozenset({"pocket"} if _chance(rng, 0.2) else ()),
    )


def _graphic_tee(rng: Rng, gender: str) -> Garment:
    fabric = cloth(rng)
    motif = pick(rng, ("sun", "heart", "mountain", "letters", "star", "bolt"))
    return Garment(
        "top",
        "top",
        fabric,
        hem=float(pick(rng, (345, 402, 425))),
        neck=pick(rng, ("crew", "v"), (4, 1)),
        sleeve=pick(rng, (0.32, 0.4)),
        volume=float(rng.uniform(6, 10)),
        ease=float(pick(rng, (5, 12))),
        details=frozenset({motif}),
    )


def _blouse(rng: Rng, gender: str) -> Garment:
    sleeve = pick(rng, (0.3, 0.7, 1.0), (2, 2, 4))
    return Garment(
        "top",
        "top",
        cloth(rng, "plain plain plain dots print pinstripes"),
        hem=float(pick(rng, (360, 395, 420))),
        neck=pick(rng, ("collar", "v", "bow", "turtle"), (4, 2, 3, 1)),
        sleeve=sleeve,
        volume=float(pick(rng, (8, 14, 20))),
        ease=float(rng.uniform(7, 13)),
        flare=float(pick(rng, (0, 10, 20))),
        details=frozenset({"placket", "cuffs", *(("ruffle",) if _chance(rng, 0.3) else ())}),
    )


def _shirt(rng: Rng, gender: str) -> Garment:
    polo = _chance(rng, 0.4)
    return Garment(
        "top",
        "top",
        cloth(rng, "plain stripes" if polo else "plain plain checks checks pinstripes dots"),
        hem=float(rng.uniform(408, 432)),
        neck="collar",
        sleeve=0.42 if polo else pick(rng, (0.45, 1.0), (1, 2)),
        volume=float(rng.uniform(5, 9)),
        ease=float(pick(rng, (4, 9))),
        details=frozenset({"half placket"} if polo else {"placket", "cuffs", "pocket"}),
    )


def _sweater(rng: Rng, gender: str) -> Garment:
    return Garment(
        "top",
        "top",
        cloth(rng, "plain plain plain stripes", "knit"),
        hem=float(pick(rng, (350, 398, 424)) if gender == "women" else rng.uniform(402, 424)),
        neck=pick(rng, ("crew", "turtle", "v"), (4, 3, 2)),
        sleeve=1.0,
        volume=float(rng.uniform(9, 14)),
        ease=float(pick(rng, (8, 14, 20))),
        details=frozenset({"ribbing"}),
    )


def _sweatshirt(rng: Rng, gender: str) -> Garment:
    hooded = _chance(rng, 0.65)
    return Garment(
        "top",
        "top",
        cloth(rng),
        hem=float(rng.uniform(398, 424)),
        neck="hood" if hooded else "crew",
        sleeve=1.0,
        volume=float(rng.uniform(10, 14)),
        ease=float(pick(rng, (10, 16))),
        details=frozenset({"ribbing", "kangaroo", "cords"} if hooded else {"ribbing", pick(rng, ("letters", "star"))}),
    )


def _cardigan(rng: Rng, gender: str) -> Garment:
    return Garment(
        "outer",
        "outer",
        cloth(rng, "plain plain plain stripes checks", "knit"),
        hem=float(pick(rng, (385, 440, 545))),
        neck="v",
        sleeve=1.0,
        volume=float(rng.uniform(9, 15)),
        ease=float(pick(rng, (10, 16))),
        flare=float(pick(rng, (2, 12))),
        details=frozenset({"band", "ribbing", *(("pockets",) if _chance(rng, 0.5) else ())}),
    )


def _jacket(rng: Rng, gender: str) -> Garment:
    kind = pick(rng, ("coat", "trench", "denim", "bomber", "blazer"))
    return _outer(rng, kind)


def _vest(rng: Rng, gender: str) -> Garment:
    return _outer(rng, pick(rng, ("puffer vest", "vest", "bomber", "denim", "puffer"), (3, 2, 2, 2, 2)))


def _outer(rng: Rng, kind: str) -> Garment:
    neutral = ("beige", "black", "grey", "blue", "brown", "green", "red", "white")
    base = Garment(
        "outer", "outer", cloth(rng, names=neutral), hem=405, neck="lapel", sleeve=1.0, volume=10, ease=13, flare=3
    )
    if kind in ("coat", "trench"):
        belt = ("belt",) if kind == "trench" else ()
        fabric = cloth(rng, "plain plain plain checks" if kind == "coat" else "plain")
        return replace(
            base,
            fabric=fabric,
            hem=float(rng.uniform(520, 640)),
            flare=float(rng.uniform(8, 26)),
            details=frozenset({"pockets", "buttons", *belt}),
        )
    if kind == "denim":
        return replace(
            base, fabric=_denim(rng), hem=390, neck="collar", details=frozenset({"seams", "buttons", "chest pockets"})
        )
    if kind == "bomber":
        return replace(
            base, fabric=cloth(rng), hem=396, neck="band", volume=14, ease=18, details=frozenset({"ribbing", "zip"})
        )
    if kind == "blazer":
        return replace(
            base, fabric=cloth(rng, "plain plain checks pinstripes"), hem=432, details=frozenset({"pockets", "buttons"})
        )
    padded = replace(base, fabric=cloth(rng, weave="quilt"), neck="band", hem=404, volume=15, ease=19, flare=0)
    if kind == "puffer":
        return replace(padded, details=frozenset({"zip"}))
    if kind == "puffer vest":
        return replace(padded, sleeve=0.0, details=frozenset({"zip"}))
    return replace(base, sleeve=0.0, neck="v", hem=392, ease=8, details=frozenset({"buttons", "pockets"}))


def _suit(rng: Rng, gender: str) -> tuple[Garment, ...]:
    fabric = cloth(
        rng, "plain plain pinstripes checks", names=("blue", "blue", "grey", "black", "beige", "brown", "green")
    )
    if fabric.pattern != "plain":
        fabric = replace(fabric, accent=mix(fabric.colour, fabric.accent, 0.35))
    blazer = Garment(
        "outer",
        "outer",
        fabric,
        hem=440,
        neck="lapel",
        sleeve=1.0,
        volume=9,
        ease=12,
        details=frozenset({"pockets", "buttons", "closed"}),
    )
    trousers = Garment(
        "pants", "pants", fabric, hem=772, ease=float(pick(rng, (5, 9))), flare=4, details=frozenset({"crease"})
    )
    return blazer, trousers


def _jeans(rng: Rng, gender: str) -> Garment:
    ease, flare = pick(rng, ((1.5, 0), (5, 3), (10, 10), (3, 20)), (4, 4, 2, 0.5 if gender == "men" else 2))
    details = {"jeans", *(("turn-ups",) if _chance(rng, 0.3) else ()), *(("rips",) if _chance(rng, 0.2) else ())}
    hem = 738.0 if "turn-ups" in details else float(pick(rng, (752, 772)))
    return Garment(
        "pants", "pants", _denim(rng), hem=hem, ease=float(ease), flare=float(flare), details=frozenset(details)
    )


def _trousers(rng: Rng, gender: str) -> Garment:
    kind = pick(rng, ("chinos", "wide", "joggers"), (4, 1, 2) if gender == "men" else (3, 4, 1))
    fabric = cloth(rng, "plain plain plain plain checks pinstripes")
    if kind == "wide":
        return Garment(
            "pants", "pants", fabric, hem=775, ease=12, flare=float(rng.uniform(14, 28)), details=frozenset({"crease"})
        )
    if kind == "joggers":
        return Garment("pants", "pants", fabric, hem=745, ease=11, flare=-6, details=frozenset({"cuffs", "cords"}))
    return Garment(
        "pants",
        "pants",
        fabric,
        hem=float(pick(rng, (735, 766))),
        ease=6,
        flare=1,
        details=frozenset({"crease", "slant"}),
    )


def _leggings(rng: Rng, gender: str) -> Garment:
    return Garment(
        "pants",
        "leggings",
        cloth(rng, "plain plain plain print checks"),
        hem=float(pick(rng, (660, 735, 750))),
        ease=0.0,
        details=frozenset({"panel"} if _chance(rng, 0.5) else ()),
    )


def _shorts(rng: Rng, gender: str) -> Garment:
    denim = _chance(rng, 0.35)
    return Garment(
        "pants",
        "pants",
        _denim(rng) if denim else cloth(rng, "plain plain stripes print checks"),
        hem=float(rng.uniform(540, 582) if gender == "men" else pick(rng, (500, 524, 560))),
        ease=float(rng.uniform(5, 10)),
        flare=float(rng.uniform(2, 9)),
        details=frozenset({"jeans"} if denim else {"cords"} if _chance(rng, 0.5) else {"slant"}),
    )


def _skirt(rng: Rng, gender: str) -> Garment:
    kind = pick(rng, ("pencil", "line", "pleats", "full"))
    hem = float(pick(rng, (520, 590, 690)))
    flare = {"pencil": -2.0, "line": 34.0, "pleats": 48.0, "full": 66.0}[kind]
    return Garment(
        "skirt",
        "skirt",
        cloth(rng, "plain plain plain plain print dots checks"),
        hem=hem,
        ease=4 if kind == "pencil" else 7,
        flare=flare,
        details=frozenset({"pleats"} if kind == "pleats" else {"drape"} if kind != "pencil" else ()),
    )


def _dress(rng: Rng, gender: str) -> Garment:
    sleeve = pick(rng, (0.0, 0.3, 0.6, 1.0), (4, 3, 1, 2))
    return Garment(
        "dress",
        "dress",
        cloth(rng, "plain plain plain print print dots stripes"),
        hem=float(pick(rng, (535, 590, 655, 735), (3, 4, 2, 2))),
        neck=pick(rng, ("straps", "scoop", "v", "boat") if sleeve == 0.0 else ("crew", "v", "scoop", "collar", "boat")),
        sleeve=sleeve,
        volume=float(pick(rng, (5, 10, 16))),
        ease=4.0,
        flare=float(pick(rng, (2, 28, 52, 72))),
        details=frozenset(
            {"drape", *(("sash",) if _chance(rng, 0.35) else ()), *(("placket",) if _chance(rng, 0.2) else ())}
        ),
    )


def _romper(rng: Rng, gender: str) -> Garment:
    long = _chance(rng, 0.5)
    return Garment(
        "romper",
        "rompers",
        cloth(rng, "plain plain plain print dots stripes"),
        hem=float(pick(rng, (742, 772)) if long else rng.uniform(500, 528)),
        neck=pick(rng, ("straps", "v", "scoop", "collar")),
        sleeve=pick(rng, (0.0, 0.3, 0.9), (4, 3, 1)),
        volume=8,
        ease=float(rng.uniform(6, 11)),
        flare=float(pick(rng, (2, 16))) if long else 8.0,
        details=frozenset({"sash"}),
    )


_CUTS: Final[dict[str, Callable[[Rng, str], Garment]]] = {
    "Tees_Tanks": _tee,
    "Graphic_Tees": _graphic_tee,
    "Blouses_Shirts": _blouse,
    "Shirts_Polos": _shirt,
    "Sweaters": _sweater,
    "Sweatshirts_Hoodies": _sweatshirt,
    "Cardigans": _cardigan,
    "Jackets_Coats": _jacket,
    "Jackets_Vests": _vest,
    "Denim": _jeans,
    "Pants": _trousers,
    "Leggings": _leggings,
    "Shorts": _shorts,
    "Skirts": _skirt,
    "Dresses": _dress,
    "Rompers_Jumpsuits": _romper,
}

_MEN: Final = (
    "Denim",
    "Jackets_Vests",
    "Pants",
    "Shirts_Polos",
    "Shorts",
    "Suiting",
    "Sweaters",
    "Sweatshirts_Hoodies",
    "Tees_Tanks",
)
_WOMEN: Final = (
    "Blouses_Shirts",
    "Cardigans",
    "Denim",
    "Dresses",
    "Graphic_Tees",
    "Jackets_Coats",
    "Leggings",
    "Pants",
    "Rompers_Jumpsuits",
    "Shorts",
    "Skirts",
    "Sweaters",
    "Sweatshirts_Hoodies",
    "Tees_Tanks",
)
DEPARTMENTS: Final = (*(("women", name) for name in _WOMEN), *(("men", name) for name in _MEN))
"""Which categories DeepFashion has for which gender: 14 for women, 9 for men, 17 in all."""


def cut(rng: Rng, category: str, gender: str) -> tuple[Garment, ...]:
    """The garments that are the item: one, or a suit's jacket and trousers, the first being the one that names it."""
    return _suit(rng, gender) if category == "Suiting" else (_CUTS[category](rng, gender),)


def dress_up(rng: Rng, item: tuple[Garment, ...], gender: str, season: str) -> Outfit:
    """A whole outfit around the item. ``season`` is warm or cold; companions take colours of their own."""
    worn = list(item)
    shapes = {g.shape for g in item}
    whole = shapes & {"dress", "romper"}
    if not whole and not shapes & {"pants", "skirt"}:
        skirt = gender == "women" and _chance(rng, 0.25)
        lower = "Skirts" if skirt else pick(rng, ("Denim", "Pants", "Shorts"), (4, 4, 2 if season == "warm" else 0))
        worn.append(_CUTS[lower](rng, gender))
    if not whole and "top" not in shapes:
        if shapes == {"outer", "pants"}:  # a suit
            worn.append(replace(_shirt(rng, gender), fabric=cloth(rng, names=("white", "sky", "pink")), sleeve=1.0))
        else:
            uppers = ("Tees_Tanks", "Blouses_Shirts" if gender == "women" else "Shirts_Polos", "Sweaters")
            worn.append(_CUTS[pick(rng, uppers, (4, 3, 1))](rng, gender))
    if "outer" not in shapes and "top" not in shapes and _chance(rng, 0.3 if season == "cold" else 0.12):
        short = any(g.shape in ("pants", "skirt") and g.hem < 600 for g in item)  # a blazer would hide half of it
        worn.append(_outer(rng, pick(rng, ("denim", "bomber") if short else ("denim", "bomber", "blazer"))))
    outfit = Outfit(tuple(worn), _accessories(rng, gender, season, worn), tucked=False)
    upper, lower_garment = outfit.of("top"), outfit.of("pants", "skirt")
    own_below = bool(shapes & {"pants", "skirt"})
    tucked = upper is not None and lower_garment is not None and "ribbing" not in upper.details
    tucked = tucked and (own_below or _chance(rng, 0.3)) and (own_below or upper not in item or gender == "women")
    return replace(outfit, tucked=tucked)


def _accessories(rng: Rng, gender: str, season: str, worn: Sequence[Garment]) -> Accessories:
    women = gender == "women"
    cold = season == "cold" and any(g.sleeve > 0.8 for g in worn)
    suit = any("closed" in g.details for g in worn)
    long_legs = any(g.shape in ("pants", "romper") and g.hem > 700 for g in worn)
    shoes = (
        pick(rng, ("pumps", "sneakers", "boots", "flats"), (3, 3, 2, 2))
        if women
        else pick(rng, ("sneakers", "shoes", "boots"), (4, 5 if suit else 2, 2 if long_legs else 0))
    )
    neutral = _chance(rng, 0.6)
    leather = pick(rng, ((58, 44, 40), (122, 82, 58), (34, 33, 38), (178, 136, 96), (238, 234, 228)))
    bags = ("tote", "handbag", "crossbody") if women else ("tote", "crossbody")
    hats = ("beanie",) if cold else ("cap", "brim") if women else ("cap",)
    buttoned = any(g.shape == "top" and g.neck == "collar" for g in worn)
    return Accessories(
        shoes=shoes,
        shoe_colour=leather if neutral else _tone(rng, pick(rng, tuple(SHADES))),
        socks=_tone(rng, pick(rng, ("white", "grey", "red", "yellow")))
        if shoes == "sneakers" and _chance(rng, 0.5)
        else None,
        bag=pick(rng, bags) if _chance(rng, 0.38 if women else 0.16) else None,
        bag_colour=_tone(rng, pick(rng, ("brown", "beige", "black", "red", "yellow", "green", "pink", "white"))),
        glasses=pick(rng, ("round", "sun")) if _chance(rng, 0.22) else None,
        hat=pick(rng, hats) if not suit and _chance(rng, 0.18) else None,
        hat_colour=_tone(rng, pick(rng, tuple(SHADES))),
        necklace=women and _chance(rng, 0.35),
        earrings=women and _chance(rng, 0.4),
        watch=_chance(rng, 0.25),
        belt=leather if _chance(rng, 0.4) else None,
        scarf=_tone(rng, pick(rng, tuple(SHADES))) if cold and not suit and _chance(rng, 0.2) else None,
        tie=_tone(rng, pick(rng, ("red", "blue", "green", "purple", "grey"))) if suit and buttoned else None,
    )
