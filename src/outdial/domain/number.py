"""Phone numbers: from what people write to E.164, and where a number may ring."""

import re

from outdial.domain.errors import Invalid

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_TRUNK_ZERO = re.compile(r"\(\s*0+\s*\)")
_DECIMAL = re.compile(r"\+?[0-9]{7,}[.,]0+")
_ROUNDED = re.compile(r"\+?[0-9][.,]?[0-9]*[eE]\+?[0-9]+")
_DRESSING = str.maketrans("", "", " \t-.()\u00a0\u2007\u2009\u202f\u2010\u2011\u2012\u2013\u2014\u2212")
_NO_ZONE = "Etc/Unknown"


class ImpossibleNumber(Invalid, ValueError):
    """Can't be dialled as it stands. The message says why and holds none of the digits: a number is personal."""

    def __init__(self, why: str, *, param: str | None = None) -> None:
        super().__init__(why, code="invalid_phone_number", param=param)


def canonical(text: str) -> str:
    """The number in E.164 (`+` and 7 to 15 digits); raises ImpossibleNumber rather than guess what was meant."""
    if _E164.fullmatch(text):
        return text
    bare = text.strip().translate(_DRESSING)
    if _E164.fullmatch(bare) and not _TRUNK_ZERO.search(text) and not _DECIMAL.fullmatch(text.strip()):
        return bare
    raise ImpossibleNumber(_complaint(text.strip(), bare))


def _complaint(text: str, bare: str) -> str:
    """What is wrong with it, the plainest first."""
    digits = bare.removeprefix("+")
    strange = next((c for c in digits if c not in "0123456789"), None)
    complaints = (
        (not bare, "a phone number is missing"),
        (_ROUNDED.fullmatch(text), "this is a number as a spreadsheet rounds it; format the column as text"),
        (_DECIMAL.fullmatch(text), "this is a number as programs write decimals; leave the .0 behind it out"),
        (_TRUNK_ZERO.search(text), "a (0) inside an international number is not dialled; leave it out"),
        (strange, f"a phone number has digits only after the +, not {strange!r}"),
        (bare.startswith("00"), "a phone number starts with + and the country code; write + instead of 00"),
        (not bare.startswith("+"), "a phone number starts with + and the country code"),
        (digits.startswith("0"), "no country code starts with 0"),
    )
    too = f"a phone number has 7 to 15 digits after the +, this one has {len(digits)}"
    return next((why for wrong, why in complaints if wrong), too)


def zones(number: str) -> frozenset[str]:
    """The time zones (IANA names) where this E.164 number may ring; empty if nobody can tell.

    They are candidates: a mobile or toll-free number has every zone of its country. About 0.1 ms each.
    """
    import phonenumbers  # 0.4 s and 3 MiB, for those who use calling hours
    from phonenumbers import timezone

    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return frozenset()
    found = frozenset(timezone.time_zones_for_number(parsed)) - {_NO_ZONE}
    # a number outside its country's plan has no kind, but its prefix still has a place
    return found or frozenset(timezone.time_zones_for_geographical_number(parsed)) - {_NO_ZONE}


def last_two(number: str) -> str:
    """All that a log may hold of a number."""
    return number[-2:]
