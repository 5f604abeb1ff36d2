"""Write the reference: the Python face from its docstrings, the commands from their help.

``python docs/reference.py`` writes docs/reference/python.md and docs/reference/commands.md anew; a test holds the
committed pages to what is written here. A name in ``modiste.__all__`` that no section shows is an error.
"""

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from textwrap import dedent
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

import modiste
from modiste import errors
from modiste.ask import Ask
from modiste.commands import app

FOLDER = Path(__file__).resolve().parent / "reference"

SECTIONS = {
    "The shop": ["modiste.Shop"],
    "Its five nouns": [
        "shop.items = modiste.shop.items.Items",
        "shop.stores = modiste.shop.stores.Stores",
        "shop.shoppers = modiste.shop.shoppers.Shoppers",
        "shop.purchases = modiste.shop.purchases.Purchases",
        "shop.vectors = modiste.shop.vectors.Vectors",
    ],
    "One moment": ["snapshot = modiste.shop.snapshot.Snapshot"],
    "How to ask": ["modiste.Ask", "modiste.ask.SearchAsk", "modiste.Weights"],
    "What goes in": ["modiste.Item", "modiste.Event"],
    "What comes back": [
        "modiste.Recommendation",
        "modiste.shop.recommendations.Recommendations",
        "modiste.shop.question.SearchResult",
        "modiste.shop.shoppers.Shopper",
        "modiste.shop.items.Page",
        "modiste.shop.reports.AddReport",
        "modiste.shop.reports.PutReport",
        "modiste.shop.reports.EmbedReport",
        "modiste.shop.status.Coverage",
        "modiste.shop.status.Status",
        "modiste.shop.status.Step",
        "modiste.shop.overview.Overview",
        "modiste.shop.overview.Reach",
        "modiste.catalog.items.Rejected",
        "modiste.vision.embedding.VectorSpace",
        "modiste.behaviour.simulation.Simulation",
    ],
    "At a glance": ["modiste.shop.overview.overview", "modiste.shop.overview.trends", "modiste.shop.overview.reach"],
    "Measuring": ["modiste.evaluate", "modiste.evaluation.EvaluationReport"],
    "A client of the service": ["modiste.Client"],
}
"""What the page shows, in its order; ``name = path`` shows a class by the name that one meets it under."""

OPERATORS = {
    "__getitem__": ("{0}[{1}]", ""),
    "__contains__": ("{1} in {0}", "Whether there is one of this id."),
    "__len__": ("len({0})", "How many there are."),
}
"""How an operator is written, and what it does where its docstring doesn't say."""


def python() -> str:
    """The page of the Python face."""
    shown = {path.rpartition(".")[2] for paths in SECTIONS.values() for path in paths}
    if missing := set(modiste.__all__) - shown - {"__version__"}:
        raise LookupError(f"no section of the reference shows {', '.join(sorted(missing))}")
    parts = [
        "# Python",
        "Made of the docstrings by `python docs/reference.py`.",
        f"`from modiste import …` has {_listed(f'`{name}`' for name in sorted(modiste.__all__))}.",
    ]
    for title, paths in SECTIONS.items():
        parts.append(f"## {title}")
        for path in paths:
            name, _, there = path.rpartition(" = ")
            parts += _thing(name, there)
    parts += ["## Errors", "All are in `modiste.errors`."]
    for error in vars(errors).values():
        if inspect.isclass(error) and issubclass(error, errors.ModisteError):
            base = f"({error.__bases__[0].__name__})" if error is not errors.ModisteError else ""
            parts += [f"### {error.__name__}{base}", markdown(error.__doc__)]
    return "\n\n".join(parts) + "\n"


def _thing(name: str, path: str) -> Iterator[str]:
    """A class or a function: what it is, its fields and its methods."""
    module, _, own = path.rpartition(".")
    thing = getattr(import_module(module), own)
    source = _source(thing)
    yield f"### {name or own}"
    if isinstance(source, ast.FunctionDef):
        yield _signature(own, source, thing)
        yield markdown(thing.__doc__)
        return
    if name:
        yield f"`{path}`"
    yield markdown(thing.__doc__)
    if issubclass(thing, Ask):
        yield _asked(thing)
        return
    annotations = {one.target.id: ast.unparse(one.annotation) for one in source.body if _is_field(one)}
    if is_dataclass(thing):
        yield _table(("field", "type"), _fields(thing, annotations))
    yield from _methods(name or own, thing, source)


def _is_field(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)


def _fields(thing: Any, annotations: dict[str, str]) -> Iterable[tuple[str, str]]:
    for one in fields(thing):
        if not one.name.startswith("_"):
            yield f"`{one.name}`", f"`{annotations[one.name]}`"


