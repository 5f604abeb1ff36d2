"""How well a shop's vector spaces find another photo of the same product: a measure that needs no orders.

Every photo is a query among all others. What it should find is another photo of its product; its neighbours of other
products should agree with it in category, gender and colour. Beside the shop's spaces stand chance, the colours of the
whole photo alone, and each space's network without a mask.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from modiste.arrays import Bools, Floats, Ints, Singles
from modiste.errors import SettingError
from modiste.evaluation import figures
from modiste.evaluation.metrics import measure
from modiste.evaluation.tables import EvaluationReport, Row, Table
from modiste.ranking.relevance import PRESETS
from modiste.shop.shop import Shop
from modiste.shop.snapshot import Snapshot
from modiste.vision.backbones import Encoder, get_backbone
from modiste.vision.embedding import PhotoJob, VectorSpace, embed_photos

SAMPLE = 2000
"""At most so many photos are judged, of products drawn by the seed."""

NEIGHBOURS = 5
"""How many nearest photos of other products are asked whether they agree."""

WORST = 10
"""How many products that were not found are shown."""

_AT = (1, 5, 10)
_BLOCK = 256  # queries at a time
_SHOWN = ("recall_1", "recall_5", "same_colour_1", "kind", "sex", "colour")

Progress = Callable[[int, int], None]
Likeness = Callable[[slice], Singles]
"""A slice of the gallery's photos to their similarity with all of them, float32 (q, n)."""


@dataclass(frozen=True, eq=False)
class Gallery:
    """The n photos that are judged, as int64 (n,): ``row`` of the snapshot, and ``product``, ``category``, ``gender``
    and ``colour`` as numbers, the last three -1 where it is not known. ``item_id`` and ``image`` are aligned."""

    row: Ints
    item_id: Sequence[str]
    image: Sequence[str]
    product: Ints
    category: Ints
    gender: Ints
    colour: Ints

    def __len__(self) -> int:
        return len(self.row)


def evaluate_views(
    shop: Shop, out: Path | None = None, *, sample: int = SAMPLE, seed: int = 42, progress: Progress | None = None
) -> EvaluationReport:
    """Measure how well each vector space finds another photo of a product.

    Args:
        shop: items of which some share a ``product``, with a photo each and at least one vector space. Colours are
            those that the catalogue names. A photo that several items of a product share is judged once.
        out: folder for ``views.csv``, ``tables.md``, the figure in light and dark, and a sheet of the ten products that
            the latest space misses most; None writes and draws nothing.
        sample: at most so many photos, all of each product that is drawn.
        seed: of that draw and of the bootstrap.
        progress: called with (photos done, photos in all) while photos are embedded without a mask.

    Raises:
        SettingError: no product has two photos with vectors, or ``sample`` is below 2.
        UnknownIdError: the shop has no vectors yet.
    """
    if sample < 2:
        raise SettingError(f"sample is {sample}; it must be at least 2")
    snapshot = shop.snapshot(*shop.vectors.spaces())
    snapshot.space()
    gallery, notes = _gallery(shop, snapshot, sample, seed)
    ways = _ways(snapshot, gallery, progress)
    rows, worst = [], None
    for name, alike in ways:
        points, rank, nearest = judge(alike, gallery)
        rows.append(_row(name, points, gallery, seed))
        if worst is None:
            worst = _worst(gallery, rank, nearest)
            rows.insert(0, _row("chance", _chance(gallery), gallery, seed))
    caption = (
        f"{len(gallery):,} photos of {len(np.unique(gallery.product)):,} products; mean [95% bootstrap interval over "
        "products]. Same product: whether another photo of it is among the first so many. In the same colour: whether "
        "another photo of it in its colour is, its other colours left out. Agreement: of the five nearest photos of "
        "other products, those of which it is known. Equal similarities count as not found."
    )
    table = Table("views", "Another photo of the same product", rows, caption, units="products")
    pictures = []
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        pictures = figures.both_schemes(table, out / "views.png", _SHOWN)
        if worst:
            pictures += figures.worst(worst, out / "worst.png")
    report = EvaluationReport(f"Photos of {shop.name}", [table], notes, pictures)
    if out is not None:
        report.write(out)
    return report


