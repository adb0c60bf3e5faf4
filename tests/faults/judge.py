"""The verdict on a batch that went through faults: the network's own log against what the API says."""

import itertools
import json
import math
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

AFTER_CANCEL_SECS = 2.0
"""Nothing is dialled later than this after the answer to a cancel."""
SEND_SECS = 2.0
"""Nothing is sent later than this after GO was asked for."""
CLAIM_TO_GO_SECS = 1.5
"""What a claim may take until its GO is asked for, on a busy machine."""
SLOWED_SECS = 4.0
"""What it may take where the server or its database was held up in between."""
HOLD_UP = frozenset({"server", "group", "node", "postgres", "stopped", "asleep", "machine"})
NEWS_SECS = 15.0
"""Until the server knows of a call's end: repeats of reports, its own time away, a look-up."""
FINAL = frozenset({"completed", "failed", "cancelled", "voicemail"})
RETRIED = frozenset(
    {"no_answer", "busy", "unreachable", "network_error", "provider_rejected", "unknown", "expired", "rejected"}
)
NEVER_DIALLED = frozenset({"suppressed", "cancelled", "expired", "unknown"})
"""Outcomes that nobody needs to have been dialled for."""

OUTCOMES = {
    "0486": "busy",
    "0408": "no_answer",
    "0480": "unreachable",
    "0603": "rejected",
    "0404": "invalid_number",
    "0503": "network_error",
    "0607": "blocked",
    "0301": "voicemail",
}
AT_FIRST = {
    "1486": ("busy", 1),
    "1408": ("no_answer", 1),
    "1503": ("network_error", 1),
    "1301": ("voicemail", 1),
    "2486": ("busy", 2),
    "2408": ("no_answer", 2),
}


def outcome_of(number: str, nth: int) -> str:
    """What the published table says of the nth call to this number."""
    ending = number[-4:]
    if ending in AT_FIRST:
        outcome, times = AT_FIRST[ending]
        return outcome if nth <= times else "completed"
    return OUTCOMES.get(ending, "completed")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the network's log."""

    t: float
    event: str
    number: str
    call_key: str
    nth: int


def read_log(path: Path) -> list[Line]:
    """Every whole line; a kill may have torn one."""
    lines = []
    for text in path.read_bytes().splitlines() if path.exists() else ():
        try:
            lines.append(Line(**json.loads(text)))
        except (ValueError, TypeError):
            continue
    return lines


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was done to the machine; unix seconds."""

    what: str
    """server, worker, group (both), carrier, node, postgres; stopped, asleep: a server; worker stopped, worker asleep.

    machine: nobody did it, everything stood still for a while.
    """
    began: float
    over: float


@dataclass(slots=True)
class Phase:
    """One pass over a batch: the first, or that of an accepted retry."""

    round: int
    began: float
    over: float = math.inf
    recipients: list[dict[str, Any]] = field(default_factory=list)
    """As the API listed them when the pass was over."""
    batch: dict[str, Any] = field(default_factory=dict)
    by_outcome: dict[str, int] | None = None
    """Of the retry preview when the pass was over."""
    unfinished: list[dict[str, Any]] = field(default_factory=list)
    """Who had not ended when our patience did."""
    conversations: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of those who are unknown or came to a network error, by conversation id."""
    cancel_answered: float = math.inf
    retried_outcomes: frozenset[str] = RETRIED
    """Whom the retry after this pass takes."""
    whose: frozenset[str] | None = None
    """Numbers that this pass may dial; None: those of the first list."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A retry or cancel of a batch that goes on; unix seconds."""

    kind: str
    asked: float
    answered: float


@dataclass(slots=True)
class Trial:
    """One batch and its passes."""

    batch_id: str
    numbers: tuple[str, ...]
    phases: list[Phase] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    """Where it is retried and cancelled while it runs, its rounds overlap: then there is one phase, and these."""
    to_the_end: bool = False
    """Whether it was retried without faults until nobody was left who can be reached."""


