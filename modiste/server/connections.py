"""Connections: how long a client may take, how many it may have, and that an answer arrives before its connection ends.

uvicorn waits for ever for a request's head, and closes while bytes of a body are still coming, which costs the client
the answer. Here every wait for a client ends, and who has waited longest makes room for who comes.
"""

import ipaddress
import json
from asyncio import AbstractEventLoop, BaseTransport, TimerHandle, Transport
from collections import defaultdict
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Literal, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
"""A request's head has come within so many seconds from when the connection was ready for it."""

TAKE_S = 20.0
"""A client takes the next 48 KB of an answer within so many seconds."""

REST_S, REST = 10.0, 64_000_000
"""Once a request is answered, so many seconds or bytes of the rest of its body are read on, and thrown away."""

MOST = 800
"""Connections of all clients together, in each worker; systems commonly let a process have 1,024 open files."""

PATIENCE_S = 0.5
"""Nobody has to make room who kept us waiting for less."""

BODIES, SLOW_S = 16, 5.0
"""So many bodies of one client may take longer than so many seconds, in each worker."""

Owed = Literal["head", "body", "rest", "taking"]
"""What a client owes: a request's head, its body, the rest of a body that was answered already, to take its answer."""


def client_of(host: str) -> str:
    """Whom an address belongs to: itself, or for IPv6 its network of 64 bits, of which a client has all addresses."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)


class Connections:
    """The connections of one worker. Where one too many comes, the one that has kept us waiting longest makes room.

    A burst of quick ones makes nobody go: then the new one is told that there is no room.
    """

    def __init__(self, per_client: int, dropped: Callable[[str], None]) -> None:
        self._per_client = per_client
        self.dropped = dropped
        self._of: defaultdict[str, set[Connection]] = defaultdict(set)

    def admit(self, one: "Connection") -> bool:
        """Whether there is room for one more; not if all others are being worked for, or have only just come."""
        everyone = [each for some in self._of.values() for each in some]
        for crowd, most in ((self._of[one.whose], self._per_client), (everyone, MOST)):
            if len(crowd) >= most and not self._drop(crowd, PATIENCE_S):
                return False
        self._of[one.whose].add(one)
        return True

    def bound_bodies(self, whose: str) -> None:
        """Have at most BODIES of a client's connections send a body slowly; called as another one begins."""
        slow = [each for each in self._of[whose] if each.owed == "body" and each.waited() > SLOW_S]
        if len(slow) >= BODIES:
            self._drop(slow, SLOW_S)

    def leave(self, one: "Connection") -> None:
        """Forget a connection that ended."""
        self._of[one.whose].discard(one)
        if not self._of[one.whose]:
            del self._of[one.whose]

    def _drop(self, crowd: Iterable["Connection"], patience: float) -> bool:
        slow = max(crowd, key=lambda each: each.waited(), default=None)
        if slow is None or slow.waited() <= patience:
            return False
        self.dropped("crowded")
        slow.drop()
        self.leave(slow)
        return True


