"""The page /login: who is there?"""

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from modiste.errors import SettingError
from modiste.server.addresses import PREFIX, here
from modiste.server.auth import COOKIE, Leave
from modiste.server.dependencies import TheShop
from modiste.server.origins import client_of
from modiste.server.pages.rendering import render
from modiste.shop.users import SESSION, TooManyTriesError

router = APIRouter(include_in_schema=False, dependencies=[Depends(Leave("anyone"))])

_OURS = re.compile(r"/(?![/\\])[\x21-\x7e]*")


@router.get("/login")
def login(request: Request, next: str = "/") -> Response:
    """The form that asks for name and password."""
    return render(request, "login.html", next=next, user="", remark="")


@router.post("/login")
async def logged_in(
    request: Request,
    shop: TheShop,
    name: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    next: Annotated[str, Form(max_length=2000)] = "/",
) -> Response:
    """Begin a session, never one that the browser brought, and go on to where somebody wanted to go."""
    name, wait = name.strip(), 0
    try:
        session = await request.app.state.login_queue.run(lambda: shop.users.log_in(name, password, client_of(request)))
        remark = "Name and password don't belong together."
    except TooManyTriesError as error:
        session, wait, remark = None, error.wait, f"{error}."
    except SettingError as error:  # a character that the database can't keep
        session, remark = None, f"{error}."
    if session is None:
        page = render(request, "login.html", status=429 if wait else 401, next=next, user=name, remark=remark)
        page.headers.update({"Retry-After": str(wait)} if wait else {})
        return page
    if old := request.cookies.get(COOKIE):
        await run_in_threadpool(shop.users.log_out, old)
    await run_in_threadpool(shop.audit.add, name, "log in")
    answer = RedirectResponse(here(next if _OURS.fullmatch(next) else "/"), 303)
    answer.set_cookie(
        COOKIE, session, max_age=round(SESSION.total_seconds()), path=PREFIX.get() or "/",
        secure=request.url.scheme == "https", httponly=True, samesite="lax",
    )  # fmt: skip
    return answer


@router.post("/logout")
def logged_out(request: Request, shop: TheShop) -> Response:
    """End the session, here and on the shop's side."""
    if session := request.cookies.get(COOKIE):
        shop.users.log_out(session)
    answer = RedirectResponse(here("/login"), 303)
    answer.delete_cookie(COOKIE, path=PREFIX.get() or "/")
    answer.headers["Clear-Site-Data"] = '"cache"'
    return answer
