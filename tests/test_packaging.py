"""What leaves the repository: the wheel, the commands that install, the workflow and the hooks."""

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import suppress
from email.parser import Parser
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from packaging.requirements import Requirement
from typer.testing import CliRunner

from modiste import __version__, commands, extras
from modiste.errors import MissingExtraError

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]


def needed(extra: str) -> set[Requirement]:
    return {Requirement(line) for line in EXTRAS[extra]}


def packages(command: str) -> set[Requirement]:
    """What a line for a shell would install."""
    *_, pip, install = shlex.split(command)[: shlex.split(command).index("install") + 1]
    assert (Path(pip).name, install) == ("pip", "install")
    return {Requirement(word) for word in shlex.split(command.partition(" install ")[2])}


# Commands that install


@pytest.mark.parametrize("extra", EXTRAS)
def test_a_missing_extra_is_installed_by_its_own_packages(extra: str) -> None:
    message = str(MissingExtraError(extra, "This"))
    start = f"This needs the extra {extra}: "
    assert message.startswith(start)
    assert packages(message.removeprefix(start)) == needed(extra)


def test_the_command_installs_into_the_python_that_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setattr(shutil, "which", lambda name: str(tmp_path / "bin" / name))
    assert extras.install_command("client").startswith("pip install ")
    monkeypatch.setattr(shutil, "which", lambda name: f"/somewhere/else/{name}")
    assert extras.install_command("client").startswith(f"{tmp_path}/bin/python -m pip install ")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert extras.install_command("client").startswith(f"{tmp_path}/bin/python -m pip install ")


def test_in_a_folder_that_was_never_installed_the_command_names_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", nothing)
    monkeypatch.setattr(metadata, "metadata", nothing)
    assert extras.extras() == []
    folder = re.fullmatch(r"(.*)\[client\]", shlex.split(extras.install_command("client"))[-1])
    assert folder is not None
    assert (Path(folder[1]) / "pyproject.toml").is_file()


def test_doctor_tells_how_to_install_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = metadata.version

    def without_httpx(name: str) -> str:
        if name == "httpx":
            raise metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(metadata, "version", without_httpx)
    shown = CliRunner().invoke(commands.app, ["doctor"]).stdout
    (client,) = re.findall(r"  extra client: not installed \(httpx\); to install: (.*)", shown)
    assert packages(client) == needed("client")
    for extra in EXTRAS:
        assert f"  extra {extra}: " in shown


