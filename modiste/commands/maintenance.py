"""Looking after a shop: how it stands, what it forgets and gives out, copies, checks, what is installed."""

import json
from pathlib import Path
from typing import Annotated

import typer

from modiste.commands.printing import say, warn
from modiste.commands.shared import ShopPath, note, open_shop
from modiste.errors import SettingError

app = typer.Typer()


@app.command(epilog="Example: modiste status street")
def status(path: ShopPath) -> None:
    """Tell what is in the shop, what is missing and what to do next."""
    with open_shop(path) as shop:
        found = shop.status()
    have = found.coverage
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
        say(f"{name:12}{value}")
    for step in found.next_steps(str(path)):
        say(f"{'next':12}{step}")


@app.command(epilog="Examples: modiste forget street --shopper 4711 | modiste forget street --purchase 12")
def forget(
    path: ShopPath,
    shopper: Annotated[str | None, typer.Option(help="Whom to forget, with all that she did.")] = None,
    purchase: Annotated[int | None, typer.Option(help="Or: one event to take back; modiste export has its id.")] = None,
) -> None:
    """Forget a shopper so that nothing of her stays in the shop's folder, or take one purchase back."""
    if (shopper is None) == (purchase is None):
        raise SettingError("name a shopper or a purchase, one of the two")
    with open_shop(path) as shop:
        if purchase is not None:
            shop.purchases.remove(purchase)
            note(shop, "take a purchase back")
            say(f"took back {purchase}")
            return
        if shopper is not None:
            from modiste.shop.sync import Sources

            for page in shop.forget(shopper):
                say(f"deleted {page}, which named her")
            if (sources := Sources.of(shop.path)) and sources.orders:
                warn(f"take her out of {sources.orders} too: modiste sync brings its orders")
            note(shop, "forget a shopper")
    say("forgotten: nothing of her is in the shop's folder; copies of it and of its pages are yours to delete")


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
    with open_shop(path) as shop:
        if shopper is not None:
            print(json.dumps(shop.known_of(shopper), indent=2, default=str))
        elif form is not None and out is not None:
            from modiste.shop.datasets import export_dataset as run

            say(f"wrote {', '.join(map(str, run(shop, out, form)))}")


@app.command(epilog="Example: modiste backup street backups/2026-11-25")
def backup(
    path: ShopPath,
    to: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for the copy.")],
) -> None:
    """Copy a shop as it is at one moment, while it goes on being served; the copy is a shop itself."""
    with open_shop(path) as shop:
        say(f"copied to {shop.backup(to)}")


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
    with open_shop(path) as shop:
        findings = shop.check("all" if mend else "nothing", thorough=not quick)
    left = [one for one in findings if not one.mended]
    for one in findings:
        say(("mended:", "green") if one.mended else ("found:", "yellow"), f" {one.said}")
    if not findings:
        say("everything is as it should be")
    elif any(one.derived or one.kind != "missing" for one in left):
        say(f"to mend: modiste check {path} --mend")
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
    with open_shop(path) as shop:
        shop.purchases.weigh(**weights)
        say(f"counted {len(shop.purchases)} purchases")


@app.command()
def doctor() -> None:
    """Tell what is installed, what is missing, and how to mend it."""
    import platform
    from importlib.metadata import version

    from modiste import __version__
    from modiste.extras import extras, install_command, versions
    from modiste.vision.backbones import broken_entries, cache_folder, list_backbones, verify

    say(f"modiste {__version__}, Python {platform.python_version()}, {platform.platform()}")
    for package in ("numpy", "polars", "pillow", "onnxruntime", "sqlalchemy", "matplotlib"):
        say(f"  {package} {version(package)}")
    broken = False
    for spec in list_backbones():
        fault = verify(spec)
        broken |= fault is not None
        say(f"  model {spec.name}: {'ok' if fault is None else fault}")
    for fault in broken_entries():
        broken = True
        say(f"  model left out: {fault}")
    for extra in extras():
        missing = [name for name, installed in versions(extra).items() if installed is None]
        state = f"not installed ({', '.join(missing)}); to install: {install_command(extra)}"
        if not missing:
            state = ", ".join(f"{name} {installed}" for name, installed in versions(extra).items())
        say(f"  extra {extra}: {state}")
    say(f"  models of your own: {cache_folder()}")
    if broken:
        raise typer.Exit(1)
