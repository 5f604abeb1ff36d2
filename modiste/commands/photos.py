"""Photos: their masks, their vectors, and the networks that make both."""

from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Annotated

import typer

from modiste.commands.printing import print_rejected, print_table, progress_bar, say, warn
from modiste.commands.shared import ShopPath, Strict, open_shop
from modiste.errors import SettingError

app = typer.Typer()
backbones = typer.Typer(
    name="backbones", no_args_is_help=True, help="List the networks that embed photos, or export one of the paper's."
)


@app.command(epilog="Example: modiste masks street --out masks.png --count 12")
def masks(
    path: ShopPath,
    out: Annotated[Path, typer.Option(help="Where to write the picture (PNG).")],
    masking: Annotated[str, typer.Option(help="paper, clothes or own.")] = "own",
    count: Annotated[int, typer.Option(min=1, max=400, help="How many photos.")] = 12,
) -> None:
    """Draw a contact sheet: photo, mask, and the pixels that are left (the paper's figure 2)."""
    with open_shop(path) as shop, progress_bar("drawing") as progress:
        sheet, failures = shop.vectors.contact_sheet(masking, count, progress)
    drawn = BytesIO()
    sheet.save(drawn, "PNG")
    out.write_bytes(drawn.getvalue())
    say(f"drew {out}")
    print_rejected(failures, path, False)


@app.command(epilog="Examples: modiste parse street --out masks | modiste parse photos coat.jpg --out masks")
def parse(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SHOP|FOLDER|PHOTO...", help="A shop's folder, a folder of photos, or photos."),
    ],
    out: Annotated[Path, typer.Option(help="A folder for the masks, <stem>_segm.png in the paper's colours.")],
    parser: Annotated[str, typer.Option(help="The parser's name, see: modiste backbones list.")] = "garment_parser",
    strict: Strict = False,
) -> None:
    """Write masks of what is seen on photos; they can go in again as given masks (modiste add items --masks).

    On a plain ground with nobody on it the mask is what isn't ground. One thing alone has the label of its category in
    the shop; top where that has several, or nobody knows it. A photo that shows nothing gets none.
    """
    from modiste.catalog.items import Rejected
    from modiste.catalog.readers import MASK_ENDING, PHOTO_SUFFIXES
    from modiste.errors import MaskError, PhotoError, SourceError
    from modiste.shop.database import is_shop
    from modiste.vision.backbones import get_backbone
    from modiste.vision.embedding import see
    from modiste.vision.masks import encode_mask, named
    from modiste.vision.parsing import Parser
    from modiste.vision.photos import open_photo

    photos: list[Path] = []
    own: dict[Path, frozenset[str]] = {}
    for source in sources:
        if is_shop(source):
            with open_shop(source) as shop:
                seen = shop.items.frame().drop_nulls("image").unique("image", keep="first", maintain_order=True)
                for image, category in seen.select("image", "category").iter_rows():
                    photos.append(Path(image))
                    own[photos[-1]] = shop.taxonomy.labels(category)
        elif source.is_dir():
            found = [one for one in sorted(source.rglob("*")) if one.suffix.lower() in PHOTO_SUFFIXES]
            photos += (found := [one for one in found if not one.name.endswith(MASK_ENDING)])
            if not found:
                raise SourceError(f"{source} is neither a shop nor a folder with photos")
        else:
            photos.append(source)
    stem, times = Counter(photo.stem for photo in photos).most_common(1)[0] if photos else ("", 0)
    if times > 1:
        raise SettingError(f"{times} photos would write {stem}_segm.png; parse their folders apart")
    out.mkdir(parents=True, exist_ok=True)
    network, rejected = Parser(get_backbone(parser)), []
    with progress_bar("parsing") as progress:
        for done, photo in enumerate(photos, 1):
            try:
                labels = see(open_photo(photo), None, network).labels
                if labels is not None and labels.any():
                    shown = named(labels, own.get(photo, frozenset()))
                    encode_mask(labels if shown is None else shown).save(out / f"{photo.stem}_segm.png")
                else:
                    rejected.append(Rejected(str(photo), None, "no garment was found on it"))
            except (PhotoError, MaskError) as error:
                rejected.append(Rejected(str(photo), None, str(error)))
            progress(done, len(photos))
    say(f"wrote {len(photos) - len(rejected)} masks to {out}")
    print_rejected(rejected, out, strict)


