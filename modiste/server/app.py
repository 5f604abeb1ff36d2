"""The service: an application over one shop, and the command that keeps it up."""

import asyncio
import ctypes
import errno
import logging
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import uvicorn
from anyio import to_thread
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import DataError, SQLAlchemyError
from starlette.datastructures import State
from starlette.middleware import Middleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.responses import Response
from starlette.types import Scope
from uvicorn.supervisors import Multiprocess

from modiste import __version__
from modiste.catalog.files import resolved
from modiste.errors import ModisteError, SettingError, StorageError
from modiste.server import api, logs, pages, storefront
from modiste.server.connections import Connection, Connections
from modiste.server.errors import HANDLERS
from modiste.server.guard import Cors, Guard, Register
from modiste.server.limits import WorkQueue
from modiste.server.metrics import Meters, counted
from modiste.server.middleware import middlewares
from modiste.server.pages.kept import Kept
from modiste.server.pictures import MASKS, THUMBNAILS, Cache
from modiste.server.proxies import Proxies
from modiste.server.rates import Rates
from modiste.server.readiness import Readiness
from modiste.server.settings import Settings, is_local
from modiste.shop import checking
from modiste.shop.shop import Shop

GRACE_S = 10
"""How long requests in flight may take to end when the service is stopped."""

DECODED_AT_ONCE = 2
"""How many photos each worker decodes for thumbnails at a time; a large one takes hundreds of megabytes."""

LOG_INS_AT_ONCE = 2
"""How many passwords each worker checks at a time; each takes 64 MiB and some tenths of a second."""

HUNG_S = 30
"""A worker that gives no sign of life for so long is replaced; one on a crowded machine may need some seconds."""

OPEN_AGAIN_S = 1.0
"""A shop that could not be opened is tried again after so many seconds."""

_LOG = logging.getLogger(__name__)

_NOT_STARTED = 3  # uvicorn's exit code of a worker whose application does not start
_PR_SET_PDEATHSIG = 1  # of Linux: the signal that a process gets when the one that started it ends

HTTP: dict[str, Any] = {
    "http": Connection, "access_log": False, "server_header": False, "proxy_headers": False, "ws": "none",
}  # fmt: skip
"""How uvicorn speaks for the application."""

_ABOUT = """Explained fashion recommendations from garment photos, purchases and each shopper's taste for trends.

All but `/health` needs `Authorization: Bearer` with a key, or an account. Errors are `{"detail": …}`; every answer has
an `X-Request-ID`, which the log has too. An id may be any text without control characters; a slash in it is `%2F`."""


