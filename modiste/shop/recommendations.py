"""What a recommendation says: the item, the terms that brought it there, and the purchase that caused it."""

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modiste.errors import PhotoError
from modiste.ranking.relevance import Terms
from modiste.vision.photos import thumbnail_of

TERMS = Terms._fields
"""The weighted terms of the relevance, in the order in which they are shown."""

SHOWN = (
    "product", "title", "brand", "gender", "age_group", "colour", "size", "price", "currency", "sale_price", "url",
)  # fmt: skip
"""What a recommendation says of the item itself, so that a page can be drawn from it alone."""

_SHADES = "#b3502f #8f4f77 #c99a2e #5b7f6b #5a6f93 #7a6a55 #a0567a #4f8a8b #8a8a3c #7a5c8e #6b6f76"
_COLOURS = dict(zip(TERMS, _SHADES.split(), strict=True))


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One recommended item and why.

    ``terms`` are the weighted terms by the names of TERMS, in relevance points; they add up to ``relevance``.
    ``because`` is the item whose purchase (or view) caused it, None for a photo. ``category`` is the item's.
    ``distance_km`` is the great-circle distance from the shopper to the item's store, None where either position is
    unknown. ``why`` says it in a sentence. ``item`` has what a page shows of the item: SHOWN, and whether it is
    ``on_offer``. ``rules`` are sentences of what a scenario's rules did.
    """

    item_id: str
    relevance: float
    terms: Mapping[str, float]
    because: str | None
    category: str | None
    store_id: str | None
    distance_km: float | None
    image: str | None
    why: str
    item: Mapping[str, Any] = field(default_factory=dict)
    rules: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The fields that a machine wants; the service sends them but for the photo's file."""
        names = ("item_id", "relevance", "terms", "because", "category", "store_id", "distance_km", "image", "why")
        return {**self.item, **{name: getattr(self, name) for name in names}, "rules": list(self.rules)}


class Recommendations(list[Recommendation]):
    """A list of recommendations that shows its pictures and bars in a notebook.

    ``scenario`` is the one that was asked for, None without any, and ``rules`` what each of its rules did, in order.
    ``nothing`` says why the list is empty though something passed the filters; None: it isn't, or nothing passed.
    """

    def __init__(
        self, found: Iterable[Recommendation] = (), *, scenario: str | None = None, nothing: str | None = None
    ) -> None:
        super().__init__(found)
        self.scenario = scenario
        self.nothing = None if self else nothing
        self.rules: list[str] = []

    def _repr_html_(self) -> str:
        return f'<div style="display:flex;flex-wrap:wrap;gap:12px">{"".join(map(card, self))}</div>'


@dataclass(frozen=True, slots=True)
class Moved:
    """A recommendation and what became of it against the list it is compared with.

    ``mark`` is new, rose, fell, same or dropped; ``by`` how many ranks; ``before`` its rank there (1-based, 0: none).
    """

    recommendation: Recommendation
    mark: str
    by: int = 0
    before: int = 0


def compare(now: Sequence[Recommendation], before: Sequence[Recommendation]) -> tuple[list[Moved], list[Moved]]:
    """What is in ``now``, each with how it moved since ``before``, and what dropped out of it."""
    ranks = {one.item_id: rank for rank, one in enumerate(before, 1)}
    moved = []
    for rank, one in enumerate(now, 1):
        was = ranks.pop(one.item_id, 0)
        mark = "new" if not was else "rose" if was > rank else "fell" if was < rank else "same"
        moved.append(Moved(one, mark, abs(was - rank) if was else 0, was))
    return moved, [Moved(before[rank - 1], "dropped", 0, rank) for rank in ranks.values()]


def card(shown: Recommendation) -> str:
    """One recommendation as an HTML figure: its picture, a bar of its terms, and the reason in words."""
    total = max(sum(max(value, 0.0) for value in shown.terms.values()), 1e-9)
    bar = "".join(
        f'<span title="{name} {value:.3f}" '
        f'style="width:{100 * max(value, 0) / total:.1f}%;background:{_COLOURS[name]}"></span>'
        for name, value in shown.terms.items()
    )
    words = " · ".join(f"{name} {value:.2f}" for name, value in shown.terms.items() if value)
    category = f" · {html.escape(shown.category.replace('_', ' '))}" if shown.category else ""
    return (
        f'<figure class="card" style="width:170px;margin:0">{_picture(shown.item_id, shown.image)}'
        f'<div style="display:flex;height:8px;border-radius:4px;overflow:hidden;margin:6px 0">{bar}</div>'
        f"<figcaption><b>{shown.relevance:.3f}</b>{category}<br><small>{words}<br>{html.escape(shown.why)}<br>"
        f"<code>{html.escape(shown.item_id)}</code></small></figcaption></figure>"
    )


def glance(name: str, words: str, items: Iterable[Mapping[str, Any]]) -> str:
    """A shop as an HTML fragment: its name, ``words`` on it, and pictures of some items."""
    figures = "".join(
        f'<figure style="width:90px;margin:0">{_picture(one["item_id"], one["image"], 120)}'
        f"<figcaption><small>{html.escape(one['title'] or one['category'] or one['item_id']).replace('_', ' ')}"
        "</small></figcaption></figure>"
        for one in items
    )
    return (
        f"<div><b>{html.escape(name)}</b> · {html.escape(words)}"
        f'<div style="display:flex;flex-wrap:wrap;gap:10px;margin-top:6px">{figures}</div></div>'
    )


def _picture(item_id: str, image: str | None, height: int = 220) -> str:
    """An item's photo at most ``height`` pixels high; an empty space if there is none or it is broken."""
    style = f"width:100%;height:{height}px;object-fit:contain;background:#f3f0eb;border-radius:6px"
    with suppress(PhotoError):
        if image is not None:
            source = f"data:image/jpeg;base64,{base64.b64encode(thumbnail_of(Path(image), height)).decode()}"
            return f'<img alt="{html.escape(item_id)}" src="{source}" style="{style}">'
    return f'<div style="{style}"></div>'


def page(title: str, sections: Iterable[tuple[str, str, str | None, Sequence[Recommendation]]]) -> str:
    """A whole HTML page, pictures included. Each section: heading, caption, the purchased item's photo, its list."""
    parts, used = [], set[str]()
    for heading, caption, bought, found in sections:
        used |= {name for one in found for name, value in one.terms.items() if value}
        picture = f'<figure class="bought">{_picture(heading, bought)}<figcaption>bought</figcaption></figure>'
        parts.append(
            f"<section><h2>{html.escape(heading)}</h2><p>{html.escape(caption)}</p><div class='row'>"
            f"{picture if bought else ''}{''.join(map(card, found))}</div></section>"
        )
    legend = " ".join(f'<i style="background:{_COLOURS[name]}"></i>{name}' for name in TERMS if name in used)
    return _PAGE.format(title=html.escape(title), legend=legend, body="\n".join(parts))


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.45 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-weight: 600; }} h2 {{ font-size: 1.05rem; margin: 2rem 0 .2rem; }}
p {{ margin: .2rem 0 .8rem; opacity: .75; }}
.row {{ display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start; }}
.bought {{ width: 170px; margin: 0 12px 0 0; padding-right: 16px; border-right: 1px solid #8886; }}
.bought figcaption {{ text-align: center; opacity: .7; margin-top: 6px; }}
.legend i {{ display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .3em 0 1em; }}
small {{ opacity: .8; }} code {{ overflow-wrap: anywhere; }}
</style></head><body><h1>{title}</h1><p class="legend">Bars:{legend}</p>
{body}
</body></html>
"""
