"""The commands. A door: it reads arguments, calls the shop and prints; every import of weight waits for its command."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand

from modiste.errors import MissingExtraError, ModisteError, SettingError, StorageError

if TYPE_CHECKING:
    from modiste.ask import Ask
    from modiste.catalog.columns import Layout, Understood
    from modiste.catalog.items import Rejected
    from modiste.catalog.readers import Reading
    from modiste.shop.ab import Standing
    from modiste.shop.preview import Preview
    from modiste.shop.recommendations import Recommendation
    from modiste.shop.reports import AddReport
    from modiste.shop.scenarios import Version

app = typer.Typer(
    name="modiste",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Explained fashion recommendations from garment photos, purchases and each shopper's taste for trends.",
    epilog="Example: modiste new street && modiste add items street photos.csv && modiste embed street",
)
add = typer.Typer(no_args_is_help=True, help="Add items, stores or purchases to a shop.")
backbones = typer.Typer(no_args_is_help=True, help="List the networks that embed photos, or export one of the paper's.")
app.add_typer(add, name="add")
app.add_typer(backbones, name="backbones")
keys = typer.Typer(no_args_is_help=True, help="Make, list and withdraw the keys that programs show the service.")
app.add_typer(keys, name="key")
ab = typer.Typer(no_args_is_help=True, help="Test on the shop's pages which of two scenarios is better.")
app.add_typer(ab, name="ab")
scenarios = typer.Typer(no_args_is_help=True, help="Keep named ways of asking, with rules for what is shown.")
app.add_typer(scenarios, name="scenario")
users = typer.Typer(no_args_is_help=True, help="Make, list, change and remove the accounts of those who use the pages.")
app.add_typer(users, name="user")

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended, as shells have it."""

WORDS = 20
"""So many of the words that nobody knows are shown."""

ShopPath = Annotated[Path, typer.Argument(metavar="SHOP", help="The shop's folder.", show_default=False)]
Maps = Annotated[
    list[str] | None, typer.Option("--map", metavar="FIELD=COLUMN", help="Which column is which; may be given again.")
]
MappingFile = Annotated[Path | None, typer.Option("--mapping", metavar="FILE", help="A TOML file of such columns.")]
ScenarioName = Annotated[str, typer.Argument(metavar="NAME", help="The scenario's name, such as product-page.")]
Author = Annotated[str | None, typer.Option(help="Who changes it; default: who is logged in.")]
Reason = Annotated[str, typer.Option(help="Why.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 if any row or file was not taken.")]


class AskCommand(TyperCommand):
    """A command that takes the fields of :class:`~modiste.ask.Ask` as options too; ``meta["ask"]`` has those given."""

    asked = "Ask"

    def get_params(self, ctx: Any) -> list[Any]:
        """Its own options, those of Ask, and --help."""
        *own, last = super().get_params(ctx)
        return [*own, *_ask_options(self._ask()), last]

    def invoke(self, ctx: Any) -> Any:
        """Run it, with what was asked apart from its own options."""
        given = {name: ctx.params.pop(name, None) for name in self._ask().model_fields}
        ctx.meta["ask"] = {name: value for name, value in given.items() if value not in (None, False, (), [])}
        return super().invoke(ctx)

    @classmethod
    def _ask(cls) -> "type[Ask]":
        from modiste import ask

        return getattr(ask, cls.asked)  # type: ignore[no-any-return]


class SearchCommand(AskCommand):
    """The same with the fields of :class:`~modiste.ask.SearchAsk`."""

    asked = "SearchAsk"


def _ask_options(ask: "type[Ask]") -> list[Any]:
    """The fields of Ask as options; what is given is validated there."""
    from inspect import Parameter, Signature

    parameters = []
    for name, about in ask.model_json_schema()["properties"].items():
        kind = next((one for one in about.get("anyOf", [about]) if one.get("type") != "null"), about)
        many, words = kind.get("type") == "array", {"number": "NUMBER", "integer": "INTEGER"}
        standard = about.get("default") or ""
        option = typer.Option(
            f"--{name.replace('_', '-')}",
            help=about["description"] + (" May be given again." if many else standard and f" Default: {standard}."),
            metavar="|".join(kind["enum"]) if "enum" in kind else words.get(kind.get("type", ""), "TEXT"),
            show_default=False,
            rich_help_panel="How to ask",
        )
        flag = kind.get("type") == "boolean"
        form = list[str] | None if many else bool if flag else str | None
        annotation, default = Annotated[form, option], False if flag else None
        parameters.append(Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation))

    def options(**_: Any) -> None: ...

    options.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    options.__annotations__ = {one.name: one.annotation for one in parameters}
    made = typer.Typer(add_completion=False)
    made.command()(options)
    return [one for one in typer.main.get_command(made).params if one.name in ask.model_fields]


def main() -> None:
    """Run the commands; what a person can mend is one line without a traceback.

    It exits with 2 where the input is at fault, with 1 where the disk or the database refuses.
    """
    try:
        app()
    except ModisteError as error:
        _end(error)
    except OSError as error:
        if not error.filename:
            raise
        why = (error.strerror or "it is refused").lower()
        _end(StorageError.of(error) or StorageError(f"{error.filename}: {why}", "closed"))
    except SystemExit as end:
        if end.code == INTERRUPTED:
            _console(stderr=True).print("interrupted; what was finished is kept, the same command goes on from there")
        raise


def _end(error: ModisteError) -> NoReturn:
    _console(stderr=True).print(f"[bold red]error:[/] {_plain(error)}", highlight=False, soft_wrap=True)
    sys.exit(1 if isinstance(error, StorageError) else 2)


def _version(wanted: bool) -> None:
    if wanted:
        from modiste import __version__

        print(f"modiste {__version__}")
        raise typer.Exit


@app.callback()
def any_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Tell the version and exit.")
    ] = False,
) -> None:
    """What all commands share."""


@app.command(epilog="Examples: modiste new street | modiste new street --database postgresql://modiste@db/street")
def new(
    path: ShopPath,
    categories: Annotated[
        Path | None,
        typer.Option(metavar="paper|FILE", help="The paper's 17 alone, or your own (TOML); default: what shops sell."),
    ] = None,
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="postgresql://...; default: a file in the folder.")
    ] = None,
) -> None:
    """Make an empty shop."""
    from modiste.shop.shop import Shop

    with Shop.create(path, categories=categories, database=database) as shop:
        _console().print(f"made {shop.path}; next: modiste add items {path} PHOTOS-OR-TABLE")


@add.command("items", epilog="Examples: modiste add items street items.csv --dry-run | ... --map image='Image Src'")
def add_items(
    path: ShopPath,
    source: Annotated[
        Path,
        typer.Argument(help="A table (CSV, JSON, XLSX, Parquet, Google's XML), or a folder of photos."),
    ],
    masks: Annotated[Path | None, typer.Option(help="The folder of the masks, <stem>_segm.png.")] = None,
    columns: Maps = None,
    mapping: MappingFile = None,
    private: Annotated[
        bool, typer.Option("--private", help="Fetch photos from this machine and its own network too.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would come of it; write nothing.")] = False,
    strict: Strict = False,
) -> None:
    """Add the items of a folder or table; adding again updates what changed and skips the rest."""
    layout = _mapping(columns, mapping)
    with _open(path) as shop, _progress("checking photos") as progress:
        if dry_run:
            from modiste.catalog.readers import read_source

            reading = read_source(source, shop.taxonomy, masks, layout)
            _print_reading(reading)
            _report(reading.rejected, None, strict)
            if not reading.items:
                raise typer.Exit(1)
            return
        report = shop.items.add(source, masks, progress, layout, private=private)
    more = f"; {report.merged} rows tell more of others' items" if report.merged else ""
    _console().print(f"items: {report.added} added, {report.updated} updated, {report.unchanged} unchanged{more}")
    _print_understood(report.understood)
    _report(report.photos, path, False, "photos not taken")
    _report(report.rejected, path, strict)
    _some(report)


