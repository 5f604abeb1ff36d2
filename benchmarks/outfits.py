"""Which of four garments was worn with the rest: what photos of dressed people teach of what goes with what.

    python benchmarks/outfits.py --data ../shared/data [--keep FOLDER]

An outfit is a photo with two or more garments that its mask surely shows. One is left out and chosen among it and three
of its label (top, pants, footwear …) of other photos, by the mean over the rest: chance is 25%. Given is the share that
is expected over all such threes. ``street``: given masks, five folds of photos; what is learnt is learnt from the other
four. ``studio``: the parser's masks, one photo of each product and colour; learnt from all of ``street``, chosen among
other products of the same shop. Intervals are 95% bootstraps over photos (studio: products).

Garments of one photo share its light, which is no taste. "Same light" chooses among garments of photos (a tenth of
them, at least eight) whose ground and people are lit most alike, "balanced" by colours with that light taken out, and
in a studio the light is the same for all. ``--keep`` keeps what was embedded for the next run.
"""

import argparse
import csv
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from retrieval import interval
from scipy.optimize import minimize

from modiste.arrays import Bools, Floats, Ints
from modiste.catalog.items import GENDERS
from modiste.catalog.palette import LABELS
from modiste.ranking.relevance import WORN
from modiste.ranking.worn import Worn
from modiste.shop.vectors import CALIBRATION, DEFAULT_FILL
from modiste.vision.backbones import get_backbone
from modiste.vision.colour import SHADES, colour_of
from modiste.vision.embedding import Embedder, VectorSpace, see
from modiste.vision.photos import open_photo

FOLDS, LEAST = 5, 8
SAME = 1.88  # the sum of two cosines, of look and colour, from which two garments are taken for one and the same
STUDIO = ("top", "outer", "pants", "skirt", "dress", "leggings", "footwear", "rompers", "bag")
"""What the parser finds in a studio often enough to be asked about."""

NEUTRAL = (
    "black", "charcoal", "dark grey", "grey", "light grey", "silver grey", "white", "cream", "beige", "taupe",
    "dark taupe", "grey brown", "slate", "grey blue", "khaki", "navy", "denim blue", "dark denim", "camel", "tan",
)  # fmt: skip
HUES = {
    "red": "rust|red|bright red|dark red|burgundy|coral|salmon pink|pale pink|rose|dusty pink|brown|dark brown",
    "orange": "orange|burnt orange|peach|mustard|ochre", "yellow": "yellow|pale yellow|lime|olive|dark olive",
    "green": "mint green|pale green|light green|green|emerald|dark green|grey green|sage|sea green",
    "blue": "pale blue|light blue|sky blue|blue|royal blue|dark blue|turquoise|pale turquoise|teal|dark teal|petrol",
    "purple": "lavender|lilac|purple|dark purple|violet|periwinkle|mauve|plum|pink|hot pink|raspberry",
}  # fmt: skip
OPPOSITE = {"red": "green", "orange": "blue", "yellow": "purple"}

_BODY = np.array([label in ("background", "hair", "face", "skin") for label in LABELS])


@dataclass(frozen=True, eq=False)
class Garments:
    """Garments by row: their ``photo`` and the ``group`` that intervals are drawn over, the ``label`` in the palette,
    ``look`` and ``colour`` of unit length, ``balanced``, the colour with the photo's light taken out, and ``light``
    (n, 3), the log mean of linear RGB of what is no garment. ``shop`` is 1 for Madison Island, ``whose`` the gender of
    what the photo is of, as in GENDERS, -1: not said."""

    photo: Ints
    group: Ints
    label: Ints
    look: Floats
    colour: Floats
    balanced: Floats
    light: Floats
    shop: Ints
    whose: Ints

    def at(self, rows: Bools) -> "Garments":
        """Some of them."""
        return Garments(*(getattr(self, one.name)[rows] for one in fields(self)))

    @property
    def together(self) -> Bools:
        """bool (n, n): which were worn together, but for two of one label."""
        return (self.photo[:, None] == self.photo) & (self.label[:, None] != self.label)


Way = Callable[[Garments, Garments], Floats]
"""Learns from the first, and says how well each of the second suits each: float64 (n, n), what is worn in rows."""


