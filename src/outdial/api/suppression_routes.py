"""The addresses of the do-not-call list, the same below each prefix."""

from fastapi import APIRouter

from outdial.api import do_not_call
from outdial.api import suppression_schema as schema
from outdial.api.route import add

_LIST = "/do-not-call"
_NUMBER = f"{_LIST}/{{phone_number}}"


def do_not_call_routes(router: APIRouter, *, prefix: str) -> None:
    """Add them; `prefix` begins their names."""
    add(router, "GET", _LIST, do_not_call.listed, name=f"{prefix}_list_do_not_call", answer=schema.DoNotCallList)
    add(router, "POST", _LIST, do_not_call.add, name=f"{prefix}_add_do_not_call",
        body=schema.AddDoNotCall, answer=schema.DoNotCallAdded)  # fmt: skip
    add(router, "POST", f"{_LIST}/check", do_not_call.check, name=f"{prefix}_check_do_not_call",
        body=schema.SomeNumbers, answer=schema.DoNotCallChecked)  # fmt: skip
    add(router, "POST", f"{_LIST}/remove", do_not_call.remove, name=f"{prefix}_remove_do_not_call",
        body=schema.SomeNumbers, answer=schema.DoNotCallRemoved)  # fmt: skip
    add(router, "POST", f"{_LIST}/import", do_not_call.import_file, name=f"{prefix}_import_do_not_call",
        answer=schema.DoNotCallImported)  # fmt: skip
    add(router, "GET", _NUMBER, do_not_call.get, name=f"{prefix}_get_do_not_call", answer=schema.DoNotCallEntry)
    add(router, "DELETE", _NUMBER, do_not_call.delete, name=f"{prefix}_delete_do_not_call", status=204)
