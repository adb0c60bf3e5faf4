"""Golden pairs: reports as a running network sent them, and the events that we read in them."""

import hashlib
import hmac
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from outdial.domain.call import CallEvent
from outdial.ports.provider import CallbackRefused, CallbackRequest
from outdial.telephony.loopback import callback

HERE = Path(__file__).parent
NAMES = sorted(path.name.removesuffix(".request.json") for path in HERE.glob("*.request.json"))


def golden(name: str) -> tuple[CallbackRequest, float]:
    told: dict[str, Any] = json.loads((HERE / f"{name}.request.json").read_text())
    request = CallbackRequest(told["call_key"], told["headers"], told["body"].encode(), told["secret"], "http://us/")
    return request, told["now"]


def signed(request: CallbackRequest, body: bytes, at: float) -> CallbackRequest:
    v1 = hmac.digest(request.secret.encode(), b"%d." % at + body, hashlib.sha256).hex()
    return replace(request, body=body, headers={"x-carrier-signature": f"t={at:.0f},v1={v1}"})


@pytest.mark.parametrize("name", NAMES)
def test_a_report_is_read_as_its_pair_says(name: str) -> None:
    request, now = golden(name)
    expected = msgspec.json.decode((HERE / f"{name}.events.json").read_bytes(), type=list[CallEvent])
    assert callback.read(request, now=now) == expected


def test_there_are_pairs_for_every_end() -> None:
    assert len(NAMES) == 16


@pytest.mark.parametrize("seconds", [-299, 299])
def test_a_signature_is_good_for_five_minutes(seconds: int) -> None:
    request, now = golden("ringing")
    assert callback.read(request, now=now - 1 + seconds)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_signature_is_refused_after_that(seconds: int) -> None:
    request, now = golden("ringing")
    with pytest.raises(CallbackRefused, match="300 s"):
        callback.read(request, now=now - 1 + seconds)


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "t=1",
        "v1=" + "0" * 64,
        f"t=x,v1={'0' * 64}",
        f"t=٣,v1={'0' * 64}",
        f"t=1,v1={'0' * 63}",
        f"t={'9' * 400},v1=0",
    ],
)
def test_a_malformed_signature_is_refused(signature: str) -> None:
    request, now = golden("ringing")
    with pytest.raises(CallbackRefused):
        callback.read(replace(request, headers={"x-carrier-signature": signature}), now=now)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id": 7}', b"\xff", b"null"])
def test_a_signed_body_that_is_no_report_is_refused(body: bytes) -> None:
    request, now = golden("ringing")
    with pytest.raises(CallbackRefused):
        callback.read(signed(request, body, now), now=now)


def test_a_kind_that_is_not_known_says_nothing() -> None:
    request, now = golden("ringing")
    news = request.body.replace(b'"event":"ringing"', b'"event":"whistled"')
    assert news != request.body
    assert callback.read(signed(request, news, now), now=now) == []
