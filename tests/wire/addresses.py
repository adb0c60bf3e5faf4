"""Which addresses the official clients have a call for, so that a walk through a client can be held to all of them."""

import re
from collections.abc import Iterable
from typing import Any

Request = tuple[str, str]
"""A method and a path."""
OURS = re.compile(r"/(retry-preview|pause|resume|recipients|do-not-call.*)$")
"""Addresses that no client has a call for: they are not of the published wire."""
PREFIXES = ("/v1/convai/", "/v1/workspace/")
AT_LEAST = 36
"""So many there are today; a description that lost them must not make every walk complete."""


def published(description: dict[str, Any]) -> set[Request]:
    """Every method and address of the published wire that this server has, as its own description tells."""
    found = {
        (method.upper(), path)
        for path, methods in description["paths"].items()
        if path.startswith(PREFIXES) and not OURS.search(path)
        for method in methods
    }
    assert len(found) >= AT_LEAST, sorted(found)
    return found


def addresses(description: dict[str, Any], requests: Iterable[Request]) -> set[Request]:
    """The addresses that these requests went to."""
    known = [(one, _pattern(one[1])) for one in published(description)]
    # a fixed word wins over a place for an id: /agents/create is no agent called "create"
    known.sort(key=lambda one: one[0][1].count("{"))
    return {
        next((one for one, pattern in known if one[0] == method and pattern.fullmatch(path)), (method, path))
        for method, path in requests
    }


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))
