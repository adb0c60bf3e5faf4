"""Changing a part of something nested: what is not mentioned stays as it is."""

from collections.abc import Mapping
from typing import Any

WHOLE = frozenset(
    {"dynamic_variable_placeholders", "language_presets", "data_collection", "headers", "request_headers"}
)
"""Maps whose keys people invent: they are replaced as a whole, or nobody could ever take a key out."""


def merged(before: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`before` with the leaves of `change`. Lists are replaced; null is a value like any other."""
    result = dict(before)
    for name, value in change.items():
        was = result.get(name)
        if isinstance(value, Mapping) and isinstance(was, Mapping) and name not in WHOLE:
            result[name] = merged(was, value)
        else:
            result[name] = value
    return result