@add.command("stores", epilog="Example: modiste add stores street stores.csv")
def add_stores(
    path: ShopPath,
    file: Annotated[Path, typer.Argument(help="A table: store_id, latitude, longitude, optional name.")],
    columns: Maps = None,
    mapping: MappingFile = None,
    strict: Strict = False,
) -> None:
    """Add the shop's real stores; items name theirs in the column store_id of the catalogue."""
    with _open(path) as shop:
        report = shop.stores.add(file, _mapping(columns, mapping))
    _console().print(f"stores: {report.added} added, {report.updated} updated")
    _print_understood(report.understood)
    _report(report.rejected, path, strict)
    _some(report)


@add.command("purchases", epilog="Example: modiste add purchases street orders.csv --day-first")
def add_purchases(
    path: ShopPath,
    file: Annotated[
        Path,
        typer.Argument(
            help="A table of orders or events: shopper_id, item_id, date; order_id, quantity, status, kind."
        ),
    ],
    columns: Maps = None,
    mapping: MappingFile = None,
    day_first: Annotated[
        bool | None,
        typer.Option("--day-first/--month-first", help="What 03/04/2025 means: a day in April or in March."),
    ] = None,
    strict: Strict = False,
) -> None:
    """Add real orders, returns and views. What is there already is skipped: a line of an order by its key, and without
    an order what is the same in shopper, item and time."""
    with _open(path) as shop:
        report = shop.purchases.add(file, _mapping(columns, mapping), day_first)
    others = "".join(f", {count} of kind {kind}" for kind, count in report.kinds.items() if kind != "purchase")
    bought = report.kinds.get("purchase", 0)
    _console().print(f"purchases: {bought} added{others}, {report.unchanged} already there", highlight=False)
    _print_understood(report.understood)
    _report(report.rejected, path, strict)
    _some(report)


def _mapping(columns: list[str] | None, file: Path | None) -> "Layout | None":
    """What a mapping file and --map say; None for neither."""
    from modiste.catalog.columns import Layout

    if not columns and file is None:
        return None
    return (Layout() if file is None else Layout.load(file)).mapped(columns or ())


def _print_understood(understood: "Understood") -> None:
    """Tell how a table was understood, as far as somebody may want to change it."""
    console = _console(stderr=True)
    if understood.preset:
        console.print(f"read as a table of {_plain(understood.preset)}", highlight=False)
    if understood.unread:
        names = ", ".join(map(repr, understood.unread))
        what = "kept as attributes" if understood.kept else "not read"
        console.print(f"columns {what}: {_plain(names)}", highlight=False, soft_wrap=True)
    remarks = [
        f"column {name!r} is not known; is it {near}? Then --map {near}={json.dumps(name, ensure_ascii=False)}"
        for name, near in understood.unread.items()
        if near
    ]
    for field, words in understood.unknown.items():
        counted = ", ".join(f"{word} ({n})" for word, n in list(words.items())[:WORDS])
        more = f" and {len(words) - WORDS} more" if len(words) > WORDS else ""
        named = (
            "categories not in the taxonomy, similar to themselves alone"
            if field == "category"
            else f"{field} not known"
        )
        remarks.append(f"{named}: {counted}{more}")
    for remark in (*remarks, *understood.remarks[:WORDS]):
        console.print(f"[yellow]warning:[/] {_plain(remark)}", highlight=False, soft_wrap=True)
    if len(understood.remarks) > WORDS:
        console.print(
            f"[yellow]warning:[/] and {len(understood.remarks) - WORDS} more of the last kind", highlight=False
        )


def _print_reading(reading: "Reading") -> None:
    """What would come of adding items: columns, some items, photos."""
    from rich.table import Table

    console = _console()
    if reading.understood.columns:
        columns = Table("field", "columns", title="columns as understood", title_justify="left")
        for field, names in reading.understood.columns.items():
            columns.add_row(_plain(field), _plain(names))
        console.print(columns)
    for one in reading.items[:10]:
        said = {name: getattr(one, name) for name in one.__slots__ if name not in ("item_id", "attributes")}
        told = ", ".join(f"{name} {value}" for name, value in said.items() if value not in (None, ()))
        console.print(_plain(f"{one.item_id}: {told}"), highlight=False, soft_wrap=True)
    images = [image for one in reading.items for image in (one.image, *one.photos) if image]
    addresses = sum(image.startswith(("http://", "https://")) for image in images)
    without = sum(one.image is None for one in reading.items)
    there = len(images) - addresses
    console.print(
        f"would add {len(reading.items)} items with {there} photos that are there and {addresses} by address; "
        f"{without} items have none; {reading.merged} rows tell more of others' items; {len(reading.rejected)} are not "
        "taken; nothing was written",
        highlight=False,
        soft_wrap=True,
    )
    _print_understood(reading.understood)


def _some(report: "AddReport") -> None:
    """Exit with 1 where nothing at all was taken."""
    if not report.added + report.updated + report.unchanged:
        _console(stderr=True).print("[bold red]nothing was taken[/]")
        raise typer.Exit(1)


@app.command(
    epilog="Examples: modiste sync street --items https://shop.example/feed.csv --orders o.csv | modiste sync street"
)
def sync(
    path: ShopPath,
    items: Annotated[str | None, typer.Option(metavar="FILE-OR-URL", help="Where the items come from.")] = None,
    orders: Annotated[str | None, typer.Option(metavar="FILE-OR-URL", help="Where the orders come from.")] = None,
    columns: Maps = None,
    mapping: MappingFile = None,
    order_columns: Annotated[
        list[str] | None, typer.Option("--order-map", metavar="FIELD=COLUMN", help="As --map, for the orders.")
    ] = None,
    order_mapping: Annotated[Path | None, typer.Option(help="As --mapping, for the orders.")] = None,
    masks: Annotated[Path | None, typer.Option(help="The folder of the masks, <stem>_segm.png.")] = None,
    day_first: Annotated[
        bool | None,
        typer.Option("--day-first/--month-first", help="What 03/04/2025 means: a day in April or in March."),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Fetch from this machine and its own network too.")
    ] = False,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Retire what vanished, even if it is most of the catalogue.")
    ] = False,
    strict: Strict = False,
) -> None:
    """Bring items, photos, stock and orders up to date; the sources are said once and remembered.

    Items that vanished from their source are retired, never deleted. Safe to run every hour.
    """
    from modiste.catalog.products import is_address
    from modiste.shop.sync import Sources
    from modiste.shop.sync import sync as run

    def kept(source: str | Path | None) -> str | None:
        return None if source is None else str(source) if is_address(str(source)) else str(Path(source).resolve())

    sources = None
    if items is not None or orders is not None:
        sources = Sources(
            kept(items), kept(orders), tuple(columns or ()), tuple(order_columns or ()), kept(mapping),
            kept(order_mapping), kept(masks), day_first, private,
        )  # fmt: skip
    elif columns or mapping or order_columns or order_mapping or masks or day_first is not None or private:
        raise SettingError("how to read a source is said with it: give --items or --orders too")
    with _open(path) as shop, _progress("syncing") as progress:
        report = run(shop, sources, confirm=confirm, progress=progress)
    counts = report.counts()
    names = ("added", "updated", "unchanged", "retired", "restored")
    said = ", ".join(f"{counts[name]} {name}" for name in names)
    _console().print(f"items: {said}; {report.embedded} photos embedded; {report.orders} orders added")
    for remark in report.remarks:
        _console(stderr=True).print(f"[yellow]remark:[/] {_plain(remark)}", highlight=False)
    _report(report.photos, path, False, "photos not taken")
    _report(report.rejected, path, strict)


