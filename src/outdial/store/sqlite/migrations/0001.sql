-- The first schema. Instants are integer microseconds since the epoch (UTC); JSON is text, since we never search in it.

create table workspace (
    id integer primary key,
    public_id text not null unique,
    name text not null unique,
    created_at integer not null
);

create table api_key (
    id integer primary key,
    workspace_id integer not null references workspace (id),
    key_hash blob not null unique,
    name text not null,
    may_administer integer not null default 0,
    created_at integer not null
);

create table agent (
    id integer primary key,
    workspace_id integer not null references workspace (id),
    public_id text not null unique,
    name text not null,
    conversation_config text not null,
    platform_settings text not null,
    workflow text,
    tags text not null default '[]',
    concurrency_limit integer,
    created_at integer not null,
    updated_at integer not null,
    deleted_at integer
);
create index agent_by_workspace on agent (workspace_id, created_at, id);

create table phone_number (
    id integer primary key,
    workspace_id integer not null references workspace (id),
    public_id text not null unique,
    provider text not null,
    phone_number text not null,
    label text not null,
    settings text not null,
    trunk text not null,
    max_concurrent_calls integer,
    max_calls_per_second real,
    agent_id integer references agent (id),
    created_at integer not null,
    updated_at integer not null,
    deleted_at integer
);
create index phone_number_by_workspace on phone_number (workspace_id, created_at, id);

create table suppression (
    workspace_id integer not null references workspace (id),
    number text not null,
    reason text not null,
    created_at integer not null,
    primary key (workspace_id, number)
) without rowid;

-- Limits and how much of them is used: w:workspace, a:agent, n:number, t:trunk, b:batch.
create table bucket (
    key text primary key,
    cap integer,
    live integer not null default 0,
    rate real,
    tokens real not null default 0,
    refilled_at integer not null default 0,
    -- of trunks: how sick they are (domain/backoff.py)
    refusals integer not null default 0,
    probe_at integer,
    faults integer not null default 0,
    halted_at integer,
    -- when the last call that came to harm was sent: only younger ones show that it is well again
    trouble_at integer not null default 0,
    halted_reason text not null default ''
) without rowid;

-- Zones that open and close together; class 0 is always open.
create table window_class (
    id integer primary key,
    key text not null unique
);

create table batch (
    id integer primary key,
    workspace_id integer not null references workspace (id),
    public_id text not null unique,
    name text not null,
    agent_id integer not null references agent (id),
    number_id integer references phone_number (id),
    status text not null,
    status_reason text not null default '',
    scheduled integer not null default 0,
    dispatched integer not null default 0,
    finished integer not null default 0,
    retry_count integer not null default 0,
    last_decision integer not null default 0,
    undone integer not null default 0,
    created_at integer not null,
    scheduled_at integer not null,
    updated_at integer not null,
    last_served integer not null default 0,
    timezone text,
    branch_id text,
    environment text,
    whatsapp_params text,
    telephony_call_config text not null default '{}',
    target_concurrency_limit integer,
    calling_hours text,
    hidden integer not null default 0,
    sealed integer not null default 0,
    deleted_at integer
);
create index batch_by_workspace on batch (workspace_id, created_at desc, id desc) where sealed and deleted_at is null;
create index batch_open on batch (id) where sealed and deleted_at is null and status in ('pending', 'in_progress');
create index batch_undone on batch (id) where undone > 0;
create index batch_unsealed on batch (created_at) where not sealed;

-- The classes that occur in a batch, so that nobody has to look for them in the list.
create table batch_window (
    batch_id integer not null,
    window_class integer not null,
    primary key (batch_id, window_class)
) without rowid;

-- What GO and cancel meet on: narrow, locked often.
create table batch_control (
    batch_id integer primary key references batch (id),
    generation integer not null default 0,
    cancelled integer not null default 0,
    paused integer not null default 0
) without rowid;

-- How many of a batch ended how: a retry and its preview read it instead of counting.
create table tally (
    batch_id integer not null references batch (id),
    outcome text not null,
    n integer not null,
    primary key (batch_id, outcome)
) without rowid;

