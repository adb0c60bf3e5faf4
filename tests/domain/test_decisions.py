"""Decisions over many recipients, carried out late and in chunks, against a model where everybody changes at once."""

from collections import Counter
from dataclasses import dataclass, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from outdial.domain.decision import Decision, DecisionKind, Standing, as_decided, decided, outcomes_taken
from outdial.domain.outcome import MEANING, Outcome, status_of
from outdial.domain.recipient import FINAL, RecipientEvent, RecipientStatus, next_status

S = RecipientStatus
ENDINGS = [o for o in Outcome if o is not Outcome.CANCELLED]


@dataclass
class Undone:
    """A decision whose row work has come so far."""

    decision: Decision
    done: int = 0
    """Rows before this one are carried out."""


class Decisions(RuleBasedStateMachine):
    """`rows` follow late, as a store does it; `eager` changes at once and without the code under test."""

    @initialize(n=st.integers(1, 12))
    def submit(self, n: int) -> None:
        self.rows = [Standing(S.PENDING, None, 0, 0) for _ in range(n)]
        self.eager = list(self.rows)
        self.undone: list[Undone] = []
        self.last_decision = self.round = 0
        self.dispatched = self.finished = 0
        self.tally: Counter[Outcome] = Counter()
        self.queue: set[int] = set(range(n))
        """The hopper: who can be claimed. A second entry for the same person is the error this machine looks for."""
        self.claimed_at: dict[int, int] = {}
        """The decision number at the claim of each one who is under way."""
        self.cancels = 0
        self.rung: Counter[tuple[int, int]] = Counter()

    # --- the store under test -------------------------------------------------------------------------------------

    def pending_decisions(self) -> list[Decision]:
        return [work.decision for work in self.undone]

    def seen(self, n: int) -> Standing:
        return as_decided(self.rows[n], self.pending_decisions())

    def materialise(self, n: int) -> None:
        """Every writer first brings the row up to the decisions; they moved the counters already."""
        self.write(n, self.seen(n))

    def write(self, n: int, after: Standing) -> None:
        before, self.rows[n] = self.rows[n], after
        if before.status is not S.PENDING and after.status is S.PENDING:
            self.enqueue(n)
        elif before.status is S.PENDING and after.status is not S.PENDING:
            self.queue.discard(n)

    def enqueue(self, n: int) -> None:
        assert n not in self.queue, "queued twice"
        self.queue.add(n)

    def settle(self, n: int, status: RecipientStatus, outcome: Outcome | None) -> None:
        """One row changes now: stamped with the decision number then current, counters by the change."""
        self.materialise(n)
        before = self.rows[n]
        after = replace(before, status=status, outcome=outcome, stamp=self.last_decision)
        self.dispatched += (status is not S.PENDING) - (before.status is not S.PENDING)
        self.finished += (status in FINAL) - (before.status in FINAL)
        if before.outcome is not None:
            self.tally[before.outcome] -= 1
        if outcome is not None:
            self.tally[outcome] += 1
        self.write(n, after)
        self.eager[n] = after

    def where(self, *statuses: RecipientStatus) -> list[int]:
        return [n for n, row in enumerate(self.eager) if row.status in statuses]

    # --- what happens ---------------------------------------------------------------------------------------------

    @precondition(lambda self: self.where(S.PENDING))
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        n = data.draw(st.sampled_from(self.where(S.PENDING)))
        self.materialise(n)
        assert n in self.queue
        self.settle(n, next_status(self.rows[n].status, RecipientEvent.CLAIMED), None)
        self.claimed_at[n] = self.cancels

    @precondition(lambda self: self.where(S.DISPATCHED))
    @rule(data=st.data(), outcome=st.sampled_from(ENDINGS))
    def ring_and_end(self, data: st.DataObject, outcome: Outcome) -> None:
        n = data.draw(st.sampled_from(self.where(S.DISPATCHED)))
        self.rung[n, self.rows[n].round] += 1
        self.settle(n, status_of(outcome), outcome)

    @precondition(lambda self: self.where(S.DISPATCHED))
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        n = data.draw(st.sampled_from(self.where(S.DISPATCHED)))
        if self.claimed_at[n] == self.cancels:
            self.settle(n, next_status(self.rows[n].status, RecipientEvent.GIVEN_BACK), None)
        else:  # a cancel came since: not back into the hopper
            self.settle(n, next_status(self.rows[n].status, RecipientEvent.CANCELLED), Outcome.CANCELLED)

    @precondition(lambda self: any(row.outcome is Outcome.UNKNOWN for row in self.eager))
    @rule(data=st.data(), outcome=st.sampled_from([Outcome.COMPLETED, Outcome.BUSY, Outcome.BLOCKED]))
    def truth_comes_late(self, data: st.DataObject, outcome: Outcome) -> None:
        lost = [n for n, row in enumerate(self.eager) if row.outcome is Outcome.UNKNOWN]
        self.settle(data.draw(st.sampled_from(lost)), status_of(outcome), outcome)

    @precondition(lambda self: self.where(S.PENDING, S.CANCELLED))
    @rule(data=st.data())
    def an_older_call_turns_out_completed(self, data: st.DataObject) -> None:
        retried = [n for n in self.where(S.PENDING, S.CANCELLED) if self.eager[n].round > 0]
        if retried:
            self.settle(data.draw(st.sampled_from(retried)), S.COMPLETED, Outcome.COMPLETED)

    @rule(include=st.frozensets(st.sampled_from([S.VOICEMAIL, S.CANCELLED])))
    def retry(self, include: frozenset[RecipientStatus]) -> None:
        taken = {o for o, m in MEANING.items() if m.retried or (o is Outcome.VOICEMAIL and S.VOICEMAIL in include)} | (
            {Outcome.CANCELLED} if S.CANCELLED in include else set()
        )
        assert taken == outcomes_taken(include)
        n = sum(self.tally[o] for o in taken)
        if not n:
            return
        self.last_decision += 1
        self.round += 1
        for o in taken:
            self.tally[o] = 0
        self.dispatched -= n
        self.finished -= n
        decision = Decision(self.last_decision, DecisionKind.RETRY, self.round, frozenset(taken))
        self.undone.append(Undone(decision))
        for i, row in enumerate(self.eager):
            if row.outcome in taken:
                self.eager[i] = Standing(S.PENDING, None, self.round, self.last_decision)

    @rule(kind=st.sampled_from([DecisionKind.CANCEL, DecisionKind.DELETE]))
    def cancel(self, kind: DecisionKind) -> None:
        n = len(self.rows) - self.dispatched
        self.last_decision += 1
        self.cancels += 1
        self.tally[Outcome.CANCELLED] += n
        self.dispatched += n
        self.finished += n
        self.undone.append(Undone(Decision(self.last_decision, kind)))
        for i, row in enumerate(self.eager):
            if row.status is S.PENDING:
                self.eager[i] = Standing(S.CANCELLED, Outcome.CANCELLED, row.round, self.last_decision)

    @precondition(lambda self: self.undone)
    @rule(chunk=st.integers(1, 5))
    def carry_out(self, chunk: int) -> None:
        work = self.undone[0]
        for n in range(work.done, min(work.done + chunk, len(self.rows))):
            self.write(n, decided(work.decision, self.rows[n]))
        work.done += chunk
        if work.done >= len(self.rows):
            self.undone.pop(0)

    @precondition(lambda self: self.undone)
    @rule(chunk=st.integers(1, 5))
    def carry_out_again_after_a_crash(self, chunk: int) -> None:
        work = self.undone[0]
        work.done = max(0, work.done - chunk)

    # --- what must always hold ------------------------------------------------------------------------------------

    @invariant()
    def everybody_is_seen_as_decided(self) -> None:
        assert [self.seen(n) for n in range(len(self.rows))] == self.eager

    @invariant()
    def tallies_and_counters_equal_a_recount(self) -> None:
        assert +self.tally == Counter(row.outcome for row in self.eager if row.outcome is not None)
        assert min(self.tally.values(), default=0) >= 0
        assert self.dispatched == len(self.rows) - len(self.where(S.PENDING))
        assert self.finished == len(self.where(*FINAL))

    @invariant()
    def only_who_waits_is_queued(self) -> None:
        assert self.queue == {n for n, row in enumerate(self.rows) if row.status is S.PENDING}
        if not self.undone:
            assert self.queue == set(self.where(S.PENDING))

    @invariant()
    def nobody_is_rung_twice_in_a_round(self) -> None:
        assert max(self.rung.values(), default=0) <= 1


TestDecisions = Decisions.TestCase
TestDecisions.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
