"""The page /docs: every route of the service with what it takes, drawn from its OpenAPI."""

from typing import Any

from fastapi import APIRouter, Request, Response

from modiste.server.pages.rendering import render

router = APIRouter(include_in_schema=False)


@router.get("/docs")
def docs(request: Request) -> Response:
    """Every route, by tag; nothing of it comes from elsewhere."""
    document = request.app.openapi()
    parts = document["components"]["schemas"]
    routes = [
        {
            "method": method.upper(),
            "path": path,
            "about": about,
            "parameters": [
                (one["name"], one["in"], _kind(one["schema"]), one.get("description", ""))
                for one in about.get("parameters", [])
            ],
            "body": [row for content in about.get("requestBody", {}).get("content", {}).values()
                     for row in _fields(content["schema"], parts)],
        }
        for path, methods in document["paths"].items()
        for method, about in methods.items()
    ]  # fmt: skip
    return render(request, "docs.html", routes=routes, about=document["info"]["description"])


def _fields(schema: dict[str, Any], parts: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The fields of a body: name, kind, description; those of one of many, and of the first way to write it."""
    while "properties" not in schema:
        if "$ref" in schema:
            schema = parts[schema["$ref"].rpartition("/")[2]]
        elif ways := schema.get("oneOf") or schema.get("anyOf"):
            schema = ways[0]
        elif schema.get("items"):
            schema = schema["items"]
        else:
            return []
    return [(name, _kind(one), one.get("description", "")) for name, one in schema["properties"].items()]


def _kind(schema: dict[str, Any]) -> str:
    ways = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    words = [" or ".join(map(str, one["enum"])) if "enum" in one else str(one.get("type", "object")) for one in ways]
    return ", ".join(words)
