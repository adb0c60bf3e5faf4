"""The published wire of `/v1/convai`: the shared superset; what is its own stands here."""

from typing import Annotated

from fastapi import Query

ListLimit = Annotated[int, Query(ge=1, description="At most 500 come at once, however many are asked for")]
"""Published without bounds (100 unless given)."""
LastDoc = Annotated[str | None, Query(description="The `next_doc` of the answer before")]
AgentFilter = Annotated[str | None, Query(description="Only batches of this agent")]
