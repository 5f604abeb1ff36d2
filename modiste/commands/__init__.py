"""The commands. A door: each reads its arguments, calls the shop and prints; every import of weight waits for it."""

import sys
from typing import Annotated, NoReturn

import typer

from modiste.commands import (
    access,
    asking,
    data,
    judging,
    maintenance,
    photos,
    scenarios,
    serving,
    simulating,
    storefront,
)
from modiste.commands.printing import say
from modiste.errors import ModisteError, StorageError

app = typer.Typer(
    name="modiste",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Explained fashion recommendations from garment photos, purchases and each shopper's taste for trends.",
    epilog="Example: modiste new street && modiste add items street photos.csv && modiste embed street",
)
for part in (  # in the order of the help, where groups of commands stand last
    data.app, photos.app, simulating.app, asking.app, judging.app, serving.app, storefront.app, access.app,
    maintenance.app, data.add, photos.backbones, access.keys, storefront.ab, scenarios.app, access.users,
):  # fmt: skip
    app.add_typer(part)

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended, as shells have it."""


def main() -> None:
    """Run the commands; what a person can mend is one line without a traceback.

    It exits with 2 where the input is at fault, with 1 where the disk or the database refuses.
    """
    try:
        app()
    except ModisteError as error:
        _end(error)
    except OSError as error:
        if not error.filename:
            raise
        why = (error.strerror or "it is refused").lower()
        _end(StorageError.of(error) or StorageError(f"{error.filename}: {why}", "closed"))
    except SystemExit as end:
        if end.code == INTERRUPTED:
            say("interrupted; what was finished is kept, the same command goes on from there", error=True)
        raise


def _end(error: ModisteError) -> NoReturn:
    say(("error:", "bold red"), f" {error}", error=True)
    sys.exit(1 if isinstance(error, StorageError) else 2)


def _version(wanted: bool) -> None:
    if wanted:
        from modiste import __version__

        print(f"modiste {__version__}")
        raise typer.Exit


@app.callback()
def any_command(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Tell the version and exit.")
    ] = False,
) -> None:
    """What all commands share."""
