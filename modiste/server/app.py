"""The service: an application over one shop, and the command that keeps it up."""

import logging
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from threading import Event, Thread

import uvicorn
from anyio import to_thread
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import DBAPIError
from starlette.responses import Response
from starlette.types import Scope

from modiste import __version__
from modiste.errors import ModisteError, SettingError
from modiste.server import api, pages
from modiste.server.errors import HANDLERS
from modiste.server.limits import WorkQueue
from modiste.server.logs import CONFIG
from modiste.server.metrics import Meters
from modiste.server.middleware import middlewares
from modiste.server.pictures import MASKS, THUMBNAILS, Cache
from modiste.server.readiness import Readiness
from modiste.server.settings import Settings, is_local
from modiste.shop import checking
from modiste.shop.shop import Shop

GRACE_S = 10
"""How long requests in flight may take to end when the service is stopped."""

DECODED_AT_ONCE = 2
"""How many photos each worker decodes for thumbnails at a time; a large one takes hundreds of megabytes."""

HUNG_S = 30
"""A worker that gives no sign of life for so long is replaced; one on a crowded machine may need some seconds."""

_LOG = logging.getLogger(__name__)

_ABOUT = """Explained fashion recommendations from garment photos, purchases and each shopper's taste for trends.

Writes need `Authorization: Bearer` with the service's token. Errors are `{"detail": …}`; every answer has an
`X-Request-ID`, which the log has too. An id may be any text without control characters; a slash in it is `%2F`."""


def create_app(shop_path: str | Path, settings: Settings | None = None) -> FastAPI:
    """The application over the shop in the folder ``shop_path``; the shop is opened when the application starts."""
    chosen, meters = settings or Settings(), Meters()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with Shop.open(shop_path) as shop:
            app.state.shop, app.state.readiness = shop, Readiness(shop)
            app.state.work_queue = WorkQueue(chosen.embed_at_once, chosen.embed_queue)
            app.state.thumbnail_queue = WorkQueue(DECODED_AT_ONCE, chosen.in_flight)
            app.state.metrics_queue = WorkQueue(1, 16)
            with suppress(ModisteError):  # the first request needn't wait for what all requests need
                await to_thread.run_sync(shop.snapshot)
            ends = Event()
            thread = Thread(target=_check, args=(shop, meters, ends), name="checking")
            thread.start()
            yield
            ends.set()
            await to_thread.run_sync(thread.join)

    app = FastAPI(
        title="Modiste",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        middleware=middlewares(chosen, meters),
        exception_handlers=HANDLERS,
        docs_url=None,  # these pages come from elsewhere on the net
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.settings, app.state.meters = chosen, meters
    app.state.thumbnails, app.state.masks, app.state.parses = Cache(THUMBNAILS), Cache(MASKS), Cache(MASKS)
    routers = (api.reads, api.writes, api.watching, *pages.ROUTERS)
    for router in routers:
        app.include_router(router)
    app.state.routes = [route for router in routers for route in router.routes]
    app.mount("/static", _OwnFiles(directory=pages.STATIC), name="static")
    return app


def _check(shop: Shop, meters: Meters, ends: Event) -> None:
    """Mend what is derived and not right, and log what was found; the service serves whatever comes of it."""
    try:
        findings = checking.check(shop, "derived", thorough=False, stop=ends.is_set)
    except (ModisteError, OSError, DBAPIError) as error:  # it may be read-only, or gone
        _LOG.warning("the shop can't be checked: %s", getattr(error, "orig", error))
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
    return create_app(os.environ["MODISTE_SHOP"], Settings.from_environment(os.environ))


def serve(shop_path: Path, host: str, port: int, workers: int) -> None:
    """Keep the service up until Ctrl-C or SIGTERM. :func:`check` says first whether it may start."""
    with tempfile.TemporaryDirectory(prefix="modiste-metrics-") if workers > 1 else nullcontext() as counters:
        os.environ["MODISTE_SHOP"] = str(shop_path.resolve())
        if counters is not None:  # read by prometheus_client as it is imported, in each worker
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = counters
        uvicorn.run(
            "modiste.server.app:factory",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            log_config=CONFIG,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_graceful_shutdown=GRACE_S,
            timeout_worker_healthcheck=HUNG_S,
        )


def check(shop_path: Path, host: str) -> Settings:
    """The settings of a service that may start: there is a shop, and only one with a token is open to the network.

    Raises SourceError and SettingError.
    """
    settings = Settings.from_environment(os.environ)
    if settings.token is None and not is_local(host):
        raise SettingError(
            f"without a token the service binds to this machine only, not to {host}; "
            "set one with: export MODISTE_TOKEN=$(openssl rand -hex 32)"
        )
    Shop.open(shop_path).close()
    return settings
