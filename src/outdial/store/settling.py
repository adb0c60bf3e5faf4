"""What the networks report, kept once, folded, and settled: state, counters, slots and outbox in one transaction."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from outdial.domain.attempt import OPEN, AttemptState
from outdial.domain.backoff import TrunkHealth, held_back
from outdial.domain.call import CONNECTION_REFUSED, RANG, CallEvent, EventKind, Utterance
from outdial.domain.fold import Course, GiveUp, fold
from outdial.domain.outcome import Ending, Outcome, proves
from outdial.domain.recipient import FINAL, RecipientStatus
from outdial.ports.store import Check, ClaimLimits, GivenUp, NodeLease, Taken
from outdial.store import cases
from outdial.store.cases import Case, Places
from outdial.store.desk import Desk
from outdial.store.dialling import UNDER_WAY, health_of
from outdial.store.engine import Engine
from outdial.store.instants import MICROS, maybe_micros, maybe_seconds, micros, seconds
from outdial.store.ledger import NOBODY, AttemptRecord, Ledger, RecipientRecord
from outdial.store.op import Footprint, Kind, Lane, Reads, Row, Tx
from outdial.store.secrets import Vault
from outdial.store.suppression import OPTED_OUT

CHECK_LEASE_SECS = 12.0
"""How long a node has an attempt to itself to look it up; a look-up takes at most 8 s, and its node may die in it."""
UNDECIDED = frozenset({AttemptState.INTENT, AttemptState.DIALING})
"""In which a call may yet show whether its trunk takes calls."""
SETTLED = frozenset({AttemptState.ENDED, AttemptState.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Taking:
    """Reports that came together."""

    events: tuple[CallEvent, ...]
    now: float


@dataclass(slots=True)
class _Fate:
    """What a group's reports did to one attempt."""

    changed: bool = False
    freed: bool = False
    doubtful: bool = False
    was_unknown: bool = False
    told: bool = False
    """Somebody was told of the change: others whose reports came together with his count nothing."""
    news: list[CallEvent] = field(default_factory=list)


