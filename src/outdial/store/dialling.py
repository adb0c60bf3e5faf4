"""Claim, GO and what leads back from them: whose turn it is, under all limits, and the permission to send once."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import msgspec

from outdial.domain import batch as batches
from outdial.domain.attempt import AttemptEvent, AttemptState, next_state
from outdial.domain.backoff import TrunkHealth
from outdial.domain.batch import BatchEvent
from outdial.domain.daily import Quota, day_of, next_day
from outdial.domain.limits import Bucket, batch_cap
from outdial.domain.outcome import Outcome
from outdial.domain.recipient import RecipientEvent, RecipientStatus
from outdial.domain.recipient import next_status as next_recipient_status
from outdial.ports.store import (
    AgentRow,
    BatchRow,
    ClaimAnswer,
    Claimed,
    ClaimLimits,
    ClaimWish,
    GoRequest,
    GoVerdict,
    Hold,
    NodeLease,
    NumberRow,
    Reaped,
)
from outdial.runtime.ids import new_call_key
from outdial.store import cases
from outdial.store.agents import agent_row
from outdial.store.cases import Case, Places, give_back
from outdial.store.desk import Desk
from outdial.store.engine import Engine
from outdial.store.instants import MICROS, maybe_micros, micros, seconds
from outdial.store.ledger import NOBODY, AttemptRecord, Ledger, RecipientRecord, bucket_keys
from outdial.store.numbers import number_row
from outdial.store.op import Footprint, Kind, Lane, Later, Reads, Row, Tx
from outdial.store.rows import RowCache, batch_row, quotas_of
from outdial.store.secrets import Vault

SAME_NUMBER_AGAIN = 1.0
"""Seconds that a recipient steps back while the same number is being called for another one."""
PROBE_ANSWER_SECS = 15.0
"""How long a probe of a sick trunk may take to tell: send deadline and place time-out."""
INTENT_SECS = 30.0
"""An intent without GO after this long is taken back, whatever its owner is doing."""


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """One dispatcher turn."""

    lease: NodeLease
    wishes: tuple[ClaimWish, ...]
    now: float


@dataclass(slots=True)
class _Limits:
    """The buckets of this transaction in memory, written once at the end."""

    rows: dict[str, Any]
    buckets: dict[str, Bucket]
    health: dict[str, TrunkHealth]
    trying: Counter[str]
    """By trunk that is still to be proven, how many calls are trying it."""
    changed: set[str]

    @classmethod
    def of(cls, found: Sequence[Row], trying: Counter[str]) -> "_Limits":
        rows = {row.key: row for row in found}
        buckets = {
            key: Bucket(row.cap, row.live, row.rate, row.tokens, seconds(row.refilled_at)) for key, row in rows.items()
        }
        health = {key: health_of(row) for key, row in rows.items() if key.startswith("t:")}
        return cls(rows, buckets, health, trying, set())

    def room(self, keys: Sequence[str], now: float) -> int:
        return min(self.buckets[key].room(now) for key in keys)

    def take(self, keys: Sequence[str], n: int, now: float) -> None:
        for key in keys:
            self.buckets[key] = self.buckets[key].take(n, now)
        self.changed.update(keys)

    def write(self, tx: Tx) -> None:
        if self.changed:
            tx.put("buckets_taken", rows=[self._row(key) for key in sorted(self.changed)])

    def _row(self, key: str) -> dict[str, Any]:
        bucket, health = self.buckets[key], self.health.get(key, TrunkHealth())
        return {
            "key": key,
            "live": bucket.live,
            "tokens": bucket.tokens,
            "refilled_at": micros(bucket.refilled_at),
            "refusals": health.refusals,
            "probe_at": maybe_micros(health.probe_at),
        }


def health_of(row: Row) -> TrunkHealth:
    """A trunk's health from its bucket row."""
    probe_at = None if row.probe_at is None else seconds(row.probe_at)
    return TrunkHealth(row.refusals, probe_at, row.faults, row.halted_reason, bool(row.unproven))


def trying_of(tx: Reads, trunks: Sequence[str]) -> dict[str, int]:
    """How many calls try these trunks and have neither proven theirs nor ended: counted where they stand."""
    return {row.trunk: row.n for row in tx.rows("trying_of", trunks=sorted(trunks))}


UNLIMITED = Quota(None, 0)


