"""Who may report on a call, and what they hear."""

import hashlib
import hmac
import json
import time
from collections.abc import Sequence

import httpx
import pytest
from starlette.applications import Starlette

from outdial.callbacks.inbox import MOST_BYTES, Inbox
from outdial.calls.callback_keys import CallbackKeys
from outdial.domain.call import CallEvent, EventKind
from outdial.domain.errors import Unavailable
from outdial.runtime.ids import new_call_key
from outdial.telephony.loopback.spec import SPEC

KEYS = CallbackKeys(b"a secret of thirty-two characters")
KNOWN, UNKNOWN = new_call_key(), new_call_key()


class Taken:
    def __init__(self) -> None:
        self.events: list[CallEvent] = []
        self.away = False

    async def take(self, events: Sequence[CallEvent]) -> Sequence[object]:
        if self.away:
            raise Unavailable("the database is away")
        known = [event for event in events if event.call_key == KNOWN]
        self.events += known
        return known


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
def network(taken: Taken) -> httpx.AsyncClient:
    inbox = Inbox({"loopback": SPEC.read_callback}, KEYS, taken.take, "http://public")
    app = Starlette(routes=[inbox.route()])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://public")


def report(call_key: str = KNOWN, event: str = "ringing") -> bytes:
    told = {"id": "e1", "event": event, "at": time.time(), "call_id": "c1", "call_key": call_key}
    return json.dumps(told).encode()


def signed(body: bytes, call_key: str = KNOWN, *, key: str | None = None) -> dict[str, str]:
    at = str(int(time.time()))
    secret = (key or KEYS.secret(call_key)).encode()
    return {"x-carrier-signature": f"t={at},v1={hmac.digest(secret, at.encode() + b'.' + body, hashlib.sha256).hex()}"}


def address(call_key: str = KNOWN, *, provider: str = "loopback", token: str | None = None) -> str:
    return f"/callbacks/{provider}/{call_key}/{token or KEYS.token(call_key)}"


async def test_a_signed_report_is_taken_and_answered_after(network: httpx.AsyncClient, taken: Taken) -> None:
    body = report()
    assert (await network.post(address(), content=body, headers=signed(body))).status_code == 200
    assert [(event.kind, event.event_id) for event in taken.events] == [(EventKind.RINGING, "e1")]


async def test_a_report_of_a_kind_that_we_don_t_know_is_no_fault(network: httpx.AsyncClient, taken: Taken) -> None:
    body = report(event="hummed")
    assert (await network.post(address(), content=body, headers=signed(body))).status_code == 200
    assert taken.events == []


@pytest.mark.parametrize(
    "token",
    ["x", "ü", KEYS.token(UNKNOWN), KEYS.token(KNOWN)[:-1]],
    ids=["short", "not ascii", "another call's", "cut off"],  # keys are new in each process
)
async def test_a_wrong_token_is_refused(network: httpx.AsyncClient, taken: Taken, token: str) -> None:
    body = report()
    assert (await network.post(address(token=token), content=body, headers=signed(body))).status_code == 403
    assert taken.events == []


async def test_a_wrong_or_missing_signature_is_refused(network: httpx.AsyncClient, taken: Taken) -> None:
    body = report()
    for headers in ({}, signed(body, key=KEYS.secret(UNKNOWN)), signed(body + b" ")):
        assert (await network.post(address(), content=body, headers=headers)).status_code == 403
    assert taken.events == []


async def test_a_report_about_another_call_is_refused(network: httpx.AsyncClient, taken: Taken) -> None:
    body = report(UNKNOWN)
    assert (await network.post(address(), content=body, headers=signed(body))).status_code == 403


async def test_unknown_calls_and_providers_are_404(network: httpx.AsyncClient) -> None:
    body = report(UNKNOWN)
    assert (await network.post(address(UNKNOWN), content=body, headers=signed(body, UNKNOWN))).status_code == 404
    assert (await network.post(address(provider="nobody"), content=body)).status_code == 404


async def test_a_report_that_can_t_be_kept_now_is_to_come_again(network: httpx.AsyncClient, taken: Taken) -> None:
    taken.away = True
    body = report()
    answer = await network.post(address(), content=body, headers=signed(body))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_a_report_has_a_largest_size(network: httpx.AsyncClient, taken: Taken) -> None:
    body = b" " * (MOST_BYTES + 1)
    assert (await network.post(address(), content=body, headers=signed(body))).status_code == 413