class Take(Kind[Taking, list[Taken]]):
    """Keep each report once, fold it, settle."""

    name = "take"
    order = 10

    def __init__(self, look_up_secs: float, places: Places) -> None:
        self.look_up_secs = look_up_secs
        self.places = places

    def footprint(self, tx: Reads, requests: Sequence[Taking]) -> Footprint:
        """The limits and batches of the calls that are reported of."""
        return self.places.footprint(tx, [event.call_key for request in requests for event in request.events])

    def run(self, tx: Tx, requests: Sequence[Taking]) -> list[list[Taken]]:
        """One answer per attempt that a request speaks of; unknown keys have none."""
        now = micros(max(request.now for request in requests))
        fresh = self._keep(tx, [event for request in requests for event in request.events], now)
        fates: dict[str, _Fate] = defaultdict(_Fate)
        for event in fresh:
            fates[event.call_key].news.append(event)
        keys = {event.call_key for request in requests for event in request.events}
        trunks = sorted(self.places.trunks(keys))
        asked = tx.ask("trunks_by_key", keys=trunks, all=any(_harms(event) for event in fresh))
        found = cases.load(tx, keys)
        ledger = Ledger(tx, now)
        for key, fate in fates.items():
            if key in found:
                self._settle(tx, ledger, found, found[key], fate)
        over = ledger.flush()
        self.places.forget()
        reports = [(found[e.call_key].attempt, e) for e in fresh if e.call_key in found]
        self._tend_trunks(tx, reports, [*asked.rows(), *_tried(tx, reports, asked.rows())], now)
        return [
            [
                self._taken(found[key], fates[key], over)
                for key in dict.fromkeys(e.call_key for e in r.events)
                if key in found
            ]
            for r in requests
        ]

    @staticmethod
    def _keep(tx: Tx, events: list[CallEvent], now: int) -> list[CallEvent]:
        """The reports that are new. Those without an id come from our own workers, once."""
        named = [event for event in events if event.event_id is not None]
        if not named:
            return events
        rows = [{"event_id": e.event_id, "call_key": e.call_key, "kind": e.kind} for e in named]
        kept = {row.event_id for row in tx.rows("events_keep", rows=rows, now=now)}
        fresh = []
        for event in events:
            if event.event_id is None:
                fresh.append(event)
            elif event.event_id in kept:
                kept.discard(event.event_id)
                fresh.append(event)
        return fresh

    def _settle(self, tx: Tx, ledger: Ledger, found: dict[str, Case], case: Case, fate: _Fate) -> None:
        before = course_of(case)
        after = fold(before, fate.news)
        attempt = case.attempt
        attempt.heard_at = ledger.now
        fate.changed = after.state is not before.state
        fate.was_unknown = fate.changed and before.state is AttemptState.UNKNOWN
        fate.doubtful = after.doubtful
        _note(attempt, after)
        attempt.check_at = self._check_at(attempt, after, ledger.now)
        ledger.changed(attempt)
        if attempt.state not in OPEN:
            fate.freed = ledger.free(attempt)
        elif before.state is AttemptState.UNKNOWN and not _number_held(tx, attempt):
            ledger.hold(attempt)
        if attempt.state in SETTLED and (fate.changed or after.said):
            ledger.keep_words(attempt, words(after.said))
        if attempt.state in SETTLED and fate.changed:
            ledger.tell(
                "call_ended", workspace_id=attempt.workspace_id, batch_id=attempt.batch_id, call_key=attempt.call_key
            )
        self._move_recipient(tx, ledger, found, case, before, after)

    @staticmethod
    def _move_recipient(
        tx: Tx, ledger: Ledger, found: dict[str, Case], case: Case, before: Course, after: Course
    ) -> None:
        recipient = case.recipient
        if recipient is None or (after.status, after.outcome, after.withdraws) == (
            before.status,
            before.outcome,
            False,
        ):
            return
        if after.withdraws:
            _withdraw(tx, ledger, found, recipient)
            recipient.attempt_key = case.attempt.call_key
        recipient.status, recipient.outcome = after.status, after.outcome
        if after.given_back is not None:
            recipient.attempts -= 1
            recipient.attempt_key = None
            if after.status is RecipientStatus.PENDING:
                wait = held_back(after.given_back.retry_after, recipient.setbacks)
                recipient.setbacks += 1
                ledger.wait(recipient, due_at=ledger.now + micros(wait), generation=case.generation)
        else:
            recipient.conversation_key = case.attempt.call_key
            if after.status in FINAL:
                recipient.setbacks = 0
        ledger.moved(recipient, stamp=case.last_decision)

    def _check_at(self, attempt: AttemptRecord, after: Course, now: int) -> int | None:
        """When to ask the network, if nothing is heard before."""
        match attempt.state:
            case AttemptState.DIALING:
                return now if after.doubtful else attempt.check_at
            case AttemptState.RINGING:
                limit = attempt.ring_secs + attempt.horizon_secs
            case AttemptState.LIVE:
                limit = attempt.talk_secs + attempt.horizon_secs
            case _:
                return None
        return now + micros(min(limit, self.look_up_secs))

    @staticmethod
    def _tend_trunks(tx: Tx, reports: list[tuple[AttemptRecord, CallEvent]], rows: list[Row], now: int) -> None:
        """Refused connections and errors that would hit everybody count against a trunk; a younger call clears it."""
        writes = []
        for row in rows:
            was = health = health_of(row)
            trouble_at = row.trouble_at
            for attempt, event in reports:
                if attempt.trunk != row.key:
                    continue
                if attempt.trying and _proves(event):
                    health = health.proven()
                sent_at = attempt.go_at or attempt.claimed_at
                if sent_at <= trouble_at and not _harms(event):
                    continue
                health = _tended(health, event, seconds(now))
                trouble_at = max(trouble_at, sent_at) if _harms(event) else trouble_at
            if health != was or trouble_at != row.trouble_at:
                writes.append(
                    {
                        "key": row.key,
                        "refusals": health.refusals,
                        "probe_at": maybe_micros(health.probe_at),
                        "faults": health.faults,
                        "halted_at": (row.halted_at or now) if health.halted else None,
                        "halted_reason": health.halted_reason,
                        "trouble_at": trouble_at,
                        "unproven": health.unproven,
                    }
                )
        if writes:
            tx.put("trunks_write", rows=writes)

    @staticmethod
    def _taken(case: Case, fate: _Fate, over: frozenset[int]) -> Taken:
        attempt = case.attempt
        wanted = GiveUp.EVEN_IF_ANSWERED if attempt.state is AttemptState.LIVE else GiveUp.UNLESS_ANSWERED
        news = fate.changed and not fate.told
        fate.told = True
        return Taken(
            call_key=attempt.call_key,
            batch_id=attempt.batch_id,
            state=attempt.state,
            changed=fate.changed,
            freed=fate.freed,
            tried=fate.changed and attempt.trying and attempt.state not in UNDECIDED,
            doubtful=fate.doubtful,
            finished_batch=attempt.batch_id in over,
            give_up=attempt.state in UNDER_WAY and attempt.give_up >= wanted,
            provider=attempt.provider,
            outcome=Outcome(attempt.outcome) if news and attempt.state in SETTLED and attempt.outcome else None,
            was_unknown=news and fate.was_unknown,
        )


