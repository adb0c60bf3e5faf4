"""Ids: how they are made, and how an attempt's key and its conversation's id name each other."""

import re
import secrets
import string

import uuid_utils

ALPHABET = string.digits + string.ascii_lowercase
PUBLIC_LENGTH = 28
"""Characters after the prefix; 36^28 is about 2^144."""

_CONVERSATION = re.compile(r"conv_([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})", re.ASCII)
_SPACE = len(ALPHABET) ** PUBLIC_LENGTH


def new_call_key() -> str:
    """A key for one attempt: UUIDv7 (RFC 9562 5.7) as 36 characters of text, ordered by the millisecond it was made."""
    return str(uuid_utils.uuid7())


def new_public_id(prefix: str) -> str:
    """An id for the outside, such as `btcal_…`: the prefix and 28 characters of [0-9a-z] that nobody can guess."""
    number = secrets.randbelow(_SPACE)
    letters = []
    for _ in range(PUBLIC_LENGTH):
        number, rest = divmod(number, len(ALPHABET))
        letters.append(ALPHABET[rest])
    return prefix + "".join(letters)


def conversation_id(call_key: str) -> str:
    """The id on the wire of the conversation that an attempt became."""
    return "conv_" + call_key.replace("-", "")


def call_key_of(conversation_id: str) -> str | None:
    """The attempt behind a conversation's id, or None if the text is no such id."""
    found = _CONVERSATION.fullmatch(conversation_id)
    return "-".join(found.groups()) if found else None
