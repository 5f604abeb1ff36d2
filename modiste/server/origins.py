"""Where a request comes from: from which machine, and from which web page."""

from urllib.parse import urlsplit

from fastapi import Request

from modiste.server import connections
from modiste.server.settings import is_local, name_of


def client_of(request: Request) -> str:
    """The address of the machine that asks."""
    return request.client.host if request.client else ""


def network_of(request: Request) -> str:
    """The same, but of IPv6 the network that one customer is given (the first 64 bits): her addresses are countless."""
    return connections.client_of(client_of(request))


def is_here(request: Request) -> bool:
    """Whether it comes from this machine itself, by one of its own names, and through no proxy."""
    own = is_local(client_of(request)) and is_local(name_of(request.headers.get("host", "")))
    return own and not request.state.forwarded


def page_origin(request: Request) -> str | None:
    """The web origin of the page that asks, as far as the browser says: ``https://shop.example``; None: it doesn't."""
    origin = request.headers.get("origin")
    if origin is None and (parts := urlsplit(request.headers.get("referer", ""))).netloc:
        origin = f"{parts.scheme}://{parts.netloc}"
    return origin


def is_own(request: Request) -> bool:
    """Whether no page of another origin is behind it; a link there that somebody followed is not that page's doing."""
    headers = request.headers
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    if headers.get("sec-fetch-mode") == "navigate" and request.method == "GET" and site not in ("same-origin", "none"):
        return headers.get("sec-fetch-dest", "document") == "document"
    foreign = origin is not None and origin.partition("://")[2] != headers.get("host")
    return not foreign and site in ("same-origin", "none")
