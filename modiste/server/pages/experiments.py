"""The page /experiments: the tables and figures that ``modiste evaluate`` wrote."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from markdown_it import MarkdownIt
from markupsafe import Markup

from modiste.catalog.files import read
from modiste.errors import UnknownIdError
from modiste.server.addresses import here
from modiste.server.dependencies import TheShop
from modiste.server.pages.rendering import HEADERS, render
from modiste.shop.shop import Shop

FILES = {".png": "image/png", ".svg": "image/svg+xml", ".csv": "text/csv; charset=utf-8"}
"""What is served from the folder of the experiments, and as what."""

MAX_TABLES = 10_000_000
"""Bytes of the tables that a page shows."""

router = APIRouter(include_in_schema=False)


@router.get("/experiments")
def experiments(request: Request, shop: TheShop) -> Response:
    """The tables and figures that ``modiste evaluate`` wrote into the shop's folder, or how to make them."""
    files = _files(shop)
    tables = files.get("tables.md")
    figures = [name for name in files if Path(name).suffix in (".png", ".svg") and not _light(name, files)]
    body = None
    if tables is not None:
        body, shown = _markdown(read(tables, MAX_TABLES).decode("utf-8", "replace"), files)
        figures = [name for name in figures if name not in shown]
    return render(
        request,
        "experiments.html",
        body=body,
        figures=[(name, _dark(name) if _dark(name) in files else "") for name in figures],
        sheets=[name for name in files if name.endswith(".csv")],
        command=f"modiste evaluate {shop.name} all",
    )


@router.get("/experiments/{name}")
def experiment_file(shop: TheShop, name: str) -> Response:
    """One figure or CSV table of the experiments."""
    file = _files(shop).get(name)
    if file is None or file.suffix not in FILES:
        raise UnknownIdError(f"There is no experiment file {name!r}.")
    headers = HEADERS | {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
    return FileResponse(file, media_type=FILES[file.suffix], headers=headers)


def _address(name: str) -> str:
    return here(f"/experiments/{quote(name, safe='')}")


def _dark(name: str) -> str:
    """What the figure for dark pages is called, beside the one for light pages."""
    return f"{Path(name).stem}-dark{Path(name).suffix}"


def _light(name: str, files: Mapping[str, Path]) -> bool:
    """Whether it is the one for dark pages of a figure that is there."""
    light = Path(name).stem.removesuffix("-dark") + Path(name).suffix
    return light != name and light in files


def _files(shop: Shop) -> dict[str, Path]:
    """The files of the experiments' folder that a page may show, by name: no folders, no links to elsewhere."""
    folder = shop.path / "experiments"
    if not folder.is_dir():
        return {}
    return {
        file.name: file
        for file in sorted(folder.iterdir())
        if (file.suffix in FILES or file.name == "tables.md") and file.is_file() and not file.is_symlink()
    }


def _markdown(text: str, files: Mapping[str, Path]) -> tuple[Markup, set[str]]:
    """Markdown as HTML (any HTML in it escaped), pictures pointed at our addresses; and the pictures it shows."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = reader.parse(text)
    shown: set[str] = set()
    depth = {"h1": "h2", "h2": "h3", "h3": "h4"}
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = depth.get(token.tag, token.tag)
        for child in token.children or ():
            if child.type == "image":
                source = str(child.attrs.get("src", ""))
                if source in files:
                    shown.add(source)
                    child.attrs["src"] = _address(source)
                    child.attrs["loading"] = "lazy"
                else:  # nothing from elsewhere is loaded
                    child.type, child.tag, child.nesting = "text", "", 0
    html = reader.renderer.render(tokens, reader.options, {})
    for source in shown:
        if (dark := _dark(source)) in files:
            other = f'<source media="(prefers-color-scheme: dark)" srcset="{_address(dark)}">'
            image = rf'<img src="{re.escape(_address(source))}"[^>]*>'
            html = re.sub(image, rf"<picture>{other}\g<0></picture>", html)
    html = html.replace("<table>", '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>')
    return Markup(html.replace("</table>", "</table></div>")), shown  # noqa: S704  (made by the renderer, escaped)
