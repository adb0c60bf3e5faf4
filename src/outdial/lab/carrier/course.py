"""The course of one call: what happened in it, how that is told, and how it is kept small once it is over."""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from outdial.lab.carrier.endings import CAUSES, GIVEN_UP, Cause

PERSON_SAYS = "Yes, that suits me well. Thank you for calling, goodbye."
MACHINE_SAYS = "You have reached my voicemail. Please leave a message after the tone."


class Line(msgspec.Struct):
    """Something said in a call."""

    role: str
    text: str
    at_secs: int


class Report(msgspec.Struct, omit_defaults=True):
    """One report, as it is sent and as a look-up tells it."""

    id: str
    event: str
    at: float
    call_id: str
    call_key: str
    nth: int
    answered_by: str | None = None
    code: int | None = None
    reason: str | None = None
    q850: int | None = None
    cause: str | None = None
    by: str | None = None
    rang_at: float | None = None
    answered_at: float | None = None
    transcript: list[Line] = []


class Course(msgspec.Struct):
    """One call, as a look-up tells it."""

    call_id: str
    call_key: str
    number: str
    nth: int
    placed_at: float
    over: bool
    events: list[Report]


@dataclass(slots=True)
class Call:
    """One call and what happened in it so far; instants are Unix seconds."""

    call_key: str
    run: str
    """Names this process, so that no two calls of two processes are called the same."""
    seq: int
    number: str
    nth: int
    greeting: str
    machine: bool
    placed_at: float
    rang_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    cause: Cause | None = None

    @property
    def call_id(self) -> str:
        """The network's own name for this call."""
        return f"cc_{self.run}_{self.seq}"

    def course(self) -> Course:
        """As a look-up tells it."""
        return Course(
            call_id=self.call_id,
            call_key=self.call_key,
            number=self.number,
            nth=self.nth,
            placed_at=self.placed_at,
            over=self.ended_at is not None,
            events=self.reports(),
        )

    def reports(self) -> list[Report]:
        """The whole course so far, oldest first."""
        told = []
        if self.rang_at is not None:
            told.append(self.ringing(self.rang_at))
        if self.answered_at is not None:
            told.append(self.answered(self.answered_at))
        if self.ended_at is not None and self.cause is not None:
            told.append(self.ended(self.ended_at, self.cause))
        return told

    def ringing(self, at: float) -> Report:
        """Note it, and the report that says so."""
        self.rang_at = at
        return self._report("ringing", at)

    def answered(self, at: float) -> Report:
        """Note it, and the report that says so."""
        self.answered_at = at
        report = self._report("answered", at)
        report.answered_by = self._answered_by()
        return report

    def ended(self, at: float, cause: Cause) -> Report:
        """Note it, and the report that says so."""
        self.ended_at, self.cause = at, cause
        report = self._report("ended", at)
        report.code, report.reason, report.q850 = cause.code, cause.reason, cause.q850
        report.cause, report.by = cause.slug, cause.by.value
        report.rang_at, report.answered_at = self.rang_at, self.answered_at
        if self.answered_at is not None:
            report.answered_by = self._answered_by()
            report.transcript = self._transcript(at - self.answered_at)
        return report

    def _report(self, event: str, at: float) -> Report:
        return Report(f"{self.call_id}-{event}", event, at, self.call_id, self.call_key, self.nth)

    def _answered_by(self) -> str:
        return "machine" if self.machine else "person"

    def _transcript(self, secs: float) -> list[Line]:
        """Who speaks first: a machine does, a person listens to the agent."""
        later = int(secs / 2)
        if self.machine:
            lines = [Line("user", MACHINE_SAYS, 0), Line("agent", self.greeting, later)]
        else:
            lines = [Line("agent", self.greeting, 0), Line("user", PERSON_SAYS, later)]
        return [line for line in lines if line.text]


_RECORD = struct.Struct("<QQIB?H4d")


def pack(call: Call) -> bytes:
    """A finished call in 56 bytes and its greeting, because a million of them must fit into memory."""
    greeting = call.greeting.encode()
    instants = (call.placed_at, call.rang_at, call.answered_at, call.ended_at)
    return (
        _RECORD.pack(
            call.seq,
            int(call.number),
            call.nth,
            CAUSES.index(call.cause or GIVEN_UP),
            call.machine,
            len(greeting),
            *(math.nan if at is None else at for at in instants),
        )
        + greeting
    )


def unpack(call_key: str, run: str, packed: bytes) -> Iterator[Call]:
    """The finished calls of one key: packed ones are simply laid end to end."""
    at = 0
    while at < len(packed):
        seq, digits, nth, cause, machine, length, *instants = _RECORD.unpack_from(packed, at)
        at += _RECORD.size + length
        placed_at, *later = instants
        rang_at, answered_at, ended_at = (None if math.isnan(instant) else instant for instant in later)
        yield Call(
            call_key=call_key,
            run=run,
            seq=seq,
            number=f"+{digits}",
            nth=nth,
            greeting=packed[at - length : at].decode(),
            machine=machine,
            placed_at=placed_at,
            rang_at=rang_at,
            answered_at=answered_at,
            ended_at=ended_at,
            cause=CAUSES[cause],
        )
