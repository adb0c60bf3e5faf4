"""How reports about a call change its attempt and its recipient: pure, in any order, any number of times.

Reports come late, twice, reversed, or before the answer to the request that caused them. They are folded by rank; an
ending that the network reported is final, `unknown` is provisional. The table of what truth about an older attempt may
do to a recipient who is already waiting for a newer one is in `_older`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from enum import IntEnum, StrEnum
from operator import attrgetter
from typing import assert_never

from outdial.domain import attempt as attempts
from outdial.domain import recipient as recipients
from outdial.domain.attempt import AttemptEvent, AttemptState
from outdial.domain.call import RANK, CallEvent, EventKind, Utterance
from outdial.domain.outcome import MEANING, Blame, Ending, Outcome, status_of
from outdial.domain.recipient import ENDING_EVENT, RecipientEvent, RecipientStatus


class GiveUp(IntEnum):
    """What a cancel, or an opt-out, asked of a call that was already under way."""

    NO = 0
    UNLESS_ANSWERED = 1
    EVEN_IF_ANSWERED = 2


class Newer(StrEnum):
    """What became of the recipient since this attempt."""

    NONE = "none"
    """This attempt is the recipient's current one."""
    WAITING = "waiting"
    """Due again, or cancelled before the next attempt: nothing newer exists."""
    INTENT = "intent"
    """A newer attempt was claimed and has no GO."""
    GONE = "gone"
    """A newer attempt has GO."""


@dataclass(frozen=True, slots=True)
class Course:
    """One attempt and its recipient, as far as reports can change them."""

    state: AttemptState
    give_up: GiveUp
    newer: Newer
    status: RecipientStatus
    outcome: Outcome | None
    """Of the recipient."""
    sent_at: float | None = None
    ringing_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    provider_call_id: str | None = None
    ending: Ending | None = None
    said: tuple[Utterance, ...] = ()
    given_back: CallEvent | None = None
    """Set when the attempt turned void: the event that says how long to hold back."""
    doubtful: bool = False
    """Set when somebody must look the call up."""
    opted_out: bool = False
    """The number came on the do-not-call list while it was being called; whoever answers all the same is talked to."""
    withdraws: bool = False
    """Set when the recipient's newer wait or intent must be withdrawn, because this attempt is current again."""


_FIELDS = tuple(field.name for field in fields(Course))
_PLACE = {name: n for n, name in enumerate(_FIELDS)}
_values = attrgetter(*_FIELDS)


def _with(course: Course, **changes: object) -> Course:
    """`dataclasses.replace` in half its time: each report of each call comes through here several times."""
    values = [*_values(course)]
    for name, value in changes.items():
        values[_PLACE[name]] = value
    return Course(*values)


def fold(course: Course, events: Iterable[CallEvent]) -> Course:
    """The course after all these reports, lowest rank first; a report with an id counts once."""
    seen: set[str] = set()
    for event in sorted(events, key=_order):
        if event.event_id is None or event.event_id not in seen:
            course = _noted(_apply(course, event), event)
            seen.add(event.event_id or "")
    if course.doubtful and course.state is not AttemptState.DIALING:
        course = _with(course, doubtful=False)
    return course


def _order(event: CallEvent) -> tuple[int, float, str, str]:
    """The last two only make the order the same whatever order the reports came in."""
    rank = RANK[EventKind.LOST] if _knows_nothing(event) else RANK[event.kind]
    return rank, event.at, event.kind, event.event_id or ""


def _knows_nothing(event: CallEvent) -> bool:
    """A network that says `it is over, and I can't say how` reports no ending: truth may still come."""
    return event.kind is EventKind.ENDED and event.ending is not None and event.ending.outcome is Outcome.UNKNOWN


def _noted(course: Course, event: CallEvent) -> Course:
    """Details that any report may add, whatever the state."""
    if event.provider_call_id and not course.provider_call_id:
        course = _with(course, provider_call_id=event.provider_call_id)
    if event.said and course.state is not AttemptState.VOID:
        course = _with(course, said=(*course.said, *event.said))
    return course


def _apply(course: Course, event: CallEvent) -> Course:
    match event.kind:
        case EventKind.SENT:
            course = _with(course, sent_at=_first(course.sent_at, event.at))
        case EventKind.DOUBTFUL:
            course = _with(course, doubtful=True)
        case EventKind.UNSENT | EventKind.THROTTLED:
            course = _given_back(course, event)
        case EventKind.RINGING:
            course = _rang(course, event)
        case EventKind.ANSWERED:
            course = _answered(course, event.at)
        case EventKind.ENDED:
            course = _lost(course, event) if _knows_nothing(event) else _ended(course, event)
        case EventKind.LOST:
            course = _lost(course, event)
        case EventKind.SAID:
            pass
        case _:
            assert_never(event.kind)
    return course


def _first(known: float | None, reported: float | None) -> float | None:
    """The instant that was known first; 0 is one too."""
    return reported if known is None else known


def _rang(course: Course, event: CallEvent) -> Course:
    course = _with(course, ringing_at=_first(course.ringing_at, event.at))
    if course.state is not AttemptState.DIALING:
        return course
    course = _with(course, state=attempts.next_state(course.state, AttemptEvent.RANG))
    if course.newer is Newer.NONE:
        course = _with(course, status=recipients.next_status(course.status, RecipientEvent.RANG))
    return course


