"""How good the lists are: the paper's tables, benchmarks, comparisons, and weights learnt from a shop's orders."""

from pathlib import Path
from typing import Annotated

import typer

from modiste.commands.printing import print_report, print_table, progress_bar, say
from modiste.commands.shared import ShopPath, open_shop

app = typer.Typer()


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

    with open_shop(path) as shop:
        folder = out or path / "experiments"
        if what == "views":
            with progress_bar("embedding without masks") as progress:
                report = evaluate_views(shop, folder, sample=sample or SAMPLE, seed=seed, progress=progress)
        elif what == "benchmark":
            protocol = Protocol(seed=seed, repeats=repeats, **({"sample": sample} if sample else {}))
            with progress_bar("judging") as progress:
                report = benchmark(
                    data_of(shop), protocol, folder, title=f"Benchmark of {shop.name}", progress=progress
                )
        else:
            report = run(shop, what, folder, seed=seed)
    print_report(report)
    say(f"wrote {folder}", error=True)


@app.command(epilog="Examples: modiste compare street balanced paper | modiste compare street home home-2 --top 12")
def compare(
    path: ShopPath,
    a: Annotated[str, typer.Argument(metavar="A", help="A scenario, or a preset: balanced, paper, visual.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    top: Annotated[int, typer.Option(min=2, max=1000, help="How long the mixed list is.")] = 20,
    sample: Annotated[int, typer.Option(min=2, help="At most so many shoppers.")] = 2000,
    seed: Annotated[int, typer.Option(min=0)] = 42,
    log: Annotated[
        bool, typer.Option("--log", help="Instead: what each would have earned of the lists that A/B tests showed.")
    ] = False,
    counts: Annotated[str, typer.Option(help="--log: what came of a list: clicked, cart or bought.")] = "clicked",
) -> None:
    """Mix the lists of two settings for shoppers whose last purchase is left out, and count whose pick they bought."""
    from modiste.evaluation.comparing import compare as run
    from modiste.evaluation.comparing import replay

    if log:
        with open_shop(path) as shop:
            told = replay(shop, a, b, counts)
        rows = [
            (name, way, f"{one.value:.2%}", f"{one.low:.2%} to {one.high:.2%}", one.n, f"{one.effective:.0f}")
            for name, ways in told.items()
            for way, one in ways.items()
        ]
        print_table(("scenario", "estimate", f"{counts}, a list", "95%", "lists", "worth"), rows)
        return
    with open_shop(path) as shop, progress_bar("comparing") as progress:
        found = run(shop, a, b, top=top, sample=sample, seed=seed, progress=progress)
    chose = found.wins_a + found.wins_b
    say(f"A is {a}, B is {b}; of {found.shoppers} shoppers {chose} bought something that was shown.")
    say(found.verdict.words)


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
    from modiste.behaviour.choice import DEFAULT

    with open_shop(path) as shop:
        if use is not None:
            shop.tunings.use(None if use == "defaults" else use)
            say(f"{path} uses {use} from now on")
            return
        with progress_bar("reading choices") as progress:
            made = shop.tunings.learn(name, weeks, seed, progress)
    print_table(
        ("feature", "weight", "standard error", "default"),
        [
            (feature, f"{weight:.3f}", f"{made.errors[feature]:.3f}",
             f"{DEFAULT.weights[feature]:.2f}" if feature in DEFAULT.weights else "")
            for feature, weight in made.model.weights.items()
        ],
    )  # fmt: skip
    prior, (mean, sd), gain, recall = made.model.prior, made.prior_errors, made.likelihood, made.recall
    say(f"half-life {made.model.half_life:g} days (default {DEFAULT.half_life:g})")
    say(f"theta: mean {prior.mean:.2f} ± {mean:.2f}, spread {prior.sd:.2f} ± {sd:.2f}")
    say(
        f"on {made.judged} purchases of the last {made.weeks:g} weeks, by weights that had not seen them, against the "
        f"defaults:\n  log-likelihood {gain.mean:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}] a purchase\n"
        f"  recall@20 {recall.mean:+.1f} [{recall.low:+.1f}, {recall.high:+.1f}] points"
    )
    if gain.low <= 0:
        say("so they are not shown to be better than the defaults")
    if made.simulated:
        say("the purchases are simulated: this says nothing of people")
    say(f"nothing has changed; to use it: modiste tune {path} --use {name}")