def batch_footprint(tx: Reads, ids: Sequence[int]) -> Footprint:
    """What has to be locked before anything of these batches may change."""
    rows = tx.rows("batch_footprints", ids=sorted(set(ids)))
    keys = {key for r in rows for key in bucket_keys(r.workspace_id, r.agent_id, r.number_id or 0, r.trunk or "", r.id)}
    return Footprint(frozenset(keys), frozenset(row.id for row in rows))


class Claim(Kind[ClaimRequest, list[ClaimAnswer]]):
    """Take due recipients under all limits; suppressed ones leave as failed."""

    name = "claim"
    order = 30

    def __init__(self, node_timeout_secs: float, cache: RowCache, places: Places) -> None:
        self.node_timeout = round(node_timeout_secs * MICROS)
        self.cache = cache
        self.places = places
        self.locked = Footprint()
        """What this transaction asked to be locked."""

    def footprint(self, tx: Reads, requests: Sequence[ClaimRequest]) -> Footprint:
        """The limits and batches of every wish."""
        self.locked = batch_footprint(tx, [wish.batch_id for request in requests for wish in request.wishes])
        return self.locked

    def run(self, tx: Tx, requests: Sequence[ClaimRequest]) -> list[list[ClaimAnswer]]:
        """One answer per wish, in order."""
        return [_ClaimTurn(self, tx, request).answers() for request in requests]


