"""What a route needs of the service, and what it demands of a request; async, or each would wait for a thread."""

from collections import Counter
from difflib import get_close_matches
from typing import Annotated, get_args, get_origin

from fastapi import Depends, HTTPException, Request
from pydantic.fields import FieldInfo

from modiste.errors import StorageError
from modiste.server.limits import WorkQueue
from modiste.server.settings import Settings
from modiste.shop.shop import Shop

CONDITIONS = ("If-Match", "If-None-Match", "If-Unmodified-Since")
"""Headers with which a change is to be made only if something holds."""

FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


async def get_shop(request: Request) -> Shop:
    """The shop that the service serves. Raises StorageError until it could be opened."""
    shop: Shop | None = request.app.state.shop
    if shop is None:
        raise StorageError("the shop was not opened yet", "away")
    return shop


async def get_settings(request: Request) -> Settings:
    """What the service may do."""
    settings: Settings = request.app.state.settings
    return settings


async def get_work_queue(request: Request) -> WorkQueue:
    """The queue of those who want a photo parsed or embedded."""
    queue: WorkQueue = request.app.state.work_queue
    return queue


TheShop = Annotated[Shop, Depends(get_shop)]
TheSettings = Annotated[Settings, Depends(get_settings)]
TheWorkQueue = Annotated[WorkQueue, Depends(get_work_queue)]


async def check_query(request: Request) -> None:
    """Raise 422 for a parameter that the route doesn't have, with the nearest that it has, for one that is given twice
    where one counts, and for a change on a condition that the route doesn't heed.

    A route's parameters are the fields of models.
    """
    dependant = request.scope["route"].dependant
    heeded = {field.alias.lower() for field in dependant.header_params}
    for name in CONDITIONS:
        if name in request.headers and request.method not in ("GET", "HEAD") and name.lower() not in heeded:
            raise HTTPException(422, f"{name} is not heeded here, and nothing was changed; send it without")
    models = [field.field_info.annotation for field in dependant.query_params]
    fields = {name: one for model in models for name, one in getattr(model, "model_fields", {}).items()}
    for name, times in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in fields:
            near = get_close_matches(name, fields, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(fields) or 'none'}"
            raise HTTPException(422, f"there is no parameter {name[:80]!r} here; {hint}")
        if times > 1 and not _is_list(fields[name]):
            raise HTTPException(422, f"{name} is given {times} times; give it once")


def _is_list(field: FieldInfo) -> bool:
    return list in (get_origin(one) for one in (field.annotation, *get_args(field.annotation)))


async def check_form(request: Request) -> None:
    """Raise 415 for a body that is no form, and 422 for a field that the route's form doesn't have."""
    names, several = list[str](), set[str]()
    for field in request.scope["route"].dependant.body_params:
        fields = getattr(field.field_info.annotation, "model_fields", {field.alias: field.field_info})
        names += fields
        several |= {name for name, one in fields.items() if _is_list(one)}
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in FORMS:
        async for chunk in request.stream():
            if chunk or content_type:
                named = content_type[:80] or "of no kind"
                raise HTTPException(415, f"the body is {named}; send a form: multipart/form-data (curl -F name=value)")
        raise HTTPException(422, f"there is no form; send one (curl -F name=value); its fields are {', '.join(names)}")
    sent = [name for name, _ in (await request.form()).multi_items()]
    if unknown := sorted(set(sent) - set(names)):
        named = ", ".join(repr(name[:80]) for name in unknown[:5])
        raise HTTPException(422, f"the form has no field {named}; its fields are {', '.join(names)}")
    if repeated := sorted({name for name in sent if sent.count(name) > 1} - several):
        raise HTTPException(422, f"the form has {repeated[0][:80]!r} {sent.count(repeated[0])} times; send it once")
    if not sent:
        raise HTTPException(422, f"the form is empty; its fields are {', '.join(names)}")
