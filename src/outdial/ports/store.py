"""What the rooms above ask of the store: plain values and one Protocol, spoken by SQLite and PostgreSQL alike.

Every method is one committed step: when it returns, its effect is durable; when it raises, nothing happened. Hot-path
times are float unix seconds (UTC); ids in here are the store's own integers, public ids are strings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from outdial.domain.attempt import AttemptState
from outdial.domain.batch import BatchStatus, Counters
from outdial.domain.call import CallEvent, Utterance
from outdial.domain.decision import Decision
from outdial.domain.outcome import Ending, Outcome
from outdial.domain.recipient import RecipientStatus
from outdial.domain.retry import Preview

# --- nodes ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NodeLease:
    """The right of one running server to claim and to give GO, until its epoch is replaced or its heartbeat ages."""

    node: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Reaped:
    """What was taken back from dead nodes."""

    nodes: int
    given_back: int
    """Intents: nothing was sent, their recipients are due again."""
    to_check: int
    """Attempts under way, now due for a look-up."""


# --- dialling ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AgentRow:
    """An agent as stored."""

    id: int
    workspace_id: int
    public_id: str
    name: str
    conversation_config: dict[str, Any]
    platform_settings: dict[str, Any]
    workflow: dict[str, Any] | None
    tags: tuple[str, ...]
    created_at: float
    updated_at: float
    concurrency_limit: int | None
    """Of `platform_settings.call_limits.agent_concurrency_limit`; None where that is -1."""
    daily_limit: int | None = None
    """Calls on one day of UTC, of `platform_settings.call_limits.daily_limit`; None where that is -1, 0: nobody."""


@dataclass(frozen=True, slots=True)
class NumberRow:
    """A phone number as stored; `settings` hold the provider's settings with secrets in clear."""

    id: int
    workspace_id: int
    public_id: str
    provider: str
    phone_number: str
    label: str
    settings: dict[str, Any]
    trunk: str
    """Bucket key of the account at the provider."""
    max_concurrent_calls: int | None
    max_calls_per_second: float | None
    agent_id: int | None
    created_at: float
    updated_at: float
    halted_reason: str = ""
    """Of its trunk; "" while it runs."""
    agent_public_id: str | None = None
    agent_name: str | None = None
    """Of the agent that it is assigned to; only read."""


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch as stored."""

    id: int
    workspace_id: int
    public_id: str
    name: str
    agent_id: int
    agent_public_id: str
    agent_name: str
    number_id: int | None
    number_public_id: str | None
    provider: str | None
    status: BatchStatus
    status_reason: str
    counters: Counters
    retry_count: int
    created_at: float
    scheduled_at: float
    updated_at: float
    timezone: str | None
    branch_id: str | None
    environment: str | None
    whatsapp_params: dict[str, Any] | None
    telephony_call_config: dict[str, Any]
    target_concurrency_limit: int | None
    calling_hours: dict[str, Any] | None
    paused: bool
    generation: int
    last_decision: int
    last_served: float = 0.0
    workspace_hours: dict[str, Any] | None = None
    """Of its workspace: they count where the batch has no `calling_hours`."""
    hours_version: int = 0
    """Counts the changes of the workspace's hours."""
    suppressed: int = 0
    """Recipients that were not called because they are on the do-not-call list."""

    @property
    def hours(self) -> dict[str, Any] | None:
        """The calling hours that count, as JSON."""
        return self.workspace_hours if self.calling_hours is None else self.calling_hours


@dataclass(frozen=True, slots=True)
class ReadyBatch:
    """A batch with somebody waiting, for the dispatcher's turn."""

    batch: BatchRow
    window_classes: tuple[tuple[int, str], ...]
    """(id, domain window class key) of its recipients."""
    next_due: float | None
    """Unix seconds of the earliest wait, None if nobody is in the hopper."""
    unsorted: bool = False
    """People wait in the class of no zones, although the hours that count may ask for each number's own."""


@dataclass(frozen=True, slots=True)
class Unsorted:
    """A waiting recipient whose zones nobody has asked for."""

    ord: int
    number: str


