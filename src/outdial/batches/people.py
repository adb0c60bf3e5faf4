"""The people of a list, checked and made canonical: dialable numbers, ids that are unique, a window class each."""

import secrets
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

import msgspec

from outdial.domain import bounds
from outdial.domain.errors import Complaint, Invalid, Unprocessable
from outdial.domain.number import ImpossibleNumber, canonical, zones
from outdial.domain.window import ALWAYS, CallingHours, window_class
from outdial.ports.store import NewRecipient

MOST_COMPLAINTS = 100
"""A list of ten thousand wrong numbers is told about once, not ten thousand times."""
MOST_PEOPLE = 10_000
"""Of one compatible submit (the published maxItems)."""
LONGEST_ID = 256
MOST_EXCESSES = 10
"""Complaints about what is said of one person."""
DATA = "conversation_initiation_client_data"

_Loc = tuple[str | int, ...]


class Person(NamedTuple):
    """One entry of a list as it came."""

    phone_number: str | None
    id: str | None = None
    whatsapp_user_id: str | None = None
    client_data_json: str = "{}"
    """conversation_initiation_client_data as JSON text, already known to be an object."""


def check_people(
    people: Iterable[Person], *, hours: CallingHours | None = None, otherwise: str | None = None
) -> list[NewRecipient]:
    """The list as it is kept; Unprocessable names every place that can't be used, by its index.

    `otherwise` is the zone to assume for a number whose own nobody can tell (the batch's).
    """
    complaints: list[Complaint] = []
    checked: list[NewRecipient] = []
    seen: set[str] = set()
    series = secrets.token_hex(8)
    for index, person in enumerate(people):
        loc: _Loc = ("body", "recipients", index)
        number = _number(person, loc, complaints)
        recipient_id = _id(person, loc, seen, complaints) if person.id is not None else _own_id(series, index, seen)
        if not bounds.evidently_fine(person.client_data_json):
            _check_size(person.client_data_json, (*loc, DATA), complaints)
        if len(complaints) >= MOST_COMPLAINTS:
            break
        window = ALWAYS if hours is None else window_class(hours, zones(number), otherwise=otherwise)
        checked.append(
            NewRecipient(recipient_id, number, person.client_data_json, window, _whatsapp(person, loc, complaints))
        )
    if complaints:
        raise Unprocessable(complaints)
    return checked


def _check_size(client_data_json: str, loc: _Loc, complaints: list[Complaint]) -> None:
    """What is said of one person is within domain/bounds.py."""
    if (excess := bounds.too_large(client_data_json)) is not None:
        complaints.append(Complaint(loc, excess.msg, excess.type))
        return
    found = islice(bounds.excesses(msgspec.json.decode(client_data_json)), MOST_EXCESSES)
    complaints += [Complaint((*loc, *excess.path), excess.msg, excess.type) for excess in found]


def _number(person: Person, loc: _Loc, complaints: list[Complaint]) -> str:
    if person.phone_number is None:
        if person.whatsapp_user_id is not None:
            raise Invalid(
                f"recipient {loc[-1]} is reached by WhatsApp, which this server does not place calls through; "
                "give a phone_number",
                code="whatsapp_not_available",
                param=f"recipients.{loc[-1]}.whatsapp_user_id",
            )
        complaints.append(Complaint((*loc, "phone_number"), "Field required: phone_number", "missing"))
        return ""
    try:
        return canonical(person.phone_number)
    except ImpossibleNumber as error:
        complaints.append(Complaint((*loc, "phone_number"), f"Value error, {error.message}", "value_error"))
        return ""


def _whatsapp(person: Person, loc: _Loc, complaints: list[Complaint]) -> str | None:
    """Kept beside the number that is called."""
    own = person.whatsapp_user_id
    if own is not None and (len(own) > LONGEST_ID or "\x00" in own):
        why = f"Value error, a WhatsApp user id has at most {LONGEST_ID} characters"
        complaints.append(Complaint((*loc, "whatsapp_user_id"), why, "value_error"))
    return own


def _id(person: Person, loc: _Loc, seen: set[str], complaints: list[Complaint]) -> str:
    own = person.id or ""
    if not own or len(own) > LONGEST_ID or not own.isprintable():
        why = f"Value error, a recipient's id has 1 to {LONGEST_ID} printable characters"
        complaints.append(Complaint((*loc, "id"), why, "value_error"))
    elif own in seen:
        complaints.append(Complaint((*loc, "id"), "Value error, this id stands twice in the batch", "value_error"))
    seen.add(own)
    return own


def _own_id(series: str, index: int, seen: set[str]) -> str:
    """An id of ours, where the caller gave none; one chance draw for a whole list keeps ten thousand of them cheap."""
    made = f"rcpt_{series}{index:06d}"
    seen.add(made)
    return made
