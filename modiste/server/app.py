"""The service: an application over one shop, and the command that keeps it up."""

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import uvicorn
from anyio import to_thread
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import Response
from starlette.types import Scope

from modiste import __version__
from modiste.errors import ModisteError, SettingError, UnknownIdError
from modiste.server import pages
from modiste.server.api import reads, watching, writes
from modiste.server.gate import BusyError, Gate, Pulse, Turnstile, busy, problem
from modiste.server.logs import CONFIG, REQUESTS
from modiste.server.metrics import Meters
from modiste.server.pictures import MASKS, THUMBNAILS, Kept
from modiste.server.settings import Settings, is_local
from modiste.shop.shop import Shop

GRACE_S = 10
"""How long requests in flight may take to end when the service is stopped."""

DRAWN_AT_ONCE = 2
"""How many photos each worker decodes for thumbnails at a time; a large one takes hundreds of megabytes."""

HUNG_S = 30
"""A worker that gives no sign of life for so long is replaced; one on a crowded machine may need some seconds."""

_ABOUT = """Explained fashion recommendations from garment photos, purchases and each shopper's taste for trends.

Writes need `Authorization: Bearer` with the service's token. Errors are `{"detail": …}`; every answer has an
`X-Request-ID`, which the log has too. An id may be any text without control characters; a slash in it is `%2F`."""


def create_app(shop_path: str | Path, settings: Settings | None = None) -> FastAPI:
    """The application over the shop in the folder ``shop_path``; the shop is opened when the application starts."""
    chosen = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with Shop.open(shop_path) as shop:
            app.state.shop = shop
            app.state.turnstile = Turnstile(chosen.embed_at_once, chosen.embed_queue)
            app.state.drawing = Turnstile(DRAWN_AT_ONCE, chosen.in_flight)
            app.state.watch = Turnstile(1, 16)
            app.state.pulse = Pulse(shop)
            with suppress(ModisteError):  # the first request needn't wait for what all requests need
                await to_thread.run_sync(shop.candidates)
            yield

    app = FastAPI(
        title="Modiste",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        docs_url=None,  # these pages come from elsewhere on the net
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.settings = chosen
    app.state.meters = Meters()
    app.state.thumbnails, app.state.masks, app.state.parses = Kept(THUMBNAILS), Kept(MASKS), Kept(MASKS)
    for router in (reads, writes, watching):
        app.include_router(router)
    app.include_router(pages.router, include_in_schema=False)
    app.mount("/static", _OwnFiles(directory=pages.static), name="static")
    app.add_middleware(Gate, settings=chosen, meters=app.state.meters)
    _tell_errors(app)
    return app


class _OwnFiles(StaticFiles):
    """The pages' own files; an address with a file's fingerprint (``?v=``) never changes what it means."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if response.status_code == 200 and scope["query_string"].startswith(b"v="):
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def _tell_errors(app: FastAPI) -> None:
    """Every error in one shape."""

    @app.exception_handler(ModisteError)
    async def input_error(_request: Request, error: ModisteError) -> JSONResponse:
        return problem(404 if isinstance(error, UnknownIdError) else 422, str(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        told = [f"{_where(one)}: {one['msg'].removeprefix('Value error, ')}" for one in error.errors()]
        more = f" (and {len(told) - 5} more)" if len(told) > 5 else ""
        return problem(422, "; ".join(told[:5]) + more)

    @app.exception_handler(StarletteHTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        headers, path = error.headers, request.scope["path"]
        if error.status_code == 404 and _wants_page(request):
            return pages.error_page(request, 404, "Not here", "There is no such page.")
        if error.status_code == 405:  # the router names the methods of the first route alone
            headers = {"Allow": ", ".join(sorted(_methods(path)))}
        return problem(error.status_code, str(error.detail), headers)

    @app.exception_handler(BusyError)
    async def overloaded(_request: Request, _error: BusyError) -> JSONResponse:
        return busy()

    @app.exception_handler(DBAPIError)
    @app.exception_handler(PoolTimeoutError)
    async def no_database(request: Request, error: SQLAlchemyError) -> Response:
        if isinstance(error, (IntegrityError, DataError)):  # the database is well, and the program is wrong
            raise error
        request_id = request.state.request_id
        REQUESTS.error("the database: %s", getattr(error, "orig", error), extra={"told": {"request_id": request_id}})
        told, headers = "the database doesn't answer; try again soon", {"Retry-After": "5"}
        if _wants_page(request):
            return pages.error_page(request, 503, "Not now", f"{told[0].upper()}{told[1:]}.", headers)
        return problem(503, told, headers, request_id)


def _wants_page(request: Request) -> bool:
    path: str = request.scope["path"]
    return "text/html" in request.headers.get("accept", "") and not path.startswith(("/v1/", "/static/"))


def _methods(path: str) -> set[str]:
    """What a path may be asked, HEAD too: the Gate answers it wherever there is a GET."""
    routers = (reads, writes, watching, pages.router)
    routes = [one for router in routers for one in router.routes if isinstance(one, APIRoute)]
    found = {method for route in routes if route.path_regex.match(path) for method in route.methods or ()}
    return found | {"HEAD"} if "GET" in found else found or {"GET", "HEAD"}  # the service's own files


def _where(error: dict[str, Any]) -> str:
    kept = [str(part)[:80] for part in error["loc"] if part not in ("one", "many")]
    return ".".join(kept)


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