def create_app(shop_path: str | Path, settings: Settings | None = None, rates: Rates | None = None) -> FastAPI:
    """The application over the shop in the folder ``shop_path``; the shop is opened when the application starts.

    ``rates`` are counted with other workers; by default it counts alone.
    """
    chosen, meters, counted = settings or Settings(), Meters(), rates or Rates()
    register = Register(chosen.token)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        state = app.state
        state.shop, state.readiness = None, Readiness(lambda: state.shop)
        state.checking, state.ends = None, Event()
        try:
            await _open(state, shop_path, register)
            opening = None
        except StorageError as error:  # a worker that is replaced while the database is away
            opening = asyncio.create_task(_open_later(state, shop_path, register, error))
        try:
            app.state.work_queue = WorkQueue(chosen.embed_at_once, chosen.embed_queue)
            app.state.thumbnail_queue = WorkQueue(DECODED_AT_ONCE, chosen.in_flight)
            app.state.login_queue = WorkQueue(LOG_INS_AT_ONCE, 16)
            app.state.metrics_queue = WorkQueue(1, 16)
            yield {"connections": Connections(chosen.connections, meters.dropped)}
        finally:
            state.ends.set()
            if opening is not None:
                opening.cancel()
            if state.checking is not None:
                await to_thread.run_sync(state.checking.join)
            if state.shop is not None:
                state.shop.close()

    app = FastAPI(
        title="Modiste",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        middleware=[
            Middleware(Proxies, trusted=chosen.proxies),
            *middlewares(chosen, meters, Middleware(Cors, register=register)),
            Middleware(ExceptionMiddleware, handlers=HANDLERS),  # what Guard refuses looks like what a route refuses
            Middleware(Guard, register=register, rates=counted),
        ],
        exception_handlers=HANDLERS,
        docs_url=None,  # these pages come from elsewhere on the net
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.settings, app.state.meters, app.state.rates = chosen, meters, counted
    app.state.kept, app.state.shop_name = Kept(), resolved(shop_path).name
    app.state.thumbnails, app.state.masks, app.state.parses = Cache(THUMBNAILS), Cache(MASKS), Cache(MASKS)
    own_pages = (storefront.told_by_pages, storefront.reads, storefront.writes)
    for router in (api.lists, api.reads, api.writes, api.watching, *own_pages, *pages.ROUTERS):
        app.router.routes.extend(router.routes)  # included, each would be analysed anew by each first request
    app.mount("/static", _OwnFiles(directory=pages.STATIC), name="static")
    return app


async def _open(state: State, shop_path: str | Path, register: Register) -> None:
    """Open the shop, and read what all requests need, so that the first needn't wait for it. Raises ModisteError."""
    state.shop = await to_thread.run_sync(Shop.open, shop_path)
    register.open(state.shop)
    with suppress(ModisteError):
        await to_thread.run_sync(state.shop.snapshot)
    state.checking = Thread(target=check_at_start, args=(state.shop, state.meters, state.ends), name="checking")
    state.checking.start()


async def _open_later(state: State, shop_path: str | Path, register: Register, error: StorageError) -> None:
    """Open the shop as soon as that can be done; who asks meanwhile is told that it can't be asked yet."""
    while state.shop is None:
        _LOG.error("not open yet, trying again: %s", error)
        await asyncio.sleep(OPEN_AGAIN_S)
        try:
            await _open(state, shop_path, register)
        except StorageError as again:
            error = again


def check_at_start(shop: Shop, meters: Meters, ends: Event) -> None:
    """Mend what is derived and not right, and log what was found; the service serves whatever comes of it."""
    try:
        findings = checking.check(shop, "derived", thorough=False, stop=ends.is_set)
    except (ModisteError, OSError, SQLAlchemyError) as error:  # it may be read-only, or gone, in whole or in part
        why = getattr(error, "orig", None) or error
        if isinstance(error, DataError):  # whose message tells the value
            why = type(why).__name__
        _LOG.warning("the shop can't be checked: %s", why)
        return
    meters.found(findings)
    for one in findings:
        _LOG.warning("%s%s", one.said, " (mended)" if one.mended else "")


class _OwnFiles(StaticFiles):
    """The pages' own files; an address with a file's fingerprint (``?v=``) never changes what it means."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if response.status_code == 200 and scope["query_string"].startswith(b"v="):
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def factory() -> FastAPI:
    """The application that the environment names; each worker of ``modiste serve`` makes its own."""
    _end_with_parent()
    logs.log_threads()
    counters = os.environ.get("MODISTE_RATES")
    rates = Rates(Path(counters)) if counters else None
    return create_app(os.environ["MODISTE_SHOP"], Settings.from_environment(os.environ), rates)


def _end_with_parent() -> None:
    """A worker ends with the process that started it, however that ends: it would keep the port, and an old token."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def end() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM if os.name == "nt" else signal.SIGKILL)

    Thread(target=end, name="ends with its parent", daemon=True).start()
    if sys.platform == "linux":  # though it hangs, or is stopped
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def serve(shop_path: Path, bound: socket.socket, workers: int) -> None:
    """Keep the service up on what :func:`listening` gave until Ctrl-C or SIGTERM; :func:`check` says if it may."""
    with (
        bound,
        counted() if workers > 1 else nullcontext() as counters,
    ):
        os.environ["MODISTE_SHOP"] = str(shop_path.resolve())
        if counters is not None:  # read by prometheus_client as it is imported, in each worker
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(counters)
            os.environ["MODISTE_RATES"] = str(counters / "rates")
        config = uvicorn.Config(
            "modiste.server.app:factory",
            factory=True,
            workers=workers,
            log_config=logs.config(people=sys.stdout.isatty()),
            timeout_graceful_shutdown=GRACE_S,
            timeout_worker_healthcheck=HUNG_S,
            **HTTP,
        )
        if workers == 1:
            with suppress(KeyboardInterrupt):  # which was heeded
                uvicorn.Server(config).run([bound])
            return
        supervisor = Multiprocess(config, [bound])
        supervisor.run()
        if any(one.exitcode == _NOT_STARTED for one in supervisor.processes):
            sys.exit(_NOT_STARTED)


def check(shop_path: Path, host: str) -> tuple[Settings, bool]:
    """The settings of a service that may start, and whether it asks everybody for a key or an account.

    There must be a shop; what is open to the network must ask, and know its names.

    Raises SourceError and SettingError.
    """
    settings = Settings.from_environment(os.environ)
    with Shop.open(shop_path) as shop:
        is_private = settings.token is not None or bool(shop.keys.by_digest() or shop.users)
    if not is_private and not is_local(host):
        raise SettingError(
            f"without a key or an account the service binds to this machine only, not to {host}; "
            f"make one with: modiste user add {shop_path} NAME --role admin; or set MODISTE_TOKEN"
        )
    if not settings.hosts and not is_local(host):
        raise SettingError(
            f"bound to {host}, the service must know the names it is called by; "
            "say them with: export MODISTE_HOSTS=modiste.example,192.0.2.1"
        )
    return settings, is_private


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens; connections wait until the shop is open. Raises SettingError, so that nothing begins."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host, port), family=family, backlog=2048)
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each answer on a kept connection waits 40 ms
        return bound
    except OSError as error:
        why = "something else listens there" if error.errno == errno.EADDRINUSE else error.strerror or error
        raise SettingError(f"can't serve on {host}, port {port}: {why}; choose another with --port, --host") from error
