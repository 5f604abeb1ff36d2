"""What the default makes of photos of every kind, beside the same network unmasked.

    python benchmarks/looks.py defaults|photos|proposals|packshots|dresses|sheets [--data ../shared/data]
        [--keep FOLDER] [--every 1] [--out sheets]

``--keep`` keeps the vectors for the next run, ``--every 3`` takes every third product, photographer or photo,
``sheets`` writes pictures into ``--out``.
"""

import argparse
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from retrieval import interval, is_held_out
from views import WORDS, embedded, nearest, rows_of

from modiste.arrays import Bools, Floats, Ints, Singles
from modiste.catalog.items import GENDERS
from modiste.catalog.taxonomy import Taxonomy
from modiste.errors import MaskError
from modiste.ranking.candidates import Candidates, Queries
from modiste.ranking.relevance import PRESETS, Scale
from modiste.ranking.topk import rank
from modiste.shop.proposals import by_name, proposals, told
from modiste.shop.vectors import CALIBRATION, DEFAULT_BACKBONE, DEFAULT_FILL, DEFAULT_MASKING, DEFAULT_PARSER
from modiste.vision.agreeing import agreed
from modiste.vision.backbones import Encoder, get_backbone
from modiste.vision.embedding import PhotoJob, see
from modiste.vision.ground import look
from modiste.vision.masks import LABELS, OWN_AT_LEAST, decode_mask, garment_pixels
from modiste.vision.parsing import Parser
from modiste.vision.photos import open_photo

Rows = list[dict[str, str]]
Codes = NDArray[np.int8]
TAXONOMY = Taxonomy.load()


def photos_of(data: Path, kind: str, every: int) -> Rows:
    """The photos of a kind that no shipped network was taught with, by their category in the taxonomy."""
    rows = rows_of(data, kind, every)
    if kind in ("street", "garments"):
        rows = [row for row in rows if is_held_out(row["group"])]
    return [row | {"category": TAXONOMY.canonical(WORDS.get(row["category"], row["category"])) or ""} for row in rows]


def vectors(
    rows: Rows, kind: str, keep: Path | None, *, masked: bool = True, known: bool = True
) -> tuple[Singles, Singles]:
    """Looks and colours by the default, or unmasked, or with the category not ``known``; in the order of the rows."""
    name = f"{kind}-{len(rows)}-{'own' if masked else 'none'}{'' if known else '-unknown'}.npz"
    if keep is not None and (keep / name).exists():
        with np.load(keep / name) as file:
            return file["looks"], file["colours"]
    spec = get_backbone(DEFAULT_BACKBONE)
    jobs = [
        PhotoJob(row["item_id"], row["image"], None, TAXONOMY.labels(row["category"] if known else None))
        for row in rows
    ]
    if masked:
        parser = Parser(get_backbone(DEFAULT_PARSER), threads=1)
        looks, colours = embedded(jobs, Encoder(spec), DEFAULT_MASKING, spec.crop, parser, fill=DEFAULT_FILL)
    else:
        looks, colours = embedded(jobs, Encoder(spec), "none", spec.crop)
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        np.savez(keep / name, looks=looks, colours=colours)
    return looks, colours