@app.command(epilog="Example: modiste masks street --out masks.png --count 12")
def masks(
    path: ShopPath,
    out: Annotated[Path, typer.Option(help="Where to write the picture (PNG).")],
    masking: Annotated[str, typer.Option(help="paper, clothes or own.")] = "own",
    count: Annotated[int, typer.Option(min=1, max=400, help="How many photos.")] = 12,
) -> None:
    """Draw a contact sheet: photo, mask, and the pixels that are left (the paper's figure 2)."""
    with _open(path) as shop, _progress("drawing") as progress:
        sheet, failures = shop.vectors.contact_sheet(masking, count, progress)
    sheet.save(out)
    _console().print(f"drew {out}")
    _report(failures, path, False)


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

    On a plain ground with nobody on it the mask is what isn't ground. A photo that shows nothing gets none.
    """
    from modiste.catalog.items import Rejected
    from modiste.catalog.readers import MASK_ENDING, PHOTO_SUFFIXES
    from modiste.errors import MaskError, PhotoError, SourceError
    from modiste.shop.database import is_shop
    from modiste.vision.backbones import get_backbone
    from modiste.vision.embedding import see
    from modiste.vision.masks import encode_mask
    from modiste.vision.parsing import Parser
    from modiste.vision.photos import open_photo

    photos: list[Path] = []
    for source in sources:
        if is_shop(source):
            with _open(source) as shop:
                photos += [
                    Path(image) for image in shop.items.frame()["image"].drop_nulls().unique(maintain_order=True)
                ]
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
    with _progress("parsing") as progress:
        for done, photo in enumerate(photos, 1):
            try:
                labels = see(open_photo(photo), None, network).labels
                if labels is not None and labels.any():
                    encode_mask(labels).save(out / f"{photo.stem}_segm.png")
                else:
                    rejected.append(Rejected(str(photo), None, "no garment was found on it"))
            except (PhotoError, MaskError) as error:
                rejected.append(Rejected(str(photo), None, str(error)))
            progress(done, len(photos))
    _console().print(f"wrote {len(photos) - len(rejected)} masks to {out}")
    _report(rejected, out, strict)


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
    strict: Strict = False,
) -> None:
    """Embed every photo that has no vector yet. Interrupt it at will: the next run goes on."""
    from modiste.shop.vectors import DEFAULT_BACKBONE, DEFAULT_MASKING

    with _open(path) as shop, _progress("embedding", "photos") as progress:
        chosen = (backbone or DEFAULT_BACKBONE, masking or DEFAULT_MASKING, crop, mask_source)
        report = shop.vectors.embed(*chosen, parser=parser, fill=_colour(fill), progress=progress)
    rate = f" ({report.embedded / report.seconds:.0f} photos/s)" if report.embedded else ""
    _console().print(f"embedded {report.embedded}{rate}, {report.present} were there; vector space {report.space.key}")
    _console().print(f"how well it finds another photo of a product: modiste evaluate {path} views", soft_wrap=True)
    _report(report.remarks, path, False, "remarks")
    _report(report.failures, path, strict)


@app.command(epilog="Example: modiste simulate street --shoppers 50 --purchases 5 --year 2025 --seed 42")
def simulate(
    path: ShopPath,
    shoppers: Annotated[int, typer.Option(min=1)] = 50,
    purchases: Annotated[int, typer.Option(min=1, help="At most so many each.")] = 5,
    year: Annotated[int, typer.Option(min=1, max=9999)] = 2025,
    seed: Annotated[int, typer.Option(min=0)] = 42,
    model: Annotated[str, typer.Option(help="paper, pools (the authors' code) or choice.")] = "paper",
) -> None:
    """Simulate a year of purchases with trendiness and popularity; replaces an earlier simulation."""
    with _open(path) as shop:
        made = shop.simulate(shoppers, purchases, year, seed, model)
    _console().print(f"simulated {made.purchases.height} purchases by {made.shoppers.height} shoppers in {year}")


@app.command(
    cls=AskCommand,
    epilog="Examples: modiste recommend street --shopper 1 --top 5 | modiste recommend street --item 0002 --json",
)
def recommend(
    context: typer.Context,
    path: ShopPath,
    shopper: Annotated[str | None, typer.Option(help="Whom to recommend to.")] = None,
    item: Annotated[str | None, typer.Option(help="Or: the item someone looks at.")] = None,
    items: Annotated[
        list[str] | None, typer.Option(help="Or: what a guest looked at, the newest last. May be given again.")
    ] = None,
    each: Annotated[bool, typer.Option("--each", help="A list per purchase, as in the paper, not one merged.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with the photos.")] = None,
) -> None:
    """Recommend the Top-K for a shopper, an item or a guest, with the reasons."""
    ask = context.meta["ask"]
    with _open(path) as shop:
        if shopper is not None and item is None and not items and (each or html):
            lists = shop.recommend_each(shopper, **ask)
        else:
            lists = [("", shop.recommend(shopper, item, items=items or None, **ask))]
        if html:
            photos = {bought: shop.items[bought]["image"] for bought, _ in lists if bought}
            trendiness = shop.shoppers[shopper].trendiness if shopper else None
            _write_page(html, lists, photos, trendiness, shopper or item or "a guest")
            _console(stderr=as_json).print(f"wrote {html}")
        if html and not each:
            lists = [("", shop.recommend(shopper, item, **ask))]
    if as_json:
        print(json.dumps([found.as_json() for _, many in lists for found in many], indent=2))
    else:
        for bought, many in lists:
            _print_table(f"for {shopper or item or 'a guest'}" + (f", who bought {bought}" if bought else ""), many)


@app.command(
    cls=SearchCommand,
    epilog="Examples: modiste search street look.jpg --top 3 | modiste search street bag.jpg --category Bags --json",
)
def search(
    context: typer.Context,
    path: ShopPath,
    photo: Annotated[Path, typer.Argument(help="A photo that is in no catalogue.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Find what looks like a photo and, where somebody is on it, like each garment that she wears."""
    with _open(path) as shop:
        found = shop.search(photo, **context.meta["ask"])
    if as_json:
        garments = [
            {"label": one.label, "colour": one.colour, "kinds": one.kinds,
             "recommendations": [like.as_json() for like in one.recommendations]}
            for one in found.garments
        ]  # fmt: skip
        whole = [one.as_json() for one in found.recommendations]
        print(json.dumps({"recommendations": whole, "garments": garments}, indent=2))
        return
    for one in found.garments:
        _print_table(f"like the {one.label}, {one.colour}", one.recommendations)
    _print_table(f"like {'all of it' if found.garments else photo.name}", found.recommendations)


@app.command(
    "recommend-all",
    cls=AskCommand,
    epilog="Examples: modiste recommend-all street --out lists.parquet | ... --of items --out alike.csv --top 12",
)
def recommend_all(
    context: typer.Context,
    path: ShopPath,
    out: Annotated[Path, typer.Option(help="The file to write: .parquet, .csv, .jsonl, or .feed, a list a line.")],
    of: Annotated[str, typer.Option(help="shoppers or items.")] = "shoppers",
) -> None:
    """Write the lists of all shoppers or all items to a file. Interrupt it at will: the same command goes on."""
    from modiste.shop.lists import recommend_all as run

    with _open(path) as shop, _progress("recommending") as progress:
        count = run(shop, out, of, progress=progress, **context.meta["ask"])
        everybody = len(shop.shoppers) if of == "shoppers" else count
    _console().print(f"wrote {out}: the lists of {count} {of}")
    if count < everybody:
        _console(stderr=True).print(
            f"[yellow]warning:[/] {everybody - count} shoppers have no position, so that nothing is within "
            "--within of them; --near gives one for all",
            highlight=False,
            soft_wrap=True,
        )