@dataclass(frozen=True, slots=True)
class ClaimWish:
    """How many of a batch may be claimed in this turn, and in which window classes."""

    batch_id: int
    want: int
    open_classes: tuple[int, ...]
    tried_first: bool = False
    """LinesTraits.tried_first: a trunk that has not proven itself gets three calls at most until one proves it."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """One recipient that is ours to call: an attempt in `intent`."""

    call_key: str
    batch_id: int
    ord: int
    recipient_id: str
    number: str
    round: int
    generation: int
    client_data: dict[str, Any]
    window_class: int
    setbacks: int
    attempts_before: int
    due_at: float = 0.0
    """Unix seconds since when it was this one's turn."""


class Hold(StrEnum):
    """Why a claim took fewer than it wanted."""

    NOTHING_DUE = "nothing_due"
    CAP = "cap"
    RATE = "rate"
    TRUNK = "trunk"
    """Halted, probed by one call at a time, or tried by a few until one has proven it."""
    DAILY_LIMIT = "daily_limit"
    """The agent's calls of this day are placed, or the day is nearly over."""
    NOT_OPEN = "not_open"
    """Cancelled, paused, not started or over."""


@dataclass(frozen=True, slots=True)
class ClaimAnswer:
    """What one batch's wish came to."""

    batch_id: int
    claimed: tuple[Claimed, ...]
    hold: Hold | None
    again_at: float | None
    """Unix seconds before which another wish is vain; None: after the next freed slot or change."""
    batch: BatchRow | None
    agent: AgentRow | None
    number: NumberRow | None
    """The three as they were in the claim's transaction; None when nothing was claimed."""


class GoVerdict(StrEnum):
    """The answer to a request for GO; everything but GO has voided the attempt and settled its recipient."""

    GO = "go"
    GONE = "gone"
    """Somebody else moved the attempt, or our lease is over."""
    CANCELLED = "cancelled"
    PAUSED = "paused"
    SUPPRESSED = "suppressed"
    WINDOW_CLOSED = "window_closed"
    DAILY_LIMIT = "daily_limit"


@dataclass(frozen=True, slots=True)
class GoRequest:
    """Asks for the permission to send one attempt, once."""

    call_key: str
    batch_id: int
    generation: int
    window_open: bool
    check_at: float
    """Unix seconds: when to look the call up if nothing was heard of it (send deadline + place time-out + horizon)."""
    ring_secs: float
    talk_secs: float
    horizon_secs: float
    hours_version: int | None = None
    """Of the workspace's calling hours by which `window_open` was judged; None: they don't matter for this batch."""
    send_by: float | None = None
    """Unix seconds: nothing is sent later than this. Where a day's calls are limited it must be of the same day."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a report did."""

    call_key: str
    batch_id: int
    state: AttemptState
    changed: bool
    freed: bool
    """Slots became free."""
    doubtful: bool
    finished_batch: bool
    give_up: bool
    """A cancel asked to give this call up, and it is still under way."""
    provider: str = ""
    outcome: Outcome | None = None
    """Of the attempt, if it ended or was lost just now. Of reports that are taken together, one is told."""
    tried: bool = False
    """It tried its trunk for others, who need not wait for it any more."""
    was_unknown: bool = False
    """It had been lost, and is not any more; told once too."""


@dataclass(frozen=True, slots=True)
class Check:
    """An attempt that must be looked up now."""

    call_key: str
    batch_id: int
    workspace_id: int
    provider: str
    number_id: int
    state: AttemptState
    go_at: float
    heard_at: float
    """Unix seconds of the last report."""
    ring_secs: float
    talk_secs: float
    horizon_secs: float
    give_up: int
    owner_alive: bool


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A call under way that a cancel asks to end."""

    call_key: str
    provider: str
    number_id: int
    even_if_answered: bool


# --- batches -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A batch as accepted, before its recipients."""

    workspace_id: int
    public_id: str
    name: str
    agent_id: int
    number_id: int | None
    scheduled_at: float
    timezone: str | None = None
    branch_id: str | None = None
    environment: str | None = None
    whatsapp_params: dict[str, Any] | None = None
    telephony_call_config: dict[str, Any] = field(default_factory=dict)
    target_concurrency_limit: int | None = None
    calling_hours: dict[str, Any] | None = None
    hidden: bool = False
    """A single call: not listed as a batch."""


