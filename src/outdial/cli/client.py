"""The commands' way to the server: small, synchronous, standard library only.

Each POST carries an Idempotency-Key, so that what can ring a phone may be sent again when no answer came.
"""

import http.client
import json
import os
import ssl
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, ProxyHandler, Request, build_opener

TRIES = 4
"""For what may be sent again."""
WITHIN_SECS = 60.0
LONGEST_PAUSE_SECS = 10.0
"""However long a Retry-After asks for."""

Complaints = tuple[tuple[tuple[str | int, ...], str], ...]
"""Each a place in the request, and what is wrong there."""


class Failed(Exception):
    """The server refused, or could not be reached; the message is for people."""


class NoAnswer(Failed):
    """Nobody answered, so nobody knows whether the act was done."""


class Refused(Failed):
    """The server said no."""

    def __init__(
        self, message: str, status: int, complaints: tuple[tuple[tuple[str | int, ...], str], ...] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.complaints = complaints
        """Of a 422."""


class _Straight(HTTPRedirectHandler):
    """A redirect would turn a POST into a GET; it is told instead."""

    def redirect_request(self, *_: object) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Client:
    """One server and one key."""

    url: str
    key: str
    prefix: str = "/v1/convai"
    pause_secs: float = 0.5
    """Between two tries."""
    _opener: OpenerDirector | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Failed(f"OUTDIAL_URL={self.url!r} can't be used: it is a URL such as http://127.0.0.1:8080")
        here = parts.hostname in {"localhost", "::1"} or parts.hostname.startswith("127.")
        # a proxy can't reach this machine's own addresses
        opener = build_opener(_Straight(), *([ProxyHandler({})] if here else []))
        object.__setattr__(self, "_opener", opener)

    def get(self, path: str, **query: object) -> Any:  # noqa: ANN401 - JSON
        """What is at this path below the prefix."""
        return self._ask(self._request("GET", path, query))

    def post(
        self, path: str, body: object = None, *, once: str | None = None, again: bool = True, **query: object
    ) -> Any:  # noqa: ANN401 - JSON
        """Do one act; bytes are a body that is JSON already.

        `once` is its Idempotency-Key. `again`: sent twice it is done once, so it may be sent until an answer comes.
        """
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        request = self._request("POST", path, query, data)
        request.add_header("idempotency-key", once or new_key())
        if data:
            request.add_header("content-type", "application/json")
        return self._ask(request, again=again)

    def delete(self, path: str) -> None:
        """Remove it."""
        self._ask(self._request("DELETE", path, {}))

    def stream(self, path: str, **query: object) -> Iterator[bytes]:
        """The bytes of an answer, as they come; Failed where it breaks off."""
        with self._open(self._request("GET", path, query), again=True) as answer:
            try:
                while chunk := answer.read(64 * 1024):
                    yield chunk
            except (OSError, http.client.HTTPException) as error:
                raise Failed(f"the answer of {self.url} broke off: {_reason(error)}") from None
            if getattr(answer, "length", 0):  # http.client ends in silence where a known length is not reached
                raise Failed(f"the answer of {self.url} broke off")

    def _request(self, method: str, path: str, query: Mapping[str, object], data: bytes | None = None) -> Request:
        return Request(self._url(path, query), data=data, method=method)  # noqa: S310 - http only, see __post_init__

    def _url(self, path: str, query: Mapping[str, object]) -> str:
        given = {name: value for name, value in query.items() if value is not None}
        return f"{self.url.rstrip('/')}{self.prefix}{path}" + (f"?{urlencode(given)}" if given else "")

    def _ask(self, request: Request, *, again: bool = True) -> Any:  # noqa: ANN401 - JSON
        for left in range(TRIES - 1, -1, -1):
            try:
                with self._open(request, again=again) as answer:
                    content = answer.read()
                break
            except (OSError, http.client.HTTPException) as error:  # it broke off while it was read
                if not left or not again:
                    raise self._no_answer(error) from None
                time.sleep(self.pause_secs)
        else:
            raise AssertionError("unreachable")
        try:
            return json.loads(content) if content else None
        except ValueError:
            raise Failed(f"what answers at {self.url} is not Outdial: it sends no JSON") from None

    def _open(self, request: Request, *, again: bool) -> BinaryIO:
        request.add_header("xi-api-key", self.key)
        assert self._opener is not None  # noqa: S101 - made in __post_init__
        for left in range(TRIES - 1, -1, -1):
            try:
                return self._opener.open(request, timeout=WITHIN_SECS)  # type: ignore[no-any-return]
            except HTTPError as error:
                may = again or (error.code == 503 and "retry-after" in error.headers)  # nothing was done then
                if error.code < 500 or not left or not may:
                    raise self._refusal(error) from None
                time.sleep(_pause(error.headers.get("retry-after")))
            except (OSError, http.client.HTTPException) as error:
                if not left or _is_final(error) or not (again or _is_unsent(error)):
                    raise self._no_answer(error) from None
                time.sleep(self.pause_secs)
        raise AssertionError("unreachable")

    def _no_answer(self, error: Exception) -> NoAnswer:
        if _is_final(error):
            return NoAnswer(f"{self.url} can't be trusted: {_reason(error)}")
        return NoAnswer(
            f"no answer from {self.url}: {_reason(error)}; does `outdial serve` run there? OUTDIAL_URL names it"
        )

    def _refusal(self, error: HTTPError) -> Failed:
        """What it says; NoAnswer where that leaves open whether it was done."""
        refused = self._refused(error)
        doubtful = error.code >= 500 and "retry-after" not in error.headers
        return NoAnswer(str(refused)) if doubtful else refused

    def _refused(self, error: HTTPError) -> Refused:
        content = error.read()
        if 300 <= error.code < 400:
            elsewhere = error.headers.get("location", "elsewhere")
            return Refused(f"{self.url} sends us to {elsewhere}; set OUTDIAL_URL to where the server is", error.code)
        try:
            detail = json.loads(content)["detail"]
        except (ValueError, KeyError, TypeError):
            words = f"{self.url} answered {error.code} {error.reason}, and not in Outdial's words; is it Outdial?"
            return Refused(words, error.code)
        if isinstance(detail, list):
            complaints = tuple((tuple(one["loc"]), _plain(str(one["msg"]))) for one in detail)
            return Refused(in_lines(complaints), error.code, complaints)
        message = str(detail.get("message", detail)) if isinstance(detail, dict) else str(detail)
        if error.code == 404 and (not isinstance(detail, dict) or detail.get("code") == "route_not_found"):
            message = f"{self.url} does not know this address ({message}); is OUTDIAL_URL right?"
        if error.code == 401:
            message = (
                f"{self.url} does not know the key in OUTDIAL_API_KEY ({message}); `outdial keys create` makes one"
            )
        return Refused(message, error.code)


def from_environment() -> Client:
    """The server and the key that the environment names."""
    host = os.environ.get("OUTDIAL_HOST") or "127.0.0.1"
    host = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - nothing is bound here
    host = f"[{host}]" if ":" in host else host
    url = os.environ.get("OUTDIAL_URL") or f"http://{host}:{os.environ.get('OUTDIAL_PORT') or 8080}"
    key = os.environ.get("OUTDIAL_API_KEY")
    if not key:
        raise Failed("OUTDIAL_API_KEY is not set; `outdial keys create` makes a key")
    if not key.isascii() or not key.isprintable():
        raise Failed("OUTDIAL_API_KEY can't be used: a key has printable ASCII characters only")
    return Client(url, key)


def new_key() -> str:
    """A name for one act."""
    return uuid.uuid4().hex


def segment(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="")


def in_lines(complaints: Complaints, most: int = 20) -> str:
    """What is wrong with a request, a line each."""
    lines = [f"{'.'.join(str(part) for part in loc)}: {message}" for loc, message in complaints]
    return "\n".join(lines[:most] + ([f"… and {len(lines) - most} more"] if len(lines) > most else []))


def _plain(message: str) -> str:
    """A complaint without the word that pydantic puts before ours."""
    return message.removeprefix("Value error, ")


def _pause(asked: str | None) -> float:
    try:
        return min(max(float(asked or 1), 0.0), LONGEST_PAUSE_SECS)
    except ValueError:
        return 1.0


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", error)
    return str(getattr(cause, "strerror", None) or cause or type(cause).__name__)


def _is_unsent(error: Exception) -> bool:
    """Whether the request can't have reached anybody."""
    return isinstance(error, URLError) and isinstance(error.reason, ConnectionRefusedError)


def _is_final(error: Exception) -> bool:
    """Whether sending it again can't help."""
    return isinstance(error, URLError) and isinstance(error.reason, ssl.SSLCertVerificationError)
