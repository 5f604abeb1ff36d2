"""The service, and a demonstration that ends with it."""

import sys
from pathlib import Path
from shutil import which
from typing import Annotated

import typer

from modiste.commands.asking import write_page
from modiste.commands.printing import print_list, print_rejected, progress_bar, say
from modiste.commands.shared import ShopPath
from modiste.errors import MissingExtraError, SettingError

app = typer.Typer()


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
        say(f"the page: http://127.0.0.1:{port}/ after: {command} demo {path} --serve")


def _make_demo(path: Path, products: int, seed: int) -> None:
    from modiste.demo import unpack
    from modiste.shop.shop import Shop

    _clear_demo(path)
    with progress_bar("unpacking the look book") as progress:
        book = unpack(path / "book", products, progress)
    with Shop.create(path) as shop:
        with progress_bar("checking photos") as progress:
            report = shop.items.add(book.photos, book.masks, progress)
        with progress_bar("embedding", "photos") as progress:
            shop.vectors.embed(progress=progress)
        made = shop.simulate(seed=seed)
        someone = made.purchases["shopper_id"].value_counts(sort=True)["shopper_id"][0]
        lists = shop.recommend_each(someone)
        photos = {bought: shop.items[bought]["image"] for bought, _ in lists}
        write_page(path / "recommendations.html", lists, photos, shop.shoppers[someone].trendiness, someone)
        print_list(f"for shopper {someone}", shop.recommend(someone))
    print_rejected(report.rejected, path, False)
    say(f"{report.added} items, {made.purchases.height} purchases in {path.resolve()}")
    say(f"pictures: {(path / 'recommendations.html').resolve()}")


def _clear_demo(path: Path) -> None:
    """Remove an earlier demo; refuse a folder that holds anything else."""
    import shutil

    ours = {"book", "shop.db", "shop.db-wal", "shop.db-shm", "recommendations.html", "experiments", "uploads", "cache"}
    if path.exists():
        if not path.is_dir() or {one.name for one in path.iterdir()} - ours:
            raise SettingError(f"{path} holds other things than a demo shop; choose another place: modiste demo PATH")
        shutil.rmtree(path)


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
    if not asks:
        say("nobody has an account or a key yet: only this machine can read and write", error=True)
    say(f"the page: http://{f'[{host}]' if ':' in host else host}:{port}/ (Ctrl-C stops)", error=True)
    service.serve(path, bound, workers)
