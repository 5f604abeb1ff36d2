"""The package's face: what it offers by name, and that looking at it costs nothing."""

import subprocess
import sys

import pytest

import modiste

HEAVY = "numpy polars pydantic onnxruntime sqlalchemy alembic PIL matplotlib httpx fastapi"


def imported(code: str) -> set[str]:
    """Which of the HEAVY packages a program has imported at its end."""
    program = f"import sys\n{code}\nprint(*[name for name in {HEAVY.split()} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_the_package_lists_its_public_face():
    assert dir(modiste) == [
        "Ask", "Client", "Event", "Item", "Recommendation", "Shop", "Weights", "__version__", "evaluate",
    ]  # fmt: skip
    for name in dir(modiste):
        thing = getattr(modiste, name)
        assert name == "__version__" or (thing.__name__, bool(thing.__doc__)) == (name, True)


def test_a_name_that_it_does_not_have_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'modiste' has no attribute 'Filter'"):
        _ = modiste.Filter
    assert not hasattr(modiste, "shops")


@pytest.mark.parametrize(
    "code",
    [
        "import modiste; dir(modiste); modiste.__version__",
        "import modiste.commands",
        "sys.argv = ['modiste', '--help']\nfrom modiste.commands import main\ntry: main()\nexcept SystemExit: pass",
    ],
    ids=["package", "commands", "help"],
)
def test_looking_at_the_package_imports_nothing_of_weight(code):
    assert imported(code) == set()


def test_a_shop_can_be_opened_without_a_service_s_or_a_figure_s_libraries():
    assert imported("from modiste import Shop; Shop").isdisjoint({"httpx", "fastapi", "matplotlib"})
