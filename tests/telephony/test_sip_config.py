"""A trunk's settings as on the wire: what is taken, what is refused, and that no secret shows itself."""

from typing import Any

import pytest

from outdial.domain.errors import BadSetting, Invalid
from outdial.telephony.sip.config import Trunk, check_number, header_value, read, read_trunk
from outdial.telephony.sip.spec import SPEC

SECRET = "s3cret;with spaces"


def trunk(address: str = "sip.example.org", **more: Any) -> Trunk:
    return read_trunk({"outbound_trunk_config": {"address": address, **more}})


@pytest.mark.parametrize(
    ("address", "given", "host", "port", "transport"),
    [
        ("sip.example.org", "auto", "sip.example.org", None, "udp"),
        ("SIP.Example.org:5061", "auto", "sip.example.org", 5061, "tls"),
        ("sip.example.org:5061", "tcp", "sip.example.org", 5061, "tcp"),
        ("sips:sip.example.org", "auto", "sip.example.org", None, "tls"),
        ("sip:10.1.2.3:5080;transport=tcp", "auto", "10.1.2.3", 5080, "tcp"),
        ("10.1.2.3", "udp", "10.1.2.3", None, "udp"),
        ("[2001:db8::1]:5060", "auto", "[2001:db8::1]", 5060, "udp"),
    ],
)
def test_an_address_and_a_transport(address: str, given: str, host: str, port: int | None, transport: str) -> None:
    read = trunk(address, transport=given)
    assert (read.host, read.port, read.transport) == (host, port, transport)


@pytest.mark.parametrize(
    "address",
    ["", "a b", "sip.example.org:0", "sip.example.org:70000", "user@host", "host\r\nX: y", "http://host", "-"],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(Invalid, match="address"):
        trunk(address)


def test_tls_needs_a_name_that_a_certificate_can_have() -> None:
    with pytest.raises(Invalid, match="by its name"):
        trunk("10.1.2.3:5061")
    assert trunk("10.1.2.3:5061", transport="tcp").transport == "tcp"  # the twin


def test_defaults_are_those_of_the_wire() -> None:
    read = trunk()
    assert read.media_encryption == "allowed"
    assert read.codecs == ("PCMU/8000", "PCMA/8000")
    assert (read.username, read.password, read.headers) == (None, None, ())


def test_codecs_keep_their_order() -> None:
    assert trunk(enabled_codecs=["G722/8000", "PCMA/8000", "G722/8000"]).codecs == ("G722/8000", "PCMA/8000")


@pytest.mark.parametrize(
    "more",
    [
        {"transport": "sctp"},
        {"media_encryption": "maybe"},
        {"enabled_codecs": ["G729/8000"]},
        {"headers": {"From": "me"}},
        {"headers": {"X-A": "one\r\nX-B: two"}},
        {"headers": {"X A": "one"}},
        {"headers": {"X-Outdial-Call-Key": "mine"}},
        {"headers": {f"X-{n}": "v" for n in range(21)}},
        {
            "headers": {f"X-{n}": "v" for n in range(11)},
            "attributes_to_headers": {f"v{n}": f"X-V{n}" for n in range(10)},
        },
        {"headers": {"X-A": "語" * 86}},
        {"attributes_to_headers": {"name": "Via"}},
        {"credentials": {"username": "a b"}},
        {"credentials": {"username": "a", "password": 'quoted"'}},
        {"credentials": {"password": "x"}},
    ],
)
def test_what_the_stack_would_misread_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        trunk(**more)


def test_a_refusal_tells_no_secret() -> None:
    with pytest.raises(Invalid) as refused:
        trunk(credentials={"username": "ada", "password": SECRET + '"'})
    assert SECRET not in refused.value.message
    assert refused.value.param == "outbound_trunk_config.credentials.password"


def test_a_password_does_not_show_itself() -> None:
    read = trunk(credentials={"username": "ada", "password": SECRET})
    assert SECRET not in f"{read!r} {read} {read.password}"
    assert read.password is not None
    assert read.password.reveal == SECRET


def test_a_call_needs_an_outbound_trunk_and_a_number_nothing_unknown() -> None:
    assert check_number({}) == {}  # the wire lets it be without; it can be read back, and nobody is called
    with pytest.raises(Invalid, match="address of a trunk"):
        read_trunk({})
    assert read_trunk({"outbound_trunk_config": {"address": "a", "transport": None}}).transport == "udp"
    with pytest.raises(Invalid, match="no setting 'termination'"):
        check_number({"termination": "x"})
    given = {"outbound_trunk_config": {"address": "sip.example.org"}}
    assert check_number({**given, "inbound_trunk_config": None}) == given


@pytest.mark.parametrize(
    ("value", "text"),
    [("Ann", "Ann"), (3, "3"), (True, "true"), ("a\r\nb", "a b"), ("x" * 300, "x" * 256), ("語" * 300, "語" * 85)],
)
def test_a_variable_becomes_one_plain_line(value: object, text: str) -> None:
    assert header_value(value) == text


def test_a_workers_settings() -> None:
    assert read({}).interface is None
    assert read({"interface": "127.0.0.1", "reply_secs": "2"}).reply_secs == 2.0
    for wrong in ({"reply_secs": "soon"}, {"interface": "eth0\nx"}, {"cafile": "a b"}):
        with pytest.raises(BadSetting):
            read(wrong)


@pytest.mark.parametrize("ports", ["1-2-3", "20000-10000", "10000-10000", "1000-2000", "60000-70000"])
def test_a_range_of_ports_that_is_none_is_refused(ports: str) -> None:
    assert read({"rtp_ports": "10000-20000"}).rtp_ports == "10000-20000"
    with pytest.raises(BadSetting, match="the lower first"):
        read({"rtp_ports": ports})


def test_the_provider_says_that_it_cannot_be_asked() -> None:
    assert SPEC.name == "sip_trunk"
    assert not SPEC.traits.can_look_up
