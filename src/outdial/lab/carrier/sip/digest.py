"""Who may call: digest (RFC 2617, 7616) with MD5, which is what trunks speak."""

import hashlib
import hmac
import secrets
import time
from enum import Enum, auto

from sipmessage import AuthCredentials

NONCE_SECS = 300.0
REALM = "carrier.test"


class Verdict(Enum):
    """What an INVITE's credentials are worth."""

    NONE = auto()
    STALE = auto()
    """Right perhaps, but over a nonce that is none of ours any more."""
    WRONG = auto()
    RIGHT = auto()


class Digest:
    """One user with one password. A nonce is its own witness, so none is kept."""

    def __init__(self, user: str, password: str) -> None:
        self._user = user
        self._secret = _md5(f"{user}:{REALM}:{password}")
        self._key = secrets.token_bytes(16)

    def challenge(self, *, stale: bool = False) -> str:
        """The value of WWW-Authenticate."""
        at = f"{time.time():.3f}"
        told = f'Digest realm="{REALM}", nonce="{at}-{self._seal(at)}", algorithm=MD5, qop="auth"'
        return told + (", stale=true" if stale else "")

    def judge(self, method: str, authorization: str) -> Verdict:
        """Of the value of Authorization, "" for none; raises ValueError where it makes no sense."""
        if not authorization:
            return Verdict.NONE
        told = _told(authorization)
        if told.get("username") != self._user or told.get("realm") != REALM:
            return Verdict.WRONG
        if not self._ours(told.get("nonce", "")):
            return Verdict.STALE
        return Verdict.RIGHT if hmac.compare_digest(self._expected(method, told), told["response"]) else Verdict.WRONG

    def _expected(self, method: str, told: dict[str, str]) -> str:
        asked = _md5(f"{method}:{told['uri']}")
        if told.get("qop") == "auth":
            count = f"{told['nc']}:{told['cnonce']}:auth"
            return _md5(f"{self._secret}:{told['nonce']}:{count}:{asked}")
        return _md5(f"{self._secret}:{told['nonce']}:{asked}")

    def _ours(self, nonce: str) -> bool:
        at, _, seal = nonce.partition("-")
        try:
            young = 0 <= time.time() - float(at) <= NONCE_SECS
        except ValueError:
            return False
        return young and hmac.compare_digest(seal, self._seal(at))

    def _seal(self, at: str) -> str:
        return hmac.digest(self._key, at.encode(), hashlib.sha256).hex()[:24]


def _told(authorization: str) -> dict[str, str]:
    try:
        credentials = AuthCredentials.parse(authorization)
    except TypeError as wrong:  # a parameter that is called `self`
        raise ValueError(str(wrong)) from None
    told = {name.lower(): value for name, value in (credentials.parameters or {}).items()}
    needed = ["username", "realm", "nonce", "uri", "response", *(("nc", "cnonce") if told.get("qop") else ())]
    if credentials.scheme.lower() != "digest" or any(not told.get(name, "").isascii() for name in needed):
        raise ValueError("no digest")
    if any(name not in told for name in needed):
        raise ValueError("something is missing in the digest")
    return told


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