@app.command(epilog="Examples: modiste evaluate street all --out runs/street | modiste evaluate street views")
def evaluate(
    path: ShopPath,
    what: Annotated[str, typer.Argument(help="backbones, ablation, trendiness, all, views or benchmark.")] = "all",
    out: Annotated[
        Path | None, typer.Option(help="A folder for the tables and figures; default: SHOP/experiments.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 42,
    sample: Annotated[
        int | None, typer.Option(min=2, help="At most so many photos (views) or shoppers (benchmark).")
    ] = None,
    repeats: Annotated[
        bool, typer.Option("--repeats", help="benchmark: what a shopper bought before counts again.")
    ] = False,
) -> None:
    """Work out the paper's tables for this shop, how well its photos find each other, or who ranks best."""
    from modiste.evaluation import evaluate as run
    from modiste.evaluation import evaluate_views
    from modiste.evaluation.benchmark import Protocol, benchmark, data_of
    from modiste.evaluation.views import SAMPLE

    with _open(path) as shop:
        folder = out or path / "experiments"
        if what == "views":
            with _progress("embedding without masks") as progress:
                report = evaluate_views(shop, folder, sample=sample or SAMPLE, seed=seed, progress=progress)
        elif what == "benchmark":
            protocol = Protocol(seed=seed, repeats=repeats, **({"sample": sample} if sample else {}))
            with _progress("judging") as progress:
                report = benchmark(
                    data_of(shop), protocol, folder, title=f"Benchmark of {shop.name}", progress=progress
                )
        else:
            report = run(shop, what, folder, seed=seed)
    print(report.markdown)
    _console(stderr=True).print(f"wrote {folder}")


@app.command(epilog="Examples: modiste compare street balanced paper | modiste compare street home home-2 --top 12")
def compare(
    path: ShopPath,
    a: Annotated[str, typer.Argument(metavar="A", help="A scenario, or a preset: balanced, paper, visual.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    top: Annotated[int, typer.Option(min=2, max=1000, help="How long the mixed list is.")] = 20,
    sample: Annotated[int, typer.Option(min=2, help="At most so many shoppers.")] = 2000,
    seed: Annotated[int, typer.Option(min=0)] = 42,
) -> None:
    """Mix the lists of two settings for shoppers whose last purchase is left out, and count whose pick they bought."""
    from modiste.evaluation.comparing import compare as run

    with _open(path) as shop, _progress("comparing") as progress:
        found = run(shop, a, b, top=top, sample=sample, seed=seed, progress=progress)
    chose = found.wins_a + found.wins_b
    _console().print(f"A is {a}, B is {b}; of {found.shoppers} shoppers {chose} bought something that was shown.")
    _console().print(found.verdict.words, highlight=False, soft_wrap=True)


@app.command(
    epilog="Examples: modiste tune street | modiste tune street --use own | modiste tune street --use defaults"
)
def tune(
    path: ShopPath,
    name: Annotated[str, typer.Option(help="What to keep the weights under.")] = "own",
    weeks: Annotated[float, typer.Option(min=1, max=520, help="The last weeks, to judge by.")] = 8,
    use: Annotated[
        str | None, typer.Option(metavar="NAME", help="Learn nothing; use these weights from now on, or: defaults.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 42,
) -> None:
    """Learn the choice model's weights from the shop's own orders; nothing changes until --use says so."""
    from rich.table import Table

    from modiste.behaviour.choice import DEFAULT

    console = _console()
    with _open(path) as shop:
        if use is not None:
            shop.tunings.use(None if use == "defaults" else use)
            console.print(f"{path} uses {_plain(use)} from now on", highlight=False)
            return
        with _progress("reading choices") as progress:
            made = shop.tunings.learn(name, weeks, seed, progress)
    table = Table("feature", "weight", "standard error", "default", box=None)
    for feature, weight in made.model.weights.items():
        default = f"{DEFAULT.weights[feature]:.2f}" if feature in DEFAULT.weights else ""
        table.add_row(feature, f"{weight:.3f}", f"{made.errors[feature]:.3f}", default)
    console.print(table)
    prior, (mean, sd), gain, recall = made.model.prior, made.prior_errors, made.likelihood, made.recall
    console.print(f"half-life {made.model.half_life:g} days (default {DEFAULT.half_life:g})", highlight=False)
    console.print(f"theta: mean {prior.mean:.2f} ± {mean:.2f}, spread {prior.sd:.2f} ± {sd:.2f}", highlight=False)
    console.print(
        f"on {made.judged} purchases of the last {made.weeks:g} weeks, by weights that had not seen them, against the "
        f"defaults:\n  log-likelihood {gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}] a purchase\n"
        f"  recall@20 {recall.mean:+.1f} [{recall.low:+.1f}, {recall.high:+.1f}] points",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if gain.low <= 0:
        console.print("so they are not shown to be better than the defaults")
    if made.simulated:
        console.print("the purchases are simulated: this says nothing of people")
    console.print(f"nothing has changed; to use it: modiste tune {path} --use {_plain(name)}", soft_wrap=True)


@scenarios.command("list", epilog="Example: modiste scenario list street")
def list_scenarios(path: ShopPath) -> None:
    """List the scenarios, with who changed each last, when and why."""
    from rich.table import Table

    table = Table("name", "version", "changed (UTC)", "by", "reason", "rules", "about", box=None)
    with _open(path) as shop:
        for one in shop.scenarios.all():
            cells = (one.name, str(one.version), f"{one.at:%Y-%m-%d %H:%M}", one.author, one.reason)
            table.add_row(*map(_plain, (*cells, len(one.scenario.rules), one.scenario.about)))
    if not table.rows:
        _console().print(f"none yet; make one with: modiste scenario set {path} NAME FILE", soft_wrap=True)
        return
    _console().print(table)


@scenarios.command(epilog="Examples: modiste scenario show street home > home.toml | ... show street home --versions")
def show(
    path: ShopPath,
    name: ScenarioName,
    versions: Annotated[bool, typer.Option("--versions", help="All versions, and what each changed.")] = False,
) -> None:
    """Print a scenario as the file that makes it."""
    from modiste.shop.scenarios import changes

    with _open(path) as shop:
        if not versions:
            found = shop.scenarios[name]
            print(f"# {name}, {_changed(found)}")
            print(found.scenario.as_toml(), end="")
            return
        many = shop.scenarios.versions(name)
    for one, before in zip(many, [*many[1:], None], strict=True):
        print(_changed(one))
        for change in changes(before.scenario if before else None, one.scenario):
            print(f"  {change.what}: {change.before or 'nothing'} -> {change.after or 'nothing'}")


@scenarios.command(
    "set",
    cls=AskCommand,
    epilog="Examples: modiste scenario set street home home.toml --reason winter | ... set street home --top 8",
)
def set_scenario(
    context: typer.Context,
    path: ShopPath,
    name: ScenarioName,
    file: Annotated[Path | None, typer.Argument(help="A TOML or JSON file; default: what it is now.")] = None,
    author: Author = None,
    reason: Reason = "",
) -> None:
    """Make a scenario, or a new version of it, from a file; options change single settings."""
    from modiste.scenario import Scenario

    with _open(path) as shop:
        there = name in shop.scenarios
        start = Scenario.load(file) if file else shop.scenarios[name].scenario if there else Scenario.of({})
        made = Scenario.of(start.as_data() | context.meta["ask"])
        before = shop.scenarios[name].version if there else 0
        done = shop.scenarios.put(name, made, author=author or _login(), reason=reason)
    same = " (nothing differs)" if done.version == before else ""
    _console().print(f"{name} has version {done.version}{same}; to undo: modiste scenario undo {path} {name}")


@scenarios.command(epilog="Examples: modiste scenario undo street home | modiste scenario undo street home --to 3")
def undo(
    path: ShopPath,
    name: ScenarioName,
    to: Annotated[int | None, typer.Option(min=1, help="Which version to bring back; default: the one before.")] = None,
    author: Author = None,
    reason: Reason = "",
) -> None:
    """Bring back an earlier version of a scenario, as a new version."""
    with _open(path) as shop:
        done = shop.scenarios.undo(name, to, author=author or _login(), reason=reason)
    gone = "" if done.scenario else ": there is no such scenario from now on"
    _console().print(f"{name} has version {done.version}, {_plain(done.reason)}{gone}", highlight=False)


@scenarios.command(epilog="Example: modiste scenario remove street home --reason 'the page is gone'")
def remove(path: ShopPath, name: ScenarioName, author: Author = None, reason: Reason = "") -> None:
    """Remove a scenario; undo brings it back."""
    with _open(path) as shop:
        shop.scenarios.remove(name, author=author or _login(), reason=reason)
    _console().print(f"removed {name}; to bring it back: modiste scenario undo {path} {name}")


@scenarios.command(
    cls=AskCommand,
    epilog="Examples: modiste scenario preview street home home.toml | ... preview street home --top 8 --all",
)
def preview(
    context: typer.Context,
    path: ShopPath,
    name: ScenarioName,
    file: Annotated[Path | None, typer.Argument(help="A TOML or JSON file; default: what it is now.")] = None,
    sample: Annotated[int, typer.Option(min=1, help="So many shoppers.")] = 500,
    everybody: Annotated[bool, typer.Option("--all", help="All shoppers, exactly.")] = False,
) -> None:
    """Tell what setting a scenario would do to the lists of shoppers; nothing is changed."""
    from modiste.scenario import Scenario

    with _open(path) as shop, _progress("making lists") as progress:
        there = name in shop.scenarios
        start = Scenario.load(file) if file else shop.scenarios[name].scenario if there else Scenario.of({})
        made = Scenario.of(start.as_data() | context.meta["ask"])
        told = shop.scenarios.preview(name, made, sample=None if everybody else sample, progress=progress)
    _print_preview(told)


def _print_preview(told: "Preview") -> None:
    """The share of lists that change, a table of what is shown, what moves, and examples."""
    from rich.table import Table

    console, all_of = _console(), told.everybody
    margin = f" [{told.margin[0]:.0f}% to {told.margin[1]:.0f}% of all {told.population}]" if told.margin else ""
    console.print(f"of {all_of.shoppers} shoppers' lists {all_of.changed:.1f}% change{_plain(margin)}", highlight=False)
    table = Table("shoppers who", "changed", "popularity", "price", "categories a list", "coverage", box=None)
    for group in (all_of, *told.thirds):
        pairs = [
            f"{_figure(getattr(group.before, name))} → {_figure(getattr(group.after, name))}"
            for name in ("popularity", "price", "variety", "coverage")
        ]
        table.add_row(f"{group.name} ({group.shoppers})", f"{group.changed:.1f}%", *pairs)
    console.print(table)
    for what, movers in (("more often", told.rises), ("less often", told.falls)):
        if movers:
            said = ", ".join(f"{one.item_id} {one.before} → {one.after}" for one in movers)
            console.print(f"{what}: {_plain(said)}", highlight=False, soft_wrap=True)
    marks = {"new": "+", "rose": "▲", "fell": "▼", "same": "="}
    for example in told.examples:
        now = "  ".join(f"{marks[one.mark]}{one.recommendation.item_id}" for one in example.moved)
        gone = "  ".join(f"×{one.recommendation.item_id}" for one in example.dropped)
        console.print(
            f"shopper {_plain(example.shopper_id)}: {_plain(now)}  {_plain(gone)}", highlight=False, soft_wrap=True
        )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _changed(version: "Version") -> str:
    """When, by whom and why a version was made."""
    by = f" by {version.author}" if version.author else ""
    return f"version {version.version}, {version.at:%Y-%m-%d %H:%M} UTC{by}" + (
        f": {version.reason}" if version.reason else ""
    )


def _login() -> str:
    from getpass import getuser

    try:
        return getuser()
    except (OSError, KeyError):  # in a container, whose user has no name
        return ""


@backbones.command("list")
def list_all() -> None:
    """List the networks that are installed, and those that can be exported."""
    from rich.table import Table

    from modiste.vision.backbones import broken_entries, list_backbones

    table = Table("name", "dimension", "crop", "licence", "where from", box=None)
    for spec in list_backbones():
        table.add_row(spec.name, str(spec.dim), spec.crop, spec.licence, spec.origin)
    _console().print(table)
    for fault in broken_entries():
        _console(stderr=True).print(f"[yellow]left out:[/] {_plain(fault)}", highlight=False, soft_wrap=True)
    _console().print("to export: resnet50, densenet121, vgg16 (modiste backbones export NAME)")


@backbones.command("export", epilog="Example: modiste backbones export resnet50 --weights resnet50-11ad3fa6.pth")
def export(
    name: Annotated[str, typer.Argument(help="resnet50, densenet121 or vgg16.")],
    weights: Annotated[Path | None, typer.Option(help="A state dict file; default: download torchvision's.")] = None,
) -> None:
    """Write one of the paper's backbones as a checked ONNX file to the cache (needs the extra [export])."""
    from modiste.vision.export import export_backbone

    _console().print(f"wrote {export_backbone(name, weights)}")


@app.command(epilog="Examples: modiste demo demo-shop | modiste demo demo-shop --serve")
def demo(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="SHOP", help="Where to make it; made anew each time, but by --serve only if it isn't there."
        ),
    ] = Path("demo-shop"),
    products: Annotated[int, typer.Option(min=18, max=160, help="How many garments, each from two views.")] = 160,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulated year.")] = 42,
    keep_serving: Annotated[
        bool | None,
        typer.Option("--serve/--no-serve", help="Then serve its page until Ctrl-C; by default on a terminal."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the page.")] = 8000,
) -> None:
    """Unpack a look book, embed it, simulate a year and recommend: everything at once."""
    if keep_serving and (path / "shop.db").exists():
        serve(path, port=port)
        return
    _make_demo(path, products, seed)
    if keep_serving or (keep_serving is None and sys.stdout.isatty()):
        serve(path, port=port)
    else:
        command = "modiste" if which("modiste") else sys.argv[0]  # a newcomer's lies in .venv/bin, not on her path
        _console().print(f"the page: http://127.0.0.1:{port}/ after: {command} demo {path} --serve", soft_wrap=True)


def _make_demo(path: Path, products: int, seed: int) -> None:
    from modiste.demo import unpack
    from modiste.shop.shop import Shop

    _clear_demo(path)
    with _progress("unpacking the look book") as progress:
        book = unpack(path / "book", products, progress)
    with Shop.create(path) as shop:
        with _progress("checking photos") as progress:
            report = shop.items.add(book.photos, book.masks, progress)
        with _progress("embedding", "photos") as progress:
            shop.vectors.embed(progress=progress)
        made = shop.simulate(seed=seed)
        someone = made.purchases["shopper_id"].value_counts(sort=True)["shopper_id"][0]
        lists = shop.recommend_each(someone)
        photos = {bought: shop.items[bought]["image"] for bought, _ in lists}
        _write_page(path / "recommendations.html", lists, photos, shop.shoppers[someone].trendiness, someone)
        _print_table(f"for shopper {someone}", shop.recommend(someone))
    _report(report.rejected, path, False)
    _console().print(f"{report.added} items, {made.purchases.height} purchases in {path.resolve()}")
    _console().print(f"pictures: {(path / 'recommendations.html').resolve()}", soft_wrap=True)


@app.command(epilog="Example: modiste serve street --port 8000; then open http://127.0.0.1:8000/")
def serve(
    path: ShopPath,
    host: Annotated[
        str, typer.Option(help="The address to bind to; another than this machine's own needs a key and MODISTE_HOSTS.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many processes.")] = 1,
) -> None:
    """Serve the shop: its page for the merchandiser and the routes under /v1, until Ctrl-C."""
    try:
        from modiste.server import app as service
    except ModuleNotFoundError as error:
        raise MissingExtraError("server", "modiste serve") from error

    _, asks = service.check(path, host)
    bound = service.listening(host, port)
    console = _console(stderr=True)
    if not asks:
        console.print("nobody has an account or a key yet: only this machine can read and write", highlight=False)
    console.print(f"the page: http://{f'[{host}]' if ':' in host else host}:{port}/ (Ctrl-C stops)", soft_wrap=True)
    service.serve(path, bound, workers)


@keys.command(
    "add",
    epilog="Examples: modiste key add street back-end --role server | "
    "modiste key add street pages --role publishable --origin https://shop.example",
)
def add_key(
    path: ShopPath,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    role: Annotated[
        str,
        typer.Option(
            help="publishable (shows lists on web pages), viewer (reads), server (what a back end needs), admin (all)."
        ),
    ],
    origin: Annotated[
        list[str] | None, typer.Option(help="Of pages that may use a publishable one; may be given again.")
    ] = None,
    per_minute: Annotated[
        int | None, typer.Option(help="The most requests; of a publishable one, from each address.")
    ] = None,
) -> None:
    """Make a key and print it, this once. As soon as there is one, everybody needs a key or an account."""
    with _open(path) as shop:
        print(shop.keys.add(name, role, origins=origin or (), per_minute=per_minute))
        _note(shop, f"make a {role} key", name)


@keys.command("list", epilog="Example: modiste key list street")
def list_keys(path: ShopPath) -> None:
    """List the keys, without their secrets."""
    with _open(path) as shop:
        for one in shop.keys.by_digest().values():
            about = [one.role, *one.origins, f"{one.per_minute} a minute", f"made {one.made:%Y-%m-%d}"]
            _console().print(_plain(f"{one.name}: {', '.join(about)}"), highlight=False, soft_wrap=True)


@keys.command("withdraw", epilog="Example: modiste key withdraw street back-end")
def withdraw_key(path: ShopPath, name: Annotated[str, typer.Argument()]) -> None:
    """Withdraw a key: a running service refuses it within two seconds."""
    with _open(path) as shop:
        shop.keys.remove(name)
        _note(shop, "withdraw a key", name)
        _console().print(f"withdrew {_plain(name)}", highlight=False)


@app.command(epilog="Examples: modiste report street | modiste report street --since 2026-01-01 --within 14 --json")
def report(
    path: ShopPath,
    since: Annotated[str | None, typer.Option(metavar="DATE", help="Lists that were seen from then on.")] = None,
    until: Annotated[str | None, typer.Option(metavar="DATE", help="And before then.")] = None,
    within: Annotated[float, typer.Option(min=0.01, max=90, help="Days after a click in which a sale counts.")] = 7.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what came of the lists on the shop's pages: seen, clicked, in the cart, bought and kept."""
    from dataclasses import asdict

    from rich.table import Table

    from modiste.catalog.values import moment

    with _open(path) as shop:
        times = [None if one is None else moment(one) for one in (since, until)]
        found = shop.storefront.funnel(*times, days=within)
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=2))
        return
    if not found:
        _console().print("no list was seen yet; docs/how-to/storefront.md tells how pages show lists and report them")
        return
    table = Table("placement", "scenario", "A/B test", "lists", "people", "clicked", "cart", "bought", "back", box=None)
    for one in found:
        test = f"{one.experiment} {one.variant}" if one.experiment else ""
        steps = (f"{100 * share.share:.2f}% ({100 * share.low:.2f} to {100 * share.high:.2f})"
                 for share in (one.clicked, one.cart, one.bought))  # fmt: skip
        back = f"{one.returned} of {one.pieces}"
        cells = (one.placement, one.scenario or "", test, one.lists, one.people, *steps, back)
        table.add_row(*map(_plain, cells))
    _console().print(table)


@ab.command(
    "start",
    epilog="Example: modiste ab start street winter --a product-page --b product-page-2 --rate 0.02 --lift 0.1",
)
def start_test(
    path: ShopPath,
    name: Annotated[str, typer.Argument(help="What to call it.")],
    a: Annotated[str, typer.Option("--a", help="The scenario that is used now.")],
    b: Annotated[str, typer.Option("--b", help="The scenario that may be better.")],
    placement: Annotated[str | None, typer.Option(help="Where; default: as A is called.")] = None,
    counts: Annotated[str, typer.Option(help="What a shopper must do: clicked, cart or bought.")] = "bought",
    within: Annotated[float, typer.Option(help="Days after she first saw a list.")] = 7.0,
    rate: Annotated[
        float | None, typer.Option(help="The share who do it now; default: as measured in the last 28 days.")
    ] = None,
    lift: Annotated[float, typer.Option(help="The change to find: 0.1 is a tenth more.")] = 0.1,
    interleave: Annotated[
        bool, typer.Option("--interleave", help="Both lists in one, counting clicks: quicker.")
    ] = False,
) -> None:
    """Let each half of the shoppers see one of two scenarios from now on; says how many shoppers it takes."""
    with _open(path) as shop:
        made = shop.ab.start(name, a, b, placement=placement, counts=counts, days=within, rate=rate, lift=lift,
                             interleaved=interleave)  # fmt: skip
        _note(shop, "start an A/B test", name)
    needed = "shoppers who prefer one of the two" if interleave else "shoppers"
    _console().print(
        f"{name} runs on {made.placement}; about {made.planned} {needed} find such a difference with a chance of 80%; "
        f"look when you like: modiste ab report {path} {name}",
        soft_wrap=True, highlight=False,
    )  # fmt: skip


@ab.command("report", epilog="Example: modiste ab report street winter")
def report_test(
    path: ShopPath, name: Annotated[str | None, typer.Argument(help="Default: all that run.")] = None
) -> None:
    """Tell how a test stands. Look every day: it raises no more false alarms."""
    with _open(path) as shop:
        names = [name] if name else [one.name for one in shop.ab.all() if one.stopped is None]
        for one in names:
            _print_standing(shop.ab.report(one))
    if not names:
        _console().print(f"no test runs; start one with: modiste ab start {path} NAME --a SCENARIO --b SCENARIO")


@ab.command("stop", epilog="Example: modiste ab stop street winter")
def stop_test(path: ShopPath, name: Annotated[str, typer.Argument()]) -> None:
    """Stop a test, and tell how it stands. To keep what won, put its scenario under the placement's name."""
    with _open(path) as shop:
        _print_standing(shop.ab.stop(name))
        _note(shop, "stop an A/B test", name)


def _print_standing(found: "Standing") -> None:
    test = found.experiment
    state = "runs" if test.stopped is None else f"stopped {test.stopped:%Y-%m-%d}"
    lines = [f"{test.name}: A {test.a}, B {test.b} on {test.placement}, since {test.started:%Y-%m-%d}, {state}"]
    lines += [found.verdict.words, *(f"Take care: {one}" for one in found.verdict.warnings)]
    if found.waiting:
        lines.append(f"{found.waiting} more saw a list less than {test.days:g} days ago.")
    if found.both:
        lines.append(f"{found.both} saw both sides and are left out.")
    if found.days_left and found.verdict.state == "open":
        lines.append(f"At this pace the planned number is reached in {found.days_left:.0f} days.")
    for line in lines:
        _console().print(_plain(line), soft_wrap=True, highlight=False)


@users.command("add", epilog="Example: modiste user add street anna --role merchandiser")
def add_user(
    path: ShopPath,
    name: Annotated[str, typer.Argument(help="Under which she logs in.")],
    role: Annotated[
        str, typer.Option(help="viewer (reads), merchandiser (also changes what is shown), admin (everything).")
    ],
) -> None:
    """Make an account; the password is asked for, or read from standard input.

    As soon as there is one, everybody logs in or sends a key.
    """
    with _open(path) as shop:
        shop.users.add(name, _password(), role)
        _note(shop, f"make an account of a {role}", name)
        _console().print(f"{_plain(name)} may log in as {role}", highlight=False)


@users.command("list", epilog="Example: modiste user list street")
def list_users(path: ShopPath) -> None:
    """List the accounts."""
    with _open(path) as shop:
        for one in shop.users.all():
            _console().print(_plain(f"{one.name}: {one.role}, made {one.made:%Y-%m-%d}"), highlight=False)


@users.command("change", epilog="Examples: modiste user change street anna --role admin | ... anna --password")
def change_user(
    path: ShopPath,
    name: Annotated[str, typer.Argument()],
    role: Annotated[str | None, typer.Option(help="viewer, merchandiser or admin.")] = None,
    password: Annotated[bool, typer.Option("--password", help="Ask for another one.")] = False,
) -> None:
    """Give somebody another role or password; she must log in again."""
    with _open(path) as shop:
        shop.users.change(name, role=role, password=_password() if password else None)
        given = [f"the role {role}"] * (role is not None) + ["another password"] * password
        _note(shop, f"give an account {' and '.join(given) or 'nothing'}", name)
        _console().print(f"changed {_plain(name)}", highlight=False)


@users.command("remove", epilog="Example: modiste user remove street anna")
def remove_user(path: ShopPath, name: Annotated[str, typer.Argument()]) -> None:
    """Take an account away, and log it out everywhere."""
    with _open(path) as shop:
        shop.users.remove(name)
        _note(shop, "remove an account", name)
        _console().print(f"removed {_plain(name)}", highlight=False)


@app.command(epilog="Example: modiste audit street --last 50")
def audit(
    path: ShopPath,
    last: Annotated[int, typer.Option(min=1, max=100_000, help="How many changes.")] = 100,
) -> None:
    """Tell who changed what within a year, the newest first."""
    with _open(path) as shop:
        for one in shop.audit.frame(last).iter_rows(named=True):
            about = f": {one['about']}" if one["about"] else ""
            _console().print(
                _plain(f"{one['at']:%Y-%m-%d %H:%M} {one['who']}: {one['what']}{about}"),
                highlight=False,
                soft_wrap=True,
            )


def _note(shop: Any, what: str, about: str = "") -> None:
    """A line in the audit trail: whoever is logged in to this machine did it."""
    from getpass import getuser

    try:
        who = getuser()
    except (OSError, KeyError, ImportError):  # an account without a name, as containers have
        who = "somebody"
    shop.audit.add(f"{who} by command", what, about)


def _password() -> str:
    """Asked for twice on a terminal; elsewhere the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("password", hide_input=True, confirmation_prompt="once more", err=True))


@app.command(epilog="Example: modiste status street")
def status(path: ShopPath) -> None:
    """Tell what is in the shop, what is missing and what to do next."""
    with _open(path) as shop:
        found = shop.status()
    have, console = found.coverage, _console()
    lines = {
        "items": f"{have.items}, {found.on_offer} on offer",
        "photos": f"{have.photos}, {have.vectors} with a vector",
        "shoppers": str(have.shoppers),
        "events": ", ".join(f"{n} {kind}" for kind, n in sorted(found.events.items())) or "none",
        "last bought": f"{have.last_purchase:%Y-%m-%d %H:%M}" if have.last_purchase else "never",
    }
    if have.last_sync:
        said = ", ".join(f"{count} {what}" for what, count in have.synced.items() if count)
        lines["last sync"] = f"{have.last_sync:%Y-%m-%d %H:%M} UTC: {said or 'nothing new'}"
    for name, value in lines.items():
        console.print(f"{name:12}{value}", highlight=False)
    for step in found.next_steps(str(path)):
        console.print(f"{'next':12}{_plain(step)}", highlight=False, soft_wrap=True)


@app.command(epilog="Examples: modiste forget street --shopper 4711 | modiste forget street --purchase 12")
def forget(
    path: ShopPath,
    shopper: Annotated[str | None, typer.Option(help="Whom to forget, with all that she did.")] = None,
    purchase: Annotated[int | None, typer.Option(help="Or: one event to take back; modiste export has its id.")] = None,
) -> None:
    """Forget a shopper so that nothing of her stays in the shop's folder, or take one purchase back."""
    if (shopper is None) == (purchase is None):
        raise SettingError("name a shopper or a purchase, one of the two")
    with _open(path) as shop:
        if shopper is None:
            shop.purchases.remove(purchase)
            _note(shop, "take a purchase back")
            _console().print(f"took back {purchase}")
            return
        from modiste.shop.sync import Sources

        for page in shop.forget(shopper):
            _console().print(f"deleted {page}, which named her", soft_wrap=True)
        if (sources := Sources.of(shop.path)) and sources.orders:
            _console(stderr=True).print(
                f"[yellow]warning:[/] take her out of {_plain(sources.orders)} too: modiste sync brings its orders",
                soft_wrap=True,
            )
        _note(shop, "forget a shopper")
    _console().print("forgotten; copies of the shop and of its pages elsewhere are yours to delete")


@app.command(
    "export",
    epilog="Examples: modiste export street --shopper 4711 | modiste export street --form recbole --out street-recbole",
)
def export_data(
    path: ShopPath,
    shopper: Annotated[str | None, typer.Option(help="Print all that is known of this shopper, as JSON.")] = None,
    form: Annotated[str | None, typer.Option(help="Write the catalogue and the purchases: recbole or lenskit.")] = None,
    out: Annotated[Path | None, typer.Option(help="A folder for those files.")] = None,
) -> None:
    """Give out what is known of a shopper, or all that was bought in the form of another recommender's library."""
    if (shopper is None) == (form is None) or (form is None) != (out is None):
        raise SettingError("say --shopper ID, or --form recbole with --out FOLDER")
    with _open(path) as shop:
        if shopper is not None:
            print(json.dumps(shop.known_of(shopper), indent=2, default=str))
        elif form is not None and out is not None:
            from modiste.shop.datasets import export_dataset as run

            _console().print(f"wrote {', '.join(map(str, run(shop, out, form)))}")


@app.command(epilog="Example: modiste backup street backups/2026-11-25")
def backup(
    path: ShopPath,
    to: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for the copy.")],
) -> None:
    """Copy a shop as it is at one moment, while it goes on being served; the copy is a shop itself."""
    with _open(path) as shop:
        _console().print(f"copied to {shop.backup(to)}", soft_wrap=True)


@app.command(epilog="Examples: modiste check street | modiste check street --mend")
def check(
    path: ShopPath,
    mend: Annotated[bool, typer.Option("--mend", help="Make anew what can be, and delete what is left over.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Read neither the photos nor the files in cache, only the tables.")
    ] = False,
) -> None:
    """Find what is stale, missing, foreign or left over: vectors, counts, photos, files. Exit with 1 if some stays.

    Without --mend nothing is changed.
    """
    with _open(path) as shop:
        findings = shop.check("all" if mend else "nothing", thorough=not quick)
    console, left = _console(), [one for one in findings if not one.mended]
    for one in findings:
        state = "[green]mended:[/]" if one.mended else "[yellow]found:[/]"
        console.print(f"{state} {_plain(one.said)}", highlight=False, soft_wrap=True)
    if not findings:
        console.print("everything is as it should be")
    elif any(one.derived or one.kind != "missing" for one in left):
        console.print(f"to mend: modiste check {path} --mend", highlight=False, soft_wrap=True)
    if left:
        raise typer.Exit(1)


@app.command(epilog="Example: modiste weigh street --view 0.02 --cart 0.2")
def weigh(
    path: ShopPath,
    purchase: Annotated[float | None, typer.Option(min=0, help="What a purchase counts; at first 1.")] = None,
    cart: Annotated[float | None, typer.Option(min=0, help="What something in a cart counts; at first 0.")] = None,
    view: Annotated[float | None, typer.Option(min=0, help="What a view counts; at first 0.")] = None,
) -> None:
    """Let carts and views count in popularity too, or purchases otherwise; all of them are counted anew."""
    given = {"purchase": purchase, "cart": cart, "view": view}
    weights = {kind: weight for kind, weight in given.items() if weight is not None}
    if not weights:
        raise SettingError("say what an event counts: --purchase, --cart or --view")
    with _open(path) as shop:
        shop.purchases.weigh(**weights)
        _console().print(f"counted {len(shop.purchases)} purchases")


@app.command()
def doctor() -> None:
    """Tell what is installed, what is missing, and how to mend it."""
    import platform
    from importlib.metadata import version

    from modiste import __version__
    from modiste.extras import extras, install_command, versions
    from modiste.vision.backbones import broken_entries, cache_folder, list_backbones, verify

    console = _console()
    console.print(f"modiste {__version__}, Python {platform.python_version()}, {platform.platform()}", highlight=False)
    for package in ("numpy", "polars", "pillow", "onnxruntime", "sqlalchemy", "matplotlib"):
        console.print(f"  {package} {version(package)}", highlight=False)
    broken = False
    for spec in list_backbones():
        fault = verify(spec)
        broken |= fault is not None
        console.print(f"  model {spec.name}: {'ok' if fault is None else _plain(fault)}", highlight=False)
    for fault in broken_entries():
        broken = True
        console.print(f"  model left out: {_plain(fault)}", highlight=False)
    for extra in extras():
        missing = [name for name, installed in versions(extra).items() if installed is None]
        state = f"not installed ({', '.join(missing)}); to install: {install_command(extra)}"
        if not missing:
            state = ", ".join(f"{name} {installed}" for name, installed in versions(extra).items())
        console.print(f"  extra {extra}: {_plain(state)}", highlight=False, soft_wrap=True)
    console.print(f"  models of your own: {cache_folder()}", highlight=False, soft_wrap=True)
    if broken:
        raise typer.Exit(1)


def _open(path: Path) -> Any:
    from modiste.shop.shop import Shop

    return Shop.open(path)


def _colour(fill: str) -> tuple[int, int, int]:
    try:
        red, green, blue = (int(part) for part in fill.split(","))
    except ValueError as error:
        raise SettingError(f"--fill takes red,green,blue, such as 255,255,255; not {fill!r}") from error
    if not all(0 <= level <= 255 for level in (red, green, blue)):
        raise SettingError(f"--fill {fill}: each level is 0 to 255")
    return red, green, blue


def _clear_demo(path: Path) -> None:
    """Remove an earlier demo; refuse a folder that holds anything else."""
    import shutil

    ours = {"book", "shop.db", "shop.db-wal", "shop.db-shm", "recommendations.html", "experiments", "uploads", "cache"}
    if path.exists():
        if not path.is_dir() or {one.name for one in path.iterdir()} - ours:
            raise SettingError(f"{path} holds other things than a demo shop; choose another place: modiste demo PATH")
        shutil.rmtree(path)


def _write_page(
    file: Path,
    lists: "Sequence[tuple[str, Sequence[Recommendation]]]",
    photos: dict[str, str | None],
    trendiness: float | None,
    who: str,
) -> None:
    from modiste.shop.recommendations import page

    caption = f"trendiness {trendiness:.2f}" if trendiness is not None else ""
    sections = [
        (f"Because of {bought}" if bought else f"For {who}", caption, photos.get(bought), many)
        for bought, many in lists
    ]
    file.write_text(page(f"Recommendations for {who}", sections), encoding="utf-8")


def _print_table(title: str, found: "Sequence[Recommendation]") -> None:
    """One line of numbers a recommendation, and its reason in a line below."""
    console = _console()
    if not found:
        console.print(f"{title}: nothing to recommend")
        return
    console.print(f"[bold]{_plain(title)}[/]", highlight=False)
    for place, one in enumerate(found, 1):
        terms = " + ".join(f"{name} {value:.3f}" for name, value in one.terms.items() if abs(value) >= 0.0005) or "0"
        category = (one.category or "").replace("_", " ")
        store = "" if one.distance_km is None else f"  {one.distance_km:.1f} km"
        console.print(
            f"{place:>2}. [bold]{_plain(one.item_id)}[/]  {category}  {one.relevance:.3f} = {terms}{store}",
            highlight=False,
            soft_wrap=True,
        )
        because = f" (because of {one.because})" if one.because else ""
        ruled = "".join(f"; {said}" for said in one.rules)
        console.print(f"    [dim]{_plain(one.why)}{_plain(because)}{_plain(ruled)}[/]", highlight=False, soft_wrap=True)


def _report(
    rejected: "list[Rejected]", path: Path | None, strict: bool, what: str = "not taken", shown: int = 10
) -> None:
    """Count what was not taken (or remarked), show the first rows, write all of them to a file in ``path``."""
    if not rejected:
        return
    console = _console(stderr=True)
    console.print(f"[yellow]{len(rejected)} {what}:[/]")
    for one in rejected[:shown]:
        console.print(f"  {_plain(one)}", highlight=False)
    if len(rejected) > shown and path is None:
        console.print(f"  and {len(rejected) - shown} more")
    elif len(rejected) > shown and path is not None:
        file = path / f"{what.replace(' ', '-')}.txt"
        file.write_text("".join(f"{one}\n" for one in rejected), encoding="utf-8")
        console.print(f"  and {len(rejected) - shown} more: all in {file}", highlight=False)
    if strict:
        raise typer.Exit(1)


class Estimate:
    """Says once how long work of many pieces will take, by the speed of the first ones, if that is long.

    ``clock`` gives seconds. Where the first pieces took AFTER seconds, and the others are likely to take LONG or more,
    ``say`` gets a sentence.
    """

    AFTER, LONG = 3.0, 60.0

    def __init__(self, what: str, say: Callable[[str], object], clock: Callable[[], float] = monotonic) -> None:
        self._what, self._say, self._clock = what, say, clock
        self._first: tuple[float, int] | None = None
        self._said = False

    def __call__(self, done: int, total: int) -> None:
        """So many of ``total`` are done."""
        now = self._clock()
        if self._first is None:  # what was loaded before the first one is not counted
            self._first = now, done
        since, before = self._first
        if self._said or now - since < self.AFTER or done <= before:
            return
        self._said, left = True, (total - done) * (now - since) / (done - before)
        if left >= self.LONG:
            minutes = round(left / 60)
            self._say(f"{total:,} {self._what}, about {minutes} {'minute' if minutes == 1 else 'minutes'} to go")


@contextmanager
def _progress(label: str, what: str = "") -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal (rate and time left), nothing where the output goes to a file; for pieces called ``what``
    an estimate too, in either case."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = _console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(label, total=None, rate="")
        estimate = Estimate(what, bar.console.print) if what else None

        def advance(done: int, total: int) -> None:
            if estimate:
                estimate(done, total)
            speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
            bar.update(task, completed=done, total=total, rate=f"{speed:.0f}/s" if speed else "")

        yield advance


def _console(stderr: bool = False) -> Any:
    from rich.console import Console

    return Console(stderr=stderr)


def _plain(text: object) -> str:
    from rich.markup import escape

    return escape(str(text))
