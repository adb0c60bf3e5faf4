"""Which conversations are meant: the filters of the wire, each a question to one conversation."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Query
from starlette.datastructures import QueryParams

from outdial.api import render
from outdial.domain.errors import Complaint, Unprocessable
from outdial.ports.store import ConversationRow

ONE_MORE = "dynamic_variable_filter"
FAR = 2**40
"""Seconds; no instant of ours is further from 1970, either way."""

Instant = Annotated[int | None, Query(ge=-FAR, le=FAR)]
Seconds = Annotated[int | None, Query(ge=0, le=FAR)]
Words = Annotated[list[str] | None, Query(max_length=50)]
PageSize = Annotated[int, Query(ge=1, le=100)]
Direction = Literal["asc", "desc"]
Successful = Literal["success", "failure", "unknown", "true", "false"]
_AS_WORD = {"true": "success", "false": "failure"}
"""ThreeTone's client asks by a truth value."""
Towards = Literal["inbound", "outbound", "web"]
Status = Literal["initiated", "in-progress", "processing", "done", "failed"]

HELD_BY_NONE = frozenset(
    {
        "rating_min", "rating_max", "has_feedback_comment", "evaluation_params", "data_collection_params",
        "data_collection_filter", "tool_names_successful", "tool_names_errored", "tool_ids", "tool_ids_successful",
        "tool_ids_errored", "main_languages", "whatsapp_phone_number_ids", "text_only", "version_id",
        "parent_conversation_id", "topic_ids", "tag_ids", "workflow_node_entered_id", "guardrail_types",
        "custom_guardrail_names", "triggered_procedure_ids",
    }
)  # fmt: skip
"""Published filters by what no conversation here has: whoever asks by one of them must not be shown all the others."""

Fits = Callable[[ConversationRow], bool]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which conversations are listed; those that come together all have to fit."""

    call_successful: Successful | None = None
    call_start_before_unix: Instant = None
    call_start_after_unix: Instant = None
    call_duration_min_secs: Seconds = None
    call_duration_max_secs: Seconds = None
    user_id: str | None = None
    branch_id: str | None = None
    search: Annotated[str | None, Query(max_length=1_000, description="Part of what was said")] = None
    exclude_statuses: Annotated[list[Status] | None, Query()] = None
    termination_reasons: Words = None
    tool_names: Words = None
    phone_number_ids: Words = None
    dynamic_variable_params: Annotated[
        list[str] | None, Query(max_length=50, description="name:op:value; op: eq, neq, gt, gte, lt, lte, in")
    ] = None
    dynamic_variable_filter: Annotated[str | None, Query(description="One more of these")] = None
    conversation_initiation_source: str | None = None
    direction: Annotated[Towards | None, Query(description="Every call here is outbound")] = None
    sort_direction: Direction = "desc"
    summary_mode: Literal["exclude", "include"] = "exclude"
    exclude_batch: Annotated[bool, Query(description="Only single calls")] = False

    def fits(self, query: QueryParams) -> Fits | None:
        """Whether a conversation is meant; None where every one of the scope is. `query`: all that was asked by."""
        if any(name in HELD_BY_NONE and value not in {"", "false"} for name, value in query.multi_items()):
            return lambda _row: False
        tests = [test for test in (*self._plain(), *self._of_words()) if test is not None]
        return (lambda row: all(test(row) for test in tests)) if tests else None

    def _plain(self) -> list[Fits | None]:
        least, most = self.call_duration_min_secs, self.call_duration_max_secs
        numbers, statuses = frozenset(self.phone_number_ids or ()), frozenset(self.exclude_statuses or ())
        reasons = frozenset(self.termination_reasons or ())
        asked = self.call_successful and _AS_WORD.get(self.call_successful, self.call_successful)
        return [
            None if asked is None else lambda row: render.successful(row) == asked,
            None if least is None else lambda row: render.talked_secs(row) >= least,
            None if most is None else lambda row: render.talked_secs(row) <= most,
            None if self.branch_id is None else lambda row: row.branch_id == self.branch_id,
            (lambda row: row.number_public_id in numbers) if numbers else None,
            (lambda row: render.conversation_status(row) not in statuses) if statuses else None,
            (lambda row: render.termination_reason(row) in reasons) if reasons else None,
            (lambda _row: False) if self.tool_names else None,  # no call has used a tool yet
            (lambda row: row.batch_public_id is None) if self.exclude_batch else None,
            (lambda _row: False) if self.direction not in {None, "outbound"} else None,
            None if (source := self.conversation_initiation_source) is None else lambda row: row.provider == source,
        ]

    def _of_words(self) -> list[Fits | None]:
        searched = (self.search or "").casefold()
        return [
            None if self.user_id is None else lambda row: row.client_data.get("user_id") == self.user_id,
            (lambda row: any(searched in said.message.casefold() for said in row.said)) if searched else None,
            *(
                _variable(text, "dynamic_variable_params", n)
                for n, text in enumerate(self.dynamic_variable_params or ())
            ),
            None if self.dynamic_variable_filter is None else _variable(self.dynamic_variable_filter, ONE_MORE),
        ]


# --- variables -----------------------------------------------------------------------------------------------------

_COMPARED: dict[str, Callable[[float, float], bool]] = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}


def _variable(text: str, *asked_by: str | int) -> Fits:
    """`name:op:value` as published: an empty value asks whether the variable was set at all."""
    name, colon, rest = text.partition(":")
    op, second, value = rest.partition(":")
    if not colon or not second or op not in {"eq", "neq", "in", *_COMPARED}:
        raise _no_filter(asked_by, "Input should be name:op:value, with op one of eq, neq, gt, gte, lt, lte, in")
    if op in _COMPARED:
        bound = _number(value)
        if bound is None:
            raise _no_filter(asked_by, f"Input should have a number behind {op}")
        return lambda row: (it := _number(_said(row, name))) is not None and _COMPARED[op](it, bound)
    wanted = set(value.split("|")) if op == "in" else {value}
    return lambda row: (_said(row, name) in wanted) is (op != "neq")


def _no_filter(asked_by: tuple[str | int, ...], message: str) -> Unprocessable:
    return Unprocessable([Complaint(("query", *asked_by), message, "value_error")])


def _said(row: ConversationRow, name: str) -> str:
    """A variable as text; empty where it was not set."""
    value: Any = (row.client_data.get("dynamic_variables") or {}).get(name)
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