@dataclass(frozen=True, slots=True)
class NewRecipient:
    """One person of the list, in the list's order."""

    recipient_id: str
    number: str
    client_data_json: str
    """The recipient's conversation_initiation_client_data as JSON text ("{}" if none)."""
    window_class: str = ""
    """Key of domain/window.py; "" = always open."""
    whatsapp_user_id: str | None = None


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Names one act of one caller, so that a twin of the request gets the first one's answer."""

    workspace_id: int
    key: str
    """Digest of API key, route and body, or of the Idempotency-Key."""
    replay_secs: float
    """How long after its answer a twin still gets it."""
    content: str = ""
    """Digest of the body where `key` is of the caller's own naming."""
    unheard_secs: float = 0.0
    """How long at least, as long as nobody has noted that the answer was given (Store.note_answer)."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A batch as the answer to an act."""

    batch: BatchRow
    replayed: bool = False
    taken: int = 0
    """People that a retry queued or a cancel withdrew."""


@dataclass(frozen=True, slots=True)
class RecipientRow:
    """One recipient as every decision so far has it."""

    ord: int
    recipient_id: str
    number: str
    status: RecipientStatus
    outcome: Outcome | None
    round: int
    attempts: int
    conversation_key: str | None
    """call_key of the latest attempt that is a conversation."""
    client_data: dict[str, Any]
    created_at: float
    updated_at: float
    whatsapp_user_id: str | None = None


@dataclass(frozen=True, slots=True)
class RecipientPage:
    """A stretch of a batch's recipients in list order."""

    rows: tuple[RecipientRow, ...]
    next_ord: int | None
    """Pass back as `after_ord`; None at the end."""


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """One attempt that was sent, as a conversation."""

    call_key: str
    workspace_id: int
    state: AttemptState
    agent_public_id: str
    agent_name: str
    number_public_id: str
    provider: str
    caller: str
    number: str
    batch_public_id: str | None
    recipient_id: str | None
    round: int
    started_at: float
    """GO, unix seconds."""
    ringing_at: float | None
    answered_at: float | None
    ended_at: float | None
    ending: Ending | None
    provider_call_id: str | None
    client_data: dict[str, Any]
    said: tuple[Utterance, ...]
    branch_id: str | None = None
    environment: str | None = None
    timezone: str | None = None
    """The three of its batch."""


@dataclass(frozen=True, slots=True)
class ConversationScope:
    """Where conversations are looked for; every part of it is found by an index."""

    agent_id: str | None = None
    batch_id: str | None = None
    """Public ids; NotFound where the workspace never had them."""
    from_at: float | None = None
    until_at: float | None = None
    """Unix seconds of the start: from the first, before the second."""
    newest_first: bool = True


ConversationPlace = tuple[float, str]
"""Of a conversation in the order of a list: when it started (unix seconds), and its call_key."""


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """A stretch of conversations."""

    rows: tuple[ConversationRow, ...]
    after: ConversationPlace | None
    """Pass back as `after`; None at the end."""


@dataclass(frozen=True, slots=True)
class AgentUse:
    """An agent and how much it is used."""

    agent: AgentRow
    last_call_at: float | None
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class AgentWish:
    """Which agents, in which order; a list of agents is short enough to be sorted as it is asked for."""

    search: str = ""
    """Part of the name, in upper or lower case."""
    tags: frozenset[str] = frozenset()
    archived: bool | None = None
    sort_by: str = "created_at"
    """`created_at`, `name`, `call_count_7d`."""
    ascending: bool = False


@dataclass(frozen=True, slots=True)
class WebhookRow:
    """Whom to tell of events."""

    id: int
    workspace_id: int
    public_id: str
    name: str
    url: str
    secret: str
    """What its messages are signed with, in clear."""
    request_headers: dict[str, str]
    """To be sent along; they may hold keys of the receiver."""
    events: tuple[str, ...]
    retry_enabled: bool
    is_disabled: bool
    is_auto_disabled: bool
    created_at: float


@dataclass(frozen=True, slots=True)
class SuppressionRow:
    """An entry of the do-not-call list."""

    number: str
    reason: str
    source: str
    """How it came here: `api`, `import`, `command`, …"""
    created_at: float


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """Whose API key it is."""

    workspace_id: int
    workspace_public_id: str
    key_id: int
    may_administer: bool
    """May create workspaces and keys."""


@dataclass(frozen=True, slots=True)
class ClaimLimits:
    """The workspace-wide limits that are settings rather than rows."""

    workspace_concurrency: int
    look_up_secs: float = 15.0
    """A call under way of which nothing is heard for so long is looked up."""


