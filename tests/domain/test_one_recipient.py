"""One recipient through rounds, reports, cancels and losses, as a machine that tries to break the rules."""

from dataclasses import dataclass, field, replace
from itertools import count
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from outdial.domain import attempt as attempts
from outdial.domain import recipient as recipients
from outdial.domain.attempt import OPEN, AttemptEvent, AttemptState
from outdial.domain.call import CallEvent, EventKind
from outdial.domain.decision import outcomes_taken
from outdial.domain.fold import Course, GiveUp, Newer, fold
from outdial.domain.outcome import Ending, Outcome, status_of
from outdial.domain.recipient import FINAL, RecipientEvent, RecipientStatus
from tests.domain import published

A, S = AttemptState, RecipientStatus
REPORTED = [o for o in Outcome if o is not Outcome.UNKNOWN]
EXPECTED_STATUS = {A.INTENT: S.DISPATCHED, A.DIALING: S.DISPATCHED, A.RINGING: S.INITIATED, A.LIVE: S.IN_PROGRESS}


@dataclass
class Attempt:
    """One attempt as a store keeps it, and all that its network will ever say of it."""

    round: int
    state: AttemptState = A.INTENT
    give_up: GiveUp = GiveUp.NO
    course: Course | None = None
    script: list[CallEvent] = field(default_factory=list)
    final_ending: Ending | None = None


