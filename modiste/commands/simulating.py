"""Shoppers and purchases that a simulation makes."""

from typing import Annotated

import typer

from modiste.commands.printing import say
from modiste.commands.shared import ShopPath, open_shop

app = typer.Typer()


@app.command(epilog="Example: modiste simulate street --shoppers 50 --purchases 5 --year 2025 --seed 42")
def simulate(
    path: ShopPath,
    shoppers: Annotated[int, typer.Option(min=1)] = 50,
    purchases: Annotated[int, typer.Option(min=1, help="At most so many each.")] = 5,
    year: Annotated[int, typer.Option(min=1, help="One that is over.")] = 2025,
    seed: Annotated[int, typer.Option(min=0)] = 42,
    model: Annotated[str, typer.Option(help="paper, pools (the authors' code) or choice.")] = "paper",
) -> None:
    """Simulate a year of purchases with trendiness and popularity; replaces an earlier simulation."""
    with open_shop(path) as shop:
        made = shop.simulate(shoppers, purchases, year, seed, model)
    say(f"simulated {made.purchases.height} purchases by {made.shoppers.height} shoppers in {year}")
