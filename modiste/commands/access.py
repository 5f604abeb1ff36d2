"""Who may do what: keys of programs, accounts of people, and what they changed."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from modiste.commands.printing import say
from modiste.commands.shared import ShopPath, note, open_shop

if TYPE_CHECKING:
    from modiste.shop.keys import Key
    from modiste.shop.users import User

app = typer.Typer()
keys = typer.Typer(
    name="key", no_args_is_help=True, help="Make, list and withdraw the keys that programs show the service."
)
users = typer.Typer(
    name="user", no_args_is_help=True, help="Make, list, change and remove the accounts of those who use the pages."
)

Name = Annotated[str, typer.Argument()]


@app.command(epilog="Example: modiste audit street --last 50")
def audit(
    path: ShopPath,
    last: Annotated[int, typer.Option(min=1, max=100_000, help="How many changes.")] = 100,
) -> None:
    """Tell who changed what within a year, the newest first."""
    with open_shop(path) as shop:
        for one in shop.audit.frame(last).iter_rows(named=True):
            about = f": {one['about']}" if one["about"] else ""
            say(f"{one['at']:%Y-%m-%d %H:%M} {one['who']}: {one['what']}{about}")


@keys.command(
    "add",
    epilog="Examples: modiste key add street back-end --role server | "
    "modiste key add street pages --role publishable --origin https://shop.example",
)
def add_key(
    path: ShopPath,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    role: Annotated[
        str,
        typer.Option(
            help="publishable (shows lists on web pages), viewer (reads), server (what a back end needs), admin (all)."
        ),
    ],
    origin: Annotated[
        list[str] | None, typer.Option(help="Of pages that may use a publishable one; may be given again.")
    ] = None,
    per_minute: Annotated[
        int | None, typer.Option(help="The most requests; of a publishable one, from each address.")
    ] = None,
) -> None:
    """Make a key and print it, this once. As soon as there is one, everybody needs a key or an account."""
    with open_shop(path) as shop:
        print(shop.keys.add(name, role, origins=origin or (), per_minute=per_minute))
        note(shop, f"make a {role} key", name)


@keys.command("list", epilog="Example: modiste key list street")
def list_keys(path: ShopPath) -> None:
    """List the keys, without their secrets."""
    with open_shop(path) as shop:
        for one in shop.keys.by_digest().values():
            _print_one(one, *one.origins, f"{one.per_minute} a minute")


@keys.command("withdraw", epilog="Example: modiste key withdraw street back-end")
def withdraw_key(path: ShopPath, name: Name) -> None:
    """Withdraw a key: a running service refuses it within two seconds."""
    with open_shop(path) as shop:
        shop.keys.remove(name)
        note(shop, "withdraw a key", name)
        say(f"withdrew {name}")


@users.command("add", epilog="Example: modiste user add street anna --role merchandiser")
def add_user(
    path: ShopPath,
    name: Annotated[str, typer.Argument(help="Under which she logs in.")],
    role: Annotated[
        str, typer.Option(help="viewer (reads), merchandiser (also changes what is shown), admin (everything).")
    ],
) -> None:
    """Make an account; the password is asked for, or read from standard input.

    As soon as there is one, everybody logs in or sends a key.
    """
    with open_shop(path) as shop:
        shop.users.add(name, _password(), role)
        note(shop, f"make an account of a {role}", name)
        say(f"{name} may log in as {role}")


@users.command("list", epilog="Example: modiste user list street")
def list_users(path: ShopPath) -> None:
    """List the accounts."""
    with open_shop(path) as shop:
        for one in shop.users.all():
            _print_one(one)


@users.command("change", epilog="Examples: modiste user change street anna --role admin | ... anna --password")
def change_user(
    path: ShopPath,
    name: Name,
    role: Annotated[str | None, typer.Option(help="viewer, merchandiser or admin.")] = None,
    password: Annotated[bool, typer.Option("--password", help="Ask for another one.")] = False,
) -> None:
    """Give somebody another role or password; she must log in again."""
    with open_shop(path) as shop:
        shop.users.change(name, role=role, password=_password() if password else None)
        given = [f"the role {role}"] * (role is not None) + ["another password"] * password
        note(shop, f"give an account {' and '.join(given) or 'nothing'}", name)
        say(f"changed {name}")


@users.command("remove", epilog="Example: modiste user remove street anna")
def remove_user(path: ShopPath, name: Name) -> None:
    """Take an account away, and log it out everywhere."""
    with open_shop(path) as shop:
        shop.users.remove(name)
        note(shop, "remove an account", name)
        say(f"removed {name}")


def _password() -> str:
    """Asked for twice on a terminal; elsewhere the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("password", hide_input=True, confirmation_prompt="once more", err=True))


def _print_one(one: "Key | User", *more: str) -> None:
    say(f"{one.name}: {', '.join((one.role, *more, f'made {one.made:%Y-%m-%d}'))}")