class Connection(H11Protocol):
    """uvicorn's HTTP/1.1 with an end to every wait. The application's lifespan gives ``connections``."""

    owed: Owed | None = None
    since: float = 0.0
    whose: str = ""
    _timer: TimerHandle | None = None
    _rest: int = 0

    def connection_made(self, transport: BaseTransport) -> None:
        """As asyncio's: it begins, if there is room for it."""
        self._lingering = _Lingering(cast(Transport, transport), self.loop, self._is_cut)
        super().connection_made(cast(Transport, self._lingering))
        self.whose = client_of(self.client[0]) if self.client else ""
        self._all: Connections = self.app_state["connections"]
        if self._all.admit(self):
            self._watch()
        else:
            self._all.dropped("refused")
            self._refuse(429, "too many connections; try again in a second", (b"retry-after", b"1"))

    def data_received(self, data: bytes) -> None:
        """As asyncio's: some bytes came, for uvicorn or, where nobody waits for them, for nothing."""
        if self.owed == "rest" or self._lingering.is_closing():
            self._rest += len(data)
            if self._rest > REST:
                self.drop()
        if not self._lingering.is_closing():
            super().data_received(data)
            self._watch()

    def on_response_complete(self) -> None:
        """As uvicorn's: an answer was given."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """As asyncio's: the client takes an answer slowly."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """As asyncio's: it took most of it."""
        super().resume_writing()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """As asyncio's: it ended."""
        super().connection_lost(exc)
        self._lingering.ended()
        self._set_timer(None)
        self.owed = None
        self._all.leave(self)

    def send_400_response(self, msg: str) -> None:
        """As uvicorn's: what came is no HTTP."""
        self._refuse(400, msg)

    def waited(self) -> float:
        """For how many seconds the client has owed what it owes."""
        return self.loop.time() - self.since if self.owed else 0.0

    def drop(self) -> None:
        """End it now, whatever it was about."""
        self._lingering.abort()

    def _watch(self) -> None:
        """See what the client owes now; if that is something new, its time begins."""
        owed = self._owes()
        if owed == self.owed:
            return
        self.owed, self.since, self._rest = owed, self.loop.time(), 0
        self._set_timer({"head": HEAD_S, "rest": REST_S, "taking": TAKE_S}.get(owed or ""))
        if owed == "body":  # how long it may take is for the application to say, which knows how much it wants
            self._all.bound_bodies(self.whose)

    def _owes(self) -> Owed | None:
        if self.flow.write_paused:
            return "taking"
        if self._lingering.is_closing():
            return "rest" if self._is_cut() else None
        if self.conn.their_state is h11.IDLE:
            return "head"
        if self.conn.their_state is h11.SEND_BODY:
            return "rest" if self.cycle.response_complete else "body"
        return None

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        self._all.dropped(f"late {self.owed}")
        if self.owed == "head" and self.conn.trailing_data[0]:
            self._refuse(408, f"the request's head took longer than {HEAD_S:.0f} seconds")
        elif self.owed == "head":
            self._lingering.close()
        else:
            self.drop()

    def _is_cut(self) -> bool:
        """Whether the client may still be sending what nobody will read."""
        return self.conn.their_state in (h11.SEND_BODY, h11.ERROR) or bool(self.conn.trailing_data[0])

    def _refuse(self, status: int, detail: str, *headers: tuple[bytes, bytes]) -> None:
        """Answer what is no request, or none yet, in the shape of all errors, and close."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # in the middle of an answer
            self.drop()
            return
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        body = json.dumps({"detail": detail}).encode()
        length = (b"content-length", b"%d" % len(body))
        start = [(b"content-type", b"application/json"), length, (b"connection", b"close"), *headers]
        head = h11.Response(status_code=status, headers=start, reason=HTTPStatus(status).phrase.encode())
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            self._lingering.write(self.conn.send(event) or b"")
        self._lingering.close(linger=True)


class _Lingering:
    """A transport that, where the client may still be sending, ends its own side and reads on before it closes.

    To close with bytes unread resets the connection, and the client loses the answer that it hasn't read yet.
    """

    def __init__(self, transport: Transport, loop: AbstractEventLoop, is_cut: Callable[[], bool]) -> None:
        self._transport, self._loop, self._is_cut = transport, loop, is_cut
        self._timer: TimerHandle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self._timer is not None or self._transport.is_closing()

    def close(self, linger: bool = False) -> None:
        if self.is_closing():
            return
        if (linger or self._is_cut()) and self._transport.can_write_eof():
            self._timer = self._loop.call_later(REST_S, self._transport.abort)
            self._transport.write_eof()
            self._transport.resume_reading()
        else:
            self._timer = self._loop.call_later(TAKE_S, self._transport.abort)  # for who doesn't take the answer
            self._transport.close()

    def ended(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
