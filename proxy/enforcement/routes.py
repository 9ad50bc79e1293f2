"""Routes of the admin listener: a method and a path, in which `{id}` stands for one plain segment. Pure."""

import re
from collections.abc import Collection
from functools import cache
from typing import TypeAlias

Route: TypeAlias = tuple[str, str]
"""Method and path."""

_PLACE = re.escape("{id}")


def route_of(method: str, path: str, routes: Collection[Route]) -> Route:
    """The route that a request takes, or what it asked for where it takes none; a path is taken as it came."""
    asked = (method, path)
    if asked in routes and "{" not in path:
        return asked
    taken = (route for route in routes if route[0] == method and "{" in route[1])
    return next((route for route in taken if _pattern(route[1]).fullmatch(path)), asked)


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.escape(path).replace(_PLACE, "[A-Za-z0-9-]{1,64}"))
