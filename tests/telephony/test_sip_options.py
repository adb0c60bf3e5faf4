"""Asking a trunk whether it is there: what it answers, and what it means when it does not."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from outdial.ports.provider import Reach
from outdial.telephony.sip import options
from outdial.telephony.sip.options import probe
from tests.support.certificates import Authority
from tests.support.kamailio import Kamailio, kamailio
from tests.support.peers import needs
from tests.support.phones import CALLER
from tests.support.ports import free_port
from tests.support.uas import uas


async def asked(address: str, transport: str = "udp", **worker: Any) -> Reach:
    trunk = {"outbound_trunk_config": {"address": address, "transport": transport}}
    return await probe(trunk, CALLER, {"interface": "127.0.0.1", **worker})


@pytest.mark.parametrize(
    ("line", "there"),
    [
        ("200 OK", True),
        ("401 Unauthorized", True),
        ("407 Proxy Authentication Required", True),
        ("404 Not Found", True),
        ("405 Method Not Allowed", True),
        ("483 Too Many Hops", True),
        ("603 Decline", True),
        ("408 Request Timeout", False),
        ("500 Oops", False),
        ("503 Service Unavailable", False),
    ],
)
async def test_an_answer_says_that_it_is_there(line: str, there: bool) -> None:
    async with uas(options=line) as far:
        address, found = far.address, await asked(far.address)
    assert (found.there, bool(found.do)) == (there, not there)
    assert found.says == f"{address} over UDP answers OPTIONS with {line[:3]}"
    assert found.took_ms is not None
    assert found.took_ms < 1_000
    assert far.requests == ["OPTIONS"]


async def test_a_packet_that_is_lost_is_sent_again() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        far.settimeout(5)
        asking = asyncio.create_task(asked(f"127.0.0.1:{far.getsockname()[1]}"))
        first, _ = await asyncio.to_thread(far.recvfrom, 4096)
        again, back = await asyncio.to_thread(far.recvfrom, 4096)
        assert first == again
        via_to_cseq = [line for line in again.split(b"\r\n") if line.split(b":")[0] in {b"Via", b"Call-ID", b"CSeq"}]
        far.sendto(b"\r\n".join([b"SIP/2.0 200 OK", *via_to_cseq, b"Content-Length: 0", b"", b""]), back)
        assert (await asking).there


async def test_an_answer_to_another_question_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "ANSWER_SECS", 0.3)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        asking = asyncio.create_task(asked(f"127.0.0.1:{far.getsockname()[1]}"))
        _, back = await asyncio.to_thread(far.recvfrom, 4096)
        for stranger in (b"SIP/2.0 200 OK\r\nCall-ID: another\r\n\r\n", b"no SIP at all", b"\r\n\r\n", b""):
            far.sendto(stranger, back)
        found = await asking
    assert (found.there, found.took_ms) == (False, None)
    assert "nothing came within" in found.says


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_who_does_not_listen_is_told(transport: str) -> None:
    found = await asked(f"127.0.0.1:{free_port()}", transport)
    assert not found.there
    assert "nobody listens there" in found.says
    assert found.do


@asynccontextmanager
async def listening(answer: bytes) -> AsyncIterator[str]:
    """Who says this over TCP to whoever comes, and hangs up."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"x" * 200_000])
async def test_who_speaks_no_sip_is_told(answer: bytes) -> None:
    async with listening(answer) as address:
        found = await asked(address, "tcp")
    assert not found.there
    assert "does not answer OPTIONS" in found.says


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("no-such-name.invalid", "its name has no address"),
        ("no address at all", "it can't be asked"),
        ("127.0.0.1;transport=tls", "it can't be asked"),
    ],
)
async def test_what_cannot_be_asked_is_told(address: str, says: str) -> None:
    found = await asked(address, "auto")
    assert (found.there, says in found.says, bool(found.do)) == (False, True, True), found


# --- Kamailio --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kamailio, Path]]:
    folder = tmp_path_factory.mktemp("trunk")
    authority = Authority(folder)
    with kamailio(folder, authority.certificate("localhost")) as proxy:
        yield proxy, authority.cafile


@pytest.mark.sip
@needs("kamailio")
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_kamailio_is_there_over_each_transport(trunk: tuple[Kamailio, Path], transport: str) -> None:
    proxy, cafile = trunk
    found = await asked(proxy.address(transport), transport, cafile=str(cafile))
    assert (found.there, found.says.partition(" over ")[2]) == (True, f"{transport.upper()} answers OPTIONS with 405")


@pytest.mark.sip
@needs("kamailio")
async def test_a_certificate_counts_as_it_does_for_calls(trunk: tuple[Kamailio, Path], tmp_path: Path) -> None:
    proxy, cafile = trunk
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other").cafile
    found = await asked(proxy.address("tls"), "tls", cafile=str(stranger))
    assert not found.there
    assert "its certificate is not accepted" in found.says
    assert "OUTDIAL_SIP_CAFILE" in found.do
    in_clear = await asked(f"localhost:{proxy.port}", "tls", cafile=str(cafile))
    assert not in_clear.there


@pytest.mark.parametrize("address", ["127.0.0.1:5060", "localhost", "[::1]:5070"])
async def test_a_trunk_on_this_machine_needs_the_loopback_to_be_named(address: str) -> None:
    found = await asked(address, interface=None)
    assert not found.there
    assert found.says.endswith("calls have no way there")
    assert "OUTDIAL_SIP_INTERFACE=127.0.0.1" in found.do
