"""The commands. A door: it reads arguments, calls the shop and prints; every import of weight waits for its command."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from modiste.errors import MissingExtraError, ModisteError, SettingError

if TYPE_CHECKING:
    from modiste.catalog.items import Rejected
    from modiste.shop.recommendations import Recommendation

app = typer.Typer(
    name="modiste",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Explained fashion recommendations from garment photos, purchases and each shopper's taste for trends.",
    epilog="Example: modiste new street && modiste add items street photos.csv && modiste embed street",
)
add = typer.Typer(no_args_is_help=True, help="Add items, stores or purchases to a shop.")
backbones = typer.Typer(no_args_is_help=True, help="List the networks that embed photos, or export one of the paper's.")
app.add_typer(add, name="add")
app.add_typer(backbones, name="backbones")

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended, as shells have it."""

ShopPath = Annotated[Path, typer.Argument(metavar="SHOP", help="The shop's folder.", show_default=False)]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 if any row or file was not taken.")]


class AskCommand(TyperCommand):
    """A command that takes the fields of :class:`~modiste.ask.Ask` as options too; ``meta["ask"]`` has those given."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its own options, those of Ask, and --help."""
        *own, last = super().get_params(ctx)
        return [*own, *_ask_options(), last]

    def invoke(self, ctx: Any) -> Any:
        """Run it, with what was asked apart from its own options."""
        from modiste.ask import Ask

        given = {name: ctx.params.pop(name, None) for name in Ask.model_fields}
        ctx.meta["ask"] = {name: value for name, value in given.items() if value not in (None, (), [])}
        return super().invoke(ctx)


def _ask_options() -> list[Any]:
    """The fields of Ask as options; what is given is validated there."""
    from inspect import Parameter, Signature

    from modiste.ask import Ask

    parameters = []
    for name, about in Ask.model_json_schema()["properties"].items():
        kind = next((one for one in about.get("anyOf", [about]) if one.get("type") != "null"), about)
        many, words = kind.get("type") == "array", {"number": "NUMBER", "integer": "INTEGER"}
        default = about.get("default") or ""
        option = typer.Option(
            f"--{name.replace('_', '-')}",
            help=about["description"] + (" May be given again." if many else default and f" Default: {default}."),
            metavar="|".join(kind["enum"]) if "enum" in kind else words.get(kind.get("type", ""), "TEXT"),
            show_default=False,
            rich_help_panel="How to ask",
        )
        annotation = Annotated[list[str] | None if many else str | None, option]  # type: ignore[valid-type]
        parameters.append(Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=annotation))

    def options(**_: Any) -> None: ...

    options.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    options.__annotations__ = {one.name: one.annotation for one in parameters}
    made = typer.Typer(add_completion=False)
    made.command()(options)
    return [one for one in typer.main.get_command(made).params if one.name in Ask.model_fields]


def main() -> None:
    """Run the commands; an error that is the input's fault is one line without a traceback, and exits with 2."""
    try:
        app()
    except ModisteError as error:
        _console(stderr=True).print(f"[bold red]error:[/] {_plain(error)}", highlight=False, soft_wrap=True)
        sys.exit(2)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            _console(stderr=True).print("interrupted; what was finished is kept, the same command goes on from there")
        raise


@app.command(epilog="Examples: modiste new street | modiste new street --database postgresql://modiste@db/street")
def new(
    path: ShopPath,
    categories: Annotated[
        Path | None, typer.Option(help="A taxonomy of your own (TOML); default: the paper's 17 categories.")
    ] = None,
    database: Annotated[
        str | None, typer.Option(metavar="URL", help="postgresql://...; default: a file in the folder.")
    ] = None,
) -> None:
    """Make an empty shop."""
    from modiste.shop.shop import Shop

    with Shop.create(path, categories=categories, database=database) as shop:
        _console().print(f"made {shop.path}; next: modiste add items {path} PHOTOS-OR-TABLE")


@add.command("items", epilog="Example: modiste add items street ../photos/items.csv --strict")
def add_items(
    path: ShopPath,
    source: Annotated[
        Path,
        typer.Argument(
            help="A DeepFashion folder, a table (CSV, JSON, Parquet), or a folder of folders (category/photo)."
        ),
    ],
    masks: Annotated[Path | None, typer.Option(help="The folder of the masks, <stem>_segm.png.")] = None,
    strict: Strict = False,
) -> None:
    """Add the items of a folder or table; adding again updates what changed and skips the rest."""
    with _open(path) as shop, _progress("checking photos") as progress:
        report = shop.items.add(source, masks, progress)
    _console().print(f"items: {report.added} added, {report.updated} updated, {report.unchanged} unchanged")
    if report.unknown_categories:
        words = ", ".join(f"{word} ({n})" for word, n in report.unknown_categories.items())
        _console(stderr=True).print(
            f"[yellow]warning:[/] categories not in the taxonomy, similar to themselves alone: {_plain(words)}",
            highlight=False,
        )
    _report(report.rejected, path, strict)