def _methods(name: str, thing: type, source: ast.ClassDef) -> Iterator[str]:
    """Its attributes and methods in the order of the source, and how it is made where that is for everybody."""
    for one in source.body:
        if not isinstance(one, ast.FunctionDef):
            continue
        decorators = {ast.unparse(decorator) for decorator in one.decorator_list}
        told = ast.get_docstring(one)
        if one.name == "__init__" and thing.__module__ == "modiste.client":
            yield _signature(thing.__name__, one, thing)
        elif one.name in OPERATORS:
            written, does = OPERATORS[one.name]
            yield f"#### `{written.format(name, *(argument.arg for argument in one.args.args[1:]))}`"
            yield markdown(told or does)
        elif not one.name.startswith("_") and told:
            owner = thing.__name__ if "classmethod" in decorators or "staticmethod" in decorators else _instance(name)
            yield f"#### {owner}.{one.name}"
            if decorators & {"property", "cached_property"}:
                yield f"`{ast.unparse(one.returns)}`" if one.returns else ""
            else:
                yield _signature(f"{owner}.{one.name}", one, getattr(thing, one.name))
            yield markdown(told)


def _instance(name: str) -> str:
    """What an instance is called in the examples: a Shop is a shop."""
    return name if not name[0].isupper() else re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _source(thing: Any) -> Any:
    """The definition of a class or a function, as it is written."""
    written = ast.parse(Path(inspect.getsourcefile(thing) or "").read_text(encoding="utf-8"))
    return next(one for one in written.body if getattr(one, "name", None) == thing.__name__)


def _signature(name: str, source: ast.FunctionDef, made: Any) -> str:
    """The call with the types as they are written and the defaults as they are, on several lines if it is long."""
    defaults = {one.name: one.default for one in inspect.signature(made).parameters.values()}
    given = source.args
    words = [_parameter(one, defaults) for one in given.posonlyargs + given.args if one.arg not in ("self", "cls")]
    if given.vararg:
        words.append("*" + _parameter(given.vararg, {}))
    elif given.kwonlyargs:
        words.append("*")
    words += [_parameter(one, defaults) for one in given.kwonlyargs]
    if given.kwarg:
        words.append("**" + _parameter(given.kwarg, {}))
    result = f" -> {ast.unparse(source.returns)}" if source.returns and source.name != "__init__" else ""
    line = f"{name}({', '.join(words)}){result}"
    if len(line) > 100:
        line = f"{name}(\n" + "".join(f"    {word},\n" for word in words) + f"){result}"
    return f"```python\n{line}\n```"


def _parameter(argument: ast.arg, defaults: dict[str, Any]) -> str:
    kind = f": {ast.unparse(argument.annotation)}" if argument.annotation else ""
    default = defaults.get(argument.arg, inspect.Parameter.empty)
    if default is inspect.Parameter.empty:
        return f"{argument.arg}{kind}"
    return f"{argument.arg}{kind} = " + (f'"{default}"' if isinstance(default, str) else repr(default))


def _asked(model: type[Ask]) -> str:
    """The fields of Ask with their ranges and defaults; of another one, those that differ."""
    known = {} if model is Ask else Ask.model_json_schema()["properties"]
    about = model.model_json_schema()["properties"]
    rows = [
        (
            f"`{name}`",
            range_of(one),
            "" if one.get("default") in (None, []) else f"`{one['default']}`",
            one["description"],
        )
        for name, one in about.items()
        if known.get(name) != one
    ]
    return _table(("field", "what it may be", "default", ""), rows)


def range_of(about: dict[str, Any]) -> str:
    """What a field of a JSON schema may be, in words."""
    one = next((one for one in about.get("anyOf", [about]) if one.get("type") != "null"), about)
    if "enum" in one:
        return ", ".join(f"`{word}`" for word in one["enum"])
    if "pattern" in one and "," in one.get("examples", [""])[0]:
        return f"text such as `{one['examples'][0]}`; in Python also a pair of numbers"
    if one["type"] == "array":
        return f"texts, at most {one['maxItems']}"
    if one["type"] == "string":
        return "text"
    if one["type"] == "boolean":
        return "true or false"
    low, high = one.get("minimum"), one.get("maximum")
    start = f"above {one['exclusiveMinimum']:g}, up to" if low is None else f"{low:g} to"
    return f"{'even, ' if one.get('multipleOf') == 2 else ''}{start} {high:g}"