def several(data: Path, keep: Path | None, every: int) -> None:
    """Print how often a photo that was left out finds its item, a product in a colour, by one photo and by several."""
    print(
        "\n| shop | an item's vector is of | photos | items | R@1, % | R@5, % | with a stranger's among them, R@1, % |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kind in ("madison",):
        rows = photos_of(data, kind, every)
        photos = vectors(rows, kind, keep)
        product = np.array([row["product"] for row in rows])
        item = np.unique([f"{row['product']} {row['colour']}" for row in rows], return_inverse=True)[1]
        of = [np.flatnonzero(item == number) for number in range(item.max() + 1)]
        colour = np.array([row["colour"] for row in rows])
        asked = [one for one in range(len(rows)) if colour[one] and len(of[item[one]]) > 2]
        hits: dict[str, Floats] = {}
        for way in ("one photo", "the mean", "those that agree"):
            hits[way] = np.array([found(one, way, photos, item, of, product) for one in asked])
            cells = [interval(hits[way][:, place], item[asked]) for place in range(3)]
            print(f"| {kind} | {way} | {len(asked)} | {len(set(item[asked]))} | {' | '.join(cells)} |", flush=True)
        gain = hits["those that agree"] - hits["one photo"]
        cells = [interval(gain[:, place], item[asked]) for place in range(3)]
        print(f"| {kind} | gain of those that agree over one photo | | | {' | '.join(cells)} |", flush=True)


def found(
    query: int, way: str, photos: tuple[Singles, Singles], item: Ints, of: list[Ints], product: NDArray[np.str_]
) -> tuple[float, float, float]:
    """How often a photo's item, made of its other photos, is first and among five; and first with a stranger's photo.

    By one photo that is the mean over the other ones, and over those and the stranger's.
    """
    rng = np.random.default_rng(query)
    rest = of[item[query]][of[item[query]] != query]
    stranger = rng.choice(np.flatnonzero(product != product[query]))
    mixed = rng.permutation([*rest, stranger])
    others = [one for one in of if product[one[0]] != product[query]]
    one_each = way == "one photo"
    rivals = np.array([alike(query, one[:1] if one_each else one, way, photos) for one in others])

    def places(mine: Ints) -> Floats:
        sets = [mine[place : place + 1] for place in range(len(mine))] if one_each else [mine]
        return np.array([(rivals >= alike(query, one, way, photos)).sum() for one in sets])

    clean, among = places(rest), places(mixed)
    return float((clean < 1).mean()), float((clean < 5).mean()), float((among < 1).mean())


def alike(query: int, item: Ints, way: str, photos: tuple[Singles, Singles]) -> float:
    """Look and half as much colour that a photo shares with an item of the photos ``item``."""
    looks, colours = photos
    if way == "those that agree":
        made = agreed(looks[item], colours[item], CALIBRATION)
        look, colour = made.look, made.colour
    else:
        look, colour = looks[item].mean(0), np.sqrt(np.square(colours[item]).mean(0))
        look = look / np.linalg.norm(look)
    ends = CALIBRATION
    terms = [(looks[query] @ look, ends["look"], 1.0), (colours[query] @ colour, ends["colour"], 0.5)]
    return float(sum(weight * (cosine - low) / (high - low) for cosine, (low, high), weight in terms))


def gallery_of(
    rows: Rows, photos: tuple[Singles, Singles], product: Ints, category: Ints, names: list[str]
) -> Candidates:
    """Photos as the items of a shop that says nothing of their gender."""
    n = len(rows)
    return Candidates(
        vectors=np.hstack(photos),
        has_vector=np.ones(n, bool),
        normpop=np.zeros(n),
        category=category,
        similarity=TAXONOMY.matrix(names),
        gender=np.zeros(n, np.int8),
        product=product,
        item_ids=[row["item_id"] for row in rows],
        colour_dim=photos[1].shape[1],
        scales=(Scale(*CALIBRATION["look"]), Scale(*CALIBRATION["colour"])),
    )


def numbered(words: list[str]) -> tuple[list[str], Ints]:
    """The different words and the number of each, -1 for none."""
    names = sorted(set(words) - {""})
    return names, np.array([names.index(one) if one else -1 for one in words])


def listed(gallery: Candidates, asked: Singles, kinds: Ints, gender: Codes, own: list[Ints], preset: str) -> Ints:
    """The five products of others that each photo's list by ``preset`` begins with, int64 (n, 5); the photo is of a
    kind of ``kinds``, -1: not known, and of ``gender`` as the ranking has it."""
    n = len(asked)
    kinship = gallery.similarity_with_unknown[kinds]
    queries = Queries(np.full(n, -1), asked, np.full(n, 1 / 3), gender, own, kinship=kinship)
    return rank(gallery, queries, PRESETS[preset]).items


def proposed(data: Path, keep: Path | None, every: int) -> None:
    """Print how often the category and the gender that a photo proposes are the item's own, which was hidden, by the
    share asked for; and what they are worth in the ranking."""
    print(
        "\n| photos | of | sure from | category proposed, % | right, % | Top-5 of its category without → with it, % |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for kind in ("garments", "madison"):
        rows = photos_of(data, kind, every)
        photos, asked = vectors(rows, kind, keep), np.hstack(vectors(rows, kind, keep, known=False))
        group = np.unique([row["group"] for row in rows], return_inverse=True)[1]
        names, category = numbered([row["category"] for row in rows])
        product = np.arange(len(rows)) if kind == "garments" else group
        gallery = gallery_of(rows, photos, product, category, names).updated(allowed=category >= 0)
        own = [np.flatnonzero(group == one) for one in group]
        found, share = proposals(gallery, asked, category, own)
        known, nobody = category >= 0, np.zeros(len(rows), np.int8)
        for least in (0.5, 0.6, 0.7, 0.8, 0.9):
            sure = known & (share >= least)
            right = (found == category)[sure].astype(float)
            agree = [
                (category[listed(gallery, asked, kinds, nobody, own, "balanced")] == category[:, None]).mean(1)[known]
                for kinds in (np.full(len(rows), -1), np.where(share >= least, found, -1))
            ]
            cells = [interval(right, group[sure]), " → ".join(interval(one, group[known]) for one in agree)]
            print(f"| {kind} | {known.sum()} | {least} | {100 * sure.sum() / known.sum():.0f} | {' | '.join(cells)} |")
    print(
        "\n| photos | hidden | category | of | sure from | gender proposed, % | right, % "
        "| Top-5 of its gender, visual, % | gain | balanced, % | gain | of its category, gain |"
    )
    print("| --- |" + " --- |" * 11)
    for least in (0.6, 0.7, 0.8, 0.9):
        for_whom(data, keep, every, "madison", least)
    for_whom(data, keep, every, "madison", 0.8, known="known, asked alone")
    for_whom(data, keep, every, "madison", 0.8, known="not known")
    for_whom(data, keep, every, "madison", 0.8, hidden=0.5)
    named(data, keep, every)


def named(data: Path, keep: Path | None, every: int) -> None:
    """Print what names add to photos where a shop says no gender of its shoes (Madison Island's own export), or of one
    photo after the other: how many proposals there are and are right, and lists, as in the table of
    genders, judged by the genders that article numbers tell."""
    rows = photos_of(data, "madison", every)
    photos, group = vectors(rows, "madison", keep), np.unique([row["group"] for row in rows], return_inverse=True)[1]
    asked, own = np.hstack(photos), [np.flatnonzero(group == one) for one in group]
    names, category = numbered([row["category"] for row in rows])
    export = np.array([("", *GENDERS).index(row["gender"]) for row in rows]) - 1
    begin = np.array([row["group"][:4] for row in rows])
    true = np.where(np.isin(begin, ["m_am", "m_sh"]), 0, np.where(begin == "m_aw", 1, export))
    true[[row["group"].startswith("m_shw") for row in rows]] = 1
    shoes, gallery = true != export, gallery_of(rows, photos, group, category, names)
    gallery = gallery.updated(allowed=true >= 0)
    items = [{"category": row["category"], "title": row["name"], "url": None} for row in rows]
    print(
        "\n| said | proposals by | of | proposed, % | right, % | nobody's | visual, % | gain | balanced, % | gain "
        "| shoes, visual, % | balanced, % |"
    )
    print("| --- | --- |" + " --- |" * 10)
    for what, said, one in (("no shoes", export, False), ("all but one", true, True)):
        sold = {GENDERS[gender] for gender in (0, 1) if (said == gender).any()}
        words = np.array([-1 if whose is None else GENDERS.index(whose) for whose in by_name(TAXONOMY, items, sold)])
        before: list[Floats] = []
        for way in ("nobody", "photos", "names", "names, then photos"):
            word = words if "names" in way else words * 0 - 1
            found, share = proposals(gallery, asked, told(category, said, word), own)
            found = np.where(word >= 0, word, np.where((share >= 0.8) & ("photos" in way), found, -1))
            perhaps = np.where(found >= 0, found + 3, 0)
            theirs = np.where(said >= 0, said + 1, perhaps)
            codes = perhaps if one else theirs
            mine = replace(gallery, gender=theirs.astype(np.int8), group=None)
            lists = [
                listed(mine, asked, category, codes.astype(np.int8), own, preset) for preset in ("visual", "balanced")
            ]
            agree = [(true[some] == true[:, None]).mean(1) for some in lists]
            before = before or agree
            of = (true >= 0) & ((said < 0) | one)
            sure = of & (found >= 0)
            cells = [what, way, str(of.sum()), f"{100 * sure.sum() / of.sum():.0f}"]
            cells += [interval((found == true)[sure].astype(float), group[sure]) if sure.any() else ""]
            cells += [f"{((true < 0) & (found >= 0)).sum()} of {(true < 0).sum()}"]
            for now, was in zip(agree, before, strict=True):
                cells += [f"{100 * now[true >= 0].mean():.1f}", interval((now - was)[true >= 0], group[true >= 0])]
            cells += [interval(now[shoes], group[shoes]) for now in agree]
            print(f"| {' | '.join(cells)} |", flush=True)


def for_whom(
    data: Path, keep: Path | None, every: int, kind: str, least: float, *, known: str = "known", hidden: float = 0.0
) -> None:
    """Print a line of the table of genders: of one photo after the other, or of so many products at once, the gender is
    ``hidden``. With all that the shop doesn't say proposed, lists are judged by all true genders."""
    rows = photos_of(data, kind, every)
    photos, asked = vectors(rows, kind, keep), np.hstack(vectors(rows, kind, keep, known=known != "not known"))
    group = np.unique([row["group"] for row in rows], return_inverse=True)[1]
    names, category = numbered([row["category"] for row in rows])
    true = np.array([("", *GENDERS).index(row["gender"]) for row in rows]) - 1
    gallery = gallery_of(rows, photos, group, category, names).updated(allowed=true >= 0)
    own = [np.flatnonzero(group == one) for one in group]
    kinds = np.full(len(rows), -1) if known == "not known" else category
    mute = own
    if known == "known, asked alone":
        mute = [np.flatnonzero((group == group[one]) | (category != category[one])) for one in range(len(rows))]
    draws = [np.random.default_rng(one).random(group.max() + 1) < hidden for one in range(12 if hidden else 1)]
    judged: list[Floats] = []
    for draw in draws:
        said = np.where(draw[group], -1, true)
        found, share = proposals(gallery, asked, said, mute)
        sure = share >= least
        query = np.where(sure, found + 3, 0)
        theirs = np.where(said >= 0, said + 1, query if hidden else 0)
        lists = [
            listed(
                replace(gallery, gender=items.astype(np.int8), group=None),
                asked,
                kinds,
                codes.astype(np.int8),
                own,
                preset,
            )
            for preset in ("visual", "balanced")
            for items, codes in ((said + 1, query * 0), (theirs, query))
        ]
        columns = [sure, np.where(sure, found == true, np.nan)]
        columns += [(true[one] == true[:, None]).mean(1) for one in lists]
        columns += [(category[one] == category[:, None]).mean(1) for one in lists[2:]]
        asked_of = (true >= 0) & (draw[group] if hidden else True)
        judged.append(np.where(asked_of, np.array(columns, float), np.nan))
    values, whose = np.hstack(judged), np.tile(group, len(draws))

    def cell(column: Floats) -> str:
        there = ~np.isnan(column)
        return interval(column[there], whose[there])

    cells = [f"{100 * np.nanmean(values[0]):.0f}", cell(values[1])]
    for one in (2, 4):
        cells += [" → ".join(f"{100 * np.nanmean(values[place]):.1f}" for place in (one, one + 1))]
        cells += [cell(values[one + 1] - values[one])]
    cells += [cell(values[7] - values[6])]
    words = [kind, "half" if hidden else "one", known, str((true >= 0).sum()), str(least)]
    print(f"| {' | '.join(words + cells)} |", flush=True)


def defaults(data: Path, keep: Path | None, every: int) -> None:
    """Print what the default finds on every kind of photo beside the same network unmasked, and the gain of each photo.

    Top-5: how many of the five nearest by look, of other products, photographers or photos, are of its category. R@1:
    whether the nearest is of its product, in any colour; in its own, the others left out, by look and half as much
    colour.
    """
    print("\n| photos | of | way | Top-5 of its category, % | its product, R@1, % | in its colour, R@1, % |")
    print("| --- | --- | --- | --- | --- | --- |")
    for kind in ("street", "garments", "madison"):
        rows = photos_of(data, kind, every)
        group = np.unique([row["group"] for row in rows], return_inverse=True)[1]
        scores = {
            "the default": points(rows, group, vectors(rows, kind, keep)),
            "the default, its category not known": points(rows, group, vectors(rows, kind, keep, known=False)),
            "unmasked": points(rows, group, vectors(rows, kind, keep, masked=False)),
        }
        scores["gain of the default"] = scores["the default"] - scores["unmasked"]
        scores["gain without the category"] = scores["the default, its category not known"] - scores["unmasked"]
        for way, columns in scores.items():
            known = [~np.isnan(column) for column in columns]
            cells = [
                interval(one[there], group[there]) if there.any() else ""
                for one, there in zip(columns, known, strict=True)
            ]
            print(f"| {kind} | {len(rows)} | {way} | {' | '.join(cells)} |", flush=True)


def points(rows: Rows, group: Ints, photos: tuple[Singles, Singles]) -> Floats:
    """The three columns of :func:`defaults` by photo, float64 (3, n), NaN where it can't be said."""
    looks, colours = photos
    category = np.array([row["category"] for row in rows])
    colour = np.array([row.get("colour", "") for row in rows])
    other, look = group[:, None] != group, looks @ looks.T
    near = nearest(np.where(other & (category != ""), look, -np.inf))
    top = np.where(category == "", np.nan, (category[near] == category[:, None]).mean(1))
    twin = ~other & ~np.eye(len(rows), dtype=bool) & ("product" in rows[0])
    right = twin & (colour[:, None] == colour) & (colour != "")
    ends = CALIBRATION
    both = look / (ends["look"][1] - ends["look"][0])
    both += 0.5 * (colours @ colours.T) / (ends["colour"][1] - ends["colour"][0])
    found = [
        np.where(wanted.any(1), wanted[np.arange(len(rows)), np.where(pool, alike, -np.inf).argmax(1)], np.nan)
        for wanted, pool, alike in ((twin, other | twin, look), (right, other | right, both))
    ]
    return np.array([top, *found])


GROUNDS = (
    "white",
    "grey",
    "shaded",
    "with a shadow",
    "darker to its edges",
    "wall and floor, a shadow",
    "beige, shaded",
    "blue, a shadow",
    "dark, shaded",
    "grainy",
    "a reflection",
    "white, turned pale",
    "with a shadow, turned pale",
)
_SIDE = 600  # pixels of a composite
_LEAST = 0.02  # of its photo, the smallest garment that is cut out


def packshots(data: Path, keep: Path | None, every: int) -> None:
    """Print how much of a thing on a plain ground its mask keeps, and how much of the ground it removes.

    The things are garments of the held-out street photos, cut out by their given masks and pasted onto plain grounds,
    as JPEG; "turned pale" are the same ones in levels from 200 to 245, with a third of their colour. Shares are of each
    thing's pixels, of all of its ground's, and of the ground's in the thing's box with a fifth more on each side, since
    far from it there is nothing to tell apart; intervals over photos.
    """
    parser = Parser(get_backbone(DEFAULT_PARSER), threads=1)
    things = [(row["group"], *one) for row in photos_of(data, "street", every) for one in cut_out(row)]
    group = np.unique([name for name, *_ in things], return_inverse=True)[1]
    print("\n| ground | things | kept of the thing, % | removed of the ground, % | near the thing, % | no network, % |")
    print("| --- | --- | --- | --- | --- | --- |")
    for ground in GROUNDS:
        shares = np.array([judged(*on_ground(photo, thing, ground), parser) for _, photo, thing in things])
        cells = [interval(shares[:, place], group) for place in range(4)]
        print(f"| {ground} | {len(things)} | {' | '.join(cells)} |", flush=True)


def cut_out(row: dict[str, str]) -> list[tuple[Image.Image, Bools]]:
    """The photo and the pixels of each garment on it, without accessories, cut to the garment's box."""
    photo = open_photo(Path(row["image"]))
    labels = decode_mask(Path(row["image"]).parent.parent / row["mask"]).labels
    found = []
    for label in ("top", "outer", "dress", "skirt", "pants", "footwear", "bag"):
        thing = labels == LABELS.index(label)
        if thing.mean() >= _LEAST:
            left, top, right, bottom = Image.fromarray(thing).getbbox() or (0, 0, 1, 1)
            found.append((photo.crop((left, top, right, bottom)), thing[top:bottom, left:right]))
    return found


def on_ground(photo: Image.Image, thing: Bools, ground: str) -> tuple[Image.Image, Bools]:
    """A thing in the middle of a ground, as a shop's JPEG, and which of its pixels are the thing."""
    scale = 0.7 * _SIDE / max(photo.size)
    size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
    place = ((_SIDE - size[0]) // 2, (_SIDE - size[1]) // 2)
    shape = Image.new("L", (_SIDE, _SIDE))
    shape.paste(Image.fromarray(thing.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR), place)
    pasted = Image.new("RGB", (_SIDE, _SIDE))
    photo = pale(photo, thing) if "pale" in ground else photo
    pasted.paste(photo.resize(size, Image.Resampling.BILINEAR), place)
    levels = lit(shape, ground)
    if ground == "a reflection":
        foot = place[1] + size[1]
        mirrored = np.zeros((_SIDE, _SIDE))
        mirrored[foot:] = 0.25 * (np.asarray(shape)[2 * foot - _SIDE : foot][::-1] / 255)
        mirrored[foot:] *= np.linspace(1, -1, _SIDE - foot).clip(0)[:, None]
        below = np.roll(np.asarray(pasted)[::-1], 2 * foot - _SIDE, axis=0)
        levels += mirrored[..., None] * (below - levels)
    made = Image.fromarray(levels.round().clip(0, 255).astype(np.uint8))
    made.paste(pasted, mask=shape)
    file = BytesIO()
    made.save(file, "JPEG", quality=60 if ground == "grainy" else 88)
    return open_photo(file.getvalue()), np.asarray(shape) >= 128


def lit(shape: Image.Image, ground: str) -> Floats:
    """The levels of a ground behind a thing's ``shape``, float64 (_SIDE, _SIDE, 3)."""

    def fallen(right: int, down: int, blur: int) -> Floats:
        shadow = Image.new("L", (_SIDE, _SIDE))
        shadow.paste(shape, (right, down))
        return np.asarray(shadow.filter(ImageFilter.GaussianBlur(blur))) / 255

    y, x = np.indices((_SIDE, _SIDE)) / _SIDE
    colours = {"grey": (205, 205, 205), "beige": (232, 220, 200), "blue": (200, 220, 238), "dark": (60, 60, 60)}
    levels = np.ones((_SIDE, _SIDE))
    if "shaded" in ground:
        levels -= 0.1 * np.hypot(y - 0.4, x - 0.4)
    if ground.startswith("with a shadow"):
        levels -= 0.24 * fallen(12, 16, 14)
    elif "a shadow" in ground:
        levels -= 0.16 * fallen(0, 10, 10)
    if ground == "darker to its edges":
        levels -= 0.56 * ((y - 0.5) ** 2 + (x - 0.5) ** 2)
    if ground.startswith("wall"):
        levels -= 0.06 / (1 + np.exp((0.72 - y) * 60))
    ground_colour = colours.get(ground.split(",")[0], (250, 250, 250))
    made = levels[..., None] * np.array(ground_colour, np.float64)
    if ground == "grainy":
        rng = np.random.default_rng(0)
        made = 0.92 * made + rng.normal(0, 3, (_SIDE, _SIDE, 1)) + rng.normal(0, 1.5, made.shape)
    return made


def pale(photo: Image.Image, thing: Bools) -> Image.Image:
    """The photo with its ``thing`` in levels from 200 to 245 and a third of its colour: such as is worn in white."""
    levels = np.asarray(photo).astype(np.float64)
    low, high = np.percentile(levels[thing].mean(1), [2, 98])
    levels = 200 + (levels - low) * 45 / max(high - low, 30)
    grey = levels.mean(2, keepdims=True)
    return Image.fromarray((grey + 0.3 * (levels - grey)).clip(0, 252).astype(np.uint8))


def judged(photo: Image.Image, thing: Bools, parser: Parser) -> tuple[float, float, float, float]:
    """The share of the thing's pixels that are kept, of the ground's that are removed, of the ground's near it, and 1
    where it was seen at first sight that nobody is on the photo."""
    try:
        kept, _ = see(photo, None, parser).keep(DEFAULT_MASKING)
    except MaskError:  # taken for a photo that shows nothing
        kept = np.zeros_like(thing)
    kept = np.ones_like(thing) if kept is None else kept
    left, top, right, bottom = Image.fromarray(thing).getbbox() or (0, 0, 1, 1)
    wide, high = (right - left) // 5, (bottom - top) // 5
    near = (slice(max(0, top - high), bottom + high), slice(max(0, left - wide), right + wide))
    everywhere, around = (float((~kept[part])[~thing[part]].mean()) for part in (np.s_[:, :], near))
    return float(kept[thing].mean()), everywhere, around, float(look(photo).nobody)


def dresses(data: Path, keep: Path | None, every: int) -> None:
    """Print how far the pixels that are kept for a dress or a jumpsuit, and for any other garment that a photo is of,
    agree with its given mask (IoU), on the street photos that no shipped network was taught with; and where the parser
    has no such label for a tenth of the clothes.
    """
    parser, one_piece = Parser(get_backbone(DEFAULT_PARSER), threads=1), frozenset({"dress", "rompers"})
    shares, named, kinds = [], [], []
    for row in photos_of(data, "street", every):
        given = decode_mask(Path(row["image"]).parent.parent / row["mask"]).labels
        labels = None
        for kind, own in (("dress", one_piece), ("of its category", TAXONOMY.labels(row["category"]))):
            truth = np.isin(given, [LABELS.index(label) for label in own])
            if truth.mean() < _LEAST or (kind != "dress" and own <= one_piece):
                continue
            if labels is None:
                photo = open_photo(Path(row["image"]))
                labels = parser.labels(photo, look(photo))
            label, clothes = np.isin(labels, [LABELS.index(one) for one in own]), garment_pixels(labels, "clothes")
            ways = (label, clothes, garment_pixels(labels, "own", own))
            shares.append([(way & truth).sum() / (way | truth).sum() for way in ways])
            named.append(label.sum() >= OWN_AT_LEAST * clothes.sum())
            kinds.append(kind if kind == "dress" else "top" if "top" in own else "outer" if "outer" in own else "below")
    print("\n| garments | photos | its own label, IoU | all clothes | as `own` keeps it |")
    print("| --- | --- | --- | --- | --- |")
    scores, by, kind_of = np.array(shares), np.array(named), np.array(kinds)
    dress = kind_of == "dress"
    for what, some in (
        ("dresses and jumpsuits", dress), ("named so by the parser", dress & by), ("named otherwise", dress & ~by),
        ("tops", kind_of == "top"), ("jackets and coats", kind_of == "outer"),
        ("trousers and skirts", kind_of == "below"),
        ("all but dresses, named otherwise", ~dress & ~by),
    ):  # fmt: skip
        cells = [interval(column, np.arange(some.sum())) for column in scores[some].T]
        print(f"| {what} | {some.sum()} | {' | '.join(cells)} |")


def sheets(data: Path, keep: Path | None, every: int, out: Path) -> None:
    """Draw twelve purchases of each kind of photo, and of all mixed, each with its five nearest by look and half as
    much colour, without other photos of its product."""
    out.mkdir(parents=True, exist_ok=True)
    kinds = ("street", "garments", "madison")
    rows = {kind: photos_of(data, kind, every) for kind in kinds}
    seen = {kind: vectors(rows[kind], kind, keep) for kind in kinds}
    mix = [(kind, one) for kind in kinds for one in range(0, len(rows[kind]), 2)]
    rows["mix"] = [rows[kind][one] for kind, one in mix]
    seen["mix"] = (
        np.stack([seen[kind][0][one] for kind, one in mix]),
        np.stack([seen[kind][1][one] for kind, one in mix]),
    )
    ends = CALIBRATION
    for kind, some in rows.items():
        looks, colours = seen[kind]
        both = looks @ looks.T / (ends["look"][1] - ends["look"][0])
        both += 0.5 * (colours @ colours.T) / (ends["colour"][1] - ends["colour"][0])
        group = np.array([row["group"] for row in some])
        near = nearest(np.where(group[:, None] == group, -np.inf, both))
        asked = np.sort(np.random.default_rng(1).choice(len(some), 12, replace=False))
        sheet = Image.new("RGB", (2 * 6 * 124 + 40, 6 * 184), "white")
        draw = ImageDraw.Draw(sheet)
        for number, one in enumerate(asked):
            for place, shown in enumerate((one, *near[one])):
                x, y = number % 2 * (6 * 124 + 40) + place * 124, number // 2 * 184
                small = ImageOps.contain(open_photo(Path(some[shown]["image"])), (120, 160))
                sheet.paste(small, (x + (120 - small.width) // 2, y))
                draw.text((x, y + 164), f"{some[shown]['category']} {some[shown].get('colour', '')}"[:22], fill="black")
            draw.rectangle((x - 5 * 124, y, x - 5 * 124 + 120, y + 161), outline="red")
        sheet.save(out / f"{kind}.png")
        print(out / f"{kind}.png", flush=True)


WHAT = {"photos": several, "proposals": proposed, "defaults": defaults, "packshots": packshots, "dresses": dresses}

if __name__ == "__main__":
    parser_ = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser_.add_argument("what", choices=[*WHAT, "sheets"])
    parser_.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser_.add_argument("--keep", type=Path, help="a folder that keeps the vectors")
    parser_.add_argument("--every", type=int, default=1)
    parser_.add_argument("--out", type=Path, default=Path("sheets"))
    chosen = parser_.parse_args()
    if chosen.what == "sheets":
        sheets(chosen.data, chosen.keep, chosen.every, chosen.out)
    else:
        WHAT[chosen.what](chosen.data, chosen.keep, chosen.every)