class OneRecipient(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.serial = count(1)
        self.steps: list[tuple[RecipientStatus, RecipientStatus]] = []
        self.next_person()
        real = recipients.next_status

        def watched(status: RecipientStatus, event: RecipientEvent) -> RecipientStatus:
            after = real(status, event)
            self.steps.append((status, after))
            return after

        self.patch = mock.patch.object(recipients, "next_status", watched)
        self.patch.start()

    status: RecipientStatus
    outcome: Outcome | None

    def next_person(self) -> None:
        self.status, self.outcome = S.PENDING, None
        self.round = 0
        self.attempts: list[Attempt] = []
        self.current: int | None = None
        self.dispatched = self.finished = 0
        self.tally = dict.fromkeys(Outcome, 0)
        self.cancelled = False
        self.was_completed = False

    def teardown(self) -> None:
        self.patch.stop()

    # --- how a store moves things ---------------------------------------------------------------------------------

    def move(self, status: RecipientStatus, outcome: Outcome | None) -> None:
        """Take over what next_status gave, and move the counters by the change alone."""
        was, was_outcome = self.status, self.outcome
        path, self.steps = self.steps, []
        reached = was
        for before, after in path:
            assert before == reached, "a step that did not start where the recipient was"
            assert after in published.RECIPIENT[before]
            reached = after
        assert reached == status, "a change that did not go through next_status"
        self.dispatched += (status is not S.PENDING) - (was is not S.PENDING)
        self.finished += (status in FINAL) - (was in FINAL)
        if was in FINAL and was_outcome:
            self.tally[was_outcome] -= 1
        if status in FINAL and outcome:
            self.tally[outcome] += 1
        if was is S.FAILED and was_outcome is not Outcome.UNKNOWN and (status, outcome) != (was, was_outcome):
            assert status is S.PENDING, "only `unknown` is left by truth"
        self.status, self.outcome = status, outcome

    def step(self, event: RecipientEvent, outcome: Outcome | None) -> None:
        self.move(recipients.next_status(self.status, event), outcome)

    def newer(self, n: int) -> Newer:
        if self.current == n:
            return Newer.NONE
        if self.current is None:
            return Newer.WAITING
        return Newer.INTENT if self.attempts[self.current].state is A.INTENT else Newer.GONE

    def void(self, n: int) -> None:
        self.attempts[n].state = attempts.next_state(self.attempts[n].state, AttemptEvent.WITHDRAWN)

    def deliver(self, n: int, events: list[CallEvent]) -> None:
        one = self.attempts[n]
        newer = self.newer(n)
        before = replace(
            one.course or Course(one.state, GiveUp.NO, newer, self.status, self.outcome),
            give_up=one.give_up,
            newer=newer,
            status=self.status,
            outcome=self.outcome,
            withdraws=False,
            given_back=None,
        )
        after = fold(before, events)
        if newer is Newer.GONE:
            assert (after.status, after.outcome) == (self.status, self.outcome)
        if after.withdraws:
            if self.current is not None:
                self.void(self.current)
            self.current = n
        elif after.given_back is not None:
            self.current = None
        one.state, one.course = after.state, after
        if one.final_ending is not None:
            assert (after.state, after.ending) == (A.ENDED, one.final_ending), "a final ending changed"
        elif after.state is A.ENDED:
            assert after.ending is not None
            one.final_ending = after.ending
        if self.status is S.IN_PROGRESS and after.status is S.CANCELLED:
            assert one.give_up is GiveUp.EVEN_IF_ANSWERED
        self.move(after.status, after.outcome)

    # --- what happens ---------------------------------------------------------------------------------------------

    @precondition(lambda self: self.status in {S.COMPLETED, S.FAILED} and self.dead_end())
    @rule()
    def begin_with_somebody_else(self) -> None:
        self.next_person()

    def dead_end(self) -> bool:
        """Nothing but reports that change nothing could follow."""
        return not any(one.state in {*OPEN, A.UNKNOWN} for one in self.attempts)

    @precondition(lambda self: self.status is S.PENDING and not self.cancelled)
    @rule(data=st.data(), goes=st.sampled_from([True, True, False]))
    def claim(self, data: st.DataObject, goes: bool) -> None:
        self.attempts.append(Attempt(self.round))
        self.current = len(self.attempts) - 1
        self.step(RecipientEvent.CLAIMED, None)
        if goes:
            self.go(data)

    @precondition(lambda self: self.status is S.PENDING and self.attempts)
    @rule(outcome=st.sampled_from([Outcome.SUPPRESSED, Outcome.EXPIRED]))
    def leave_undialled(self, outcome: Outcome) -> None:
        self.step(RecipientEvent.FAILED, outcome)

    def intent(self) -> Attempt | None:
        one = None if self.current is None else self.attempts[self.current]
        return one if one and one.state is A.INTENT else None

    @precondition(lambda self: self.intent() is not None)
    @rule()
    def lose_the_lease_before_go(self) -> None:
        assert self.current is not None
        self.void(self.current)
        self.current = None
        self.step(RecipientEvent.GIVEN_BACK, None)

    @precondition(lambda self: self.intent() is not None)
    @rule(data=st.data())
    def go_later(self, data: st.DataObject) -> None:
        self.go(data)

    def go(self, data: st.DataObject) -> None:
        one = self.intent()
        assert one is not None
        assert not self.cancelled
        one.state = attempts.next_state(one.state, AttemptEvent.GO)
        one.script = self.script(data)

    def script(self, data: st.DataObject) -> list[CallEvent]:
        """What the network will report: not placed at all, or a course with one ending that may lack its details."""

        def report(kind: EventKind, at: float) -> CallEvent:
            return CallEvent("call", kind, at, f"e{next(self.serial)}")

        if data.draw(st.integers(0, 4)) == 4:
            return [report(data.draw(st.sampled_from([EventKind.UNSENT, EventKind.THROTTLED])), 1.0)]
        outcome = data.draw(st.sampled_from(REPORTED))
        answered, tells = data.draw(st.booleans()), data.draw(st.booleans())
        end = replace(report(EventKind.ENDED, 9.0), ending=Ending(outcome))
        if answered and tells:
            end = replace(end, answered_at=3.0, rang=True)
        first = report(data.draw(st.sampled_from([EventKind.SENT, EventKind.DOUBTFUL])), 1.0)
        middle = [report(EventKind.RINGING, 2.0), *([report(EventKind.ANSWERED, 3.0)] if answered else [])]
        return [first, *middle, end]

    def sent(self) -> list[int]:
        return [n for n, one in enumerate(self.attempts) if one.script]

    @precondition(lambda self: self.sent())
    @rule(data=st.data())
    def reports_come_in_any_order_and_number(self, data: st.DataObject) -> None:
        n = data.draw(st.sampled_from(self.sent()))
        script = self.attempts[n].script
        self.deliver(n, data.draw(st.lists(st.sampled_from(script), min_size=1, max_size=3)))

    @precondition(lambda self: self.sent())
    @rule()
    def the_call_takes_its_course(self) -> None:
        n = self.sent()[-1]
        for event in self.attempts[n].script:
            self.deliver(n, [event])

    @precondition(lambda self: any(one.state in OPEN and one.script for one in self.attempts))
    @rule(data=st.data())
    def it_is_looked_for_and_lost(self, data: st.DataObject) -> None:
        n = data.draw(st.sampled_from([n for n in self.sent() if self.attempts[n].state in OPEN]))
        self.deliver(n, [CallEvent("call", EventKind.LOST, 20.0, f"e{next(self.serial)}", reason="node_lost")])

    @precondition(lambda self: self.attempts)
    @rule(hang_up=st.booleans())
    def cancel(self, hang_up: bool) -> None:
        self.cancelled = True
        if self.status is S.PENDING:
            self.step(RecipientEvent.CANCELLED, Outcome.CANCELLED)
        elif self.intent() is not None:
            assert self.current is not None
            self.void(self.current)
            self.current = None
            self.step(RecipientEvent.CANCELLED, Outcome.CANCELLED)
        for one in self.attempts:
            if one.state in OPEN:
                asked = GiveUp.EVEN_IF_ANSWERED if hang_up else GiveUp.UNLESS_ANSWERED
                one.give_up = max(one.give_up, asked)

    @precondition(lambda self: self.outcome in outcomes_taken([S.VOICEMAIL, S.CANCELLED]))
    @rule()
    def retry(self) -> None:
        assert self.status in FINAL
        self.cancelled = False
        self.round += 1
        self.current = None
        self.step(RecipientEvent.RETRIED, None)

    # --- what must always hold ------------------------------------------------------------------------------------

    @invariant()
    def rung_once_in_a_round(self) -> None:
        used = [one.round for one in self.attempts if one.state not in {A.INTENT, A.VOID}]
        assert len(used) == len(set(used))

    @invariant()
    def at_most_one_newer_attempt_is_open(self) -> None:
        intents = [n for n, one in enumerate(self.attempts) if one.state is A.INTENT]
        assert intents in ([], [self.current])

    @invariant()
    def counters_equal_a_recount(self) -> None:
        assert self.dispatched == int(self.status is not S.PENDING)
        assert self.finished == int(self.status in FINAL)
        assert self.tally == {o: int(self.status in FINAL and self.outcome is o) for o in Outcome}

    @invariant()
    def status_and_outcome_say_the_same(self) -> None:
        assert (self.outcome is None) == (self.status not in FINAL)
        assert self.outcome is None or status_of(self.outcome) is self.status

    @invariant()
    def who_is_under_way_follows_an_attempt_under_way(self) -> None:
        if self.status not in FINAL and self.status is not S.PENDING:
            assert self.current is not None
            assert EXPECTED_STATUS[self.attempts[self.current].state] is self.status
        elif self.current is not None:
            assert self.attempts[self.current].state not in OPEN

    @invariant()
    def who_was_reached_is_never_called_again(self) -> None:
        assert self.status is S.COMPLETED or not self.was_completed
        self.was_completed = self.status is S.COMPLETED

    @invariant()
    def ended_attempts_stay_ended(self) -> None:
        for one in self.attempts:
            assert one.final_ending is None or one.state is A.ENDED


TestOneRecipient = OneRecipient.TestCase
TestOneRecipient.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