@add.command("stores", epilog="Example: modiste add stores street stores.csv")
def add_stores(
    path: ShopPath,
    file: Annotated[
        Path, typer.Argument(help="A table (CSV, JSON, Parquet): store_id, latitude, longitude, optional name.")
    ],
    strict: Strict = False,
) -> None:
    """Add the shop's real stores; items name theirs in the column store_id of the catalogue."""
    with _open(path) as shop:
        report = shop.stores.add(file)
    _console().print(f"stores: {report.added} added, {report.updated} updated")
    _report(report.rejected, path, strict)


@add.command("purchases", epilog="Example: modiste add purchases street orders.csv")
def add_purchases(
    path: ShopPath,
    file: Annotated[
        Path, typer.Argument(help="A table (CSV, JSON, Parquet): shopper_id, item_id, date, optional order_id.")
    ],
    strict: Strict = False,
) -> None:
    """Add real orders; an item seen before under the same order_id is skipped."""
    with _open(path) as shop:
        report = shop.purchases.add(file)
    _console().print(f"purchases: {report.added} added, {report.unchanged} already there")
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

    with _open(path) as shop, _progress("embedding") as progress:
        chosen = (backbone or DEFAULT_BACKBONE, masking or DEFAULT_MASKING, crop, mask_source)
        report = shop.vectors.embed(*chosen, parser=parser, fill=_colour(fill), progress=progress)
    rate = f" ({report.embedded / report.seconds:.0f} photos/s)" if report.embedded else ""
    _console().print(f"embedded {report.embedded}{rate}, {report.present} were there; vector space {report.space.key}")
    _report(report.remarks, path, False, "remarks")
    _report(report.failures, path, strict)


@app.command(epilog="Example: modiste simulate street --shoppers 50 --purchases 5 --year 2025 --seed 42")
def simulate(
    path: ShopPath,
    shoppers: Annotated[int, typer.Option(min=1)] = 50,
    purchases: Annotated[int, typer.Option(min=1, help="At most so many each.")] = 5,
    year: Annotated[int, typer.Option(min=1, max=9999)] = 2025,
    seed: Annotated[int, typer.Option(min=0)] = 42,
    model: Annotated[str, typer.Option(help="paper, or pools: the authors' code.")] = "paper",
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
    each: Annotated[bool, typer.Option("--each", help="A list per purchase, as in the paper, not one merged.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with the photos.")] = None,
) -> None:
    """Recommend the Top-K for a shopper or an item, with the reasons."""
    ask = context.meta["ask"]
    with _open(path) as shop:
        if shopper is not None and item is None and (each or html):
            lists = shop.recommend_each(shopper, **ask)
        else:
            lists = [("", shop.recommend(shopper, item, **ask))]
        if html:
            photos = {bought: shop.items[bought]["image"] for bought, _ in lists if bought}
            trendiness = shop.shoppers[shopper].trendiness if shopper else None
            _write_page(html, lists, photos, trendiness, shopper or item or "")
            _console(stderr=as_json).print(f"wrote {html}")
        if html and not each:
            lists = [("", shop.recommend(shopper, item, **ask))]
    if as_json:
        print(json.dumps([found.as_json() for _, many in lists for found in many], indent=2))
    else:
        for bought, many in lists:
            _print_table(f"for {shopper or item}" + (f", who bought {bought}" if bought else ""), many)


@app.command(epilog="Example: modiste evaluate street all --out runs/street")
def evaluate(
    path: ShopPath,
    what: Annotated[str, typer.Argument(help="backbones, ablation, trendiness or all.")] = "all",
    out: Annotated[
        Path | None, typer.Option(help="A folder for the tables and figures; default: SHOP/experiments.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 42,
) -> None:
    """Work out the paper's tables and figures for this shop, beside the paper's own numbers."""
    from modiste.evaluation import evaluate as run

    with _open(path) as shop:
        folder = out or path / "experiments"
        report = run(shop, what, folder, seed=seed)
    print(report.markdown)
    _console(stderr=True).print(f"wrote {folder}")


@backbones.command("list")
def list_all() -> None:
    """List the networks that are installed, and those that can be exported."""
    from rich.table import Table

    from modiste.vision.backbones import list_backbones

    table = Table("name", "dimension", "crop", "licence", "where from", box=None)
    for spec in list_backbones():
        table.add_row(spec.name, str(spec.dim), spec.crop, spec.licence, spec.origin)
    _console().print(table)
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
    keep_serving: Annotated[bool, typer.Option("--serve", help="Then serve its page, until Ctrl-C.")] = False,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the page.")] = 8000,
) -> None:
    """Unpack a look book, embed it, simulate a year and recommend: everything at once."""
    if keep_serving and (path / "shop.db").exists():
        serve(path, port=port)
        return
    _make_demo(path, products, seed)
    if keep_serving:
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
        with _progress("embedding") as progress:
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
        str, typer.Option(help="The address to bind to; another than this machine's own needs MODISTE_TOKEN.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many processes.")] = 1,
) -> None:
    """Serve the shop: its page for the merchandiser and the routes under /v1, until Ctrl-C."""
    try:
        from modiste.server import app as service
    except ModuleNotFoundError as error:
        raise MissingExtraError("server", "modiste serve") from error

    settings = service.check(path, host)
    console = _console(stderr=True)
    console.print(f"the page: http://{f'[{host}]' if ':' in host else host}:{port}/ (Ctrl-C stops)", soft_wrap=True)
    if settings.token is None:
        console.print("without MODISTE_TOKEN only this machine can read and write", highlight=False)
    service.serve(path, host, port, workers)


