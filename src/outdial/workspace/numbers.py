"""Phone numbers that we call from: which provider, which account there, and what it allows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from outdial.domain.errors import Invalid, after_the_commit, named
from outdial.domain.number import canonical
from outdial.ports.store import AgentRow, NumberRow, Store
from outdial.runtime.clock import Clock
from outdial.runtime.ids import new_public_id

CheckSettings = Callable[[Mapping[str, Any]], dict[str, Any]]
"""A provider's own check of a number's settings (ProviderSpec.check_settings)."""
Providers = Mapping[str, CheckSettings]
"""Those that calls can be placed through."""

KEPT_FOR_LATER = frozenset({"twilio", "sip_trunk", "vobiz"})
"""Providers whose numbers are kept even where no calls can be placed through them; a submit says so."""
LIMITS: Mapping[str, tuple[int | None, float | None]] = {"twilio": (2, 1.0)}
"""(calls at once, calls per second) where nothing is asked for: Twilio refuses more of a new account."""
ASIDE = "aside"
"""The key, in a number's settings, of what clients store there and its provider does not know."""


@dataclass(frozen=True, slots=True)
class NumberWish:
    """A number as somebody wants it."""

    provider: str
    phone_number: str
    label: str
    settings: Mapping[str, Any]
    """The provider's; secrets in clear."""
    aside: Mapping[str, Any] = field(default_factory=dict)
    agent_id: str | None = None
    max_concurrent_calls: int | None = None
    max_calls_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class NumberChange:
    """What of a number is to be another; keys that are missing stay."""

    fields: Mapping[str, Any]
    """`label`, `agent_id` (None: no agent), `max_concurrent_calls`, `max_calls_per_second` (None: no limit)."""
    settings: Mapping[str, Any]
    """The provider's."""
    aside: Mapping[str, Any]


async def create(store: Store, clock: Clock, workspace_id: int, wish: NumberWish, *, providers: Providers) -> NumberRow:
    """A new number; Invalid where its provider is unknown or does not take the settings."""
    settings = _checked(providers, wish.provider, wish.settings)
    agent = await _agent(store, workspace_id, wish.agent_id)
    with named("phone_number"):
        phone_number = canonical(wish.phone_number)
    public_id, now = new_public_id("phnum_"), clock.now()
    at_once, per_second = LIMITS.get(wish.provider, (None, None))
    number = NumberRow(
        id=0,
        workspace_id=workspace_id,
        public_id=public_id,
        provider=wish.provider,
        phone_number=phone_number,
        label=wish.label,
        settings=_with_aside(settings, wish.aside),
        # an account of its own each: a halt of one workspace's trunk never stops another's
        trunk=f"{wish.provider}:{public_id}",
        max_concurrent_calls=at_once if wish.max_concurrent_calls is None else wish.max_concurrent_calls,
        max_calls_per_second=per_second if wish.max_calls_per_second is None else wish.max_calls_per_second,
        agent_id=None if agent is None else agent.id,
        created_at=now,
        updated_at=now,
    )
    return await store.create_number(workspace_id, number, now=now)


async def change(
    store: Store, clock: Clock, workspace_id: int, number_id: str, wanted: NumberChange, *, providers: Providers
) -> NumberRow:
    """The number as it is from now on, also for batches that are running."""
    agent = await _agent(store, workspace_id, wanted.fields.get("agent_id"))

    def changed(before: NumberRow) -> NumberRow:
        return _changed(before, wanted, agent, providers)

    await store.change_number(workspace_id, number_id, changed, now=clock.now())
    with after_the_commit():
        return await store.number(workspace_id, number_id)


def _changed(before: NumberRow, wanted: NumberChange, agent: AgentRow | None, providers: Providers) -> NumberRow:
    settings, aside = before.settings, before.settings.get(ASIDE) or {}
    if wanted.settings:
        provider_s = {name: value for name, value in before.settings.items() if name != ASIDE}
        whole = {**provider_s, **_with_old_password(provider_s, wanted.settings)}
        settings = _checked(providers, before.provider, whole)
    simple = {name: value for name, value in wanted.fields.items() if name != "agent_id"}
    return replace(
        before,
        **simple,
        settings=_with_aside(settings, {**aside, **wanted.aside}),
        agent_id=(None if agent is None else agent.id) if "agent_id" in wanted.fields else before.agent_id,
    )


def _with_old_password(before: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """A trunk that was read, changed and sent back lacks the password, which is never told: it keeps the one it had.

    Only for the same user at the same address, or the next call would hand it to somebody else.
    """
    result = dict(wanted)
    for name in ("outbound_trunk_config", "inbound_trunk_config"):
        old, new = before.get(name), wanted.get(name)
        if not isinstance(old, Mapping) or not isinstance(new, Mapping):
            continue
        had, has = old.get("credentials") or {}, new.get("credentials") or {}
        same = had.get("username") == has.get("username") and old.get("address") == new.get("address")
        if has and has.get("password") is None and same and had.get("password") is not None:
            result[name] = {**new, "credentials": {**has, "password": had["password"]}}
    return result


def _with_aside(settings: Mapping[str, Any], aside: Mapping[str, Any]) -> dict[str, Any]:
    bare = {name: value for name, value in settings.items() if name != ASIDE}
    return {**bare, ASIDE: dict(aside)} if aside else bare


async def _agent(store: Store, workspace_id: int, agent_id: str | None) -> AgentRow | None:
    with named("agent_id"):
        return None if agent_id is None else await store.agent(workspace_id, agent_id)


def _checked(providers: Providers, provider: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    if provider in providers:
        return providers[provider](settings)
    if provider in KEPT_FOR_LATER:
        return dict(settings)
    known = ", ".join(sorted(providers.keys() | KEPT_FOR_LATER))
    raise Invalid(
        f"this server does not know the provider {provider[:64]!r}; it knows: {known}",
        code="provider_not_available",
        param="provider",
    )
