"""A list of people from a CSV file: `phone_number`, an `id` if there is one, all else is a dynamic variable."""

import csv
from pathlib import Path
from typing import Any

from outdial.cli.client import Failed

NUMBER = "phone_number"


def read_people(path: Path) -> list[dict[str, Any]]:
    """The recipients of this file, as the wire has them."""
    try:
        # utf-8-sig: spreadsheets put a byte order mark before the first name
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, restkey="")
            names = [name.strip() for name in rows.fieldnames or ()]
            if NUMBER not in names:
                raise Failed(f"{path} has no column {NUMBER!r}; its first line names: {', '.join(names) or 'nothing'}")
            rows.fieldnames = names
            return [_recipient(row) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Failed(f"{path} can't be read: {error}") from None


def _recipient(row: dict[str, str | None]) -> dict[str, Any]:
    recipient: dict[str, Any] = {NUMBER: (row.pop(NUMBER) or "").strip()}
    row.pop("", None)
    if own := row.pop("id", None):
        recipient["id"] = own
    variables = {name: value for name, value in row.items() if value}
    if variables:
        recipient["conversation_initiation_client_data"] = {"dynamic_variables": variables}
    return recipient
