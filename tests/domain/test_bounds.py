"""How much may be said of one person: at each bound, and one beyond."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outdial.domain.bounds import (
    DEEPEST,
    LARGEST_DATA,
    LONGEST_NAME,
    LONGEST_TEXT,
    MOST_VARIABLES,
    Excess,
    evidently_fine,
    excesses,
    too_large,
)


def nested(depth: int) -> dict[str, Any]:
    """So many objects and lists inside of one another, the outermost included."""
    value: Any = []
    for n in range(depth - 2):
        value = {"in": value} if n % 2 else [value]
    return {"custom_llm_extra_body": value}


TEXT = f"String should have at most {LONGEST_TEXT} characters"
TEXT_PLAIN = "it has 65,537 characters; 65,536 are the most"
NAME = f"A name should have at most {LONGEST_NAME} characters"


@pytest.mark.parametrize(
    ("at_the_bound", "beyond", "excess"),
    [
        (
            {"dynamic_variables": {f"v{n}": n for n in range(MOST_VARIABLES)}},
            {"dynamic_variables": {f"v{n}": n for n in range(MOST_VARIABLES + 1)}},
            Excess(
                ("dynamic_variables",),
                f"Dictionary should have at most {MOST_VARIABLES} items",
                "too_long",
                "it has 1,001 variables; 1,000 are the most",
            ),
        ),
        (
            {"dynamic_variables": {"note": "ü" * LONGEST_TEXT}},
            {"dynamic_variables": {"note": "ü" * (LONGEST_TEXT + 1)}},
            Excess(("dynamic_variables", "note"), TEXT, "string_too_long", TEXT_PLAIN),
        ),
        (
            {"dynamic_variables": {"n" * LONGEST_NAME: 1}},
            {"dynamic_variables": {"n" * (LONGEST_NAME + 1): 1}},
            Excess(
                ("dynamic_variables", "n" * 64),
                NAME,
                "string_too_long",
                "its name has 257 characters; 256 are the most",
            ),
        ),
        (
            {"conversation_config_override": {"agent": {"first_message": "x" * LONGEST_TEXT}}},
            {"conversation_config_override": {"agent": {"first_message": "x" * (LONGEST_TEXT + 1)}}},
            Excess(("conversation_config_override", "agent", "first_message"), TEXT, "string_too_long", TEXT_PLAIN),
        ),
        (
            {"conversation_config_override": {"agent": {"prompt": {"knowledge_base": [{"n" * LONGEST_NAME: 1}]}}}},
            {"conversation_config_override": {"agent": {"prompt": {"knowledge_base": [{}, {"n" * 999: 1}]}}}},
            Excess(
                ("conversation_config_override", "agent", "prompt", "knowledge_base", 1, "n" * 64),
                NAME,
                "string_too_long",
                "its name has 999 characters; 256 are the most",
            ),
        ),
        (
            {"user_id": "u" * LONGEST_TEXT},
            {"user_id": "u" * (LONGEST_TEXT + 1)},
            Excess(("user_id",), TEXT, "string_too_long", TEXT_PLAIN),
        ),
        (
            nested(DEEPEST),
            nested(DEEPEST + 1),
            Excess(
                ("custom_llm_extra_body", 0, "in", 0, "in", 0, "in", 0),
                f"Value error, more than {DEEPEST} objects or lists inside of one another",
                "value_error",
                f"more than {DEEPEST} objects or lists inside of one another",
            ),
        ),
    ],
)
def test_at_each_bound_and_beyond(at_the_bound: dict[str, Any], beyond: dict[str, Any], excess: Excess) -> None:
    assert list(excesses(at_the_bound)) == []
    assert list(excesses(beyond)) == [excess]


@pytest.mark.parametrize("letter", ["x", "ü", "\N{PILE OF POO}"])
def test_the_whole_is_measured_in_bytes(letter: str) -> None:
    room = LARGEST_DATA // len(letter.encode())
    assert too_large(letter * room) is None
    assert too_large(letter * room + "x") == Excess(
        (),
        f"Value error, what is said of one person has at most {LARGEST_DATA} bytes",
        "value_error",
        f"what is said of this person has more than {LARGEST_DATA:,} bytes",
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(["dynamic_variables", "x"]) | st.text(), JSON, max_size=5))
def test_what_is_evidently_fine_has_no_excess(data: dict[str, Any]) -> None:
    text = json.dumps(data, ensure_ascii=False)
    if evidently_fine(text):
        assert list(excesses(data)) == []
        assert too_large(text) is None


def test_a_small_text_that_is_deep_is_looked_into() -> None:
    assert not evidently_fine(json.dumps(nested(DEEPEST + 1)))
