"""JSON values that every part of the system can carry: the way to a call worker knows integers of 64 bits at most."""

from typing import Any

_LOW, _HIGH = -(2**63), 2**64 - 1


def portable(value: Any) -> Any:  # noqa: ANN401 - JSON goes in and comes out
    """The value with longer integers as text: nobody reckons with them, they are ids and account numbers."""
    if isinstance(value, dict):
        return {key: portable(one) for key, one in value.items()}
    if isinstance(value, list):
        return [portable(one) for one in value]
    if isinstance(value, int) and not _LOW <= value <= _HIGH:
        return str(value)
    return value
