"""Lists on the shop's own pages: what came of them, and tests of which is better."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from modiste.commands.printing import print_table, say
from modiste.commands.shared import ShopPath, note, open_shop

if TYPE_CHECKING:
    from modiste.shop.ab import Standing

app = typer.Typer()
ab = typer.Typer(name="ab", no_args_is_help=True, help="Test on the shop's pages which of two scenarios is better.")


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

    from modiste.catalog.values import moment

    with open_shop(path) as shop:
        times = [None if one is None else moment(one) for one in (since, until)]
        found = shop.storefront.funnel(*times, days=within)
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=2))
        return
    if not found:
        say("no list was seen yet; docs/how-to/storefront.md tells how pages show lists and report them")
        return
    rows = []
    for one in found:
        test = f"{one.experiment} {one.variant}" if one.experiment else ""
        steps = (f"{100 * share.share:.2f}% ({100 * share.low:.2f} to {100 * share.high:.2f})"
                 for share in (one.clicked, one.cart, one.bought))  # fmt: skip
        back = f"{one.returned} of {one.pieces}"
        rows.append((one.placement, one.scenario or "", test, one.lists, one.people, *steps, back))
    print_table(("placement", "scenario", "A/B test", "lists", "people", "clicked", "cart", "bought", "back"), rows)


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
    with open_shop(path) as shop:
        made = shop.ab.start(name, a, b, placement=placement, counts=counts, days=within, rate=rate, lift=lift,
                             interleaved=interleave)  # fmt: skip
        note(shop, "start an A/B test", name)
    needed = "shoppers who prefer one of the two" if interleave else "shoppers"
    say(
        f"{name} runs on {made.placement}; about {made.planned} {needed} find such a difference with a chance of 80%; "
        f"look when you like: modiste ab report {path} {name}"
    )


@ab.command("report", epilog="Example: modiste ab report street winter")
def report_test(
    path: ShopPath, name: Annotated[str | None, typer.Argument(help="Default: all that run.")] = None
) -> None:
    """Tell how a test stands. Look every day: it raises no more false alarms."""
    with open_shop(path) as shop:
        names = [name] if name else [one.name for one in shop.ab.all() if one.stopped is None]
        for one in names:
            _print_standing(shop.ab.report(one))
    if not names:
        say(f"no test runs; start one with: modiste ab start {path} NAME --a SCENARIO --b SCENARIO")


@ab.command("stop", epilog="Example: modiste ab stop street winter")
def stop_test(path: ShopPath, name: Annotated[str, typer.Argument()]) -> None:
    """Stop a test, and tell how it stands. To keep what won, put its scenario under the placement's name."""
    with open_shop(path) as shop:
        _print_standing(shop.ab.stop(name))
        note(shop, "stop an A/B test", name)


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
        say(line)
