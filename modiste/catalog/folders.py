"""How folders of photos become items: DeepFashion's, or folders of genders, categories and products."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from modiste.catalog.items import Item, Rejected
from modiste.catalog.products import PHOTO_SUFFIXES, Found, trouble_of, who
from modiste.catalog.taxonomy import Taxonomy
from modiste.catalog.values import composed, identifier
from modiste.errors import SettingError, SourceError

MASK_ENDING = "_segm.png"
"""A photo ``<stem>.jpg`` has its mask in ``<stem>_segm.png``."""

_DEEPFASHION = re.compile(
    r"(?P<gender>MEN|WOMEN)-(?P<category>[A-Za-z_]+)-(?P<item>(?P<product>id_\d+-\d+)_\d+)_(?P<view>[A-Za-z]+)"
)
_MOST_VIEWS = 20  # photos in the folder of one product
_LEFT_BEHIND = ("thumbs.db", "desktop.ini", "ehthumbs.db", "@eadir", "__macosx", "$recycle.bin", "#recycle", "icon\r")


def read_folder(source: Path, taxonomy: Taxonomy, rejected: list[Rejected]) -> tuple[list[Found], tuple[str, ...]]:
    """What photos in a folder show, with remarks; what is not taken is added to ``rejected``."""
    photos, kinds = [], ", ".join(PHOTO_SUFFIXES)
    for path in _files(source, rejected):
        if path.suffix.lower() not in PHOTO_SUFFIXES:
            rejected.append(Rejected(str(path), None, f"is not a photo ({kinds}); convert or remove it"))
        elif not path.name.lower().endswith(MASK_ENDING):
            photos.append(path)
    if not photos:
        raise SourceError(f"{source} has no photo ({kinds}); add some, or give a CSV table")
    named = {path: match for path in photos if (match := _DEEPFASHION.fullmatch(path.stem))}
    if 2 * len(named) >= len(photos):
        example = "MEN-Denim-id_00000080-01_7_additional.jpg"
        reason = f"is not named as DeepFashion's photos are, {example}; rename or move it"
        rejected.extend(Rejected(str(path), None, reason) for path in photos if path not in named)
        return _deepfashion(named), ()
    return _folder_of_folders(source, photos, taxonomy, rejected)


def _deepfashion(photos: Mapping[Path, re.Match[str]]) -> list[Found]:
    kinds: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    genders: defaultdict[str, set[str]] = defaultdict(set)
    for name in photos.values():
        kinds[name["item"]].add((name["gender"], name["category"]))
        genders[name["product"]].add(name["gender"])
    found = []
    for path, name in photos.items():
        item_id, product = name["item"], name["product"]
        item = Item(
            item_id=item_id if len(kinds[item_id]) == 1 else f"{name['gender']}-{name['category']}-{item_id}",
            category=name["category"],
            gender=who(name["gender"])[0],
            image=str(path),
            product=product if len(genders[product]) == 1 else f"{name['gender']}-{product}",
            view=name["view"],
        )
        found.append(Found(item, str(path), None))
    return found


def _folder_of_folders(
    source: Path, photos: Sequence[Path], taxonomy: Taxonomy, rejected: list[Rejected]
) -> tuple[list[Found], tuple[str, ...]]:
    found, products = [], dict[Path, int]()
    crowds = Counter(path.parent for path in photos)
    for path in photos:
        inside = path.relative_to(source)
        parts = [composed(part) for part in inside.parts[:-1]]
        kinds = [part for part in parts if taxonomy.knows(part) or not who(part)[2]]
        known = [place for place, part in enumerate(kinds) if taxonomy.knows(part)]
        few = crowds[path.parent] <= _MOST_VIEWS
        category = kinds[known[-1]] if known else next((one for one in kinds if not (few and _numbered(one))), None)
        below = kinds[known[-1] + 1 :] if known else kinds[1:] if category in kinds[:1] else kinds
        told = [one for part in parts if (one := who(part))[2]]
        product = "/".join(parts) if below and few else ""
        if product:
            products[path.parent] = crowds[path.parent]
        stem = composed(path.stem)
        try:
            item = Item(
                identifier("/".join((*parts, stem)), "its name"),
                category=category,
                gender=next((one[0] for one in told if one[0]), None),
                age_group=next((one[1] for one in told if one[1]), None),
                image=str(path),
                product=product,
                view=stem if product else None,
            )
            found.append(Found(item, str(path), None))
        except SettingError as error:
            rejected.append(Rejected(str(path), None, str(error)))
    if not products:
        return found, ()
    example = next(iter(products)).relative_to(source)
    return found, (f"{len(products)} folders such as {example} are taken for a product each, their photos for views",)


def _numbered(name: str) -> bool:
    """Whether a folder's name is that of a product or a date, and no word for a category: ``SKU-001``."""
    return any(map(str.isdecimal, name))


def _files(source: Path, rejected: list[Rejected]) -> Iterator[Path]:
    """Every file below ``source`` that isn't hidden, sorted by folder and name; links are followed, circles are not."""

    def unreadable(error: OSError) -> None:
        rejected.append(Rejected(str(error.filename), None, f"can't be read: {error.strerror}; mend its permissions"))

    entered = set()
    for folder, below, names in os.walk(source, followlinks=True, onerror=unreadable):
        here = Path(folder)
        entered.add(here.resolve())
        below[:] = sorted(n for n in below if not _hidden(n) and (here / n).resolve() not in entered)
        for name in sorted(names):
            if _hidden(name):
                continue
            path, shown = here / name, os.fsencode(here / name).decode("utf-8", "backslashreplace")
            if shown != str(path):
                rejected.append(Rejected(shown, None, "has a name that is not UTF-8; rename it"))
            elif trouble := trouble_of(path):
                rejected.append(Rejected(shown, None, f"{trouble}; mend or remove it"))
            else:
                yield path


def _hidden(name: str) -> bool:
    """Whether a file or folder is one that systems and programs leave behind."""
    return name.startswith(".") or name.casefold() in _LEFT_BEHIND
