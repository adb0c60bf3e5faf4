"""sipp as the far end of calls: software that we did not write; its exit code says whether they went by the book."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import peers
from tests.support.ports import free_port

PATIENCE_SECS = 10.0

_HEAD = '<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="{name}">\n'
_CAME = """[last_Via:]
[last_Record-Route:]
[last_From:]
[last_To:];tag=[pid]t[call_number]
[last_Call-ID:]
[last_CSeq:]"""
_CONTACT = "Contact: <sip:[local_ip]:[local_port];transport=[transport]>"
SDP = """v=0
o=sipp 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20"""


def invite(extra: str = "") -> str:
    """Wait for an INVITE; `extra` are actions on it."""
    action = f"<action>{extra}</action>" if extra else ""
    return f'  <recv request="INVITE" crlf="true" rrs="true">{action}</recv>\n'


def reply(line: str, *headers: str, sdp: bool = False, again: bool = False, lost: bool = False) -> str:
    """Answer with this status line; `again`: repeated until something comes."""
    lines = [f"SIP/2.0 {line}", _CAME, *headers]
    lines += [_CONTACT, "Content-Type: application/sdp", "Content-Length: [len]", "", SDP] if sdp else [
        _CONTACT, "Content-Length: 0", ""]  # fmt: skip
    marks = (' retrans="500"' if again else "") + (' lost="100"' if lost else "")
    return f"  <send{marks}><![CDATA[\n" + "\n".join(lines) + "\n]]></send>\n"


def wait(milliseconds: int) -> str:
    return f'  <pause milliseconds="{milliseconds}"/>\n'


ACK = '  <recv request="ACK"/>\n'
BYE = '  <recv request="BYE"/>\n' + reply("200 OK").replace(";tag=[pid]t[call_number]", "")
CANCEL = (
    '  <recv request="CANCEL"/>\n'
    + reply("200 OK")
    + reply("487 Request Terminated", again=True).replace("[last_CSeq:]", "CSeq: [$cseq] INVITE")
    + ACK
)
TAKE_CSEQ = '<ereg regexp="[0-9]+" search_in="hdr" header="CSeq:" assign_to="cseq"/>'
TAKE_WAY_BACK = (
    '<ereg regexp=".*" search_in="hdr" header="From:" assign_to="from"/>'
    '<ereg regexp=".*" search_in="hdr" header="To:" assign_to="to"/>'
    '<ereg regexp="sip:[^>]*" search_in="hdr" header="Contact:" assign_to="contact"/>'
)


def asks(method: str, *headers: str, sdp: bool = False, gets: Sequence[int] = (200,)) -> str:
    """A request within the call, by who took its way back; and the answer that it gets, the last of these at least."""
    lines = [
        f"{method} [$contact] SIP/2.0",
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]",
        "[routes]",
        "From:[$to];tag=[pid]t[call_number]",
        "To:[$from]",
        "[last_Call-ID:]",
        f"CSeq: [cseq] {method}",
        "Max-Forwards: 70",
        _CONTACT,
        *headers,
        *(["Content-Type: application/sdp"] if sdp else []),
        "Content-Length: [len]",
        "",
        SDP if sdp else "",
    ]
    text = "\n".join(lines)
    *maybe, last = gets
    body = f'  <send retrans="500"><![CDATA[\n{text}\n]]></send>\n  <recv response="100" optional="true"/>\n'
    body += "".join(f'  <recv response="{code}" optional="true"/>\n' for code in maybe)
    body += f'  <recv response="{last}"/>\n'
    if method == "INVITE":
        ack = text.replace("INVITE", "ACK").partition("Content-Type")[0]
        body += f"  <send><![CDATA[\n{ack}Content-Length: 0\n\n]]></send>\n"
    return body


HANGS_UP = asks("BYE", 'Reason: Q.850;cause=16;text="Normal call clearing"')
ANSWERS = reply("180 Ringing") + reply("200 OK", sdp=True, again=True) + ACK


def refuses(line: str, *headers: str) -> str:
    """A scenario: this final answer at once."""
    return invite() + reply(line, *headers, again=True) + ACK


def box(endings: dict[str, str], otherwise: str) -> str:
    """A scenario in which the last four digits pick what happens after the INVITE."""
    actions = "".join(
        f'<ereg regexp="^INVITE sip:[+0-9]*{digits}@" search_in="msg" assign_to="d{digits}"/>' for digits in endings
    )
    body = invite(actions + TAKE_CSEQ + TAKE_WAY_BACK)
    body += "".join(f'  <nop test="d{digits}" next="{n}"/>\n' for n, digits in enumerate(endings, 1))
    body += _last(otherwise)
    for n, what in enumerate(endings.values(), 1):
        body += f'  <label id="{n}"/>\n' + _last(what)
    return body + '  <label id="99"/>\n  <Reference variables="from,to,contact,cseq"/>\n'


def only(pattern: str, accepted: str, otherwise: str) -> str:
    """A scenario in which an INVITE that has this in it is accepted, and any other is not."""
    body = invite(f'<ereg regexp="{pattern}" search_in="msg" assign_to="fits"/>' + TAKE_WAY_BACK)
    body += '  <nop test="fits" next="1"/>\n' + _last(otherwise) + '  <label id="1"/>\n' + _last(accepted)
    return body + '  <label id="99"/>\n  <Reference variables="from,to,contact"/>\n'


def _last(body: str) -> str:
    """The last step leads to the end."""
    return body + '  <nop next="99"/>\n'


@dataclass
class Sipp:
    """One sipp."""

    scenario: Path
    port: int
    media_port: int
    process: subprocess.Popen[bytes]
    messages: Path

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def done(self, within: float = PATIENCE_SECS) -> bool:
        """Whether every call went by the scenario; waits until sipp has had all of its calls."""
        try:
            return self.process.wait(within) == 0
        except subprocess.TimeoutExpired:
            return False

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE_SECS)

    def said(self) -> str:
        """Every message so far, both ways."""
        return self.messages.read_text(errors="replace") if self.messages.exists() else ""

    def came(self, method: str = "INVITE") -> list[str]:
        """Requests of this method that came, whole."""
        parts = self.said().split("-----------------------------------------------")
        return [part for part in parts if "message received" in part and f"\n{method} sip:" in part]


@contextmanager
def sipp(
    folder: Path, body: str, *, calls: int | None = 1, echo: bool = True, options: Sequence[str] = ()
) -> Iterator[Sipp]:
    """A far end on a port of its own; `calls=None`: any number."""
    scenario = folder / f"scenario{len(list(folder.glob('scenario*')))}.xml"
    scenario.write_text(_HEAD.format(name=scenario.stem) + body + "</scenario>\n")
    messages = scenario.with_suffix(".log")
    port, media_port = free_port(), free_port()
    command = [
        peers.program("sipp"),
        "-sf",
        str(scenario),
        "-i",
        "127.0.0.1",
        "-p",
        str(port),
        "-mi",
        "127.0.0.1",
        "-mp",
        str(media_port),
    ]
    command += ["-nostdin", "-trace_msg", "-message_file", str(messages), "-l", "5000", "-nd", *options]
    command += ["-m", str(calls)] if calls is not None else []
    command += ["-rtp_echo"] if echo else []
    with scenario.with_suffix(".out").open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    far = Sipp(scenario, port, media_port, process, messages)
    try:
        _until_listening(far)
        yield far
    finally:
        far.stop()


def _until_listening(far: Sipp) -> None:
    until = time.monotonic() + PATIENCE_SECS
    while time.monotonic() < until:
        assert far.process.poll() is None, far.scenario.with_suffix(".out").read_text()[-500:]
        if any(
            f":{far.port:04X} " in Path(f"/proc/net/{kind}").read_text() for kind in ("udp", "tcp")
        ):  # to try the port would take it from sipp
            return
        time.sleep(0.01)
    raise AssertionError("sipp does not listen")