@app.command(epilog="Example: modiste backup street backups/2026-11-25")
def backup(
    path: ShopPath,
    to: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for the copy.")],
) -> None:
    """Copy a shop as it is at one moment, while it goes on being served; the copy is a shop itself."""
    with _open(path) as shop:
        _console().print(f"copied to {shop.backup(to)}", soft_wrap=True)


@app.command(epilog="Example: modiste recount street")
def recount(path: ShopPath) -> None:
    """Count popularity and trendiness anew from the purchases, and drop the files made of the database."""
    import shutil

    with _open(path) as shop:
        shop.purchases.recount()
        shutil.rmtree(shop.path / "cache", ignore_errors=True)
        _console().print(f"counted {len(shop.purchases)} purchases")


@app.command()
def doctor() -> None:
    """Tell what is installed, what is missing, and how to mend it."""
    import platform
    from importlib.metadata import version

    from modiste import __version__
    from modiste.extras import extras, install_command, versions
    from modiste.vision.backbones import cache_folder, list_backbones, verify

    console = _console()
    console.print(f"modiste {__version__}, Python {platform.python_version()}, {platform.platform()}", highlight=False)
    for package in ("numpy", "polars", "pillow", "onnxruntime", "sqlalchemy", "matplotlib"):
        console.print(f"  {package} {version(package)}", highlight=False)
    broken = False
    for spec in list_backbones():
        fault = verify(spec)
        broken |= fault is not None
        console.print(f"  model {spec.name}: {'ok' if fault is None else _plain(fault)}", highlight=False)
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
    console.print(f"[bold]{_plain(title)}[/]   [dim]relevance = visual + popularity + category[/]", highlight=False)
    for place, one in enumerate(found, 1):
        terms = " + ".join(f"{value:.3f}" for name, value in one.terms.items() if name != "distance" or value)
        category = (one.category or "").replace("_", " ")
        store = "" if one.distance_km is None else f"  {one.distance_km:.1f} km"
        console.print(
            f"{place:>2}. [bold]{_plain(one.item_id)}[/]  {category}  {one.relevance:.3f} = {terms}{store}",
            highlight=False,
        )
        because = f" (because of {one.because})" if one.because else ""
        console.print(f"    [dim]{_plain(one.why)}{_plain(because)}[/]", highlight=False)


def _report(rejected: "list[Rejected]", path: Path, strict: bool, what: str = "not taken", shown: int = 10) -> None:
    """Count what was not taken (or remarked), show the first rows, write all of them to a file in the shop."""
    if not rejected:
        return
    console = _console(stderr=True)
    console.print(f"[yellow]{len(rejected)} {what}:[/]")
    for one in rejected[:shown]:
        console.print(f"  {_plain(one)}", highlight=False)
    if len(rejected) > shown:
        file = path / f"{what.replace(' ', '-')}.txt"
        file.write_text("".join(f"{one}\n" for one in rejected), encoding="utf-8")
        console.print(f"  and {len(rejected) - shown} more: all in {file}", highlight=False)
    if strict:
        raise typer.Exit(1)


@contextmanager
def _progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal (rate and time left), nothing where the output goes to a file."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = _console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(label, total=None, rate="")

        def advance(done: int, total: int) -> None:
            speed = bar.tasks[0].finished_speed or bar.tasks[0].speed
            bar.update(task, completed=done, total=total, rate=f"{speed:.0f}/s" if speed else "")

        yield advance


def _console(stderr: bool = False) -> Any:
    from rich.console import Console

    return Console(stderr=stderr)


def _plain(text: object) -> str:
    from rich.markup import escape

    return escape(str(text))
