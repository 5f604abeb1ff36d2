"""Every error in one shape: ``{"detail": …}``, or a page where a browser wants one."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import Response

from modiste.errors import ChangedError, ModisteError, StorageError, UnknownIdError
from modiste.server.limits import BusyError
from modiste.server.logs import REQUESTS
from modiste.server.pages.kept import Kept
from modiste.server.pages.rendering import error_page

Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]


BUSY, RETRY = "the service is busy; try again in a second", {"Retry-After": "1"}
"""What one request too many is told."""


def problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, request_id: str | None = None
) -> JSONResponse:
    """An error as all of them look; text that is no Unicode, as a request may hold it, is escaped."""
    content = {"detail": detail.encode("utf-8", "backslashreplace").decode()}
    return JSONResponse(content | ({"request_id": request_id} if request_id else {}), status, headers)


def busy() -> JSONResponse:
    """The answer to one request too many."""
    return problem(429, BUSY, RETRY)


async def _input_error(request: Request, error: ModisteError) -> Response:
    status, title = (404, "Not here") if isinstance(error, UnknownIdError) else (422, "That didn't work")
    status = 412 if isinstance(error, ChangedError) else status
    return error_page(request, status, title, str(error)) if _is_page(request) else problem(status, str(error))


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    if _is_page(request):
        return error_page(request, 422, "That can't be read", "Something in the address or form is not valid.")
    wrong = [f"{_where(one)}: {one['msg'].removeprefix('Value error, ')}" for one in error.errors()]
    more = f" (and {len(wrong) - 5} more)" if len(wrong) > 5 else ""
    return problem(422, "; ".join(wrong[:5]) + more)


def _where(error: dict[str, Any]) -> str:
    return ".".join(str(part)[:80] for part in error["loc"] if part not in ("one", "many"))


async def _overloaded(request: Request, _error: BusyError) -> Response:
    if _is_page(request):
        return error_page(request, 429, "Busy", "The service is busy; try again in a moment.", RETRY)
    return busy()


async def _refused(request: Request, error: HTTPException) -> Response:
    if isinstance(error.__cause__, OSError) and (refusal := StorageError.of(error.__cause__)) is not None:
        return await _no_storage(request, refusal)  # what came could not be kept while it was read
    status, detail = error.status_code, str(error.detail)
    if status == 405:  # the router names the methods of the first route alone
        return problem(405, detail, {"Allow": ", ".join(sorted(_methods(request)))})
    if status == 404 and _wants_page(request):
        return error_page(request, 404, "Not here", "There is no such page.")
    if _is_page(request):
        return error_page(request, status, "That didn't work", detail, error.headers)
    return problem(status, detail, error.headers)


def _methods(request: Request) -> set[str]:
    """What a path may be asked, HEAD wherever there is a GET."""
    routes = [one for one in request.app.routes if isinstance(one, APIRoute)]
    methods = {one for route in routes if route.path_regex.match(request.scope["path"]) for one in route.methods or ()}
    return methods | {"HEAD"} if "GET" in methods else methods or {"GET", "HEAD"}  # the service's own files


async def _no_storage(request: Request, error: StorageError) -> Response:
    request_id = request.state.request_id
    REQUESTS.error("refused: %s", error, extra={"fields": {"request_id": request_id}})
    status, title, detail = {
        "full": (507, "No room", "the disk is full; nothing was changed; try again once there is room"),
        "closed": (503, "Not now", "the shop can be asked, but not changed, at present; nothing was changed"),
        "busy": (503, "Not now", "the shop is kept busy by another program; nothing was changed; try again soon"),
        "away": (503, "Not now", "the database doesn't answer; nothing was changed; try again soon"),
    }[error.kind]
    headers = {"Retry-After": "5"}
    kept: Kept = request.app.state.kept
    if error.kind == "away" and (known := kept.again(request)) is not None:
        return known
    if _wants_page(request):
        return error_page(request, status, title, f"{detail[0].upper()}{detail[1:]}.", headers)
    return problem(status, detail, headers, request_id)


async def _no_database(request: Request, error: SQLAlchemyError) -> Response:
    if isinstance(error, (IntegrityError, DataError)):  # the database is well, and the program is wrong
        raise error
    return await _no_storage(request, StorageError(str(getattr(error, "orig", error)), "away"))


async def _no_file(request: Request, error: OSError) -> Response:
    refusal = StorageError.of(error)
    if refusal is None:
        raise error
    return await _no_storage(request, refusal)


def _is_page(request: Request) -> bool:
    """Whether a page answers the request: the pages' routes are those that OpenAPI doesn't describe."""
    return not getattr(request.scope.get("route"), "include_in_schema", True)


def _wants_page(request: Request) -> bool:
    """Whether a person would read the answer."""
    path: str = request.scope["path"]
    return "text/html" in request.headers.get("accept", "") and not path.startswith(("/v1/", "/static/"))


HANDLERS: dict[int | type[Exception], Handler] = {
    ModisteError: _input_error,
    StorageError: _no_storage,
    OSError: _no_file,
    RequestValidationError: _invalid,
    StarletteHTTPException: _refused,
    BusyError: _overloaded,
    DBAPIError: _no_database,
    PoolTimeoutError: _no_database,
}