@app.command(epilog="Example: modiste embed street --backbone modiste_s --masking own")
def embed(
    path: ShopPath,
    backbone: Annotated[str | None, typer.Option(help="See: modiste backbones list.")] = None,
    masking: Annotated[str | None, typer.Option(help="paper, clothes, own or none.")] = None,
    crop: Annotated[str | None, typer.Option(help="centre or garment; default: the backbone's own.")] = None,
    mask_source: Annotated[
        str, typer.Option("--masks", help="given, parser, or auto: the parser where no mask is given.")
    ] = "auto",
    parser: Annotated[str, typer.Option(help="The parser's name, see: modiste backbones list.")] = "garment_parser",
    fill: Annotated[str, typer.Option(metavar="R,G,B", help="The colour of removed pixels.")] = "255,255,255",
    outfits: Annotated[
        bool, typer.Option("--outfits", help="Embed what is worn with each item on its photos, too, for goes-with.")
    ] = False,
    strict: Strict = False,
) -> None:
    """Embed every photo that has no vector yet. Interrupt it at will: the next run goes on."""
    from modiste.shop.vectors import DEFAULT_BACKBONE, DEFAULT_MASKING

    with open_shop(path) as shop, progress_bar("embedding", "photos") as progress:
        chosen = (backbone or DEFAULT_BACKBONE, masking or DEFAULT_MASKING, crop, mask_source)
        report = shop.vectors.embed(*chosen, parser=parser, fill=_colour(fill), progress=progress)
    rate = f" ({report.embedded / report.seconds:.0f} photos/s)" if report.embedded else ""
    say(f"embedded {report.embedded}{rate}, {report.present} were there; vector space {report.space.key}")
    if outfits:
        with open_shop(path) as shop, progress_bar("outfits", "items") as progress:
            looked, worn = shop.vectors.embed_worn(report.space, progress=progress)
        say(f"looked at the photos of {looked} items for outfits; {worn} show two garments or more on somebody")
    say(f"how well it finds another photo of a product: modiste evaluate {path} views")
    print_rejected(report.remarks, path, False, "remarks")
    print_rejected(report.failures, path, strict)


def _colour(fill: str) -> tuple[int, int, int]:
    try:
        red, green, blue = (int(part) for part in fill.split(","))
    except ValueError as error:
        raise SettingError(f"--fill takes red,green,blue, such as 255,255,255; not {fill!r}") from error
    if not all(0 <= level <= 255 for level in (red, green, blue)):
        raise SettingError(f"--fill {fill}: each level is 0 to 255")
    return red, green, blue


@backbones.command("list")
def list_all() -> None:
    """List the networks that are installed, and those that can be exported."""
    from modiste.vision.backbones import broken_entries, list_backbones

    print_table(
        ("name", "dimension", "crop", "licence", "where from"),
        [(one.name, one.dim, one.crop, one.licence, one.origin) for one in list_backbones()],
    )
    for fault in broken_entries():
        warn(fault, "left out")
    say("to export: resnet50, densenet121, vgg16 (modiste backbones export NAME)")


@backbones.command("export", epilog="Example: modiste backbones export resnet50 --weights resnet50-11ad3fa6.pth")
def export(
    name: Annotated[str, typer.Argument(help="resnet50, densenet121 or vgg16.")],
    weights: Annotated[Path | None, typer.Option(help="A state dict file; default: download torchvision's.")] = None,
) -> None:
    """Write one of the paper's backbones as a checked ONNX file to the cache (needs the extra [export])."""
    from modiste.vision.export import export_backbone

    say(f"wrote {export_backbone(name, weights)}")