class _ClaimTurn:
    """One request for claims, worked off in memory and written in set-based statements."""

    def __init__(self, kind: Claim, tx: Tx, request: ClaimRequest) -> None:
        self.kind, self.tx, self.request = kind, tx, request
        self.now = micros(request.now)
        self.ledger = Ledger(tx, self.now)
        self.attempts: list[dict[str, Any]] = []
        self.served: list[dict[str, Any]] = []
        self.numbers: set[tuple[int, str]] = set()
        self.placed: Counter[int] = Counter()
        """Claims of this turn by agent."""

    def answers(self) -> list[ClaimAnswer]:
        wishes = self.request.wishes
        lease = self.request.lease
        ids = [wish.batch_id for wish in wishes]
        holds = self.tx.ask(
            "node_holds", name=lease.node, epoch=lease.epoch, now=self.now, timeout=self.kind.node_timeout
        )
        buckets = self.tx.ask("buckets_of_batches", ids=ids)
        quotas = self.tx.ask("quotas_of_batches", ids=ids, day=day_of(self.request.now))
        rows = {row.id: row for row in self.tx.rows("batches_by_id", ids=ids)}
        if not holds.rows():
            return [ClaimAnswer(wish.batch_id, (), Hold.NOT_OPEN, None, None, None, None) for wish in wishes]
        found = buckets.rows()
        self.limits = _Limits.of(found, self._trying(found))
        self.quotas = quotas_of(quotas.rows())
        answers = [self._serve(wish, rows.get(wish.batch_id)) for wish in wishes]
        self._write()
        return answers

    def _trying(self, buckets: Sequence[Row]) -> Counter[str]:
        """Asked for only where a trunk is still to be proven: a healthy one costs nothing."""
        unproven = [row.key for row in buckets if row.unproven]
        if not unproven or not any(wish.tried_first for wish in self.request.wishes):
            return Counter()
        return Counter(trying_of(self.tx, unproven))

    @staticmethod
    def _keys(row: Row) -> tuple[str, ...]:
        return bucket_keys(row.workspace_id, row.agent_id, row.number_id, row.trunk, row.id)

    def _write(self) -> None:
        if self.attempts:
            self.tx.put("attempts_claim", rows=self.attempts)
            day = day_of(self.request.now)
            self.tx.put("days_move", rows=[{"day": day, "agent_id": a, "n": n} for a, n in self.placed.items()])
        self.limits.write(self.tx)
        if self.served:
            self.tx.put("batches_served", rows=self.served, now=self.now)
        self.ledger.flush()

    def _serve(self, wish: ClaimWish, row: Row) -> ClaimAnswer:
        nothing = ClaimAnswer(wish.batch_id, (), Hold.NOT_OPEN, None, None, None, None)
        if row is None or not _is_open(row, self.now):
            return nothing
        batch = batch_row(row)
        keys = self._keys(row)
        if not self.kind.locked.buckets.issuperset(keys):  # its number moved to another trunk before we had the locks
            return replace(nothing, hold=Hold.NOTHING_DUE, again_at=self.request.now + 0.01)
        trying = wish.tried_first and self.limits.health[row.trunk].unproven
        room, hold, again_at = self._room(batch, keys, trying=trying)
        today = self.quotas.get(batch.agent_id, UNLIMITED).room(self.request.now)
        if today == 0 or today < min(wish.want, room):
            room, hold, again_at = today, Hold.DAILY_LIMIT, next_day(self.request.now)
        n = min(wish.want, room)
        if n <= 0:
            return replace(nothing, hold=hold, again_at=again_at)
        agent, number = self.kind.cache.agent(self.tx, row), self.kind.cache.number(self.tx, row)
        claimed, stepped_back = self._take(batch, wish, n, agent, number, row.trunk, trying=trying)
        if claimed:
            if trying:
                self.limits.trying[row.trunk] += len(claimed)
            self.limits.take(keys, len(claimed), self.request.now)
            self._count(batch.agent_id, len(claimed))
            self.limits.health[row.trunk] = self.limits.health[row.trunk].probe_sent(
                self.request.now, answer_within=PROBE_ANSWER_SECS
            )
            status = batches.next_status(batch.status, BatchEvent.STARTED)
            self.served.append({"id": batch.id, "status": status})
        if len(claimed) < n:
            hold, again_at = self._next_due(batch, wish, soon=stepped_back)
        elif n == wish.want:
            hold, again_at = None, self.request.now
        return ClaimAnswer(batch.id, tuple(claimed), hold, again_at, batch, agent, number)

    def _count(self, agent_id: int, n: int) -> None:
        self.placed[agent_id] += n
        if agent_id in self.quotas:
            self.quotas[agent_id] = self.quotas[agent_id].moved(n)

    def _room(self, batch: BatchRow, keys: Sequence[str], *, trying: bool) -> tuple[int, Hold | None, float | None]:
        """How many calls may start, and what is in the way of more."""
        now, limits = self.request.now, self.limits
        workspace, agent, number, trunk, own = (limits.buckets[key] for key in keys)
        cap = batch_cap(workspace=workspace.cap, agent=agent.cap, target=batch.target_concurrency_limit)
        limits.buckets[keys[4]] = replace(own, cap=cap)
        health = limits.health[keys[3]]
        healthy = health.room(now, trying=limits.trying[keys[3]] if trying else None)
        if healthy == 0:
            return 0, Hold.TRUNK, health.opens_at(now)
        slots = min(replace(limits.buckets[key], rate=None).room(now) for key in keys)
        if slots == 0:
            return 0, Hold.CAP, None
        room = min(healthy, limits.room(keys, now))
        if room < slots:
            wait = max(bucket.when_next(now) for bucket in (workspace, agent, number, trunk))
            return room, Hold.RATE, now + max(wait, 0.01)
        return room, Hold.CAP, None

    def _next_due(self, batch: BatchRow, wish: ClaimWish, *, soon: bool) -> tuple[Hold, float | None]:
        if soon:
            return Hold.NOTHING_DUE, self.request.now + 0.01
        due = self.tx.value(
            "hopper_next", batch_id=batch.id, generation=batch.generation, classes=list(wish.open_classes)
        )
        return Hold.NOTHING_DUE, None if due is None else max(seconds(due), self.request.now + 0.01)

    def _take(
        self, batch: BatchRow, wish: ClaimWish, n: int, agent: AgentRow, number: NumberRow, trunk: str, *, trying: bool
    ) -> tuple[list[Claimed], bool]:
        claimed: list[Claimed] = []
        stepped_back = False
        for window_class in wish.open_classes:
            if len(claimed) >= n:
                break
            for row in self.tx.rows(
                "claim_candidates",
                workspace_id=batch.workspace_id,
                batch_id=batch.id,
                generation=batch.generation,
                window_class=window_class,
                now=self.now,
                limit=n - len(claimed),
            ):
                person = _waiting(batch.id, row)
                self.ledger.stop_waiting(person)
                same = (batch.workspace_id, row.number)
                if row.suppressed:
                    person.status = next_recipient_status(person.status, RecipientEvent.FAILED)
                    person.outcome = Outcome.SUPPRESSED
                    self.ledger.tell("call_ended", workspace_id=batch.workspace_id, batch_id=batch.id)
                    stepped_back = True
                elif row.busy or same in self.numbers:
                    due_at = self.now + micros(SAME_NUMBER_AGAIN)
                    self.ledger.wait(person, due_at=due_at, generation=batch.generation)
                    stepped_back = True
                else:
                    self.numbers.add(same)
                    claimed.append(self._claim(batch, person, row, agent, number, trunk, trying=trying))
                self.ledger.moved(person, stamp=batch.last_decision)
        return claimed, stepped_back

    def _claim(
        self,
        batch: BatchRow,
        person: RecipientRecord,
        row: Row,
        agent: AgentRow,
        number: NumberRow,
        trunk: str,
        *,
        trying: bool,
    ) -> Claimed:
        call_key = new_call_key()
        claimed = Claimed(
            call_key=call_key,
            batch_id=batch.id,
            ord=row.ord,
            recipient_id=row.recipient_id,
            number=row.number,
            round=row.round,
            generation=batch.generation,
            client_data=msgspec.json.decode(row.client_data) if row.client_data != "{}" else {},
            window_class=row.window_class,
            setbacks=row.setbacks,
            attempts_before=row.attempts,
            due_at=seconds(row.due_at),
        )
        person.status = next_recipient_status(person.status, RecipientEvent.CLAIMED)
        person.attempt_key = call_key
        person.attempts += 1
        self.kind.places.note(call_key, batch.id, bucket_keys(batch.workspace_id, agent.id, number.id, trunk, batch.id))
        self.attempts.append(
            {
                "call_key": call_key,
                "workspace_id": batch.workspace_id,
                "batch_id": batch.id,
                "ord": row.ord,
                "recipient_id": row.recipient_id,
                "number": row.number,
                "agent_id": agent.id,
                "number_id": number.id,
                "trunk": trunk,
                "provider": number.provider,
                "round": row.round,
                "generation": batch.generation,
                "node": self.request.lease.node,
                "epoch": self.request.lease.epoch,
                "check_at": self.now + micros(INTENT_SECS),
                "now": self.now,
                "trying": trying,
            }
        )
        return claimed


