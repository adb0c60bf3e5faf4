"""The token in a call's callback URL and the key that signs its reports: derived, so that nothing needs storing."""

import hmac
from base64 import urlsafe_b64encode
from hashlib import sha256


class CallbackKeys:
    """Derives from the installation's secret key; the same on every node and after every restart."""

    def __init__(self, secret_key: bytes) -> None:
        self._key = hmac.digest(secret_key, b"outdial callbacks", sha256)

    def token(self, call_key: str) -> str:
        """Nobody but the network that was given it can name this URL: 192 bits as 32 characters of [A-Za-z0-9_-]."""
        return self._derive(b"token", call_key)[:32]

    def secret(self, call_key: str) -> str:
        """Signs this call's reports, at networks that let us choose the key: 256 bits as 43 characters."""
        return self._derive(b"secret", call_key)

    def knows(self, call_key: str, token: str) -> bool:
        """Whether the token belongs to the call; takes the same time for any wrong one."""
        return hmac.compare_digest(self.token(call_key).encode(), token.encode())

    def url(self, public_url: str, provider: str, call_key: str) -> str:
        """Where the network reports on this call."""
        return f"{public_url.rstrip('/')}/callbacks/{provider}/{call_key}/{self.token(call_key)}"

    def _derive(self, purpose: bytes, call_key: str) -> str:
        digest = hmac.digest(self._key, purpose + b":" + call_key.encode(), sha256)
        return urlsafe_b64encode(digest).rstrip(b"=").decode()
