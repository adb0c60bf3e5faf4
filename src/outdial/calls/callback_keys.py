"""The token in a call's callback URL and the key that signs its reports: derived, so that nothing needs storing."""

from base64 import urlsafe_b64encode
from hashlib import blake2b
from hmac import compare_digest


class CallbackKeys:
    """Derives from the installation's secret key; the same on every node and after every restart.

    Keyed BLAKE2 (RFC 7693 2.9) is a MAC as it stands. Every report asks for both keys: 1 µs each, where HMAC takes 40.
    """

    def __init__(self, secret_key: bytes) -> None:
        key = blake2b(secret_key, person=b"callbacks").digest()
        self._token = blake2b(key=key, digest_size=24, person=b"token")
        self._secret = blake2b(key=key, digest_size=32, person=b"secret")

    def token(self, call_key: str) -> str:
        """Nobody but the network that was given it can name this URL: 192 bits as 32 characters of [A-Za-z0-9_-]."""
        return _derived(self._token, call_key)

    def secret(self, call_key: str) -> str:
        """Signs this call's reports, at networks that let us choose the key: 256 bits as 43 characters."""
        return _derived(self._secret, call_key)

    def knows(self, call_key: str, token: str) -> bool:
        """Whether the token belongs to the call; takes the same time for any wrong one."""
        return compare_digest(self.token(call_key).encode(), token.encode())

    def url(self, public_url: str, provider: str, call_key: str) -> str:
        """Where the network reports on this call."""
        return f"{public_url.rstrip('/')}/callbacks/{provider}/{call_key}/{self.token(call_key)}"


def _derived(keyed: blake2b, call_key: str) -> str:
    mac = keyed.copy()
    mac.update(call_key.encode())
    return urlsafe_b64encode(mac.digest()).rstrip(b"=").decode()
