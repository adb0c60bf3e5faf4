"""Reports about a call, in any order and any number of times."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outdial.domain.attempt import AttemptState as A
from outdial.domain.call import CallEvent, EventKind, Utterance
from outdial.domain.fold import Course, GiveUp, Newer, closing, fold
from outdial.domain.outcome import MEANING, Blame, Ending, Outcome
from outdial.domain.recipient import RecipientStatus as S

FRESH = Course(A.DIALING, GiveUp.NO, Newer.NONE, S.DISPATCHED, None)
LOST = replace(FRESH, state=A.UNKNOWN, status=S.FAILED, outcome=Outcome.UNKNOWN, ending=Ending(Outcome.UNKNOWN))
WAITING = replace(LOST, newer=Newer.WAITING, status=S.PENDING, outcome=None)
INTENT = replace(LOST, newer=Newer.INTENT, status=S.DISPATCHED, outcome=None)
GONE = replace(LOST, newer=Newer.GONE, status=S.INITIATED, outcome=None)
CANCELLED = replace(LOST, newer=Newer.WAITING, status=S.CANCELLED, outcome=Outcome.CANCELLED)


def event(kind: EventKind, at: float = 1.0, **more: object) -> CallEvent:
    return replace(CallEvent("call", kind, at), **more)  # type: ignore[arg-type]  # tests name the fields they need


def ended(outcome: Outcome, at: float = 9.0, **more: object) -> CallEvent:
    return event(EventKind.ENDED, at, ending=Ending(outcome), **more)


SENT, RANG, ANSWERED = event(EventKind.SENT, 1.0), event(EventKind.RINGING, 2.0), event(EventKind.ANSWERED, 3.0)
LOOKED_FOR = event(EventKind.LOST, 20.0, reason="node_lost")


def verdict(course: Course) -> tuple[A, S, Outcome | None, Outcome | None]:
    return course.state, course.status, course.outcome, course.ending.outcome if course.ending else None


@pytest.mark.parametrize(
    ("course", "events", "state", "status", "outcome"),
    [
        (FRESH, [], A.DIALING, S.DISPATCHED, None),
        (FRESH, [SENT], A.DIALING, S.DISPATCHED, None),
        (FRESH, [RANG], A.RINGING, S.INITIATED, None),
        (FRESH, [ANSWERED], A.LIVE, S.IN_PROGRESS, None),
        (FRESH, [ended(Outcome.COMPLETED), ANSWERED, RANG, SENT], A.ENDED, S.COMPLETED, Outcome.COMPLETED),
        (FRESH, [ended(Outcome.BUSY)], A.ENDED, S.FAILED, Outcome.BUSY),
        (FRESH, [ANSWERED, ended(Outcome.VOICEMAIL)], A.ENDED, S.VOICEMAIL, Outcome.VOICEMAIL),
        (FRESH, [LOOKED_FOR], A.UNKNOWN, S.FAILED, Outcome.UNKNOWN),
        (FRESH, [LOOKED_FOR, ended(Outcome.BUSY)], A.ENDED, S.FAILED, Outcome.BUSY),
        (FRESH, [LOOKED_FOR, event(EventKind.UNSENT)], A.VOID, S.PENDING, None),
        # the network ended it and cannot say how: truth may still come
        (FRESH, [ended(Outcome.UNKNOWN)], A.UNKNOWN, S.FAILED, Outcome.UNKNOWN),
        (LOST, [ended(Outcome.UNKNOWN)], A.UNKNOWN, S.FAILED, Outcome.UNKNOWN),
        (FRESH, [ended(Outcome.UNKNOWN, 1.0), ended(Outcome.BUSY, 9.0)], A.ENDED, S.FAILED, Outcome.BUSY),
        # throttled and unsent
        (FRESH, [event(EventKind.UNSENT)], A.VOID, S.PENDING, None),
        (FRESH, [event(EventKind.THROTTLED)], A.VOID, S.PENDING, None),
        (FRESH, [RANG, event(EventKind.THROTTLED)], A.ENDED, S.FAILED, Outcome.NETWORK_ERROR),
        (FRESH, [event(EventKind.THROTTLED, rang=True)], A.ENDED, S.FAILED, Outcome.NETWORK_ERROR),
        (FRESH, [RANG, event(EventKind.UNSENT)], A.RINGING, S.INITIATED, None),
        (FRESH, [ANSWERED, event(EventKind.THROTTLED)], A.LIVE, S.IN_PROGRESS, None),
        (FRESH, [event(EventKind.THROTTLED), ended(Outcome.NO_ANSWER)], A.ENDED, S.FAILED, Outcome.NO_ANSWER),
        (LOST, [event(EventKind.UNSENT)], A.UNKNOWN, S.FAILED, Outcome.UNKNOWN),
        (LOST, [event(EventKind.THROTTLED)], A.UNKNOWN, S.FAILED, Outcome.UNKNOWN),
        # late truth of the current attempt
        (LOST, [RANG], A.UNKNOWN, S.FAILED, Outcome.UNKNOWN),
        (LOST, [ANSWERED], A.LIVE, S.IN_PROGRESS, None),
        (LOST, [ended(Outcome.COMPLETED)], A.ENDED, S.COMPLETED, Outcome.COMPLETED),
        (LOST, [ended(Outcome.NO_ANSWER)], A.ENDED, S.FAILED, Outcome.NO_ANSWER),
        # late truth about an older attempt, nothing newer has GO
        (WAITING, [ended(Outcome.BUSY)], A.ENDED, S.PENDING, None),
        (WAITING, [ANSWERED], A.LIVE, S.IN_PROGRESS, None),
        (WAITING, [ANSWERED, ended(Outcome.NETWORK_ERROR)], A.ENDED, S.FAILED, Outcome.NETWORK_ERROR),
        (WAITING, [ended(Outcome.NETWORK_ERROR, answered_at=3.0)], A.ENDED, S.FAILED, Outcome.NETWORK_ERROR),
        (WAITING, [ended(Outcome.COMPLETED)], A.ENDED, S.COMPLETED, Outcome.COMPLETED),
        (WAITING, [ended(Outcome.VOICEMAIL)], A.ENDED, S.VOICEMAIL, Outcome.VOICEMAIL),
        (WAITING, [ended(Outcome.BLOCKED)], A.ENDED, S.FAILED, Outcome.BLOCKED),
        (WAITING, [ended(Outcome.INVALID_NUMBER)], A.ENDED, S.FAILED, Outcome.INVALID_NUMBER),
        (INTENT, [ended(Outcome.BUSY)], A.ENDED, S.DISPATCHED, None),
        (INTENT, [ended(Outcome.COMPLETED)], A.ENDED, S.COMPLETED, Outcome.COMPLETED),
        (INTENT, [ANSWERED], A.LIVE, S.IN_PROGRESS, None),
        (CANCELLED, [ended(Outcome.BUSY)], A.ENDED, S.CANCELLED, Outcome.CANCELLED),
        (CANCELLED, [ended(Outcome.COMPLETED)], A.ENDED, S.COMPLETED, Outcome.COMPLETED),
        (CANCELLED, [ANSWERED], A.LIVE, S.IN_PROGRESS, None),
        # the newer one has GO
        (GONE, [ended(Outcome.COMPLETED)], A.ENDED, S.INITIATED, None),
        (GONE, [ANSWERED], A.LIVE, S.INITIATED, None),
        (GONE, [ANSWERED, LOOKED_FOR], A.UNKNOWN, S.INITIATED, None),
        # the network's own cancellation is not the batch's
        (FRESH, [ended(Outcome.CANCELLED)], A.ENDED, S.FAILED, Outcome.NETWORK_ERROR),
        (LOST, [ended(Outcome.CANCELLED)], A.ENDED, S.FAILED, Outcome.NETWORK_ERROR),
        # an ending without its words
        (FRESH, [event(EventKind.ENDED)], A.ENDED, S.FAILED, Outcome.NETWORK_ERROR),
        # what can't happen changes nothing
        (replace(FRESH, state=A.INTENT), [ANSWERED, ended(Outcome.BUSY), LOOKED_FOR], A.INTENT, S.DISPATCHED, None),
        (replace(FRESH, state=A.VOID, status=S.PENDING), [RANG, ANSWERED, LOOKED_FOR], A.VOID, S.PENDING, None),
    ],
)
def test_what_reports_make_of_a_call(
    course: Course, events: list[CallEvent], state: A, status: S, outcome: Outcome | None
) -> None:
    found = fold(course, events)
    assert (found.state, found.status, found.outcome) == (state, status, outcome)
    assert verdict(fold(course, reversed(events))) == verdict(found)


@pytest.mark.parametrize("outcome", [Outcome.SUPPRESSED, Outcome.EXPIRED])
@pytest.mark.parametrize("late", [[ANSWERED], [ended(Outcome.COMPLETED)]])
def test_who_failed_for_good_while_waiting_is_not_moved_by_an_older_attempt(
    outcome: Outcome, late: list[CallEvent]
) -> None:
    found = fold(replace(WAITING, status=S.FAILED, outcome=outcome), late)
    assert (found.status, found.outcome, found.withdraws) == (S.FAILED, outcome, False)


@pytest.mark.parametrize("course", [WAITING, INTENT])
@pytest.mark.parametrize(
    ("events", "withdraws"),
    [([ANSWERED], True), ([ended(Outcome.COMPLETED)], True), ([ended(Outcome.BUSY)], False), ([RANG], False)],
)
def test_an_answer_or_a_last_word_withdraws_the_newer_wait(
    course: Course, events: list[CallEvent], withdraws: bool
) -> None:
    found = fold(course, events)
    assert found.withdraws is withdraws
    assert found.newer is (Newer.NONE if withdraws else course.newer)


NO, UNANSWERED, ALL = GiveUp.NO, GiveUp.UNLESS_ANSWERED, GiveUp.EVEN_IF_ANSWERED


@pytest.mark.parametrize(
    ("give_up", "events", "outcome", "reason"),
    [
        (UNANSWERED, [RANG, ended(Outcome.NO_ANSWER)], Outcome.CANCELLED, "given_up"),
        (UNANSWERED, [ended(Outcome.CANCELLED)], Outcome.CANCELLED, "given_up"),
        (UNANSWERED, [ANSWERED, ended(Outcome.COMPLETED)], Outcome.COMPLETED, ""),
        (UNANSWERED, [ANSWERED, ended(Outcome.NETWORK_ERROR)], Outcome.NETWORK_ERROR, ""),
        (UNANSWERED, [ended(Outcome.VOICEMAIL)], Outcome.VOICEMAIL, ""),
        (UNANSWERED, [ended(Outcome.NETWORK_ERROR, answered_at=3.0)], Outcome.NETWORK_ERROR, ""),
        (UNANSWERED, [ended(Outcome.INVALID_NUMBER)], Outcome.INVALID_NUMBER, ""),
        (UNANSWERED, [event(EventKind.UNSENT)], Outcome.CANCELLED, None),
        (UNANSWERED, [RANG, event(EventKind.THROTTLED)], Outcome.CANCELLED, "given_up"),
        (ALL, [ANSWERED, ended(Outcome.COMPLETED)], Outcome.CANCELLED, "hung_up"),
        (ALL, [ended(Outcome.COMPLETED)], Outcome.CANCELLED, "hung_up"),
        (ALL, [ended(Outcome.BLOCKED)], Outcome.BLOCKED, ""),
        (ALL, [LOOKED_FOR], Outcome.UNKNOWN, "node_lost"),
        (NO, [ended(Outcome.NO_ANSWER)], Outcome.NO_ANSWER, ""),
    ],
)
def test_a_call_that_a_cancel_gave_up(
    give_up: GiveUp, events: list[CallEvent], outcome: Outcome, reason: str | None
) -> None:
    found = fold(replace(FRESH, give_up=give_up), events)
    assert found.outcome is outcome
    assert (found.ending.reason if found.ending else None) == reason


@pytest.mark.parametrize("give_up", GiveUp)
@pytest.mark.parametrize("outcome", Outcome)
def test_a_lost_call_that_was_given_up_may_end_in_any_way(give_up: GiveUp, outcome: Outcome) -> None:
    """Found by the machine: `failed` has no way to `cancelled`."""
    found = fold(replace(LOST, give_up=give_up), [ended(outcome)])
    assert found.status is not S.CANCELLED
    assert found.ending is not None
    assert closing(found, found.ending).outcome is not None


def test_a_call_that_is_found_again_has_no_ending() -> None:
    found = fold(fold(FRESH, [RANG, LOOKED_FOR]), [ANSWERED])
    assert (found.state, found.ending, found.ended_at) == (A.LIVE, None, None)


def test_the_reporter_may_start_its_clock_at_zero() -> None:
    found = fold(FRESH, [event(EventKind.RINGING, 0.0), event(EventKind.ANSWERED, 0.0)])
    assert (found.ringing_at, found.answered_at) == (0.0, 0.0)
    assert fold(found, [event(EventKind.ANSWERED, 5.0)]).answered_at == 0.0


def test_doubt_is_to_be_looked_up_until_something_is_heard() -> None:
    doubtful = event(EventKind.DOUBTFUL)
    assert fold(FRESH, [doubtful]).doubtful
    assert not fold(FRESH, [doubtful, RANG]).doubtful
    assert not fold(fold(FRESH, [RANG]), [doubtful]).doubtful
    assert not fold(fold(FRESH, [doubtful]), [RANG]).doubtful


def test_a_report_with_an_id_counts_once() -> None:
    said = event(EventKind.SAID, 4.0, event_id="e4", said=(Utterance("user", "yes"),))
    assert len(fold(FRESH, [said, said]).said) == 1
    again = replace(said, event_id=None)
    assert len(fold(FRESH, [again, again]).said) == 2


def test_words_and_names_are_noted_even_after_the_end() -> None:
    found = fold(FRESH, [ended(Outcome.COMPLETED, answered_at=3.0)])
    found = fold(found, [event(EventKind.SAID, said=(Utterance("agent", "hello"),), provider_call_id="CA1")])
    assert (found.said, found.provider_call_id) == ((Utterance("agent", "hello"),), "CA1")
    assert not fold(fold(FRESH, [event(EventKind.UNSENT)]), [event(EventKind.SAID, said=found.said)]).said


def test_throttled_keeps_how_long_to_hold_back() -> None:
    throttled = event(EventKind.THROTTLED, retry_after=0.2)
    assert fold(FRESH, [throttled]).given_back == throttled


def test_what_is_ours_and_what_is_the_carriers() -> None:
    found = fold(replace(FRESH, give_up=GiveUp.UNLESS_ANSWERED), [ended(Outcome.NO_ANSWER)])
    assert found.ending is not None
    assert found.ending.blame is Blame.CALLER
    found = fold(FRESH, [RANG, event(EventKind.THROTTLED)])
    assert found.ending is not None
    assert (found.ending.blame, found.ending.reason) == (Blame.CARRIER, "throttled_after_ringing")


# --- any order, any number of times, any grouping ------------------------------------------------------------------

ENDINGS = [o for o in Outcome if o is not Outcome.UNKNOWN]
ANY_COURSE = st.sampled_from([FRESH, LOST, WAITING, INTENT, GONE, CANCELLED])
ANY_EVENT = st.builds(
    lambda kind, at, outcome, n, rang, answered_at: replace(
        CallEvent("call", kind, at, f"e{n}"),
        ending=Ending(outcome) if kind is EventKind.ENDED else None,
        rang=rang,
        answered_at=answered_at if kind is EventKind.ENDED else None,
    ),
    st.sampled_from(EventKind),
    st.integers(0, 5).map(float),
    st.sampled_from(Outcome),
    st.integers(0, 10**9),
    st.booleans(),
    st.sampled_from([None, 2.5]),
)


@st.composite
def one_call(draw: st.DrawFn) -> list[CallEvent]:
    """All that a network reports of one call that was placed; its ending knows whether it was answered."""
    answered = draw(st.booleans())
    outcome = draw(st.sampled_from(ENDINGS))
    rang = answered or draw(st.booleans())
    events = [replace(SENT, event_id="sent")]
    events += [replace(RANG, event_id="rang")] if rang else []
    events += [replace(ANSWERED, event_id="answered")] if answered else []
    return [*events, ended(outcome, event_id="ended", rang=rang, answered_at=3.0 if answered else None)]


@st.composite
def groups(draw: st.DrawFn, events: list[CallEvent]) -> list[list[CallEvent]]:
    """The events in any order, some of them twice, in any grouping."""
    twice = draw(st.lists(st.sampled_from(events), max_size=3))
    mixed = draw(st.permutations([*events, *twice]))
    cuts = sorted(draw(st.lists(st.integers(0, len(mixed)), max_size=4)))
    return [mixed[a:b] for a, b in zip([0, *cuts], [*cuts, len(mixed)], strict=True)]


def fold_all(course: Course, parts: list[list[CallEvent]]) -> Course:
    for part in parts:
        course = fold(course, part)
    return course


@settings(max_examples=300, deadline=None)
@given(ANY_COURSE, st.sampled_from(GiveUp), st.lists(ANY_EVENT, max_size=6, unique_by=lambda e: e.event_id), st.data())
def test_what_comes_together_is_folded_in_one_order(
    course: Course, give_up: GiveUp, events: list[CallEvent], data: st.DataObject
) -> None:
    course = replace(course, give_up=give_up)
    twice = data.draw(st.lists(st.sampled_from(events), max_size=3)) if events else []
    mixed = data.draw(st.permutations([*events, *twice]))
    assert fold(course, mixed) == fold(course, events)


@settings(max_examples=300, deadline=None)
@given(ANY_COURSE, st.sampled_from(GiveUp), one_call(), st.data())
def test_one_call_has_one_verdict_however_its_reports_arrive(
    course: Course, give_up: GiveUp, events: list[CallEvent], data: st.DataObject
) -> None:
    """Holds where the ending knows whether the call was answered; see the twin below."""
    course = replace(course, give_up=give_up)
    assert verdict(fold_all(course, data.draw(groups(events)))) == verdict(fold(course, events))


@settings(max_examples=300, deadline=None)
@given(one_call(), st.data())
def test_being_lost_in_between_changes_no_verdict(events: list[CallEvent], data: st.DataObject) -> None:
    """Holds where no cancel gave the call up: what was lost and given up keeps its late truth."""
    lost = replace(LOOKED_FOR, event_id="lost")
    assert verdict(fold_all(FRESH, data.draw(groups([*events, lost])))) == verdict(fold(FRESH, events))


def test_an_ending_that_knows_of_no_answer_decides_by_what_was_known() -> None:
    """The twin: such an ending, then its answer, differs from the two the right way round."""
    course = replace(FRESH, give_up=GiveUp.UNLESS_ANSWERED)
    broke = ended(Outcome.NETWORK_ERROR)
    assert fold(fold(course, [ANSWERED]), [broke]).outcome is Outcome.NETWORK_ERROR
    assert fold(fold(course, [broke]), [ANSWERED]).outcome is Outcome.CANCELLED


@settings(max_examples=300, deadline=None)
@given(ANY_COURSE, st.sampled_from(GiveUp), one_call(), st.lists(ANY_EVENT, max_size=6))
def test_the_first_reported_ending_is_final(
    course: Course, give_up: GiveUp, events: list[CallEvent], later: list[CallEvent]
) -> None:
    over = fold(replace(course, give_up=give_up), events)
    assert over.state is A.ENDED
    for report in later:
        after = fold(over, [report])
        assert verdict(after) == verdict(over)
        assert (after.ending, after.ended_at, after.withdraws) == (over.ending, over.ended_at, over.withdraws)


@given(ANY_COURSE, st.sampled_from(GiveUp), st.lists(ANY_EVENT, max_size=8), st.data())
def test_no_reports_whatever_ask_for_an_illegal_step(
    course: Course, give_up: GiveUp, events: list[CallEvent], data: st.DataObject
) -> None:
    if not events:
        return
    found = fold_all(replace(course, give_up=give_up), data.draw(groups(events)))
    if found.outcome is not None:
        assert MEANING[found.outcome].status is found.status