def commands() -> str:
    """The page of the commands."""
    parts = [
        "# Commands",
        "Made of each command's `--help` by `python docs/reference.py`. What is wrong with the input is one line\n"
        "on standard error and exit code 2; `--strict` exits with 1; Ctrl-C with 130, and the same command goes on\n"
        "from there.",
    ]
    for words, command in _commands("modiste", typer.main.get_command(app)):
        context = typer.Context(command, info_name=words)
        given = [one for one in command.get_params(context) if one.name != "help"]
        own = _infos(command.callback)
        arguments = [one for one in given if not one.opts[0].startswith("-")]
        options = [one for one in given if one.opts[0].startswith("-")]
        line = " ".join([words, *(_argument(one) for one in arguments), *["[OPTIONS]"] * bool(options)])
        parts += [f"## {words}", markdown(command.help), f"```text\n{line}\n```"]
        rows = [(f"`{one.metavar or one.name.upper()}`", _default(one), _about(one, {})) for one in arguments]
        rows += [(f"`{_option(one, own)}`", _default(one), _about(one, own)) for one in options]
        if rows:
            parts.append(_table(("", "default", ""), rows))
        if command.epilog:
            label, _, examples = command.epilog.partition(": ")
            shown = "\n".join(examples.split(" | "))
            parts.append(f"{label}:\n\n```text\n{shown}\n```")
    return "\n\n".join(parts) + "\n"


def _commands(words: str, group: Any) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(f"{words} {name}", command)
        else:
            yield f"{words} {name}", command


def _infos(callback: Callable[..., Any]) -> dict[str, tuple[type, Any]]:
    """Of each parameter of a command its type, and what typer was told about it."""
    found = {}
    for name, hint in get_type_hints(callback, include_extras=True).items():
        if get_origin(hint) is Annotated:
            kind, info = get_args(hint)[:2]
            found[name] = (next((one for one in get_args(kind) if one is not type(None)), kind), info)
    return found


def _argument(one: Any) -> str:
    return one.metavar or one.name.upper() if one.required else f"[{one.metavar or one.name.upper()}]"


def _option(one: Any, own: dict[str, tuple[type, Any]]) -> str:
    if one.is_flag:
        return one.opts[0]
    kind = own[one.name][0] if one.name in own else str
    words = {Path: "PATH", int: "NUMBER", float: "NUMBER"}
    return f"{one.opts[0]} {one.metavar or words.get(kind, 'TEXT')}".replace("|", "\\|")


def _about(one: Any, own: dict[str, tuple[type, Any]]) -> str:
    low, high = (getattr(own[one.name][1], end, None) if one.name in own else None for end in ("min", "max"))
    limits = f"{low} to {high}." if high is not None else f"At least {low}." if low is not None else ""
    required = "Required." if one.required and one.opts[0].startswith("-") else ""
    return " ".join(word for word in ((one.help or "").replace("<", "\\<"), limits, required) if word)


def _default(one: Any) -> str:
    return "" if one.default in (None, False, (), []) else f"`{one.default}`"


def markdown(text: str | None) -> str:
    """A docstring as Markdown: roles and double backticks as code, listed arguments as a list, examples as blocks."""
    told = inspect.cleandoc(text or "")
    told = re.sub(r":\w+:`([^`<]+?) *<[^`]*>`", r"`\1`", told)
    told = re.sub(r":\w+:`~[\w.]*?(\w+)`", r"`\1`", told)
    told = re.sub(r":\w+:`([^`]+)`", r"`\1`", told)
    told = told.replace("``", "`")
    told = re.sub(r"^(Args|Raises):\n((?: {4,}.*\n?|\n)+)", lambda found: _arguments(*found.groups()), told, flags=re.M)
    told = re.sub(
        r"::\n\n((?:    .*\n?|\n)+)", lambda found: f":\n\n```python\n{dedent(found[1]).strip()}\n```\n", told
    )
    return re.sub(
        r"((?:^>>>.*\n?(?:^(?!>>>|\n).+\n?)*)+)", lambda found: f"```pycon\n{found[1].strip()}\n```", told, flags=re.M
    ).strip()


def _arguments(title: str, block: str) -> str:
    """``Args:`` and what is indented below it as a list."""
    lines = re.sub(r"\n {5,}", " ", dedent(block).strip("\n").replace("\n    ", "\n     ")).splitlines()
    named = (re.sub(r"^(\w+): ", r"- `\1`: ", line) for line in lines if line.strip())
    return f"{title}:\n\n" + "\n".join(named) + "\n\n"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(header)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(re.sub(r"(?<!\\)\|", r"\\|", cell) for cell in line) + " |" for line in lines)


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "python.md").write_text(python(), encoding="utf-8")
    (FOLDER / "commands.md").write_text(commands(), encoding="utf-8")