def judge(alike: Likeness, gallery: Gallery) -> tuple[dict[str, Floats], Ints, Ints]:
    """Points (0 to 100, NaN: can't be judged) of each photo by metric, float64 (n,); the place, from 0 on, at which
    another photo of its product was found, int64 (n,), -1 where there is none; the photos found first, int64 (n, 3)."""
    n = len(gallery)
    names = [f"{what}_{k}" for what in ("recall", "same_colour") for k in _AT] + ["kind", "sex", "colour"]
    points = {name: np.full(n, np.nan) for name in names}
    places: Ints = np.full(n, -1, np.int64)
    first: Ints = np.full(n, -1, np.int64)[:, None].repeat(min(3, n - 1), axis=1)
    for start in range(0, n, _BLOCK):
        block = slice(start, min(start + _BLOCK, n))
        here = np.arange(block.start, block.stop)
        scores = alike(block).astype(np.float32, copy=True)
        scores[np.arange(len(here)), here] = -np.inf
        first[here] = np.argsort(-scores, axis=1, kind="stable")[:, : first.shape[1]]
        product, twin, right = _relations(gallery, here)
        rivals = np.where(product, -np.inf, scores)
        for what, wanted, among in (
            ("recall", twin, np.where(twin, -np.inf, scores)),
            ("same_colour", right, rivals),
        ):
            best = np.where(wanted, scores, -np.inf).max(axis=1)
            known = wanted.any(axis=1)
            place = (among >= best[:, None]).sum(axis=1)
            for k in _AT:
                points[f"{what}_{k}"][here] = np.where(known, 100.0 * (place < k), np.nan)
            if what == "recall":
                places[here] = np.where(known, place, -1)
        near = np.argsort(-rivals, axis=1, kind="stable")[:, :NEIGHBOURS]
        there = np.take_along_axis(~product, near, axis=1)
        for name, label in _labels(gallery).items():
            known = there & (label[near] >= 0) & (label[here] >= 0)[:, None]
            points[name][here] = _share(known & (label[near] == label[here][:, None]), known)
    return points, places, first


def _relations(gallery: Gallery, here: Ints) -> tuple[Bools, Bools, Bools]:
    """Whether each photo is of the query's product; another photo of it; and another in its colour, bool (q, n)."""
    product = gallery.product[here][:, None] == gallery.product
    twin = product.copy()
    twin[np.arange(len(here)), here] = False
    colour = gallery.colour[here][:, None]
    return product, twin, twin & (colour >= 0) & (colour == gallery.colour)


def _labels(gallery: Gallery) -> dict[str, Ints]:
    return {"kind": gallery.category, "sex": gallery.gender, "colour": gallery.colour}


def _share(hits: Bools, known: Bools) -> Floats:
    many = known.sum(axis=1)
    found: Floats = np.where(many > 0, 100.0 * hits.sum(axis=1) / np.maximum(many, 1), np.nan)
    return found


def _chance(gallery: Gallery) -> dict[str, Floats]:
    """What a random order is expected to reach, as :func:`judge` gives it."""
    n = len(gallery)
    parts: list[dict[str, Floats]] = []
    for start in range(0, n, _BLOCK):
        here = np.arange(start, min(start + _BLOCK, n))
        product, twin, right = _relations(gallery, here)
        others = (~product).sum(axis=1)
        found = {}
        for what, wanted in (("recall", twin.sum(axis=1)), ("same_colour", right.sum(axis=1))):
            pool = others + wanted
            for k in _AT:
                missed = np.ones(len(here))
                for drawn in range(k):
                    missed *= np.maximum(others - drawn, 0) / np.maximum(pool - drawn, 1)
                found[f"{what}_{k}"] = np.where(wanted > 0, 100.0 * (1 - missed), np.nan)
        for name, label in _labels(gallery).items():
            known = ~product & (label >= 0) & (label[here] >= 0)[:, None]
            found[name] = _share(known & (label[here][:, None] == label), known)
        parts.append(found)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _row(name: str, points: dict[str, Floats], gallery: Gallery, seed: int) -> Row:
    judged = {what: measure(column, gallery.product, seed) for what, column in points.items()}
    return Row(name, {what: one for what, one in judged.items() if one.n})


def _gallery(shop: Shop, snapshot: Snapshot, sample: int, seed: int) -> tuple[Gallery, list[str]]:
    """The photos that every space has a vector of, and what must be said about the others."""
    frame = shop.items.frame().filter(pl.col("image").is_not_null())
    rows = np.array([snapshot.row(item_id) for item_id in frame["item_id"]], np.int64)
    notes = []
    has = np.ones(len(rows), bool)
    for space in snapshot.spaces:
        there = snapshot.matrix(space).has[rows]
        if not there.all():
            notes.append(f"{(~there).sum():,} photos have no vector in {space.key}; they are left out of every line.")
        has &= there
    frame = frame.with_columns(row=rows, colour=_colours(frame)).filter(has)
    before = len(frame)
    frame = frame.unique(["product", "stamp"], keep="first", maintain_order=True)
    if len(frame) < before:
        notes.append(f"{before - len(frame):,} items share a photo with another of their product and were not judged.")
    many = frame.group_by("product").len().sort("product")
    if len(frame) > sample:
        order = many.sample(fraction=1.0, shuffle=True, seed=seed)
        kept = order.filter(pl.col("len").cum_sum() <= sample)["product"]
        frame = frame.filter(pl.col("product").is_in(kept.implode()))
        notes.append(f"Of {before:,} photos {len(frame):,} were drawn, product by product.")
    if frame.is_empty() or frame["product"].n_unique() == len(frame):
        raise SettingError(
            f"no product of {shop.name} has two photos with vectors; give the photos of one product the same 'product'"
        )

    def numbers(column: str) -> Ints:
        return frame[column].rank("dense").cast(pl.Int64).fill_null(-1).to_numpy()

    missing = [name for name in ("category", "gender", "colour") if frame[name].null_count() == len(frame)]
    if missing:
        notes.append(f"The catalogue names no {' and no '.join(missing)}; that is not judged.")
    return Gallery(
        frame["row"].to_numpy(),
        frame["item_id"].to_list(),
        frame["image"].to_list(),
        *(numbers(name) for name in ("product", "category", "gender", "colour")),
    ), notes


