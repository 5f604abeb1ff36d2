"""What goes into a shop: items, stores and purchases, from files or a source that is kept up with."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from modiste.commands.printing import print_rejected, print_table, progress_bar, say, warn
from modiste.commands.shared import ShopPath, Strict, open_shop
from modiste.errors import SettingError

if TYPE_CHECKING:
    from modiste.catalog.columns import Understood
    from modiste.catalog.readers import Reading
    from modiste.shop.reports import AddReport

app = typer.Typer()
add = typer.Typer(name="add", no_args_is_help=True, help="Add items, stores or purchases to a shop.")

WORDS = 20
"""So many of the words that nobody knows are shown."""

Maps = Annotated[
    list[str] | None, typer.Option("--map", metavar="FIELD=COLUMN", help="Which column is which; may be given again.")
]
MappingFile = Annotated[Path | None, typer.Option("--mapping", metavar="FILE", help="A TOML file of such columns.")]
MaskFolder = Annotated[Path | None, typer.Option(help="The folder of the masks, <stem>_segm.png.")]
DayFirst = Annotated[
    bool | None,
    typer.Option("--day-first/--month-first", help="What 03/04/2025 means: a day in April or in March."),
]


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
        say(f"made {shop.path}; next: modiste add items {path} PHOTOS-OR-TABLE")


@add.command("items", epilog="Examples: modiste add items street items.csv --dry-run | ... --map image='Image Src'")
def add_items(
    path: ShopPath,
    source: Annotated[
        Path,
        typer.Argument(help="A table (CSV, JSON, XLSX, Parquet, Google's XML), or a folder of photos."),
    ],
    masks: MaskFolder = None,
    columns: Maps = None,
    mapping: MappingFile = None,
    private: Annotated[
        bool, typer.Option("--private", help="Fetch photos from this machine and its own network too.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would come of it; write nothing.")] = False,
    strict: Strict = False,
) -> None:
    """Add the items of a folder or table; adding again updates what changed and skips the rest."""
    from modiste.catalog.columns import Layout

    layout = Layout.said(columns or (), mapping)
    with open_shop(path) as shop, progress_bar("checking photos") as progress:
        if dry_run:
            from modiste.catalog.readers import read_source

            reading = read_source(source, shop.taxonomy, masks, layout)
            _print_reading(reading)
            print_rejected(reading.rejected, None, strict)
            if not reading.items:
                raise typer.Exit(1)
            return
        report = shop.items.add(source, masks, progress, layout, private=private)
    more = f"; {report.merged} rows tell more of others' items" if report.merged else ""
    say(f"items: {report.added} added, {report.updated} updated, {report.unchanged} unchanged{more}")
    _print_report(report, path, strict)


@add.command("stores", epilog="Example: modiste add stores street stores.csv")
def add_stores(
    path: ShopPath,
    file: Annotated[Path, typer.Argument(help="A table: store_id, latitude, longitude, optional name.")],
    columns: Maps = None,
    mapping: MappingFile = None,
    strict: Strict = False,
) -> None:
    """Add the shop's real stores; items name theirs in the column store_id of the catalogue."""
    from modiste.catalog.columns import Layout

    with open_shop(path) as shop:
        report = shop.stores.add(file, Layout.said(columns or (), mapping))
    say(f"stores: {report.added} added, {report.updated} updated")
    _print_report(report, path, strict)


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
    day_first: DayFirst = None,
    strict: Strict = False,
) -> None:
    """Add real orders, returns and views. What is there already is skipped: a line of an order by its key, and without
    an order what is the same in shopper, item and time."""
    from modiste.catalog.columns import Layout

    with open_shop(path) as shop:
        report = shop.purchases.add(file, Layout.said(columns or (), mapping), day_first)
    others = "".join(f", {count} of kind {kind}" for kind, count in report.kinds.items() if kind != "purchase")
    bought = report.kinds.get("purchase", 0)
    say(f"purchases: {bought} added{others}, {report.unchanged} already there")
    _print_report(report, path, strict)


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
    masks: MaskFolder = None,
    day_first: DayFirst = None,
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
    from modiste.catalog.files import resolved
    from modiste.catalog.products import is_address
    from modiste.shop.sync import Sources
    from modiste.shop.sync import sync as run

    def kept(source: str | Path | None) -> str | None:
        return None if source is None else str(source) if is_address(str(source)) else str(resolved(source))

    sources = None
    if items is not None or orders is not None:
        sources = Sources(
            kept(items), kept(orders), tuple(columns or ()), tuple(order_columns or ()), kept(mapping),
            kept(order_mapping), kept(masks), day_first, private,
        )  # fmt: skip
    elif columns or mapping or order_columns or order_mapping or masks or day_first is not None or private:
        raise SettingError("how to read a source is said with it: give --items or --orders too")
    with open_shop(path) as shop, progress_bar("syncing") as progress:
        report = run(shop, sources, confirm=confirm, progress=progress)
    counts = report.counts()
    names = ("added", "updated", "unchanged", "retired", "restored")
    said = ", ".join(f"{counts[name]} {name}" for name in names)
    say(f"items: {said}; {report.embedded} photos embedded; {report.orders} orders added")
    for remark in report.remarks:
        warn(remark, "remark")
    print_rejected(report.photos, path, False, "photos not taken")
    print_rejected(report.rejected, path, strict)


def _print_report(report: "AddReport", path: Path, strict: bool) -> None:
    """Tell how a table was understood and what was not taken; exit with 1 where nothing at all was."""
    _print_understood(report.understood)
    print_rejected(report.photos, path, False, "photos not taken")
    print_rejected(report.rejected, path, strict)
    if not report.added + report.updated + report.unchanged:
        say(("nothing was taken", "bold red"), error=True)
        raise typer.Exit(1)


def _print_understood(understood: "Understood") -> None:
    """Tell how a table was understood, as far as somebody may want to change it."""
    if understood.preset:
        say(f"read as a table of {understood.preset}", error=True)
    if understood.unread:
        names = ", ".join(map(repr, understood.unread))
        what = "kept as attributes" if understood.kept else "not read"
        say(f"columns {what}: {names}", error=True)
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
        warn(remark)
    if len(understood.remarks) > WORDS:
        warn(f"and {len(understood.remarks) - WORDS} more of the last kind")


def _print_reading(reading: "Reading") -> None:
    """What would come of adding items: columns, some items, photos."""
    from modiste.catalog.products import is_address

    if reading.understood.columns:
        print_table(("field", "columns"), reading.understood.columns.items(), title="columns as understood")
    for one in reading.items[:10]:
        said = {name: getattr(one, name) for name in one.__slots__ if name not in ("item_id", "attributes")}
        told = ", ".join(f"{name} {value}" for name, value in said.items() if value not in (None, ()))
        say(f"{one.item_id}: {told}")
    images = [image for one in reading.items for image in (one.image, *one.photos) if image]
    addresses = sum(is_address(image) is not None for image in images)
    without = sum(one.image is None for one in reading.items)
    there = len(images) - addresses
    say(
        f"would add {len(reading.items)} items with {there} photos that are there and {addresses} by address; "
        f"{without} items have none; {reading.merged} rows tell more of others' items; {len(reading.rejected)} are not "
        "taken; nothing was written"
    )
    _print_understood(reading.understood)
