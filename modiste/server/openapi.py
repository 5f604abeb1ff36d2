"""Prints the service's OpenAPI: python -m modiste.server.openapi > docs/openapi.json."""

import json

from modiste.server.app import create_app


def document() -> str:
    """The OpenAPI of the service as JSON."""
    return json.dumps(create_app(".").openapi(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(document(), end="")