def _colours(frame: pl.DataFrame) -> pl.Series:
    """Each item's colour as the catalogue names it, without regard to case; null where it doesn't."""
    named = frame["colour"].to_list() if "colour" in frame.columns else [None] * len(frame)
    found = []
    for colour, text in zip(named, frame["attributes"].to_list(), strict=True):
        attributes = json.loads(text)
        word = colour or attributes.get("colour") or attributes.get("color") or ""
        found.append(word.strip().casefold() or None)
    return pl.Series("colour", found, pl.String)


def _ways(snapshot: Snapshot, gallery: Gallery, progress: Progress | None) -> list[tuple[str, Likeness]]:
    """Every way of comparing photos, the latest space's look and colour first."""
    weights, ways, whole = PRESETS["visual"], [], None
    for space in snapshot.spaces:
        matrix = snapshot.matrix(space)
        looks = matrix.looks[gallery.row]
        colours = matrix.vectors[gallery.row, looks.shape[1] :]
        name = f"{space.backbone}, masking {space.masking}"
        if any(
            space.backbone == one.backbone and space.masking == one.masking for one in snapshot.spaces if one != space
        ):
            name = space.key
        if matrix.colour_dim:
            look, colour = (1 / (scale.high - scale.low) for scale in matrix.scales)
            joint = np.hstack(
                [looks * np.sqrt(weights.alpha * look), colours * np.sqrt(weights.colour * colour)], dtype=np.float32
            )
            ways += [(f"{name}: look and colour", _inner(joint)), (f"{name}: colour", _inner(colours))]
        ways.insert(len(ways) - 1 if matrix.colour_dim else len(ways), (f"{name}: look", _inner(looks)))
        if space.masking == "none" and matrix.colour_dim:
            whole = colours
    for backbone in dict.fromkeys(space.backbone for space in snapshot.spaces):
        if not any(space.backbone == backbone and space.masking == "none" for space in snapshot.spaces):
            space = next(space for space in snapshot.spaces if space.backbone == backbone)
            looks, whole = _unmasked(space, gallery, progress)
            ways.append((f"{backbone} unmasked: look", _inner(looks)))
    if whole is not None:
        ways.append(("colours of the whole photo", _inner(whole)))
    return ways


def _inner(vectors: Singles) -> Likeness:
    return lambda block: vectors[block] @ vectors.T


def _unmasked(space: VectorSpace, gallery: Gallery, progress: Progress | None) -> tuple[Singles, Singles]:
    """Looks and colours of the whole photos by the space's network, zeros where a photo can't be read."""
    spec = get_backbone(space.backbone)
    place = {item_id: number for number, item_id in enumerate(gallery.item_id)}
    looks: Singles | None = None
    colours: Singles | None = None
    jobs = [PhotoJob(item_id, image) for item_id, image in zip(gallery.item_id, gallery.image, strict=True)]
    done = 0
    for batch in embed_photos(jobs, Encoder(spec), "none", space.crop):
        if looks is None or colours is None:
            looks = np.zeros((len(gallery), batch.vectors.shape[1]), np.float32)
            colours = np.zeros((len(gallery), batch.colours.shape[1]), np.float32)
        where = [place[item_id] for item_id in batch.item_ids]
        looks[where], colours[where] = batch.vectors, batch.colours
        done += len(batch.item_ids) + len(batch.failures)
        if progress:
            progress(done, len(jobs))
    if looks is None or colours is None:
        raise SettingError("none of the photos can be read")
    return looks, colours


def _worst(gallery: Gallery, place: Ints, nearest: Ints) -> list[figures.Miss]:
    """The ten products whose photo finds another of its product last: that photo, the other, and what it found."""
    shown: list[figures.Miss] = []
    seen: set[int] = set()
    for query in np.argsort(-place, kind="stable").tolist():
        if len(shown) == WORST or place[query] < 1:
            break
        product = int(gallery.product[query])
        if product in seen:
            continue
        seen.add(product)
        twin = int(np.flatnonzero((gallery.product == product) & (np.arange(len(gallery)) != query))[0])
        photos = [(gallery.item_id[one], gallery.image[one]) for one in (query, twin, *nearest[query].tolist())]
        shown.append(figures.Miss(int(place[query]) + 1, photos))
    return shown
