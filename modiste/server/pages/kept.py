"""Pages as they were answered last: shown again, and dated, while the database is away."""

import zlib
from collections import OrderedDict
from datetime import UTC, datetime

from fastapi import Request
from fastapi.responses import HTMLResponse

from modiste.server.pages.rendering import HEADERS, notice_of, part_wanted
from modiste.shop.moments import STOOD_IN

MOST = 50
"""So many pages each worker keeps, those that were answered last."""

_MAIN = b'<main id="main" tabindex="-1">\n'


class Kept:
    """The pages that a process answered last, each for who saw it; none about shoppers, who may be forgotten since."""

    def __init__(self) -> None:
        self._pages: OrderedDict[tuple[str, str], tuple[datetime, bytes]] = OrderedDict()

    def keep(self, request: Request, page: HTMLResponse) -> None:
        """Keep a whole page that was asked for, if all of it is of now."""
        wanted = _key(request)
        if wanted is not None and page.status_code == 200 and not STOOD_IN.get():
            self._pages.pop(wanted, None)
            self._pages[wanted] = datetime.now(UTC), zlib.compress(bytes(page.body), 1)
            if len(self._pages) > MOST:
                self._pages.popitem(last=False)

    def again(self, request: Request) -> HTMLResponse | None:
        """The page that was asked for as it was last, with a notice of when; None: it isn't known."""
        known = self._pages.get(_key(request) or ("", ""))
        if known is None:
            return None
        at, page = known
        if (stood_in := STOOD_IN.get()) is not None:
            stood_in.append(at)
        return HTMLResponse(zlib.decompress(page).replace(_MAIN, _MAIN + notice_of(at).encode(), 1), headers=HEADERS)


def _key(request: Request) -> tuple[str, str] | None:
    caller = getattr(request.state, "caller", None)
    if caller is None or request.method != "GET" or part_wanted(request) is not None:
        return None
    path: str = request.scope["path"]
    return None if path.startswith("/shoppers") else (caller.name, f"{path}?{request.url.query}")