def garments_of_all(data: Path, kind: str) -> Garments:
    """Every garment of every photo, its own pixels cut out."""
    spec, reader = get_backbone("modiste_s"), get_backbone("garment_parser")
    embedder = Embedder(VectorSpace.of(spec, "own", spec.crop, "auto", reader, DEFAULT_FILL), spec, reader)
    with (data / kind / "items.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    if kind == "studio":  # other photos of a product in a colour show the same outfit
        rows = list({(row["product"], row["colour"]): row for row in reversed(rows)}.values())
    found: list[tuple[object, ...]] = []
    for number, row in enumerate(rows):
        photo = open_photo(data / kind / row["image"])
        mask = str(data / kind / row["mask"]) if "mask" in row else None
        labels, pixels = see(photo, mask, embedder.parser).labels, np.asarray(photo)
        assert labels is not None  # there is a parser
        group = zlib.crc32(row.get("product", row["item_id"]).encode())
        around = pixels[_BODY[labels] & ((labels > 0) | (kind == "street"))][::50]
        light = np.log((((around / 255.0) ** 2.2).mean(0) if len(around) else np.ones(3)) + 1e-3)
        for label, one in embedder.garments(photo, labels).items():
            own = pixels[one.keep]
            own = own[:: -(-len(own) // 2048)]
            balanced = 255 * ((own / 255.0) ** 2.2 * np.exp(-1.6 - light)).clip(0, 1) ** (1 / 2.2)
            found.append((
                number, group, LABELS.index(label), one.vector, one.colour, colour_of(balanced.astype(np.uint8)), light,
                row.get("shop") == "madison", ("", *GENDERS).index(row.get("gender", "")) - 1,
            ))  # fmt: skip
    return Garments(*(np.array(column) for column in zip(*found, strict=True)))


# The ways


def harmony(_: Garments, g: Garments) -> Floats:
    """By hand: a neutral colour goes with all, others with their own hue and the opposite one."""
    hue = [next((name for name, some in HUES.items() if shade in some.split("|")), "") for shade in SHADES]
    suits = [
        [a in NEUTRAL or b in NEUTRAL or ha == hb or hb == OPPOSITE.get(ha) or ha == OPPOSITE.get(hb)
         for b, hb in zip(SHADES, hue, strict=True)]
        for a, ha in zip(SHADES, hue, strict=True)
    ]  # fmt: skip
    shares = np.square(g.colour)
    return shares @ np.array(suits, float) @ shares.T


def popularity(known: Garments, g: Garments) -> Floats:
    """How dense garments of its label are around it, by look and colour, whatever it is worn with."""
    near = np.exp((_alike(g, known) - 2) / 0.15) * (g.label[:, None] == known.label)
    return np.broadcast_to(np.log(near.mean(1) + 1e-12), (len(g.photo), len(g.photo)))


def same_colour(_: Garments, g: Garments) -> Floats:
    """The likeness of their colours."""
    return g.colour @ g.colour.T


def same_look(_: Garments, g: Garments) -> Floats:
    """The likeness of their looks."""
    return g.look @ g.look.T


def colour_pairs(known: Garments, g: Garments, strength: float = 0.1) -> Floats:
    """How much oftener than by chance their shades are worn together: pointwise mutual information, smoothed."""
    shares = np.square(known.colour)
    joint = shares.T @ known.together @ shares
    joint /= joint.sum()
    single = joint.sum(0)
    lift = np.log((joint + strength * np.outer(single, single)) / ((1 + strength) * np.outer(single, single)))
    wanted = np.square(g.colour) @ lift
    return (wanted - (wanted @ single)[:, None]) @ g.colour.T


def worn_with_its_like(known: Garments, g: Garments, rows: Bools | None = None) -> Floats:
    """How much denser than elsewhere the garments lie around it that were worn with something like the other: what the
    lists are made by. Of some ``rows`` alone where they are given."""
    vectors = np.hstack([g.look, g.colour])
    photo = np.unique(known.photo, return_inverse=True)[1]
    worn = Worn(photo, known.label, np.hstack([known.look, known.colour]))
    suits = np.zeros((len(g.photo),) * 2)
    for one in (np.arange(len(vectors)) if rows is None else np.flatnonzero(rows)).tolist():
        own = int(g.label[one])
        for label in set(g.label.tolist()) - {own}:
            some = g.label == label
            suits[one, some], _ = worn.suits(vectors[one], {own}, vectors[some], {label})
    return suits


def learnt(known: Garments, g: Garments, look: int, colour: int, ridge: float = 0.01) -> Floats:
    """A bilinear form on the first components of look and colour: conditional logit of what was worn among all
    garments of its label, given the mean of the rest."""
    ours, theirs = [], []
    for name, many in (("look", look), ("colour", colour)):
        mean = getattr(known, name).mean(0)
        _, size, axes = np.linalg.svd(getattr(known, name) - mean, full_matrices=False)
        project = axes[:many].T / (size[:many].mean() / np.sqrt(len(known.photo))) if many else axes[:0].T
        ours.append((getattr(known, name) - mean) @ project)
        theirs.append((getattr(g, name) - mean) @ project)
    z, new = np.hstack(ours), np.hstack(theirs)
    worn = known.together.astype(float)
    some = worn.sum(1) > 0
    rest = np.pad(worn @ z / np.maximum(worn.sum(1), 1)[:, None], ((0, 0), (0, 1)), constant_values=1)
    sets = [np.flatnonzero(known.label == label) for label in np.unique(known.label)]
    sets = [rows for rows in sets if len(rows) > LEAST and some[rows].any()]
    asked = sum(int(some[rows].sum()) for rows in sets)

    def loss(flat: Floats) -> tuple[float, Floats]:
        form = flat.reshape(rest.shape[1], z.shape[1])
        total, slope = 0.0, np.zeros_like(form)
        for rows in sets:
            places = np.flatnonzero(some[rows])
            scores = rest[rows[places]] @ form @ z[rows].T
            scores = np.exp(scores - scores.max(1, keepdims=True))
            scores /= scores.sum(1, keepdims=True)
            each = np.arange(len(places))
            total -= np.log(scores[each, places]).sum()
            scores[each, places] -= 1
            slope += rest[rows[places]].T @ scores @ z[rows]
        return total / asked + ridge * flat @ flat / 2, slope.ravel() / asked + ridge * flat

    start = np.zeros(rest.shape[1] * z.shape[1])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 150}).x
    form = found.reshape(rest.shape[1], z.shape[1])
    return np.pad(new, ((0, 0), (0, 1)), constant_values=1) @ form @ new.T


def _alike(one: Garments, other: Garments) -> Floats:
    return one.look @ other.look.T + one.colour @ other.colour.T


WAYS: dict[str, Way] = {
    "chance": lambda _, g: np.zeros((len(g.photo), len(g.photo))),
    "popularity": popularity,
    "colour harmony, by hand": harmony,
    "the same colour": same_colour,
    "the same look": same_look,
    "pairs of colours, counted": colour_pairs,
    "worn with something like it": worn_with_its_like,
    "bilinear form of looks": partial(learnt, look=32, colour=0),
    "bilinear form of colours": partial(learnt, look=0, colour=24),
    "bilinear form of both": partial(learnt, look=24, colour=12),
}


# The measure


def hits(suits: Floats, g: Garments, among: Bools) -> Floats:
    """For each garment how often it is chosen among it and three of its label, float64 (n,), NaN where it isn't asked.

    ``among`` bool (n, n): what may be held against it.
    """
    found = np.full(len(g.photo), np.nan)
    worn = g.together
    rivals = among & (g.label[:, None] == g.label) & (g.group[:, None] != g.group)
    for one in np.flatnonzero(worn.any(1) & (rivals.sum(1) >= LEAST)).tolist():
        found[one] = hit(suits[worn[one]].mean(0), one, rivals[one])
    return found


def hit(scores: Floats, one: int, rivals: Bools) -> float:
    """How often it is the best of itself and three of its ``rivals``."""
    others = scores[rivals]
    below, same, many = int((others < scores[one]).sum()), int((others == scores[one]).sum()), len(others)
    if same:  # drawn among them
        return ((below + same) ** 4 - below**4) / (4 * same * many**3)
    return below * (below - 1) * (below - 2) / (many * (many - 1) * (many - 2))


def lit_alike(g: Garments) -> Bools:
    """bool (n, n): the tenth of the garments of a label whose photos are lit most like that of each."""
    gap = np.linalg.norm(g.light[:, None] - g.light, axis=2)
    rivals = (g.label[:, None] == g.label) & (g.group[:, None] != g.group)
    order = np.argsort(np.where(rivals, gap, np.inf), axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(order.shape[1]), order.shape), axis=1)
    near: Bools = rank < np.maximum(LEAST, rivals.sum(1) // 10)[:, None]
    return near


def folds(g: Garments) -> Iterator[tuple[Bools, Bools]]:
    """What is learnt from and what is judged, by photos."""
    photos = np.random.default_rng(0).permutation(np.unique(g.photo))
    for number in range(FOLDS):
        judged = np.isin(g.photo, photos[number::FOLDS])
        yield ~judged, judged


def cell(found: Floats, g: Garments) -> str:
    """Mean and interval."""
    asked = ~np.isnan(found)
    return interval(found[asked], g.group[asked])


def measure(street: Garments, studio: Garments) -> None:
    """Print the table."""
    studio = studio.at(np.isin(studio.label, [LABELS.index(label) for label in STUDIO]))
    balanced = replace(street, colour=street.balanced)
    same_shop = studio.shop[:, None] == studio.shop
    print(f"street: {len(street.photo)} garments on {len(np.unique(street.photo))} photos, ", end="")
    print(f"studio: {len(studio.photo)} on {len(np.unique(studio.photo))}\n")
    print("| way | street | same light | balanced | studio |\n| --- | --- | --- | --- | --- |")
    kept: dict[str, NDArray[np.float64]] = {}
    for name, way in WAYS.items():
        columns = np.full((3, len(street.photo)), np.nan)
        for known, judged in folds(street):
            part = street.at(judged)
            suits, everyone = way(street.at(known), part), np.full((len(part.photo),) * 2, True)
            columns[0, judged] = hits(suits, part, everyone)
            columns[1, judged] = hits(suits, part, lit_alike(part))
            columns[2, judged] = hits(way(balanced.at(known), balanced.at(judged)), part, everyone)
        there = hits(way(street, studio), studio, same_shop)
        kept[name] = there
        cells = [*(cell(one, street) for one in columns), cell(there, studio)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    for name, there in kept.items():
        print(f"studio, {name} against the same colour: {cell(there - kept['the same colour'], studio)} points")
    own_photos(studio)


def own_photos(g: Garments) -> None:
    """Print the table of what a shop's own photos teach: each product's garments are judged by what is worn on photos
    of the shop's other products of its gender, among garments of these."""
    alike = (g.shop[:, None] == g.shop) & (g.whose[:, None] == g.whose)
    by_pairs, by_worn = np.zeros(alike.shape), np.zeros(alike.shape)
    for group, shop, whose in {*zip(g.group.tolist(), g.shop.tolist(), g.whose.tolist(), strict=True)}:
        kin = (g.shop == shop) & (g.whose == whose)
        known, rows = g.at(kin & (g.group != group)), kin & (g.group == group)
        by_pairs[rows], by_worn[rows] = colour_pairs(known, g)[rows], worn_with_its_like(known, g, rows)[rows]
    pairs, worn = ((suits - suits.mean()) / suits.std() for suits in (by_pairs, by_worn))
    colour = same_colour(g, g)
    usual = (colour - colour.mean()) / colour.std()
    ways = {
        "the same colour": colour, "pairs of colours, counted": pairs, "worn with something like it": worn,
        "the same colour, and pairs of colours": usual + pairs,
        "the same colour, and worn with something like it": usual + worn,
    }  # fmt: skip
    base = hits(colour, g, alike)
    print("\n| way, learnt from the shop's own photos | right, % | against the same colour | Luma | Madison Island |")
    print("| --- | --- | --- | --- | --- |")
    for name, suits in ways.items():
        found = hits(suits, g, alike)
        shops = [cell(np.where(g.shop == shop, found, np.nan), g) for shop in (0, 1)]
        print(f"| {name} | {cell(found, g)} | {cell(found - base, g)} | {' | '.join(shops)} |", flush=True)
    one_by_one(g, alike, colour, by_worn)


def one_by_one(g: Garments, alike: Bools, colour: Floats, worn: Floats) -> None:
    """Print the table of garments that are asked about alone, as lists are, by the terms that lists have: of all, and
    of those of which the same is worn on another product's photo, and isn't."""
    low, high = CALIBRATION["colour"]
    both = colour / (high - low) + WORN * worn
    kin = alike & (g.label[:, None] == g.label) & (g.group[:, None] != g.group)
    again = np.where(kin, _alike(g, g), -2).max(1) > SAME
    rows, told = [], []
    for asked, one in np.argwhere(g.together & (kin.sum(1) >= LEAST)).tolist():
        rows.append(one)
        told.append((again[asked], hit(colour[asked], one, kin[one]), hit(both[asked], one, kin[one])))
    group, (seen, base, found) = g.group[rows], np.array(told).T
    print(
        "\n| asked about one garment alone | pairs | the same colour, % | and worn with something like it, % | gain |"
    )
    print("| --- | --- | --- | --- | --- |")
    everything = np.ones(len(rows), bool)
    for name, some in (("all", everything), ("the same is worn elsewhere", seen == 1), ("it isn't", seen == 0)):
        cells = (interval(values[some], group[some]) for values in (base, found, found - base))
        print(f"| {name} | {some.sum()} | {' | '.join(cells)} |")


if __name__ == "__main__":
    parser_ = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser_.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser_.add_argument("--keep", type=Path, help="a folder that keeps what was embedded")
    chosen = parser_.parse_args()
    kinds = []
    for kind_ in ("street", "studio"):
        file_ = chosen.keep / f"outfits-{kind_}.npz" if chosen.keep else None
        if file_ is not None and file_.exists():
            kinds.append(Garments(**np.load(file_)))
            continue
        kinds.append(garments_of_all(chosen.data, kind_))
        if file_ is not None:
            np.savez(file_, **{one.name: getattr(kinds[-1], one.name) for one in fields(Garments)})
    measure(*kinds)