def _answered(course: Course, at: float) -> Course:
    course = _with(course, answered_at=_first(course.answered_at, at))
    if course.state not in {AttemptState.DIALING, AttemptState.RINGING, AttemptState.UNKNOWN}:
        return course
    # out of `unknown` it has no ending any more
    state = attempts.next_state(course.state, AttemptEvent.ANSWERED)
    course = _with(course, state=state, ending=None, ended_at=None)
    if not _may_lead(course):
        return course
    return _current(course, RecipientEvent.ANSWERED, None)


def _ended(course: Course, event: CallEvent) -> Course:
    if course.state in {AttemptState.ENDED, AttemptState.VOID, AttemptState.INTENT}:
        return course
    if event.answered_at is not None and course.answered_at is None:
        # an ending that knows of an answer is both, as if they had been reported one by one
        course = _answered(course, event.answered_at)
    if event.rang and course.ringing_at is None:
        course = _with(course, ringing_at=event.at)
    ending = closing(course, event.ending or Ending(Outcome.NETWORK_ERROR, "unexplained"))
    course = _with(
        course, state=attempts.next_state(course.state, AttemptEvent.ENDED), ending=ending, ended_at=event.at
    )
    if not _may_lead(course) or (course.newer is not Newer.NONE and not _outranks_a_wait(ending.outcome)):
        return course
    return _current(course, ENDING_EVENT[status_of(ending.outcome)], ending.outcome)


def _lost(course: Course, event: CallEvent) -> Course:
    if course.state not in {AttemptState.DIALING, AttemptState.RINGING, AttemptState.LIVE}:
        return course
    course = _with(
        course,
        state=attempts.next_state(course.state, AttemptEvent.LOST),
        ending=event.ending or Ending(Outcome.UNKNOWN, event.reason or "node_lost"),
        ended_at=event.at,
    )
    if course.newer is not Newer.NONE:
        return course
    return _current(course, RecipientEvent.FAILED, Outcome.UNKNOWN)


def _given_back(course: Course, event: CallEvent) -> Course:
    """Throttled or unsent: void, unless the phone had already rung."""
    rang = event.rang or course.ringing_at is not None
    if course.state is AttemptState.DIALING and not rang:
        course = _with(
            course, state=attempts.next_state(course.state, AttemptEvent.WITHDRAWN), given_back=event, ended_at=event.at
        )
        if course.newer is not Newer.NONE:
            return course
        if course.opted_out:
            return _current(course, RecipientEvent.FAILED, Outcome.SUPPRESSED)
        if course.give_up:
            return _current(course, RecipientEvent.CANCELLED, Outcome.CANCELLED)
        return _current(course, RecipientEvent.GIVEN_BACK, None)
    if course.state is AttemptState.LIVE or event.kind is EventKind.UNSENT or not rang:
        # it contradicts what the network reported, which goes on reporting; or the call was given up for lost, which
        # can't be void any more: it stays unknown, since no network said how it ended
        return course
    ending = Ending(Outcome.NETWORK_ERROR, f"{event.kind}_after_ringing", Blame.CARRIER)
    return _ended(course, replace(event, kind=EventKind.ENDED, ending=ending))


def closing(course: Course, ending: Ending) -> Ending:
    """The ending as it is kept: a call that a cancel or an opt-out gave up ended so, whatever the network calls it.

    What says something lasting about the number (blocked, no such number) is kept all the same, and so is the late
    truth of a call that was lost: its recipient has failed, and only a retry leads from there to anything but truth.
    """
    if course.give_up is GiveUp.NO or course.state is AttemptState.UNKNOWN:
        return _not_cancelled(ending)
    if MEANING[ending.outcome].permanent:
        return ending
    if course.answered_at is None and not MEANING[ending.outcome].reached:
        outcome = Outcome.SUPPRESSED if course.opted_out else Outcome.CANCELLED
        return replace(ending, outcome=outcome, reason="given_up", blame=Blame.CALLER)
    if course.give_up is GiveUp.EVEN_IF_ANSWERED:
        return replace(ending, outcome=Outcome.CANCELLED, reason="hung_up", blame=Blame.CALLER)
    return _not_cancelled(ending)


def _not_cancelled(ending: Ending) -> Ending:
    """`cancelled` is only ever the batch's cancel: a network that says so without one means a call that it ended."""
    if ending.outcome is not Outcome.CANCELLED:
        return ending
    return replace(ending, outcome=Outcome.NETWORK_ERROR, reason=ending.reason or "ended_by_network")


def _may_lead(course: Course) -> bool:
    """Whether this attempt's truth may be the recipient's.

    Not if a newer attempt has GO, and never of one who is over: completed, voicemail, and failed but for `unknown` are
    left by a retry alone.
    """
    if course.newer is Newer.GONE or course.status in {RecipientStatus.COMPLETED, RecipientStatus.VOICEMAIL}:
        return False
    return course.status is not RecipientStatus.FAILED or course.outcome is Outcome.UNKNOWN


def _outranks_a_wait(outcome: Outcome) -> bool:
    """Whether this truth about an older attempt is the last word on a recipient who waits for a newer one."""
    return outcome in {Outcome.COMPLETED, Outcome.VOICEMAIL, Outcome.BLOCKED, Outcome.INVALID_NUMBER}


def _current(course: Course, event: RecipientEvent, outcome: Outcome | None) -> Course:
    """The recipient follows this attempt; a newer wait or intent is withdrawn."""
    return _with(
        course,
        status=recipients.next_status(course.status, event),
        outcome=outcome,
        withdraws=course.withdraws or course.newer in {Newer.WAITING, Newer.INTENT},
        newer=Newer.NONE,
    )