def test_the_container_installs_extras_that_there_are() -> None:
    (given,) = re.findall(r'"/src\[([\w,]+)\]"', (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert set(given.split(",")) <= set(EXTRAS)


# The wheel


def built(source: Path, to: Path) -> Path:
    """The wheel of a source tree, built without a network and without pip."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(to)]
    ran = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (wheel,) = to.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="needs what builds the wheel: hatchling")
    return built(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def archive(wheel: Path) -> Iterator[ZipFile]:
    with ZipFile(wheel) as archive:
        yield archive


def test_the_wheel_has_the_whole_package_and_nothing_else(archive: ZipFile) -> None:
    files = (path for path in (ROOT / "modiste").rglob("*") if path.is_file() and path.parent.name != "__pycache__")
    inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert inside == {path.relative_to(ROOT).as_posix() for path in files}


def test_the_wheel_has_what_is_no_python(archive: ZipFile) -> None:
    inside = archive.namelist()
    for name in ("modiste_s", "garment_parser", "efficientnet_lite0"):
        assert f"modiste/vision/models/{name}.onnx" in inside
        assert f"modiste/vision/models/{name}.toml" in inside
    for name in ("demo.zip", "py.typed", "catalog/categories.toml", "shop/migrations/script.py.mako"):
        assert f"modiste/{name}" in inside
    for name in ("templates/base.html", "static/modiste.css", "static/htmx.min.js", "static/htmx.LICENSE.txt"):
        assert f"modiste/server/{name}" in inside
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in inside)


def test_the_wheel_says_the_one_version_and_what_it_needs(wheel: Path, archive: ZipFile) -> None:
    assert "version" not in PROJECT
    assert metadata.EntryPoint("modiste", PROJECT["scripts"]["modiste"], "console_scripts").load() is commands.main
    assert wheel.name == f"modiste-{__version__}-py3-none-any.whl"
    said = Parser().parsestr(archive.read(f"modiste-{__version__}.dist-info/METADATA").decode())
    assert said["Version"] == __version__
    assert set(said.get_all("Provides-Extra", [])) == set(EXTRAS)
    needs = {Requirement(line) for line in said.get_all("Requires-Dist", [])}
    for extra in (None, *EXTRAS):
        wanted = PROJECT["dependencies"] + (EXTRAS[extra] if extra else [])
        given = {
            str(one).partition(";")[0].strip()
            for one in needs
            if not one.marker or one.marker.evaluate({"extra": extra or ""})
        }
        assert given == {str(Requirement(line)) for line in wanted}


def test_the_same_source_elsewhere_gives_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, tmp_path / "source" / name)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "modiste", tmp_path / "source" / "modiste", ignore=ignored, copy_function=shutil.copyfile)
    again = built(tmp_path / "source", tmp_path / "wheel")
    assert sha256(again.read_bytes()).hexdigest() == sha256(wheel.read_bytes()).hexdigest()


def test_the_wheel_holds_what_its_record_says(archive: ZipFile) -> None:
    (record,) = [name for name in archive.namelist() if name.endswith(".dist-info/RECORD")]
    rows = [line.split(",") for line in archive.read(record).decode().splitlines()]
    assert {name for name, *_ in rows} == set(archive.namelist())
    for name, digest, size in rows:
        if name != record:
            content = archive.read(name)
            sha = urlsafe_b64encode(sha256(content).digest()).rstrip(b"=").decode()
            assert (digest, int(size)) == (f"sha256={sha}", len(content)), name


# Licences


def test_every_package_network_and_file_that_is_not_ours_has_its_licence() -> None:
    spec = importlib.util.spec_from_file_location("licences", ROOT / "docs" / "licences.py")
    assert spec is not None
    assert spec.loader is not None
    licences = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(licences)
    rows = dict(re.findall(r"^\| (?:\[|`)?([\w./-]+).*\| (.*) \|$", licences.PAGE.read_text("utf-8"), re.M))
    named = {licences._required(line)[0] for lines in EXTRAS.values() for line in lines}
    assert licences.locked().keys() | named | licences.FILES.keys() <= rows.keys(), "run: python docs/licences.py"
    assert {file.stem for file in (ROOT / "modiste/vision/models").glob("*.onnx")} <= rows.keys()
    for package in licences.locked():
        with suppress(metadata.PackageNotFoundError):
            said = licences.licence(package)
            assert said, f"{package} doesn't say its licence; add it to docs/licences.py"
            assert rows[package] == said or metadata.version(package) != licences.locked()[package], package
    static = {one.relative_to(ROOT).as_posix() for one in (ROOT / "modiste/server/static").glob("*.min.*")}
    assert static <= licences.FILES.keys()


# The workflow, the hooks, the changes


def test_what_is_locked_is_audited_every_week_and_when_it_changes() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/audit.yml").read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow[True].keys() == {"schedule", "push", "pull_request", "workflow_dispatch"}  # YAML reads on as True
    assert workflow[True]["push"]["paths"] == ["requirements.lock"]
    (job,) = workflow["jobs"].values()
    assert "pip-audit" in job["steps"][-1]["run"]
    assert "requirements.lock" in job["steps"][-1]["run"]


def test_the_workflow_runs_what_ci_runs_on_every_python_that_is_named() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    (job,) = workflow["jobs"].values()
    named = {one.rpartition(" ")[2] for one in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", one)}
    assert set(job["strategy"]["matrix"]["python"]) == named
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
    assert workflow["permissions"] == {"contents": "read"}


def test_the_hooks_are_those_of_the_projects_own_environment() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (repository,) = hooks["repos"]
    assert repository["repo"] == "local"
    assert [hook["id"] for hook in repository["hooks"]] == ["ruff", "ruff-format", "mypy", "import-linter"]
    checked = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\ncheck:")[2].partition("\n\n")[0]
    for hook in repository["hooks"]:
        program = Path(shlex.split(hook["entry"])[0])
        assert program.parent == Path(".venv/bin")
        assert hook["language"] == "system"
        assert f"$(BIN)/{program.name}" in checked


def test_changes_are_told_by_version_with_what_comes_next_first() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## (.*)$", text, re.M)
    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", version) for version in versions[1:])
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.M)) <= kinds


def test_the_first_changes_that_contributing_shows_fit_the_files_they_are_for() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```diff (\S+)\n(.*?)^```", text, re.M | re.S)
    assert len(shown) == 2
    for file, lines in shown:
        before = "".join(f"{line[1:]}\n" for line in lines.splitlines() if not line.startswith("+"))
        assert before in (ROOT / file).read_text(encoding="utf-8"), file
    for word in re.findall(r"`((?:[\w-]+/)+[\w.]+)`", text):
        assert (ROOT / word).exists() or word.startswith(("docs/models", "../")), word
    for test, file in re.findall(r"`(test_\w+)` in `([\w/]+\.py)`", text):
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8")
