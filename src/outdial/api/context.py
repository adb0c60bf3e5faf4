"""What handlers find in the application: use cases' neighbours and a few settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from starlette.requests import Request

from outdial.api.reader import Reader
from outdial.batches.desk import Desk
from outdial.ports.blobs import Blobs
from outdial.workspace.keys import KeyRing
from outdial.workspace.numbers import CheckSettings


@dataclass(frozen=True, slots=True)
class Context:
    """Made once by `app`."""

    desk: Desk
    keys: KeyRing
    reader: Reader
    providers: Mapping[str, CheckSettings]
    """Providers that numbers can be made for, with their check of a number's settings."""
    blobs: Blobs | None
    """Where recordings are; None: nothing is recorded."""
    replay_secs: float
    """How long a twin of a request gets the first one's answer; 0: not at all."""


def context_of(request: Request) -> Context:
    """The application's context."""
    return cast("Context", request.app.state.context)