class Store(Protocol):
    """The store of one installation."""

    async def start(self) -> None:
        """Open, migrate, start the writer; raises BadSetting where the database can't be used."""
        ...

    async def stop(self) -> None:
        """Commit what was asked, close; forgives being called twice."""
        ...

    # nodes
    async def register_node(self, name: str, *, now: float) -> NodeLease:
        """A new epoch for this name; whatever an earlier epoch of it held is to be reaped."""
        ...

    async def heartbeat(self, lease: NodeLease) -> bool:
        """Prolong the lease (database clock); False if another epoch took over or it was declared dead."""
        ...

    async def retire_node(self, lease: NodeLease) -> None:
        """Say goodbye: whatever it still holds is to be reaped at once."""
        ...

    async def reap(self, lease: NodeLease, *, now: float) -> Reaped:
        """Take back what dead nodes (heartbeat older than the time-out, replaced or retired epochs) held."""
        ...

    async def orphans(self, lease: NodeLease, call_keys: Sequence[str], *, now: float) -> None:
        """Our own attempts whose call worker died: those with GO are to be looked up at once, intents go back."""
        ...

    # dialling
    async def ready_batches(
        self, *, now: float, limit: int, after: tuple[float, int] | None = None
    ) -> list[ReadyBatch]:
        """Batches with somebody waiting, started and not paused, least recently served first.

        `after` is (last served, id) of the last one seen.
        """
        ...

    async def next_event_at(self, *, now: float) -> float | None:
        """Unix seconds of the next scheduled start or check of any batch after now."""
        ...

    async def claim(self, lease: NodeLease, wishes: Sequence[ClaimWish], *, now: float) -> list[ClaimAnswer]:
        """Take due recipients under all limits, in one transaction; suppressed ones leave as failed."""
        ...

    async def go(self, lease: NodeLease, request: GoRequest, *, now: float) -> GoVerdict:
        """Commit the permission to send, or void the attempt and say why."""
        ...

    async def void(self, lease: NodeLease, call_key: str, *, reason: str, now: float, forgotten: bool = False) -> bool:
        """Withdraw our own intent that will not be sent, or, if `forgotten`, anybody's that is too old; due again."""
        ...

    async def take(self, events: Sequence[CallEvent], *, now: float) -> list[Taken]:
        """Keep reports (each event_id once), fold them, and settle: state, counters, slots, outbox in one step."""
        ...

    async def checks(self, lease: NodeLease, *, now: float, limit: int) -> list[Check]:
        """Attempts whose check_at is over, reserved for us while we look them up."""
        ...

    async def check_again(self, call_key: str, *, at: float) -> None:
        """Look this one up again at `at` (unix seconds) unless something is heard before."""
        ...

    async def adopt(self, lease: NodeLease, call_key: str) -> None:
        """A call of a dead node that was found: ours from now on."""
        ...

    async def given_up(self, *, batch_id: int | None = None) -> list[GivenUp]:
        """Calls under way that a cancel asks to end."""
        ...

    async def unsorted(self, batch_id: int, *, limit: int) -> list[Unsorted]:
        """People who wait in the class of no zones, who is due first in front."""
        ...

    async def sort(self, batch_id: int, classes: Sequence[tuple[int, str]], *, now: float) -> None:
        """Give these people (ord, window class key) their class, in the list and in the hopper."""
        ...

    async def sweep(self, *, now: float) -> bool:
        """Carry out the next chunk of any undone decision, deletion or expiry; False when there is none."""
        ...

    async def expire(self, *, halted_before: float, now: float) -> int:
        """End the waiting recipients of trunks halted before that time as `expired`; counts them."""
        ...

    async def probes_due(self, providers: Sequence[str], *, before: float, now: float) -> list[NumberRow]:
        """Numbers of these providers with a halted trunk that nobody asked since `before`; the caller is to, now."""
        ...

    async def note_probe(self, trunk: str, says: str, *, now: float) -> None:
        """What a halted trunk said when it was asked whether it is there: `status_reason` tells it."""
        ...

    # watching
    async def ping(self) -> None:
        """Returns when the database has answered; raises where it can't."""
        ...

    async def under_way(self, lease: NodeLease) -> dict[tuple[str, AttemptState], int]:
        """How many calls of this lease were sent and are not over, by provider and state."""
        ...

    # batches
    async def stage(self, batch: NewBatch, recipients: Sequence[NewRecipient], *, now: float) -> int:
        """Write an invisible batch and its recipients, in chunks; its id."""
        ...

    async def seal(self, batch_id: int, request: RequestKey | None, *, now: float) -> Answered:
        """Make a staged batch real; a twin's staged rows are dropped and the first answer is given.

        Whoever was on the do-not-call list when staged has ended as suppressed, and the counters say so.
        """
        ...

    async def replayed(self, request: RequestKey, *, now: float) -> Answered | None:
        """The answer that a twin of this request got, if it is still to be repeated; NotFound if deleted since."""
        ...

    async def note_answer(self, request: RequestKey, *, now: float) -> None:
        """The act was answered at this time: from now on its twins have `replay_secs`, and no longer."""
        ...

    async def batch(self, workspace_id: int, public_id: str, *, now: float | None = None) -> BatchRow:
        """One batch; NotFound. With `now` its `status_reason` also says why nobody is dialled at that time."""
        ...

    async def batches(
        self,
        workspace_id: int,
        *,
        limit: int,
        before: tuple[float, int] | None,
        agent_public_id: str | None,
        now: float | None = None,
    ) -> list[BatchRow]:
        """Newest first; `before` is (created_at, id) of the last one seen; `now` as for `batch`.

        NotFound for an agent that the workspace never had.
        """
        ...

    async def recipients(
        self,
        batch: BatchRow,
        *,
        limit: int,
        after_ord: int = -1,
        status: RecipientStatus | None = None,
        outcome: Outcome | None = None,
    ) -> RecipientPage:
        """A stretch of a batch's recipients, seen through undone decisions."""
        ...

    async def retry(
        self, workspace_id: int, public_id: str, outcomes: frozenset[Outcome], request: RequestKey | None, *, now: float
    ) -> Answered:
        """Open a round for exactly those who ended so; nobody: unchanged. NotFound."""
        ...

    async def preview(self, workspace_id: int, public_id: str, include: frozenset[RecipientStatus]) -> Preview:
        """Whom a retry would take now and whom not. NotFound."""
        ...

    async def cancel(self, workspace_id: int, public_id: str, *, hang_up: bool, now: float) -> Answered:
        """Nobody new is called; waiting and unsent recipients are cancelled; calls under way are marked. NotFound."""
        ...

    async def delete_batch(self, workspace_id: int, public_id: str, *, now: float) -> None:
        """Cancel, hide at once, erase the recipients when no attempt is open. NotFound."""
        ...

    async def pause(self, workspace_id: int, public_id: str, *, paused: bool, now: float) -> BatchRow:
        """Stop or allow claims and GO; resuming also lifts a halt of its trunk. NotFound."""
        ...

    async def undone(self, batch_id: int) -> list[Decision]:
        """Decisions whose row work is not over, oldest first."""
        ...

    # conversations
    async def conversation(self, workspace_id: int, call_key: str) -> ConversationRow:
        """One sent attempt; NotFound."""
        ...

    async def conversations(
        self,
        workspace_id: int,
        scope: ConversationScope,
        *,
        limit: int,
        after: ConversationPlace | None = None,
        fits: Callable[[ConversationRow], bool] | None = None,
    ) -> ConversationPage:
        """Those of the scope that fit, in order of their start.

        Looks at no more than a few thousand: where few of them fit, a page may be short and still have more behind it.
        """
        ...

    async def delete_conversation(self, workspace_id: int, call_key: str, *, now: float) -> None:
        """Erase what was said and known. NotFound; StillGoing while the call is under way."""
        ...

    async def calls(self, call_keys: Sequence[str]) -> dict[str, ConversationRow]:
        """Sent attempts by their keys, without what was said and known."""
        ...

    async def call_of_single(self, batch_id: int) -> ConversationRow | None:
        """The latest sent attempt of a single call, without what was said and known; None if there is none."""
        ...

    # workspace
    async def bootstrap_key(self, key_hash: bytes, *, now: float) -> None:
        """The first key of the settings: makes workspace `default` if there is none, and may administer."""
        ...

    async def create_workspace(self, name: str, *, now: float) -> tuple[int, str]:
        """(id, public id) of the workspace with this name, made if new."""
        ...

    async def create_key(self, workspace_id: int, key_hash: bytes, *, name: str, now: float) -> int:
        """Keep the hash of a new API key."""
        ...

    async def key_owner(self, key_hash: bytes) -> KeyOwner | None:
        """Whose key it is."""
        ...

    async def create_agent(self, workspace_id: int, agent: AgentRow, *, now: float) -> AgentRow:
        """Keep a new agent (its id is given here)."""
        ...

    async def agent(self, workspace_id: int, public_id: str) -> AgentRow:
        """One agent; NotFound."""
        ...

    async def agents_listed(
        self, workspace_id: int, wish: AgentWish, *, limit: int, skip: int, now: float
    ) -> list[AgentUse]:
        """Those wished for, from the `skip`-th on."""
        ...

    async def change_agent(
        self, workspace_id: int, public_id: str, change: Callable[[AgentRow], AgentRow], *, now: float
    ) -> AgentRow:
        """Replace an agent by what `change` makes of it, in one step; the next call is of the new one. NotFound."""
        ...

    async def delete_agent(self, workspace_id: int, public_id: str, *, now: float) -> None:
        """Hide it; NotFound, InUse while an open batch needs it."""
        ...

    async def create_number(self, workspace_id: int, number: NumberRow, *, now: float) -> NumberRow:
        """Keep a new phone number (its id is given here); secrets are encrypted at rest."""
        ...

    async def number(self, workspace_id: int, public_id: str) -> NumberRow:
        """One phone number; NotFound."""
        ...

    async def numbers(self, workspace_id: int) -> list[NumberRow]:
        """All phone numbers of the workspace, oldest first."""
        ...

    async def change_number(
        self, workspace_id: int, public_id: str, change: Callable[[NumberRow], NumberRow], *, now: float
    ) -> NumberRow:
        """Replace a number by what `change` makes of it, in one step; changed settings lift a halt. NotFound."""
        ...

    async def delete_number(self, workspace_id: int, public_id: str, *, now: float) -> None:
        """Hide it; NotFound, InUse while an open batch needs it."""
        ...

    async def workspace_settings(self, workspace_id: int) -> dict[str, Any]:
        """What was set for the whole workspace."""
        ...

    async def change_workspace_settings(
        self, workspace_id: int, change: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> dict[str, Any]:
        """Replace them by what `change` makes of them, in one step."""
        ...

    async def create_webhook(self, webhook: WebhookRow, *, now: float) -> WebhookRow:
        """Keep a new one (its id is given here); its secrets are encrypted at rest."""
        ...

    async def webhooks(self, workspace_id: int) -> list[WebhookRow]:
        """All of the workspace, oldest first."""
        ...

    async def webhook(self, workspace_id: int, public_id: str) -> WebhookRow:
        """One; NotFound."""
        ...

    async def change_webhook(
        self, workspace_id: int, public_id: str, change: Callable[[WebhookRow], WebhookRow]
    ) -> WebhookRow:
        """Replace one by what `change` makes of it, in one step. NotFound."""
        ...

    async def delete_webhook(self, workspace_id: int, public_id: str) -> None:
        """Remove it, also from the workspace's settings. NotFound."""
        ...

    async def number_by_id(self, number_id: int) -> NumberRow:
        """For look-ups of calls under way; NotFound."""
        ...

    async def calling_hours(self, workspace_id: int) -> dict[str, Any] | None:
        """The workspace's calling hours, as JSON."""
        ...

    async def set_calling_hours(self, workspace_id: int, hours: dict[str, Any] | None, *, now: float) -> None:
        """Change them; when it returns no GO that was judged by the old ones commits any more."""
        ...

    async def suppress(
        self, workspace_id: int, numbers: Sequence[str], *, reason: str, now: float, source: str = "api"
    ) -> int:
        """Put numbers on the do-not-call list; counts the new ones.

        When it returns no GO for them commits any more, and what rings there is marked to be given up (`given_up`).
        """
        ...

    async def suppress_each(
        self, workspace_id: int, reasons: dict[str, str], *, now: float, source: str = "api"
    ) -> int:
        """As `suppress`, with a reason for each number."""
        ...

    async def suppressions(self, workspace_id: int, *, limit: int, after: str = "") -> list[SuppressionRow]:
        """A stretch of the do-not-call list behind the number `after`, by number."""
        ...

    async def suppressions_of(self, workspace_id: int, numbers: Sequence[str]) -> list[SuppressionRow]:
        """The entries of these numbers, by number."""
        ...

    async def unsuppress(self, workspace_id: int, numbers: Sequence[str]) -> int:
        """Take numbers off the do-not-call list; counts them."""
        ...

    async def suppressed(self, workspace_id: int, numbers: Sequence[str]) -> frozenset[str]:
        """Which of these are on the list."""
        ...