def _is_open(row: Row, now: int) -> bool:
    return (
        row.sealed
        and row.deleted_at is None
        and row.status in batches.OPEN
        and not row.cancelled
        and not row.paused
        and row.scheduled_at <= now
        and row.number_id is not None
    )


def _waiting(batch_id: int, row: Row) -> RecipientRecord:
    return RecipientRecord(
        batch_id=batch_id,
        ord=row.ord,
        window_class=row.window_class,
        status=RecipientStatus.PENDING,
        outcome=None,
        round=row.round,
        stamp=row.stamp,
        generation=row.generation,
        due_at=row.due_at,
        setbacks=row.setbacks,
        attempts=row.attempts,
        attempt_key=None,
        conversation_key=row.conversation_key,
    )


@dataclass(frozen=True, slots=True)
class Going:
    """One request for GO."""

    lease: NodeLease
    request: GoRequest
    now: float


class Go(Kind[Going, GoVerdict]):
    """The permission to send one attempt, once; whatever stands in the way voids it in the same step."""

    name = "go"
    order = 20

    def __init__(self, node_timeout_secs: float, places: Places) -> None:
        self.node_timeout = round(node_timeout_secs * MICROS)
        self.places = places

    def footprint(self, tx: Reads, requests: Sequence[Going]) -> Footprint:
        """The workspace's bucket orders GO against the do-not-call list, the control row against cancel."""
        return self.places.footprint(tx, [going.request.call_key for going in requests])

    def run(self, tx: Tx, requests: Sequence[Going]) -> list[GoVerdict]:
        """One verdict per request."""
        keys = [going.request.call_key for going in requests]
        now = micros(max(going.now for going in requests))
        held = {lease: self._holds(tx, lease, now) for lease in {going.lease for going in requests}}
        batch_ids = sorted({going.request.batch_id for going in requests})
        asked_quotas = tx.ask("quotas_of_batches", ids=batch_ids, day=day_of(seconds(now)))
        found = cases.load(tx, keys)
        ledger = Ledger(tx, now)
        holding = {lease for lease, asked in held.items() if asked.rows()}
        days = _Days(day_of(seconds(now)), quotas_of(asked_quotas.rows()))
        verdicts = [
            self._verdict(ledger, days, going, found.get(going.request.call_key))
            if going.lease in holding
            else GoVerdict.GONE
            for going in requests
        ]
        ledger.flush()
        return verdicts

    def _holds(self, tx: Tx, lease: NodeLease, now: int) -> Later:
        return tx.ask("node_holds", name=lease.node, epoch=lease.epoch, now=now, timeout=self.node_timeout)

    def _verdict(self, ledger: Ledger, days: "_Days", going: Going, case: Case | None) -> GoVerdict:
        if case is None or case.attempt.state is not AttemptState.INTENT or not _owns(going.lease, case.attempt):
            return GoVerdict.GONE
        attempt = case.attempt
        refusal = _refusal(going, case)
        if refusal is None and not days.admits(attempt, going.request.send_by):
            refusal = GoVerdict.DAILY_LIMIT
        days.settled(attempt, go=refusal is None)
        if refusal is not None:
            give_back(ledger, case, refusal, due_at=ledger.now, suppressed=refusal is GoVerdict.SUPPRESSED)
            return refusal
        attempt.state = next_state(attempt.state, AttemptEvent.GO)
        attempt.go_at = attempt.heard_at = ledger.now
        attempt.check_at = micros(going.request.check_at)
        attempt.ring_secs = going.request.ring_secs
        attempt.talk_secs = going.request.talk_secs
        attempt.horizon_secs = going.request.horizon_secs
        ledger.changed(attempt)
        return GoVerdict.GO