@dataclass(slots=True)
class Verdict:
    """What is wrong, one word a finding; all but `residue`, `heard_late` and `unknown` must be empty."""

    dialled: int = 0
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    """Dialled later than 2 s after the answer to a cancel, or after their send deadline."""
    unanswered: list[str] = field(default_factory=list)
    """Completed, and yet nobody had answered."""
    unexplained: list[str] = field(default_factory=list)
    """Unknown, although no fault came between."""
    wrong: list[str] = field(default_factory=list)
    """Another outcome than the network's."""
    miscounted: list[str] = field(default_factory=list)
    residue: list[str] = field(default_factory=list)
    """Dialled late by a process that was stopped exactly between its check and its send: known, counted by itself."""
    heard_late: list[str] = field(default_factory=list)
    """Over UDP: said in time, and heard late by a trunk that was away meanwhile; counted by itself too."""
    unknown: int = 0
    in_flight: int = 0
    """Calls that were under way at a fault, all faults together."""

    @property
    def good(self) -> bool:
        """Whether the promises were kept."""
        return not self.findings and self.unknown <= self.in_flight

    @property
    def findings(self) -> dict[str, list[str]]:
        """What speaks against it."""
        kinds = ("lost", "twice", "late", "unanswered", "unexplained", "wrong", "miscounted")
        return {kind: found for kind in kinds if (found := getattr(self, kind))}

    def __str__(self) -> str:
        words = "ok" if self.good else " ".join(f"{kind}={len(found)}" for kind, found in self.findings.items())
        if self.unknown > self.in_flight:
            words += f" unknown>{self.in_flight} in flight"
        words += f" unknown={self.unknown}/{self.in_flight} residue={len(self.residue)}"
        return words + (f" heard late={len(self.heard_late)}" if self.heard_late else "")


class MakesJudgement(Protocol):
    """A kind of `Judgement`."""

    def __call__(
        self, trial: Trial, log: Sequence[Line], faults: Sequence[Fault], verdict: Verdict, *, gentle: bool
    ) -> "Judgement":
        """One about a trial, which adds to the verdict."""
        ...


def judge(
    trials: Iterable[Trial],
    log: Sequence[Line],
    faults: Sequence[Fault],
    *,
    gentle: bool,
    by: MakesJudgement | None = None,
) -> Verdict:
    """Hold the log against the API. `gentle`: no process was harmed, so every outcome must be the table's."""
    verdict = Verdict()
    for trial in trials:
        (by or Judgement)(trial, log, faults, verdict, gentle=gentle).pass_()
    verdict.in_flight += sum(_up_at(log, fault) for fault in faults if fault.what != "machine")
    return verdict


def _up_at(log: Sequence[Line], fault: Fault) -> int:
    """Calls that the network had under way when a fault began."""
    dialled = {line.call_key for line in log if line.event == "dialled" and line.t <= fault.began + 0.5}
    ended = {line.call_key for line in log if line.event == "ended" and line.t <= fault.began}
    return len(dialled - ended)