def course_of(case: Case) -> Course:
    """The case as the rules of domain/fold.py see it."""
    attempt, recipient = case.attempt, case.recipient
    return Course(
        state=attempt.state,
        give_up=GiveUp(attempt.give_up),
        newer=case.newer,
        status=recipient.status if recipient else RecipientStatus.CANCELLED,
        outcome=recipient.outcome if recipient else None,
        sent_at=maybe_seconds(attempt.sent_at),
        ringing_at=maybe_seconds(attempt.ringing_at),
        answered_at=maybe_seconds(attempt.answered_at),
        ended_at=maybe_seconds(attempt.ended_at),
        provider_call_id=attempt.provider_call_id,
        ending=None,
        opted_out=attempt.reason == OPTED_OUT,
    )


def _note(attempt: AttemptRecord, after: Course) -> None:
    attempt.state = after.state
    attempt.sent_at = maybe_micros(after.sent_at)
    attempt.ringing_at = maybe_micros(after.ringing_at)
    attempt.answered_at = maybe_micros(after.answered_at)
    attempt.ended_at = maybe_micros(after.ended_at)
    attempt.provider_call_id = after.provider_call_id
    if after.ending is not None:
        attempt.outcome = after.ending.outcome
        attempt.reason = after.ending.reason
        attempt.ending = msgspec.json.encode(after.ending).decode()
    elif after.state is AttemptState.LIVE:
        attempt.outcome, attempt.ending, attempt.reason = None, None, ""
    elif after.given_back is not None:
        attempt.reason = after.given_back.reason or after.given_back.kind


def _number_held(tx: Tx, attempt: AttemptRecord) -> bool:
    return bool(tx.value("number_held", workspace_id=attempt.workspace_id, number=attempt.number))


def _withdraw(tx: Tx, ledger: Ledger, found: dict[str, Case], recipient: RecipientRecord) -> None:
    """The truth about an older attempt makes the recipient's newer wait or intent needless."""
    if recipient.attempt_key is None:
        ledger.stop_waiting(recipient)
        return
    newer = found.get(recipient.attempt_key) or cases.load(tx, [recipient.attempt_key])[recipient.attempt_key]
    ledger.void(newer.attempt, "superseded")
    recipient.attempts -= 1