def _refusal(going: Going, case: Case) -> GoVerdict | None:
    """What stands in the way of this call, if anything."""
    if case.cancelled or case.withdrawn:
        return GoVerdict.CANCELLED
    if case.paused:
        return GoVerdict.PAUSED
    if case.suppressed:
        return GoVerdict.SUPPRESSED
    return None if _in_hours(going.request, case) else GoVerdict.WINDOW_CLOSED


@dataclass(slots=True)
class _Days:
    """The day on which GO is asked for, and what the agents with a limit have placed on it."""

    today: int
    quotas: dict[int, Quota]

    def admits(self, attempt: AttemptRecord, send_by: float | None) -> bool:
        """Whether this attempt may be sent today; claimed on another day, it needs a place on this one."""
        quota = self.quotas.get(attempt.agent_id)
        if quota is None:
            return True
        may_be_tomorrow = send_by is not None and day_of(send_by) != self.today
        return not may_be_tomorrow and quota.admits(counted=attempt.day == self.today)

    def settled(self, attempt: AttemptRecord, *, go: bool) -> None:
        """Count this attempt from now on, or not any more; before anything of it is changed."""
        if attempt.agent_id in self.quotas:
            change = go - (attempt.day == self.today)
            self.quotas[attempt.agent_id] = self.quotas[attempt.agent_id].moved(change)


def _in_hours(request: GoRequest, case: Case) -> bool:
    """Whether it was open when GO was asked for, by hours that still count."""
    return request.window_open and request.hours_version in {None, case.hours_version}


def _owns(lease: NodeLease, attempt: AttemptRecord) -> bool:
    return (attempt.node, attempt.epoch) == (lease.node, lease.epoch)


@dataclass(frozen=True, slots=True)
class Voiding:
    """Our own intents that will not be sent."""

    lease: NodeLease
    call_keys: tuple[str, ...]
    reason: str
    now: float
    forgotten: bool = False
    """Whoever owns them: no owner takes so long to GO. One that comes all the same finds nothing."""


class Void(Kind[Voiding, int]):
    """Withdraw intents of an owner; what has GO is left as it is."""

    name = "void"
    order = 15

    def __init__(self, places: Places) -> None:
        self.places = places

    def footprint(self, tx: Reads, requests: Sequence[Voiding]) -> Footprint:
        """Their limits and batches."""
        return self.places.footprint(tx, [key for request in requests for key in request.call_keys])

    def run(self, tx: Tx, requests: Sequence[Voiding]) -> list[int]:
        """How many were withdrawn, per request."""
        found = cases.load(tx, [key for request in requests for key in request.call_keys])
        ledger = Ledger(tx, micros(max(request.now for request in requests)))
        counts = [sum(_take_back(ledger, found.get(key), request) for key in request.call_keys) for request in requests]
        ledger.flush()
        return counts


def _take_back(ledger: Ledger, case: Case | None, request: Voiding) -> bool:
    if case is None or case.attempt.state is not AttemptState.INTENT:
        return False
    too_old = request.forgotten and ledger.now - case.attempt.claimed_at >= micros(INTENT_SECS)
    if not too_old and not _owns(request.lease, case.attempt):
        return False
    give_back(ledger, case, request.reason, due_at=ledger.now)
    return True


