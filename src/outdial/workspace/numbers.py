"""Phone numbers that we call from: which provider, which account there, and what it allows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from outdial.domain.errors import Invalid, named
from outdial.domain.number import canonical
from outdial.ports.store import NumberRow, Store
from outdial.runtime.clock import Clock
from outdial.runtime.ids import new_public_id

CheckSettings = Callable[[Mapping[str, Any]], dict[str, Any]]
"""A provider's own check of a number's settings (ProviderSpec.check_settings)."""


@dataclass(frozen=True, slots=True)
class NumberWish:
    """A number as somebody wants it."""

    provider: str
    phone_number: str
    label: str
    settings: Mapping[str, Any]
    """The provider's; secrets in clear."""
    agent_id: str | None = None
    max_concurrent_calls: int | None = None
    max_calls_per_second: float | None = None


async def create(
    store: Store, clock: Clock, workspace_id: int, wish: NumberWish, *, providers: Mapping[str, CheckSettings]
) -> NumberRow:
    """A new number; Invalid where its provider is not built in or does not take the settings."""
    settings = _check(providers, wish.provider)(wish.settings)
    with named("agent_id"):
        agent = None if wish.agent_id is None else await store.agent(workspace_id, wish.agent_id)
    with named("phone_number"):
        phone_number = canonical(wish.phone_number)
    public_id, now = new_public_id("phnum_"), clock.now()
    number = NumberRow(
        id=0,
        workspace_id=workspace_id,
        public_id=public_id,
        provider=wish.provider,
        phone_number=phone_number,
        label=wish.label,
        settings=settings,
        # an account of its own each: a halt of one workspace's trunk never stops another's
        trunk=f"{wish.provider}:{public_id}",
        max_concurrent_calls=wish.max_concurrent_calls,
        max_calls_per_second=wish.max_calls_per_second,
        agent_id=None if agent is None else agent.id,
        created_at=now,
        updated_at=now,
    )
    return await store.create_number(workspace_id, number, now=now)


def _check(providers: Mapping[str, CheckSettings], provider: str) -> CheckSettings:
    try:
        return providers[provider]
    except KeyError:
        known = ", ".join(sorted(providers))
        raise Invalid(
            f"calls through {provider[:64]!r} can't be placed by this server; it knows: {known}",
            code="provider_not_available",
            param="provider",
        ) from None
