"""Asking a shop for lists, with the options that :class:`~modiste.ask.Ask` has."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from modiste.commands.printing import print_list, progress_bar, say, warn
from modiste.commands.shared import ShopPath, open_shop

if TYPE_CHECKING:
    from modiste.ask import Ask
    from modiste.shop.recommendations import Recommendation

app = typer.Typer()


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


class OutfitCommand(AskCommand):
    """The same with the fields of :class:`~modiste.ask.OutfitAsk`."""

    asked = "OutfitAsk"


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
    with open_shop(path) as shop:
        buyer = shopper if item is None and not items else None
        if buyer is not None and each:
            lists = shop.recommend_each(buyer, **ask)
        else:
            lists = [("", shop.recommend(shopper, item, items=items or None, **ask))]
        if html:
            shown = lists if each or buyer is None else shop.recommend_each(buyer, **ask)
            photos = {bought: shop.items[bought]["image"] for bought, _ in shown if bought}
            trendiness = shop.shoppers[shopper].trendiness if shopper else None
            write_page(html, shown, photos, trendiness, shopper or item or "a guest")
            say(f"wrote {html}", error=as_json)
    if as_json:
        for _, many in lists:
            if many.nothing:
                say(many.nothing, error=True)
        print(json.dumps([found.as_json() for _, many in lists for found in many], indent=2))
    else:
        for bought, many in lists:
            print_list(f"for {shopper or item or 'a guest'}" + (f", who bought {bought}" if bought else ""), many)


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
    from modiste.catalog.palette import SPOKEN

    with open_shop(path) as shop:
        found = shop.search(photo, **context.meta["ask"])
    if as_json:
        garments = [
            {"label": one.label, "colour": one.colour, "kinds": one.kinds,
             "recommendations": [like.as_json() for like in one.recommendations]}
            for one in found.garments
        ]  # fmt: skip
        whole = [one.as_json() for one in found.recommendations]
        gender, share = found.whose or (None, None)
        proposed = {"proposed_gender": gender, "proposed_gender_share": share}
        print(json.dumps({**proposed, "recommendations": whole, "garments": garments}, indent=2))
        return
    for one in found.garments:
        print_list(f"like the {SPOKEN.get(one.label, one.label)}, {one.colour}", one.recommendations)
    perhaps = f", perhaps for {found.whose[0]} ({found.whose[1]:.0%} of what looks like it)" if found.whose else ""
    print_list(f"like {'all of it' if found.garments else photo.name}{perhaps}", found.recommendations)


@app.command(
    "goes-with",
    cls=OutfitCommand,
    epilog="Examples: modiste goes-with street 0002 | modiste goes-with street 0002 --categories Shoes --json",
)
def goes_with(
    context: typer.Context,
    path: ShopPath,
    item: Annotated[str, typer.Argument(help="The item.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list.")] = False,
) -> None:
    """Find what is worn with an item: a list for each other part of an outfit."""
    with open_shop(path) as shop:
        found = shop.goes_with(item, **context.meta["ask"])
    if as_json:
        parts = [
            {"part": one.part, "kinds": one.kinds, "recommendations": [each.as_json() for each in one.recommendations]}
            for one in found
        ]
        print(json.dumps(parts, indent=2))
        return
    for one in found:
        print_list(f"{one.part} that go with {item}", one.recommendations)
    if not found:
        say(f"nothing goes with {item}: it isn't worn with others, nobody knows what it is, or there is nothing else")


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

    with open_shop(path) as shop, progress_bar("recommending") as progress:
        count = run(shop, out, of, progress=progress, **context.meta["ask"])
        everybody = len(shop.shoppers) if of == "shoppers" else count
    say(f"wrote {out}: the lists of {count} {of}")
    if count < everybody:
        warn(
            f"{everybody - count} shoppers have no position, so that nothing is within "
            "--within of them; --near gives one for all"
        )


def write_page(
    file: Path,
    lists: "Sequence[tuple[str, Sequence[Recommendation]]]",
    photos: dict[str, str | None],
    trendiness: float | None,
    who: str,
) -> None:
    """Write a page of lists, each below what it is about, with the photos of what was bought."""
    from modiste.shop.recommendations import page

    caption = f"trendiness {trendiness:.2f}" if trendiness is not None else ""
    sections = [
        (f"Because of {bought}" if bought else f"For {who}", caption, photos.get(bought), many)
        for bought, many in lists
    ]
    file.write_text(page(f"Recommendations for {who}", sections), encoding="utf-8")
