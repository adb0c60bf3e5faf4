"""How reports about a call change its attempt and its recipient: pure, in any order, any number of times.

Reports come late, twice, reversed, or before the answer to the request that caused them. They are folded by rank; an
ending that the network reported is final, `unknown` is provisional. The table of what truth about an older attempt may
do to a recipient who is already waiting for a newer one is in `_older`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

from outdial.domain import attempt as attempts
from outdial.domain import recipient as recipients
from outdial.domain.attempt import AttemptEvent, AttemptState
from outdial.domain.call import RANK, CallEvent, EventKind, Utterance
from outdial.domain.outcome import MEANING, Blame, Ending, Outcome, status_of
from outdial.domain.recipient import ENDING_EVENT, RecipientEvent, RecipientStatus


class GiveUp(IntEnum):
    """What a cancel asked of a call that was already under way."""

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
    withdraws: bool = False
    """Set when the recipient's newer wait or intent must be withdrawn, because this attempt is current again."""


def fold(course: Course, events: Iterable[CallEvent]) -> Course:
    """The course after all these reports, lowest rank first."""
    for event in sorted(events, key=lambda e: (RANK[e.kind], e.at)):
        course = _noted(_apply(course, event), event)
    return course


def _noted(course: Course, event: CallEvent) -> Course:
    """Details that any report may add, whatever the state."""
    if event.provider_call_id and not course.provider_call_id:
        course = replace(course, provider_call_id=event.provider_call_id)
    if event.said and course.state is not AttemptState.VOID:
        course = replace(course, said=(*course.said, *event.said))
    return course


def _apply(course: Course, event: CallEvent) -> Course:
    match event.kind:
        case EventKind.SENT:
            return course if course.sent_at else replace(course, sent_at=event.at)
        case EventKind.DOUBTFUL:
            return replace(course, doubtful=course.state is AttemptState.DIALING)
        case EventKind.UNSENT | EventKind.THROTTLED:
            return _given_back(course, event)
        case EventKind.RINGING:
            return _rang(course, event)
        case EventKind.ANSWERED:
            return _answered(course, event)
        case EventKind.ENDED:
            return _ended(course, event)
        case EventKind.LOST:
            return _lost(course, event)
        case EventKind.SAID:
            return course


def _rang(course: Course, event: CallEvent) -> Course:
    course = course if course.ringing_at else replace(course, ringing_at=event.at)
    if course.state is not AttemptState.DIALING:
        return course
    course = replace(course, state=attempts.next_state(course.state, AttemptEvent.RANG))
    if course.newer is Newer.NONE:
        course = replace(course, status=recipients.next_status(course.status, RecipientEvent.RANG))
    return course


def _answered(course: Course, event: CallEvent) -> Course:
    course = course if course.answered_at else replace(course, answered_at=event.at)
    if course.state not in {AttemptState.DIALING, AttemptState.RINGING, AttemptState.UNKNOWN}:
        return course
    course = replace(course, state=attempts.next_state(course.state, AttemptEvent.ANSWERED))
    if course.newer is Newer.GONE:
        return course
    return _current(course, RecipientEvent.ANSWERED, None)


def _ended(course: Course, event: CallEvent) -> Course:
    if course.state in {AttemptState.ENDED, AttemptState.VOID, AttemptState.INTENT}:
        return course
    assert event.ending is not None, "an `ended` report carries its ending"
    course = replace(
        course,
        answered_at=course.answered_at or event.answered_at,
        ringing_at=course.ringing_at or (event.at if event.rang else None),
    )
    ending = closing(course, event.ending)
    course = replace(
        course,
        state=attempts.next_state(course.state, AttemptEvent.ENDED),
        ending=ending,
        ended_at=event.at,
    )
    if course.newer is Newer.GONE or (course.newer is not Newer.NONE and not _outranks_a_wait(ending.outcome)):
        return course
    return _current(course, ENDING_EVENT[status_of(ending.outcome)], ending.outcome)


def _lost(course: Course, event: CallEvent) -> Course:
    if course.state not in {AttemptState.DIALING, AttemptState.RINGING, AttemptState.LIVE}:
        return course
    course = replace(
        course,
        state=attempts.next_state(course.state, AttemptEvent.LOST),
        ending=Ending(Outcome.UNKNOWN, event.reason or "node_lost"),
        ended_at=event.at,
    )
    if course.newer is not Newer.NONE:
        return course
    return _current(course, RecipientEvent.FAILED, Outcome.UNKNOWN)


def _given_back(course: Course, event: CallEvent) -> Course:
    """Throttled or unsent: void, unless the phone had already rung."""
    if course.state is AttemptState.DIALING and course.ringing_at is None and not event.rang:
        course = replace(
            course, state=attempts.next_state(course.state, AttemptEvent.WITHDRAWN), given_back=event, ended_at=event.at
        )
        if course.newer is not Newer.NONE:
            return course
        if course.give_up:
            return _current(course, RecipientEvent.CANCELLED, Outcome.CANCELLED)
        return _current(course, RecipientEvent.GIVEN_BACK, None)
    if event.kind is EventKind.UNSENT:
        return course
    refused = Ending(Outcome.NETWORK_ERROR, "throttled_after_ringing", Blame.CARRIER)
    return _ended(course, replace(event, kind=EventKind.ENDED, ending=refused))


def closing(course: Course, ending: Ending) -> Ending:
    """The ending as it is kept: a call that a cancel gave up ended by that, whatever the network calls it.

    What says something lasting about the number (blocked, no such number) is kept all the same.
    """
    if MEANING[ending.outcome].permanent or course.give_up is GiveUp.NO:
        return ending
    if course.answered_at is None and not MEANING[ending.outcome].reached:
        return replace(ending, outcome=Outcome.CANCELLED, reason="given_up", blame=Blame.CALLER)
    if course.give_up is GiveUp.EVEN_IF_ANSWERED:
        return replace(ending, outcome=Outcome.CANCELLED, reason="hung_up", blame=Blame.CALLER)
    return ending


def _outranks_a_wait(outcome: Outcome) -> bool:
    """Whether this truth about an older attempt is the last word on a recipient who waits for a newer one."""
    return outcome in {Outcome.COMPLETED, Outcome.VOICEMAIL, Outcome.BLOCKED, Outcome.INVALID_NUMBER}


def _current(course: Course, event: RecipientEvent, outcome: Outcome | None) -> Course:
    """The recipient follows this attempt; a newer wait or intent is withdrawn."""
    return replace(
        course,
        status=recipients.next_status(course.status, event),
        outcome=outcome,
        withdraws=course.withdraws or course.newer in {Newer.WAITING, Newer.INTENT},
        newer=Newer.NONE,
    )
