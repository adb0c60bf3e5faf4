"""Debian's sipp: the far end of the signalling rows, and what they are compared with. Nothing of it is ours."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from outdial.domain.errors import BadSetting, OutdialError
from outdial.lab.bench.sip.far import HOST, TONE

MISSING = "sipp is not installed here; on Debian: apt-get install sip-tester (as root, `make peers` does it)"
UP_WITHIN_SECS = 10.0
OVER_WITHIN_SECS = 15.0
"""So long after the last call was over on our side."""
CALLS_WITHIN_SECS = 300.0
BUFFER = "4194304"
"""Bytes that may wait at a socket: of its own 64 KiB, messages are lost where many come at once."""
FAST = "1000000"
"""Calls a second that it may begin: no limit but that of calls at a time."""

_HEAD = '<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="bench">\n'
_SDP = """v=0
o=sipp 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [{port}] RTP/AVP 0
a=rtpmap:0 PCMU/8000
a=ptime:20"""
_CONTACT = "Contact: <sip:[local_ip]:[local_port];transport=[transport]>"
_CAME = "[last_Via:]\n[last_From:]\n[last_To:]{tag}\n[last_Call-ID:]\n[last_CSeq:]"
_ASKED = """{method} sip:+4930[call_number]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:+49309999@[local_ip]:[local_port]>;tag=[pid]t[call_number]
{to}
Call-ID: [call_id]
CSeq: {number} {method}
Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>
Max-Forwards: 70"""


def _send(head: str, sdp: str = "", *, again: bool = False) -> str:
    """A message; `again`: repeated until something comes."""
    body = f"Content-Type: application/sdp\nContent-Length: [len]\n\n{sdp}" if sdp else "Content-Length: 0\n"
    mark = ' retrans="500"' if again else ""
    return f"  <send{mark}><![CDATA[\n{head}\n{body}\n]]></send>\n"


def _reply(line: str, *, tag: bool = True, sdp: str = "", again: bool = False) -> str:
    came = _CAME.format(tag=";tag=[pid]t[call_number]" if tag else "")
    return _send(f"SIP/2.0 {line}\n{came}\n{_CONTACT}", sdp, again=again)


def _ask(method: str, number: int, *, sdp: str = "", again: bool = False) -> str:
    to = "To: <sip:+4930[call_number]@[remote_ip]:[remote_port]>" if method == "INVITE" else "[last_To:]"
    return _send(_ASKED.format(method=method, number=number, to=to), sdp, again=again)


_INVITED = '  <recv request="INVITE" crlf="true"/>\n'
_ACKED = '  <recv request="ACK"/>\n'
_ANSWERED = _reply("180 Ringing") + _reply("200 OK", sdp=_SDP.format(port="media_port"), again=True) + _ACKED
_WAY_BACK = (
    '  <recv request="INVITE" crlf="true"><action>'
    '<ereg regexp=".*" search_in="hdr" header="From:" assign_to="from"/>'
    '<ereg regexp=".*" search_in="hdr" header="To:" assign_to="to"/>'
    '<ereg regexp="sip:[^>]*" search_in="hdr" header="Contact:" assign_to="contact"/>'
    "</action></recv>\n"
)
_BYE_BACK = (
    _send(
        "BYE [$contact] SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n"
        "From:[$to];tag=[pid]t[call_number]\nTo:[$from]\n[last_Call-ID:]\nCSeq: 1 BYE\nMax-Forwards: 70",
        again=True,
    )
    + '  <recv response="200"/>\n  <Reference variables="from,to,contact"/>\n'
)
_TRIED = '  <recv response="100" optional="true"/>\n  <recv response="180" optional="true"/>\n'
_OFFER = _SDP.format(port="media_port")
_TAKEN = _ask("INVITE", 1, sdp=_OFFER, again=True) + _TRIED + '  <recv response="200"/>\n' + _ask("ACK", 1)
_BYE = _ask("BYE", 2, again=True) + '  <recv response="200"/>\n'


def _pause(seconds: float) -> str:
    return f'  <pause milliseconds="{round(seconds * 1000)}"/>\n'


BUSY = _INVITED + _reply("486 Busy Here", again=True) + _ACKED
ANSWERS = _INVITED + _ANSWERED + '  <recv request="BYE"/>\n' + _reply("200 OK", tag=False)
"""Until the caller hangs up."""
CALLS_BUSY = _ask("INVITE", 1, sdp=_OFFER, again=True) + _TRIED + '  <recv response="486"/>\n' + _ask("ACK", 1)
CALLS_AND_HANGS_UP = _TAKEN + _BYE
CALLS_AND_LISTENS = _TAKEN + '  <recv request="BYE"/>\n' + _reply("200 OK", tag=False)


def hangs_up_after(seconds: float) -> str:
    """The far end answers, and ends the call itself."""
    return _WAY_BACK + _ANSWERED + _pause(seconds) + _BYE_BACK


def calls_and_speaks(folder: Path, seconds: float) -> str:
    """The caller plays a tone for a while, without any pause, and hangs up."""
    tone = folder / "tone.ulaw"
    tone.write_bytes(TONE * 50)
    play = f'  <nop><action><exec rtp_stream="{tone},-1,0"/></action></nop>\n'
    return _TAKEN.replace("[media_port]", "[rtpstream_audio_port]") + play + _pause(seconds) + _BYE


class Broken(OutdialError):
    """sipp says that a call did not go by its scenario, or did not end."""


def program() -> str:
    """Where it is; raises BadSetting with the package to install."""
    found = shutil.which("sipp")
    if found is None:
        raise BadSetting(MISSING)
    return found


@dataclass(frozen=True, slots=True)
class FarSipp:
    """A sipp that is called."""

    address: str
    process: subprocess.Popen[bytes]
    out: Path

    def judge(self) -> None:
        """Raise unless every call went by the scenario to its end."""
        try:
            code: int | None = self.process.wait(OVER_WITHIN_SECS)
        except subprocess.TimeoutExpired:
            code = None
        if code != 0:
            raise Broken(f"the far end's sipp ended with {code}: {_last_words(self.out)}")


@contextmanager
def far_sipp(folder: Path, scenario: str, *, calls: int) -> Iterator[FarSipp]:
    """It serves so many calls; their audio is echoed."""
    port, media_port = _free_port(), _free_port()
    command = _command(folder, "far", scenario, calls)
    command += ["-p", str(port), "-mi", HOST, "-mp", str(media_port), "-rtp_echo", "-nd", "-l", "5000"]
    out = folder / "far.out"
    with out.open("wb") as words:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=words, stderr=words)  # noqa: S603 - sipp
    try:
        _until_listening(process, port, out)
        yield FarSipp(f"{HOST}:{port}", process, out)
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True, slots=True)
class Called:
    """What a calling sipp took."""

    calls: int
    secs: float
    cpu_secs: float


def call(folder: Path, scenario: str, address: str, *, calls: int, at_once: int, per_sec: str = FAST) -> Called:
    """Call as fast as it can, so many at a time; raises Broken unless every call went by the scenario."""
    out = folder / "near.out"
    command = [*_command(folder, "near", scenario, calls), "-mi", HOST, "-l", str(at_once), "-r", per_sec, address]
    command += ["-timeout", f"{CALLS_WITHIN_SECS:.0f}s"]
    with out.open("wb") as words:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=words, stderr=words)  # noqa: S603 - sipp
        _, status, used = os.wait4(process.pid, 0)
        secs = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Broken(f"the calling sipp ended with {process.returncode}: {_last_words(out)}")
    return Called(calls, secs, used.ru_utime + used.ru_stime)


def _command(folder: Path, name: str, scenario: str, calls: int) -> list[str]:
    file = folder / f"{name}.xml"
    file.write_text(f"{_HEAD}{scenario}</scenario>\n")
    return [program(), "-sf", str(file), "-i", HOST, "-m", str(calls), "-nostdin", "-buff_size", BUFFER]


def _last_words(out: Path) -> str:
    return out.read_text(errors="replace")[-500:].strip()


def _free_port() -> int:
    """Even, as audio wants it; sipp takes the next ones too."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
            found.bind((HOST, 0))
            port = int(found.getsockname()[1])
            if port % 4 == 0:
                return port


def _until_listening(process: subprocess.Popen[bytes], port: int, out: Path) -> None:
    until = time.monotonic() + UP_WITHIN_SECS
    while f":{port:04X} " not in Path("/proc/net/udp").read_text():  # to try the port would take it
        if process.poll() is not None or time.monotonic() > until:
            raise Broken(f"sipp did not start: {_last_words(out)}")
        time.sleep(0.01)
