"""Draw where the shipped parser fails: the twelve garments of 230 drawn photos of which it finds the least.

``python -m docs.pictures.parser_failures``, from the repository's root, writes parser-failures.png: each photo, the
labels found, and what they leave of the garment for sale. Drawn people stand in for real ones, whose photos may not be
published here; but what is drawn is known exactly.
"""

from pathlib import Path

import numpy as np

from lookbook.book import draw, plan
from modiste.catalog.taxonomy import Taxonomy
from modiste.vision.backbones import get_backbone
from modiste.vision.masks import LABELS, decode_mask, garment_pixels
from modiste.vision.parsing import Parser
from modiste.vision.sheets import Row, contact_sheet

TO = Path(__file__).with_name("parser-failures.png")


def main() -> None:
    """Draw, parse, and keep the worst."""
    parser, taxonomy = Parser(get_backbone("garment_parser")), Taxonomy.load()
    found_share, rows = [], list[Row]()
    for look in plan(115, 2, seed=7):
        photo, mask, _ = draw(look)
        given, found = decode_mask(mask).labels, parser.parse(photo)
        own = taxonomy.labels(look.category)
        worn = np.array([label in own for label in LABELS])
        right = worn[given] & worn[found]
        iou = float(right.sum() / (worn[given] | worn[found]).sum())
        called = np.bincount(found[worn[given]], minlength=len(LABELS))
        names = ", ".join(
            f"{LABELS[i]} {called[i] / called.sum():.0%}" for i in called.argsort()[::-1][:3] if called[i]
        )
        caption = f"{look.category.replace('_', ' ')}, IoU {iou:.2f}: {names}"
        found_share.append(iou)
        rows.append((photo, found, garment_pixels(found, "own", own), caption))
    shares = np.array(found_share)
    print(f"IoU of the garment for sale: median {np.median(shares):.2f}, under 0.5 in {(shares < 0.5).mean():.0%}")
    sheet = contact_sheet([rows[i] for i in shares.argsort()[:12]], columns=4, height=220)
    sheet.quantize(256).save(TO, optimize=True)
    print(f"{TO}: {TO.stat().st_size / 1000:.0f} kB, {sheet.width} × {sheet.height}")


if __name__ == "__main__":
    main()
