"""Secrets at rest: AES-GCM under keys that are derived from OUTDIAL_SECRET_KEY."""

import base64
import os
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from outdial.domain.errors import BadSetting

_VERSION = "v1:"
_NONCE_BYTES = 12  # NIST SP 800-38D 5.2.1.1: 96 bits


class Vault:
    """Seals and opens values; each is bound to the thing it belongs to, so that a row can't borrow another's."""

    def __init__(self, secret: str) -> None:
        key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"outdial settings at rest").derive(secret.encode())
        self._cipher = AESGCM(key)

    def seal(self, value: object, *, of: str) -> str:
        """The value as JSON, encrypted, as text for a column; `of` is the public id of its owner."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, msgspec.json.encode(value), of.encode())
        return f"{_VERSION}{base64.b64encode(nonce + sealed).decode()}"

    def open(self, text: str, *, of: str) -> Any:  # noqa: ANN401 - what was sealed
        """The value again; raises BadSetting if the key is another one or the text was changed."""
        body = text.removeprefix(_VERSION)
        try:
            raw = base64.b64decode(body, validate=True)
            opened = self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], of.encode())
        except (InvalidTag, ValueError) as error:
            raise BadSetting(
                f"the secrets of {of} can't be opened: OUTDIAL_SECRET_KEY is not the one they were sealed with"
            ) from error
        return msgspec.json.decode(opened)