-- Decisions whose row work is not over.
create table decision (
    batch_id integer not null references batch (id),
    number integer not null,
    kind text not null,
    round integer not null default 0,
    generation integer not null,
    outcomes text not null default '[]',
    after_ord integer not null default -1,
    decided_at integer not null,
    primary key (batch_id, number)
) without rowid;

create table recipient (
    batch_id integer not null,
    ord integer not null,
    recipient_id text not null,
    number text not null,
    window_class integer not null,
    client_data text not null,
    status text not null default 'pending',
    outcome text,
    round integer not null default 0,
    stamp integer not null default 0,
    generation integer not null default 0,
    due_at integer,
    setbacks integer not null default 0,
    attempts integer not null default 0,
    attempt_key text,
    conversation_key text,
    created_at integer not null,
    updated_at integer not null,
    primary key (batch_id, ord)
);

-- The hopper: only who waits.
create table due (
    batch_id integer not null,
    generation integer not null,
    window_class integer not null,
    due_at integer not null,
    ord integer not null,
    primary key (batch_id, generation, window_class, due_at, ord)
) without rowid;

create table attempt (
    call_key text primary key,
    workspace_id integer not null,
    batch_id integer not null,
    ord integer not null,
    recipient_id text not null,
    number text not null,
    agent_id integer not null,
    number_id integer not null,
    trunk text not null,
    provider text not null,
    round integer not null,
    generation integer not null,
    state text not null,
    holds integer not null,
    give_up integer not null default 0,
    node text not null,
    epoch integer not null,
    check_at integer,
    heard_at integer not null,
    claimed_at integer not null,
    go_at integer,
    sent_at integer,
    ringing_at integer,
    answered_at integer,
    ended_at integer,
    ring_secs real not null default 0,
    talk_secs real not null default 0,
    horizon_secs real not null default 0,
    provider_call_id text,
    outcome text,
    ending text,
    reason text not null default ''
);
create unique index attempt_one_open on attempt (workspace_id, number) where holds;
create index attempt_of_recipient on attempt (batch_id, ord);
create index attempt_check on attempt (check_at) where check_at is not null;
create index attempt_open on attempt (batch_id) where state in ('intent', 'dialing', 'ringing', 'live');
create index attempt_owned on attempt (node, epoch) where state in ('intent', 'dialing', 'ringing', 'live');

-- What outlives the batch's recipients: who was called with which words, and what was said.
create table conversation (
    call_key text primary key,
    workspace_id integer not null,
    client_data text not null,
    said text not null
);

-- Reports of the networks, each id once.
create table event (
    event_id text primary key,
    call_key text not null,
    kind text not null,
    received_at integer not null
) without rowid;
create index event_by_age on event (received_at);

create table request (
    workspace_id integer not null,
    key text not null,
    batch_id integer not null,
    taken integer not null,
    -- digest of the body where the caller named the act: the same name for something else is refused
    content text not null default '',
    answer text not null,
    answered_at integer not null,
    expires_at integer not null,
    primary key (workspace_id, key)
) without rowid;
create index request_by_age on request (expires_at);

create table node (
    name text primary key,
    epoch integer not null,
    heartbeat_at integer not null,
    alive integer not null,
    reaped_epoch integer not null default 0
) without rowid;

create table outbox (
    id integer primary key,
    workspace_id integer not null,
    topic text not null,
    batch_id integer,
    call_key text,
    at integer not null
);

-- A batch with everything that its readers need beside it.
create view batch_view as
select
    b.*,
    a.public_id as agent_public_id,
    a.name as agent_name,
    a.updated_at as agent_updated_at,
    n.public_id as number_public_id,
    n.provider as provider,
    n.trunk as trunk,
    n.updated_at as number_updated_at,
    c.generation as generation,
    c.cancelled as cancelled,
    c.paused as paused,
    coalesce(t.halted_reason, '') as halted_reason
from batch b
join agent a on a.id = b.agent_id
join batch_control c on c.batch_id = b.id
left join phone_number n on n.id = b.number_id
left join bucket t on t.key = n.trunk;