def _tried(tx: Tx, reports: list[tuple[AttemptRecord, CallEvent]], rows: Sequence[Row]) -> list[Row]:
    """The trunks that were tried by calls of these reports and are not among the rows."""
    trunks = {attempt.trunk for attempt, _ in reports if attempt.trying} - {row.key for row in rows}
    return tx.rows("trunks_by_key", keys=sorted(trunks), all=True) if trunks else []


def _proves(event: CallEvent) -> bool:
    return event.kind in RANG or (event.ending is not None and proves(event.ending))


def _harms(event: CallEvent) -> bool:
    refused = event.kind is EventKind.UNSENT and event.reason == CONNECTION_REFUSED
    return refused or (event.ending is not None and event.ending.halts_trunk)


def _tended(health: TrunkHealth, event: CallEvent, now: float) -> TrunkHealth:
    if event.ending is not None and event.ending.halts_trunk:
        return health.fault(f"{event.ending.outcome}: {event.ending.reason or event.ending.provider_code}")
    if event.kind is EventKind.UNSENT:
        return health.refused(now) if event.reason == CONNECTION_REFUSED else health
    if event.kind in {EventKind.DOUBTFUL, EventKind.LOST}:
        return health
    if event.kind in {EventKind.SENT, EventKind.RINGING}:
        # a trunk may say so of every call, and then refuse them all for its one reason
        return health.reached()
    return health.got_through()


def words(said: Iterable[Utterance]) -> str:
    """What was said, as JSON text."""
    return msgspec.json.encode(list(said)).decode()


@dataclass(frozen=True, slots=True)
class Checking:
    """Asks for attempts to look up."""

    now: float
    limit: int


class Checks(Kind[Checking, list[Check]]):
    """Hand out attempts whose time has come, each to one node for a while."""

    name = "checks"
    order = 40

    def __init__(self, node_timeout_secs: float) -> None:
        self.node_timeout = round(node_timeout_secs * MICROS)

    def run(self, tx: Tx, requests: Sequence[Checking]) -> list[list[Check]]:
        """The attempts, per request."""
        return [self._checks(tx, request) for request in requests]

    def _checks(self, tx: Tx, request: Checking) -> list[Check]:
        now = micros(request.now)
        rows = tx.rows("checks_take", now=now, until=now + micros(CHECK_LEASE_SECS), limit=request.limit)
        if not rows:
            return []
        alive = {(row.name, row.epoch) for row in tx.rows("nodes_alive", now=now, timeout=self.node_timeout)}
        return [
            Check(
                call_key=row.call_key,
                batch_id=row.batch_id,
                workspace_id=row.workspace_id,
                provider=row.provider,
                number_id=row.number_id,
                state=AttemptState(row.state),
                go_at=seconds(row.go_at or row.claimed_at),
                heard_at=seconds(row.heard_at),
                ring_secs=row.ring_secs,
                talk_secs=row.talk_secs,
                horizon_secs=row.horizon_secs,
                give_up=row.give_up,
                owner_alive=(row.node, row.epoch) in alive,
            )
            for row in rows
        ]


@dataclass(frozen=True, slots=True)
class Rechecking:
    """Sets when to look an attempt up again, and perhaps whose it is."""

    call_key: str
    at: float | None = None
    adopt_for: NodeLease | None = None


class Recheck(Kind[Rechecking, None]):
    """Look again later; adopt what a dead node left."""

    name = "recheck"
    order = 41

    def __init__(self, places: Places) -> None:
        self.places = places

    def footprint(self, tx: Reads, requests: Sequence[Rechecking]) -> Footprint:
        """Their batches."""
        return self.places.footprint(tx, [request.call_key for request in requests])

    def run(self, tx: Tx, requests: Sequence[Rechecking]) -> list[None]:
        """Nothing to answer."""
        later = [{"call_key": r.call_key, "check_at": micros(r.at)} for r in requests if r.at is not None]
        if later:
            tx.put("attempts_check_later", rows=later)
        adopted = [
            {"call_key": r.call_key, "node": r.adopt_for.node, "epoch": r.adopt_for.epoch}
            for r in requests
            if r.adopt_for is not None
        ]
        if adopted:
            tx.put("attempts_adopt", rows=adopted, nobody=NOBODY)
        return [None] * len(requests)


