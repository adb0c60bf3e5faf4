"""sipp as a caller: software that we did not write calls our network; its exit code says whether that went by the book.

A scenario is a list of steps. The ACK of a refusal has the branch of its INVITE, which sipp finds by counting back.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import peers
from tests.support.ports import free_port
from tests.support.sipp import SDP

PATIENCE_SECS = 30.0
CALLER = "+493099990000"

_COMMON = f"""Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:{CALLER}@[local_ip]:[local_port]>;tag=[pid]c[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>%(tag)s
Call-ID: [call_id]
CSeq: %(cseq)d %(method)s
Contact: <sip:caller@[local_ip]:[local_port];transport=[transport]>
Max-Forwards: 70"""


@dataclass(frozen=True)
class Step:
    """One message of a scenario, or a pause."""

    xml: str
    says: str = ""
    """The method that is sent, "" for what comes."""


def _say(method: str, cseq: int, *headers: str, body: str = "", again: bool = False, lost: bool = False) -> Step:
    common = {"cseq": cseq, "method": method, "tag": "[peer_tag_param]" if method in {"ACK", "BYE"} else ""}
    lines = [f"{method} sip:[service]@[remote_ip]:[remote_port] SIP/2.0", _COMMON % common, *headers]
    lines += ["Content-Type: application/sdp", "Content-Length: [len]", "", body] if body else ["Content-Length: 0", ""]
    mark = (' retrans="500"' if again else "") + (' lost="100"' if lost else "")
    return Step(f"  <send{mark}><![CDATA[\n" + "\n".join(lines) + "\n]]></send>\n", method)


def invite(*headers: str, cseq: int = 1, sdp: str = SDP) -> Step:
    return _say("INVITE", cseq, *headers, body=sdp, again=True)


def ack(cseq: int = 1, *, lost: bool = False) -> Step:
    return _say("ACK", cseq, lost=lost)


def bye(cseq: int = 2) -> Step:
    return _say("BYE", cseq, again=True)


def cancel(cseq: int = 1) -> Step:
    return _say("CANCEL", cseq, again=True)


def options() -> Step:
    return _say("OPTIONS", 1, again=True)


def hears(code: int, *, optional: bool = False, auth: bool = False, checks: str = "") -> Step:
    """Wait for this response; `checks` is a text that it must have."""
    marks = (' optional="true"' if optional else "") + (' auth="true"' if auth else "")
    look = f'<action><ereg regexp="{checks}" search_in="msg" check_it="true" assign_to="x"/></action>' if checks else ""
    return Step(f'  <recv response="{code}"{marks}>{look}</recv>\n')


def asked(method: str, *, checks: str = "") -> list[Step]:
    """Wait for this request, and answer it."""
    look = f'<action><ereg regexp="{checks}" search_in="msg" check_it="true" assign_to="x"/></action>' if checks else ""
    lines = ["SIP/2.0 200 OK", *(f"[last_{name}:]" for name in ("Via", "From", "To", "Call-ID", "CSeq"))]
    reply = "\n".join([*lines, "Content-Length: 0", ""])
    return [Step(f'  <recv request="{method}">{look}</recv>\n'), Step(f"  <send><![CDATA[\n{reply}\n]]></send>\n")]


def wait(milliseconds: int) -> Step:
    return Step(f'  <pause milliseconds="{milliseconds}"/>\n')


TRIED = hears(100, optional=True)
RINGS = [TRIED, hears(180)]


def scenario(*steps: Step | Sequence[Step]) -> str:
    """The steps in order; ACKs of refusals and CANCELs get the branch of their INVITE."""
    flat = [one for step in steps for one in ([step] if isinstance(step, Step) else step)]
    written, invited = [], 0
    for n, step in enumerate(flat):
        refusal = step.says == "ACK" and any('response="2' not in one.xml for one in flat[n - 1 : n])
        if step.says == "INVITE":
            invited = n
        same_branch = refusal or step.says == "CANCEL"
        written.append(step.xml.replace("[branch]", f"[branch-{n - invited}]") if same_branch else step.xml)
    text = "".join(written)
    if 'assign_to="x"' in text:
        text += '  <Reference variables="x"/>\n'
    return f'<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="caller">\n{text}</scenario>\n'


@dataclass
class Called:
    """What became of it."""

    code: int
    """sipp's exit code; 0: all calls went by the scenario."""
    said: str
    """Every message, both ways."""
    complaint: str

    @property
    def port_was_taken(self) -> bool:
        """sipp wants four ports in a row for media; somebody had one of them, and nothing was sent."""
        return self.code != 0 and not self.said and "Unable to bind" in self.complaint

    def heard(self) -> list[str]:
        """What came, whole."""
        parts = self.said.split("-----------------------------------------------")
        return [part.partition("\n\n")[2] for part in parts if "message received" in part]


def call(
    folder: Path,
    *steps: Step | Sequence[Step],
    to: str,
    number: str,
    calls: int = 1,
    rate: int = 10,
    options: Sequence[str] = (),
    within: float = PATIENCE_SECS,
) -> Called:
    """Run sipp to the end of all its calls."""
    xml = scenario(*steps)
    command = [to, "-s", number, "-m", str(calls), "-r", str(rate), *options]
    while (called := _run(folder, xml, command, within)).port_was_taken:
        pass
    return called


def _run(folder: Path, xml: str, command: Sequence[str], within: float) -> Called:
    home = folder / f"caller{len(list(folder.glob('caller*')))}"
    home.mkdir()
    (home / "scenario.xml").write_text(xml)
    ours = [peers.program("sipp"), "-sf", "scenario.xml", "-l", "5000", "-i", "127.0.0.1", "-p", str(free_port())]
    ours += ["-mi", "127.0.0.1", "-mp", str(free_port()), "-nostdin", "-nd"]
    ours += ["-trace_msg", "-message_file", "messages", "-trace_err", "-error_file", "errors"]
    done = subprocess.run(
        [*ours, *command], cwd=home, stdin=subprocess.DEVNULL, capture_output=True, timeout=within, check=False
    )
    messages, errors = home / "messages", home / "errors"
    return Called(
        done.returncode,
        messages.read_text(errors="replace") if messages.exists() else "",
        (errors.read_text(errors="replace") if errors.exists() else "") + done.stderr.decode(errors="replace"),
    )
