"""Scenarios: named ways of asking, with rules for what is shown."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modiste.commands.asking import AskCommand
from modiste.commands.printing import print_table, progress_bar, say
from modiste.commands.shared import ShopPath, login, open_shop

if TYPE_CHECKING:
    from modiste.scenario import Scenario
    from modiste.shop.preview import Preview
    from modiste.shop.scenarios import Version
    from modiste.shop.shop import Shop

app = typer.Typer(
    name="scenario", no_args_is_help=True, help="Keep named ways of asking, with rules for what is shown."
)

ScenarioName = Annotated[str, typer.Argument(metavar="NAME", help="The scenario's name, such as product-page.")]
ScenarioFile = Annotated[Path | None, typer.Argument(help="A TOML or JSON file; default: what it is now.")]
Author = Annotated[str | None, typer.Option(help="Who changes it; default: who is logged in.")]
Reason = Annotated[str, typer.Option(help="Why.")]


@app.command("list", epilog="Example: modiste scenario list street")
def list_scenarios(path: ShopPath) -> None:
    """List the scenarios, with who changed each last, when and why."""
    with open_shop(path) as shop:
        rows = [
            (one.name, one.version, f"{one.at:%Y-%m-%d %H:%M}", one.author, one.reason, len(made.rules),
             made.about)
            for one in shop.scenarios.all()
            if (made := one.scenario)
        ]  # fmt: skip
    if not rows:
        say(f"none yet; make one with: modiste scenario set {path} NAME FILE")
        return
    print_table(("name", "version", "changed (UTC)", "by", "reason", "rules", "about"), rows)


@app.command(epilog="Examples: modiste scenario show street home > home.toml | ... show street home --versions")
def show(
    path: ShopPath,
    name: ScenarioName,
    versions: Annotated[bool, typer.Option("--versions", help="All versions, and what each changed.")] = False,
) -> None:
    """Print a scenario as the file that makes it."""
    from modiste.shop.scenarios import history

    with open_shop(path) as shop:
        if not versions:
            found = shop.scenarios[name]
            print(f"# {name}, {_changed(found)}")
            print(found.scenario.as_toml() if found.scenario else "", end="")
            return
        many = history(shop.scenarios.versions(name))
    for one, changed in many:
        print(_changed(one))
        for change in changed:
            print(f"  {change.what}: {change.before or 'nothing'} -> {change.after or 'nothing'}")


@app.command(
    "set",
    cls=AskCommand,
    epilog="Examples: modiste scenario set street home home.toml --reason winter | ... set street home --top 8",
)
def set_scenario(
    context: typer.Context,
    path: ShopPath,
    name: ScenarioName,
    file: ScenarioFile = None,
    author: Author = None,
    reason: Reason = "",
) -> None:
    """Make a scenario, or a new version of it, from a file; options change single settings."""
    with open_shop(path) as shop:
        made = _given(shop, name, file, context.meta["ask"])
        before = shop.scenarios[name].version if name in shop.scenarios else 0
        done = shop.scenarios.put(name, made, author=author or login(), reason=reason)
    same = " (nothing differs)" if done.version == before else ""
    say(f"{name} has version {done.version}{same}; to undo: modiste scenario undo {path} {name}")


@app.command(epilog="Examples: modiste scenario undo street home | modiste scenario undo street home --to 3")
def undo(
    path: ShopPath,
    name: ScenarioName,
    to: Annotated[int | None, typer.Option(min=1, help="Which version to bring back; default: the one before.")] = None,
    author: Author = None,
    reason: Reason = "",
) -> None:
    """Bring back an earlier version of a scenario, as a new version."""
    with open_shop(path) as shop:
        done = shop.scenarios.undo(name, to, author=author or login(), reason=reason)
    gone = "" if done.scenario else ": there is no such scenario from now on"
    say(f"{name} has version {done.version}, {done.reason}{gone}")


@app.command(epilog="Example: modiste scenario remove street home --reason 'the page is gone'")
def remove(path: ShopPath, name: ScenarioName, author: Author = None, reason: Reason = "") -> None:
    """Remove a scenario; undo brings it back."""
    with open_shop(path) as shop:
        shop.scenarios.remove(name, author=author or login(), reason=reason)
    say(f"removed {name}; to bring it back: modiste scenario undo {path} {name}")


@app.command(
    cls=AskCommand,
    epilog="Examples: modiste scenario preview street home home.toml | ... preview street home --top 8 --all",
)
def preview(
    context: typer.Context,
    path: ShopPath,
    name: ScenarioName,
    file: ScenarioFile = None,
    sample: Annotated[int, typer.Option(min=1, help="So many shoppers.")] = 500,
    everybody: Annotated[bool, typer.Option("--all", help="All shoppers, exactly.")] = False,
) -> None:
    """Tell what setting a scenario would do to the lists of shoppers; nothing is changed."""
    with open_shop(path) as shop, progress_bar("making lists") as progress:
        made = _given(shop, name, file, context.meta["ask"])
        told = shop.scenarios.preview(name, made, sample=None if everybody else sample, progress=progress)
    _print_preview(told)


def _given(shop: "Shop", name: str, file: Path | None, ask: dict[str, Any]) -> "Scenario":
    """What the file says or, without one, the scenario as it is now, with the settings that options change."""
    from modiste.scenario import Scenario

    there = shop.scenarios[name].scenario if name in shop.scenarios and not file else None
    start = Scenario.load(file) if file else there or Scenario.of({})
    return Scenario.of(start.as_data() | ask)


def _print_preview(told: "Preview") -> None:
    """The share of lists that change, a table of what is shown, what moves, and examples."""
    all_of = told.everybody
    margin = f" [{told.margin[0]:.0f}% to {told.margin[1]:.0f}% of all {told.population}]" if told.margin else ""
    say(f"of {all_of.shoppers} shoppers' lists {all_of.changed:.1f}% change{margin}")
    rows = []
    for group in (all_of, *told.thirds):
        pairs = [
            f"{_figure(getattr(group.before, name))} → {_figure(getattr(group.after, name))}"
            for name in ("popularity", "price", "variety", "coverage")
        ]
        rows.append((f"{group.name} ({group.shoppers})", f"{group.changed:.1f}%", *pairs))
    print_table(("shoppers who", "changed", "popularity", "price", "categories a list", "coverage"), rows)
    for what, movers in (("more often", told.rises), ("less often", told.falls)):
        if movers:
            said = ", ".join(f"{one.item_id} {one.before} → {one.after}" for one in movers)
            say(f"{what}: {said}")
    marks = {"new": "+", "rose": "▲", "fell": "▼", "same": "="}
    for example in told.examples:
        now = "  ".join(f"{marks[one.mark]}{one.recommendation.item_id}" for one in example.moved)
        gone = "  ".join(f"×{one.recommendation.item_id}" for one in example.dropped)
        say(f"shopper {example.shopper_id}: {now}  {gone}")


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _changed(version: "Version") -> str:
    """When, by whom and why a version was made."""
    by = f" by {version.author}" if version.author else ""
    return f"version {version.version}, {version.at:%Y-%m-%d %H:%M} UTC{by}" + (
        f": {version.reason}" if version.reason else ""
    )