@dataclass(frozen=True, slots=True)
class Expiring:
    """Ends the waiting of people whose trunk has been halted for too long."""

    halted_before: float
    now: float


EXPIRE_CHUNK = 1000


class Expire(Kind[Expiring, int]):
    """A chunk of the waiting recipients of long-halted trunks ends as `expired`."""

    name = "expire"
    lane = Lane.BULK

    def run(self, tx: Tx, requests: Sequence[Expiring]) -> list[int]:
        """How many ended, per request."""
        return [self._expire(tx, request) for request in requests]

    @staticmethod
    def _expire(tx: Tx, request: Expiring) -> int:
        batch_id = tx.value("batch_to_expire", halted_before=micros(request.halted_before))
        if batch_id is None:
            return 0
        tx.lock(Footprint(frozenset(), frozenset({batch_id})))
        now = micros(request.now)
        rows = tx.rows("hopper_of", batch_id=batch_id, limit=EXPIRE_CHUNK)
        ledger = Ledger(tx, now)
        for row in rows:
            recipient = cases.recipient_record(batch_id, row)
            ledger.stop_waiting(recipient)
            recipient.status, recipient.outcome = RecipientStatus.FAILED, Outcome.EXPIRED
            ledger.moved(recipient, stamp=row.b_last_decision)
            ledger.tell("call_ended", workspace_id=row.b_workspace_id, batch_id=batch_id)
        ledger.flush()
        return len(rows)


class Settling(Desk):
    """The store's methods around a call's course and end."""

    def __init__(self, engine: Engine, *, vault: Vault, limits: ClaimLimits, node_timeout_secs: float) -> None:
        super().__init__(engine, vault=vault, limits=limits, node_timeout_secs=node_timeout_secs)
        self._take = Take(limits.look_up_secs, self.places)
        self._checks = Checks(node_timeout_secs)
        self._recheck = Recheck(self.places)
        self._expire = Expire()

    async def take(self, events: Sequence[CallEvent], *, now: float) -> list[Taken]:
        """See ports.store.Store."""
        return await self._ask(self._take, Taking(tuple(events), now)) if events else []

    async def checks(self, lease: NodeLease, *, now: float, limit: int) -> list[Check]:
        """See ports.store.Store."""
        return await self._ask(self._checks, Checking(now, limit))

    async def check_again(self, call_key: str, *, at: float) -> None:
        """See ports.store.Store."""
        await self._ask(self._recheck, Rechecking(call_key, at=at))

    async def adopt(self, lease: NodeLease, call_key: str) -> None:
        """See ports.store.Store."""
        await self._ask(self._recheck, Rechecking(call_key, adopt_for=lease))

    async def given_up(self, *, batch_id: int | None = None) -> list[GivenUp]:
        """See ports.store.Store."""

        def read(tx: Reads) -> list[GivenUp]:
            return [
                GivenUp(row.call_key, row.provider, row.number_id, row.give_up >= GiveUp.EVEN_IF_ANSWERED)
                for row in tx.rows("attempts_given_up", batch_id=batch_id)
            ]

        return await self._read(read)

    async def expire(self, *, halted_before: float, now: float) -> int:
        """See ports.store.Store."""
        total = 0
        while done := await self._ask(self._expire, Expiring(halted_before, now)):
            total += done
        return total


def ending_of(text: str | None) -> Ending | None:
    """An attempt's ending from its JSON text."""
    return None if text is None else msgspec.json.decode(text, type=Ending)
