"""Integers that no worker could be told become text; everything else stays as it is."""

import msgspec
import pytest

from outdial.domain.plain import portable


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**40])
def test_a_longer_integer_becomes_text_wherever_it_stands(number: int) -> None:
    assert portable({"a": [1, {"b": number}]}) == {"a": [1, {"b": str(number)}]}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(portable(number))) == str(number)


@pytest.mark.parametrize("value", [2**64 - 1, -(2**63), True, None, 1.5, "x", [], {}, {"a": [1, None]}])
def test_everything_else_stays(value: object) -> None:
    assert portable(value) == value
