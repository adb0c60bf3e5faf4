"""Ids of attempts, of conversations, and for the outside."""

import re
import uuid

import pytest

from outdial.runtime.ids import call_key_of, conversation_id, new_call_key, new_public_id


def test_a_call_key_is_a_uuid_of_version_7_in_text() -> None:
    key = new_call_key()
    assert len(key) == 36
    assert uuid.UUID(key).version == 7
    assert str(uuid.UUID(key)) == key


def test_call_keys_do_not_repeat() -> None:
    assert len({new_call_key() for _ in range(10_000)}) == 10_000


def test_a_public_id_is_its_prefix_and_28_characters() -> None:
    made = {new_public_id("btcal_") for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(re.fullmatch(r"btcal_[0-9a-z]{28}", one) for one in made)


def test_a_public_id_uses_the_whole_alphabet_in_every_place() -> None:
    made = [new_public_id("")[place] for _ in range(1_000) for place in (0, 27)]
    assert len(set(made)) == 36


def test_a_conversation_and_its_attempt_name_each_other() -> None:
    key = new_call_key()
    conversation = conversation_id(key)
    assert re.fullmatch(r"conv_[0-9a-f]{32}", conversation)
    assert call_key_of(conversation) == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "conv_",
        "conv_" + "0" * 31,
        "conv_" + "0" * 33,
        "conv_" + "0" * 32 + "\n",
        "conv_" + "A" * 32,
        "conv_" + "g" * 32,
        "btcal_" + "0" * 32,
        "conv_" + "٣" * 32,
    ],
)
def test_other_text_is_no_conversation(text: str) -> None:
    assert call_key_of(text) is None
