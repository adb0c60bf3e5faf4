"""What is different for the judge where calls go over a SIP trunk: nobody can be asked about a call.

- What was under way at a fault may be `unknown`, and nothing else may be.
- Over UDP an INVITE is said again until it is heard (RFC 3261 17.1.1.2). One that was sent in time is heard late where
  the trunk was away meanwhile: that is counted by itself, and it may not go on once we have given up.
- Workers whose server was killed cancel what rings and hang up, so the network sees those calls end.
- After rounds without faults everybody is reached whom the table lets answer.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tests.faults.judge import (
    CLAIM_TO_GO_SECS,
    SEND_SECS,
    Fault,
    Judgement,
    Line,
    Phase,
    Trial,
    Verdict,
    bare,
    claimed_at,
    outcome_of,
    who,
)

RING_LIMIT_SECS, LONGEST_CALL_SECS = 3, 5
"""Of these calls: what is in doubt must be over before it may be dialled again."""
TOLD_SECS = 2.0
"""Until the server has kept what a worker saw, on a busy machine."""
LET_GO_SECS = 4.0
"""Until the calls of a killed server are ended: its workers take 3 s at most."""
AT_ONCE_SECS = 1.0
DEAF, LATE_ANSWER, SILENT, THROTTLED = "0900", "0901", "0903", "0904"
"""No reply from there gets through · answers are lost twice · nothing is heard after the answer · 503 three times."""
OFTEN = 1_000


class SipJudgement(Judgement):
    """Of one trial; `udp`: so the trunk is called, `alone`: one server dials."""

    def __init__(
        self,
        trial: Trial,
        log: Sequence[Line],
        faults: Sequence[Fault],
        verdict: Verdict,
        *,
        gentle: bool,
        udp: bool,
        alone: bool,
    ) -> None:
        super().__init__(trial, log, faults, verdict, gentle=gentle)
        self.udp, self.alone = udp, alone
        if udp:
            self._leave_out_what_a_forgetful_trunk_heard_again()

    def pass_(self) -> None:
        super().pass_()
        for fault in self.faults if self.alone else ():
            if fault.what == "server":
                self._let_go(fault)
        if self.trial.to_the_end:
            self._everybody_reached()

    def _leave_out_what_a_forgetful_trunk_heard_again(self) -> None:
        """None of its replies had got through, so that the INVITE was said again: to one that had died meanwhile."""
        first: dict[str, Line] = {}
        for line in list(self.dialled):
            before = first.setdefault(line.call_key, line)
            if before is not line and line.number.endswith(DEAF) and self._harmed(before.t, line.t, "carrier"):
                self.dialled.remove(line)
                self.verdict.heard_late.append(
                    f"{line.number[-4:]} {line.call_key} heard again by a trunk that had died"
                )

    def late(self, line: Line, words: str, *, unwanted: bool = False) -> None:
        claimed = claimed_at(line)
        still_wanted = not unwanted and line.t - claimed <= CLAIM_TO_GO_SECS + SEND_SECS + RING_LIMIT_SECS
        if self.udp and self._harmed(claimed, line.t, "carrier") and (still_wanted or self._ended_at_once(line)):
            self.verdict.heard_late.append(words)
        else:
            super().late(line, words, unwanted=unwanted)

    def _ended_at_once(self, line: Line) -> bool:
        answered = ("answered", bare(line.call_key)) in self.by_key
        return self._ended_at(line) - line.t <= AT_ONCE_SECS and not answered

    def _ended_at(self, line: Line) -> float:
        ended = self.by_key.get(("ended", bare(line.call_key)))
        return math.inf if ended is None else ended.t

    def table(self, dialled: Line) -> set[str]:
        outcome = outcome_of(dialled.number, dialled.nth)
        allowed = {"unknown" if dialled.number.endswith(DEAF) else outcome}
        if outcome == "voicemail":
            allowed.add("completed")  # its beep may come later than our longest call ends
        # our limit counts from the INVITE, which the trunk may have heard later
        if self._harmed(claimed_at(dialled), dialled.t + RING_LIMIT_SECS, "carrier", "machine"):
            allowed.add("no_answer")
        return allowed

    def blind(self, dialled: Line) -> bool:
        ended_at = self._ended_at(dialled)
        until = ended_at + (LONGEST_CALL_SECS if dialled.number.endswith(SILENT) else TOLD_SECS)
        faults = [f for f in self._harm_done if f.began <= until and f.over >= claimed_at(dialled)]
        up = [f for f in faults if dialled.t <= f.began < ended_at]
        if faults and not up:
            self.verdict.in_flight += 1  # it was on its way to the network, or the news of its end to us
        return bool(faults)

    def unknown(self, person: Mapping[str, Any], phase: Phase, key: str) -> None:
        if not (person["phone_number"].endswith(DEAF) and ("dialled", key) in self.by_key):
            super().unknown(person, phase, key)

    @property
    def _harm_done(self) -> list[Fault]:
        return [fault for fault in self.faults if fault.what != "machine"]

    def _harmed(self, began: float, over: float, *what: str) -> bool:
        """Whether somebody came to harm in that time."""
        return any(f.what in what and f.began <= over and f.over >= began for f in self.faults)

    def _let_go(self, killed: Fault) -> None:
        """A server was killed: its workers end their calls; a phone that is deaf, or answered unheard, they can't."""
        until = killed.began + LET_GO_SECS
        for line in self.dialled:
            over_at = self._ended_at(line)
            if line.t > killed.began or over_at <= until or line.number[-4:] in {DEAF, LATE_ANSWER}:
                continue
            if not self._harmed(line.t, until, "carrier", "worker", "group", "machine"):
                words = f"…{line.number[-9:]} {line.call_key} was up {over_at - killed.began:.1f} s after its server"
                self.verdict.late.append(words)

    def _everybody_reached(self) -> None:
        for person in unreached(self.trial.phases[-1]):
            self.verdict.lost.append(f"{who(person)} can be reached and was not, in {len(self.trial.phases)} rounds")


def unreached(phase: Phase) -> list[dict[str, Any]]:
    """Whom the table lets answer in the end, and who has not yet."""
    return [
        person
        for person in phase.recipients
        if outcome_of(person["phone_number"], OFTEN) == "completed"
        and not person["phone_number"].endswith(DEAF)
        and person["status"] not in {"completed", "voicemail"}
    ]
