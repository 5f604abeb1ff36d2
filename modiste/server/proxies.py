"""Which machine a request comes from, where proxies stand between."""

import ipaddress
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from modiste.server.middleware import Layer
from modiste.server.settings import name_of

_FORWARDING = ("forwarded", "via", "x-real-ip")


class Proxies(Layer):
    """A request that a trusted proxy passes on has its client's address and scheme; nobody else is believed.

    ``state`` then says whether it was ``forwarded`` by anyone at all, and whether its peer is ``trusted``.
    """

    def __init__(self, app: ASGIApp, trusted: Iterable[str]) -> None:
        super().__init__(app)
        self._trusted = [ipaddress.ip_network(one) for one in trusted]

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, state = Headers(scope=scope), scope.setdefault("state", {})
        peer = scope["client"][0] if scope.get("client") else ""
        state["forwarded"] = any(one in _FORWARDING or one.startswith("x-forwarded-") for one in headers)
        state["trusted"] = self._is_trusted(peer)
        if state["forwarded"] and state["trusted"]:
            elements = [_element(one) for one in _values(headers, "forwarded")]
            ways = {
                self._farthest(peer, way)
                for way in (_values(headers, "x-forwarded-for"), [one.get("for", "") for one in elements])
                if way
            }
            if len(ways) == 1:  # a proxy sets one of the two, and may let the other through as a stranger sent it
                scope["client"] = (ways.pop(), 0)
            said = [*_values(headers, "x-forwarded-proto"), *(one["proto"] for one in elements if "proto" in one)]
            if said and said[-1].lower() in ("http", "https"):
                scope["scheme"] = said[-1].lower()
        await self.app(scope, receive, send)

    def _is_trusted(self, host: str) -> bool:
        address = _address(host)
        return address is not None and any(address in one for one in self._trusted)

    def _farthest(self, peer: str, way: list[str]) -> str:
        """The first machine, from here, that is no trusted proxy; the last one known where the rest can't be read."""
        for host in reversed(way):
            address = _address(name_of(host))
            if address is None or not self._is_trusted(peer):
                break
            peer = str(address)
        return peer


def _values(headers: Headers, name: str) -> list[str]:
    return [one.strip() for line in headers.getlist(name) for one in line.split(",") if one.strip()]


def _element(text: str) -> dict[str, str]:
    """One element of ``Forwarded`` (RFC 7239) as a mapping, such as ``{"for": "[2001:db8::1]:4711"}``."""
    pairs = (pair.partition("=") for pair in text.split(";"))
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
