"""The published wire of `/v1/voiceai`: the shared superset; what is its own stands here."""

from typing import Annotated

from fastapi import Query

ListLimit = Annotated[int, Query(ge=1, le=500)]
"""Published with these bounds, 100 unless given."""
LastDoc = Annotated[str | None, Query(description="The `next_doc` of the answer before")]