@dataclass(frozen=True, slots=True)
class Reaping:
    """Take back what dead nodes, or our own dead call workers, held."""

    lease: NodeLease
    now: float
    call_keys: tuple[str, ...] | None = None
    """Of our own dead workers; None: everything of dead nodes."""


REAP_CHUNK = 1000
"""Attempts taken back in one transaction."""
UNDER_WAY = frozenset({AttemptState.DIALING, AttemptState.RINGING, AttemptState.LIVE})


class Reap(Kind[Reaping, Reaped]):
    """Intents of the dead go back, what was under way is looked up at once."""

    name = "reap"
    lane = Lane.BULK

    def __init__(self, node_timeout_secs: float, places: Places) -> None:
        self.node_timeout = round(node_timeout_secs * MICROS)
        self.places = places

    def run(self, tx: Tx, requests: Sequence[Reaping]) -> list[Reaped]:
        """What was taken back, per request."""
        return [self._reap(tx, request) for request in requests]

    def _reap(self, tx: Tx, request: Reaping) -> Reaped:
        now, lease = micros(request.now), request.lease
        names = {"name": lease.node, "epoch": lease.epoch, "now": now, "timeout": self.node_timeout}
        dead = 0
        keys = request.call_keys
        if keys is None:
            dead = tx.run("nodes_bury", **names)
            keys = tuple(row.call_key for row in tx.rows("attempts_of_the_dead", limit=REAP_CHUNK, **names))
        tx.lock(self.places.footprint(tx, keys))
        ledger = Ledger(tx, now)
        given_back = to_check = 0
        for case in cases.load(tx, keys).values():
            if case.attempt.state is AttemptState.INTENT:
                give_back(ledger, case, "lease_over", due_at=now)
                given_back += 1
            elif case.attempt.state in UNDER_WAY:
                case.attempt.epoch = NOBODY
                case.attempt.check_at = now
                ledger.changed(case.attempt)
                to_check += 1
        ledger.flush()
        return Reaped(dead, given_back, to_check)


class Dialling(Desk):
    """The store's methods around a call's start."""

    def __init__(self, engine: Engine, *, vault: Vault, limits: ClaimLimits, node_timeout_secs: float) -> None:
        super().__init__(engine, vault=vault, limits=limits, node_timeout_secs=node_timeout_secs)
        cache = RowCache(agent_row, partial(number_row, vault=vault))
        self._claim = Claim(node_timeout_secs, cache, self.places)
        self._go = Go(node_timeout_secs, self.places)
        self._void = Void(self.places)
        self._reap = Reap(node_timeout_secs, self.places)

    async def claim(self, lease: NodeLease, wishes: Sequence[ClaimWish], *, now: float) -> list[ClaimAnswer]:
        """See ports.store.Store."""
        return await self._ask(self._claim, ClaimRequest(lease, tuple(wishes), now))

    async def go(self, lease: NodeLease, request: GoRequest, *, now: float) -> GoVerdict:
        """See ports.store.Store."""
        return await self._ask(self._go, Going(lease, request, now))

    async def void(self, lease: NodeLease, call_key: str, *, reason: str, now: float, forgotten: bool = False) -> bool:
        """See ports.store.Store."""
        return await self._ask(self._void, Voiding(lease, (call_key,), reason, now, forgotten)) > 0

    async def reap(self, lease: NodeLease, *, now: float) -> Reaped:
        """See ports.store.Store."""
        total = Reaped(0, 0, 0)
        names = {"name": lease.node, "epoch": lease.epoch, "now": micros(now)}
        timeout = round(self.node_timeout_secs * MICROS)
        if not await self._read_alone(lambda tx: tx.value("dead_found", timeout=timeout, **names)):
            return total
        while True:
            part: Reaped = await self._ask(self._reap, Reaping(lease, now))
            total = Reaped(total.nodes + part.nodes, total.given_back + part.given_back, total.to_check + part.to_check)
            if part.given_back + part.to_check < REAP_CHUNK:
                return total

    async def orphans(self, lease: NodeLease, call_keys: Sequence[str], *, now: float) -> None:
        """See ports.store.Store."""
        if call_keys:
            await self._ask(self._reap, Reaping(lease, now, tuple(call_keys)))
