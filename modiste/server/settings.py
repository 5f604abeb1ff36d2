"""What the service may do and how much of it at once, read from the environment by every worker."""

import ipaddress
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from modiste.errors import SettingError

_HOST = re.compile(r"[a-z0-9_.-]+|[0-9a-f:.]+")

PREFIXES = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*){1,8}")
"""What a path under which a proxy shows the service may look like: never another host's name."""

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
"""The names by which a service may always be called, when they mean this machine to whoever calls."""


@dataclass(frozen=True)
class Settings:
    """The service's settings.

    ``token`` is a key that may do everything. ``hosts`` are the names that the service answers to beside this machine's
    own; ``proxies`` the addresses and networks of those that are believed when they say for whom they ask. A photo has
    at most ``max_upload`` bytes, one that is searched with at most ``max_pixels`` pixels. ``embed_at_once`` photos are
    worked on at a time in each worker, ``embed_queue`` more may wait; each worker answers ``in_flight`` requests at a
    time. What is beyond is refused with 429. ``root_path`` is the path under which a proxy shows the service, such as
    ``/modiste``, unless a trusted proxy says so itself in X-Forwarded-Prefix. One client, that is one address, has at
    most ``connections`` in each worker.
    """

    token: str | None = None
    hosts: tuple[str, ...] = ()
    max_upload: int = 20_000_000
    max_pixels: int = 16_000_000
    embed_at_once: int = 2
    embed_queue: int = 16
    in_flight: int = 64
    root_path: str = ""
    connections: int = 100
    proxies: tuple[str, ...] = ("127.0.0.0/8", "::1")

    def __post_init__(self) -> None:
        if self.token is not None and not (self.token.isascii() and self.token.isprintable() and " " not in self.token):
            raise SettingError(
                "MODISTE_TOKEN may hold ASCII letters, digits and signs only; make one with: openssl rand -hex 32"
            )
        for host in self.hosts:
            if not _HOST.fullmatch(host):
                raise SettingError(f"MODISTE_HOSTS has {host!r}; write names without a port, such as shop.example")
        if self.root_path and not PREFIXES.fullmatch(self.root_path):
            raise SettingError(f"MODISTE_ROOT_PATH is {self.root_path!r}; write it as /modiste")
        for proxy in self.proxies:
            try:
                ipaddress.ip_network(proxy)
            except ValueError as error:
                raise SettingError(
                    f"MODISTE_PROXIES has {proxy!r}; write addresses or networks, such as 10.0.0.0/8"
                ) from error

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """The settings that the variables MODISTE_… ask for. Raises SettingError for a value that is no number."""
        return cls(
            token=environment.get("MODISTE_TOKEN", "").strip() or None,
            hosts=tuple(map(name_of, _names(environment, "MODISTE_HOSTS"))),
            max_upload=round(1e6 * _number(environment, "MODISTE_MAX_UPLOAD_MB", cls.max_upload / 1e6)),
            max_pixels=round(1e6 * _number(environment, "MODISTE_MAX_MEGAPIXELS", cls.max_pixels / 1e6, most=178)),
            embed_at_once=math.ceil(_number(environment, "MODISTE_EMBED_AT_ONCE", cls.embed_at_once)),
            embed_queue=math.ceil(_number(environment, "MODISTE_EMBED_QUEUE", cls.embed_queue, least=0)),
            root_path=environment.get("MODISTE_ROOT_PATH", "").strip().rstrip("/"),
            connections=math.ceil(_number(environment, "MODISTE_CONNECTIONS", cls.connections, least=1)),
            in_flight=math.ceil(_number(environment, "MODISTE_IN_FLIGHT", cls.in_flight)),
            proxies=tuple(_names(environment, "MODISTE_PROXIES")) or cls.proxies,
        )


def _names(environment: Mapping[str, str], name: str) -> list[str]:
    return [one.strip() for one in environment.get(name, "").split(",") if one.strip()]


def _number(environment: Mapping[str, str], name: str, default: float, least: float = 0.01, most: float = 1e6) -> float:
    given = environment.get(name, "").strip()
    try:
        value = float(given) if given else float(default)
    except ValueError as error:
        raise SettingError(f"{name} is {given!r}; it must be a number such as {default:g}") from error
    if not least <= value <= most:
        raise SettingError(f"{name} is {given!r}; it must be from {least:g} to {most:.0f}")
    return value


def name_of(host: str) -> str:
    """A Host header's name: small, without its port, an IPv6 address's brackets and the dot of the root."""
    bracketed = re.fullmatch(r"\[([^\]]*)\](:\d+)?", host)
    name = bracketed[1] if bracketed else re.sub(r":\d*$", "", host) if host.count(":") == 1 else host
    return name.lower().removesuffix(".")


def is_local(host: str) -> bool:
    """Whether ``host`` (a name or an address) is this machine's own loopback."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() in LOCAL_NAMES
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or bool(mapped and mapped.is_loopback)