class Judgement:
    """Of one trial, whose calls were placed over HTTP: a network that can be asked about each."""

    def __init__(
        self, trial: Trial, log: Sequence[Line], faults: Sequence[Fault], verdict: Verdict, *, gentle: bool
    ) -> None:
        self.trial, self.faults, self.verdict, self.gentle = trial, faults, verdict, gentle
        self.residue: dict[str, Fault] = {}
        """By attempt: the stop that excuses it."""
        ours = set(trial.numbers)
        self.log = [line for line in log if line.number in ours]
        self.dialled = [line for line in self.log if line.event == "dialled"]
        self.by_key = {(line.event, bare(line.call_key)): line for line in self.log}

    def pass_(self) -> None:
        self.verdict.dialled += len(self.dialled)
        self._each_attempt_once()
        self._none_overdue()
        self._one_call_at_a_time()
        if self.trial.decisions:
            self._a_retry_before_each_further_call()
            self._after_decisions()
        for before, phase in zip([None, *self.trial.phases], self.trial.phases, strict=False):
            self._everybody_ended(phase)
            self._counters(phase)
            if not self.trial.decisions:
                self._nobody_twice(phase, before)
                self._after_cancel(phase)
            if before is not None:
                self._others_unchanged(phase, before)
            for person in phase.recipients:
                self._outcome(person, phase)

    # --- dialled

    def _each_attempt_once(self) -> None:
        for key, times in Counter(line.call_key for line in self.dialled).items():
            if times > 1:
                self.verdict.twice.append(f"attempt {key} dialled {times} times")

    def _none_overdue(self) -> None:
        for line in self.dialled:
            claimed = claimed_at(line)
            held_up = any(f.what in HOLD_UP and f.began <= line.t and f.over >= claimed - 1 for f in self.faults)
            if line.t - claimed <= SEND_SECS + (SLOWED_SECS if held_up else CLAIM_TO_GO_SECS):
                continue
            words = f"{line.number[-4:]} {line.call_key} dialled {line.t - claimed:.1f} s after its claim"
            self.late(line, words)

    def late(self, line: Line, words: str, *, unwanted: bool = False) -> None:
        """Find it, or excuse it and count it by itself. `unwanted`: it had been cancelled."""
        (self.verdict.residue if self._excused(line) else self.verdict.late).append(words)

    def _excused(self, line: Line) -> bool:
        """Whether it was dialled right when a stopped process was continued, which may be once for each stop.

        A process has one thread that sends, so at most one call can be between its check and its send.
        """
        if line.call_key in self.residue:
            return True
        used = set(self.residue.values())
        for fault in self.faults:
            if "stopped" in fault.what and 0 <= line.t - fault.over <= 0.5 and fault not in used:
                self.residue[line.call_key] = fault
                return True
        return False

    def _one_call_at_a_time(self) -> None:
        """Nobody is rung while an earlier call to him is up, unless the network itself lost that one."""
        last: dict[str, Line] = {}
        for line in self.dialled:
            before, last[line.number] = last.get(line.number), line
            if before is None:
                continue
            ended = self.by_key.get(("ended", bare(before.call_key)))
            lost = any(f.what == "carrier" and before.t <= f.over and f.began <= line.t for f in self.faults)
            if not lost and (ended is None or ended.t > line.t):
                self.verdict.twice.append(f"{line.number} rung by {line.call_key} while {before.call_key} was up")

    def _a_retry_before_each_further_call(self) -> None:
        """Rounds overlap: between two calls to the same number lies a retry, each of which counts once a person."""
        for number in self.trial.numbers:
            left = [one for one in self.trial.decisions if one.kind == "retry"]
            calls = [line for line in self.dialled if line.number == number]
            for before, line in itertools.pairwise(calls):
                fit = next((one for one in left if one.answered >= before.t and one.asked <= line.t), None)
                if fit is None:
                    self.verdict.twice.append(f"{number} dialled again without a retry: {line.call_key}")
                else:
                    left.remove(fit)

    def _after_decisions(self) -> None:
        for line in self.dialled:
            for cancel in self.trial.decisions:
                after = line.t - cancel.answered
                reopened = any(
                    one.kind == "retry" and cancel.answered <= one.asked <= line.t for one in self.trial.decisions
                )
                if cancel.kind == "cancel" and after > AFTER_CANCEL_SECS and not reopened:
                    self.verdict.late.append(f"{line.number} {line.call_key} dialled {after:.2f} s after a cancel")

    def _others_unchanged(self, phase: Phase, before: Phase) -> None:
        """Whom a round does not take stays as he was, but for truth that came late."""
        was = {person["phone_number"]: person["outcome"] for person in before.recipients}
        for person in phase.recipients:
            earlier = was.get(person["phone_number"])
            if person["round"] < phase.round and earlier not in {person["outcome"], "unknown", "cancelled"}:
                self.verdict.wrong.append(f"round {phase.round}: {who(person)} was {earlier} before and is not of it")

    def _nobody_twice(self, phase: Phase, before: Phase | None) -> None:
        times = Counter(line.number for line in self.dialled if phase.began <= line.t < phase.over)
        entitled = set(self.trial.numbers)
        if before is not None:
            takes = {p["phone_number"] for p in before.recipients if p["outcome"] in before.retried_outcomes}
            entitled = {p["phone_number"] for p in phase.recipients if p["round"] == phase.round}
            if wrong := entitled - takes:
                self.verdict.twice.append(
                    f"round {phase.round}: {len(wrong)} taken that are not to be: {sorted(wrong)[:3]}"
                )
        for number, n in times.items():
            if n > (number in entitled):
                keys = [line.call_key for line in self.dialled if line.number == number]
                self.verdict.twice.append(f"round {phase.round}: {number} dialled {n} times: {keys}")

    def _after_cancel(self, phase: Phase) -> None:
        for line in self.dialled:
            after = line.t - phase.cancel_answered
            if phase.began <= line.t < phase.over and after > AFTER_CANCEL_SECS:
                words = f"{line.number[-4:]} {line.call_key} dialled {after:.2f} s after the cancel"
                self.late(line, words, unwanted=True)

    # --- what the API says

    def _everybody_ended(self, phase: Phase) -> None:
        for person in phase.unfinished:
            self.verdict.lost.append(f"round {phase.round}: {who(person)} never ended")
        if len(phase.recipients) != len(self.trial.numbers):
            self.verdict.lost.append(f"{len(phase.recipients)} of {len(self.trial.numbers)} recipients are listed")

    def _counters(self, phase: Phase) -> None:
        statuses = Counter(person["status"] for person in phase.recipients)
        told = {name: phase.batch.get(f"total_calls_{name}") for name in ("scheduled", "dispatched", "finished")}
        recount = {
            "scheduled": len(phase.recipients),
            "dispatched": len(phase.recipients) - statuses["pending"],
            "finished": sum(n for status, n in statuses.items() if status in FINAL),
        }
        if told != recount:
            self.verdict.miscounted.append(f"round {phase.round}: counters {told}, recount {recount}")
        if phase.by_outcome is not None:
            outcomes = Counter(p["outcome"] for p in phase.recipients if p["outcome"] in RETRIED)
            if phase.by_outcome != dict(outcomes):
                self.verdict.miscounted.append(
                    f"round {phase.round}: preview {phase.by_outcome}, recount {dict(outcomes)}"
                )

    def _outcome(self, person: Mapping[str, Any], phase: Phase) -> None:
        if person["status"] not in FINAL or (person["round"] != phase.round and not self.trial.decisions):
            return
        outcome, number = person["outcome"], person["phone_number"]
        calls = [line for line in self.dialled if line.number == number and line.t < phase.over]
        here = [line for line in calls if line.t >= phase.began]
        key = bare((person["conversation_id"] or "").removeprefix("conv_"))
        if outcome == "unknown":
            self.unknown(person, phase, key)
            return
        if not here and outcome not in NEVER_DIALLED and not (calls and ("ended", key) in self.by_key):
            self.verdict.lost.append(f"round {phase.round}: {who(person)} ended without having been dialled")
            return
        if outcome == "completed" and ("answered", key) not in self.by_key:
            self.verdict.unanswered.append(f"round {phase.round}: {who(person)}")
        self._as_the_table_says(person, phase, self.by_key.get(("dialled", key)))

    def _as_the_table_says(self, person: Mapping[str, Any], phase: Phase, dialled: Line | None) -> None:
        outcome = person["outcome"]
        if dialled is None:
            if outcome not in NEVER_DIALLED:
                self.verdict.wrong.append(f"round {phase.round}: {who(person)} was of a call that nobody dialled")
            return
        allowed = self.table(dialled)
        if not math.isinf(phase.cancel_answered) or any(one.kind == "cancel" for one in self.trial.decisions):
            allowed.add("cancelled")
        if not self.gentle:
            allowed.add("network_error")  # given up while it rang, because its server was gone
            if ("answered", bare(dialled.call_key)) in self.by_key:
                allowed.add("completed")
        if outcome not in allowed:
            self.verdict.wrong.append(f"round {phase.round}: {who(person)}, the network has it {sorted(allowed)}")

    def table(self, dialled: Line) -> set[str]:
        """The outcomes that this call may have if nobody interferes."""
        return {outcome_of(dialled.number, dialled.nth)}

    def blind(self, dialled: Line) -> bool:
        """Whether something came between that call and the news of its end."""
        ended = self.by_key.get(("ended", bare(dialled.call_key)))
        until = ended.t + NEWS_SECS if ended else math.inf
        return any(f.what == "carrier" and dialled.t <= f.over and f.began <= until for f in self.faults)

    def unknown(self, person: Mapping[str, Any], phase: Phase, key: str) -> None:
        """Nobody can say how that call ended; something must explain it."""
        self.verdict.unknown += 1
        dialled = self.by_key.get(("dialled", key))
        if dialled is not None:
            if self.blind(dialled):
                return
            self.verdict.unexplained.append(f"round {phase.round}: {who(person)} {key} was dialled, network knew it")
            return
        talk = phase.conversations.get(str(person["conversation_id"]), {})
        go_at = talk.get("metadata", {}).get("start_time_unix_secs")
        if go_at is not None and any(
            f.began - 1 <= go_at + 1 + SEND_SECS + 3 and f.over >= go_at - 1 for f in self.faults
        ):
            self.verdict.in_flight += 1
            return
        self.verdict.unexplained.append(f"round {phase.round}: {who(person)} {key} was never dialled, GO at {go_at}")


def claimed_at(line: Line) -> float:
    """The key of an attempt tells when it was claimed (UUIDv7); unix seconds."""
    return (uuid.UUID(line.call_key).int >> 80) / 1000


def who(person: Mapping[str, Any]) -> str:
    """In a finding."""
    return f"…{person['phone_number'][-9:]} {person['status']} {person['outcome']} {person['conversation_id']}"


def bare(call_key: str) -> str:
    """As it stands in the id of a conversation."""
    return call_key.replace("-", "")


def worst(log: Sequence[Line], number: str) -> str:
    """Everything that the log has of a number: for the report of a finding."""
    by: dict[str, list[str]] = defaultdict(list)
    for line in log:
        if line.number == number:
            by[line.call_key].append(f"{line.event}@{line.t:.3f}")
    return json.dumps(by, indent=1)
