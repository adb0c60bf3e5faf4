"""Phone numbers as lists have them: spreadsheet damage is undone where nothing is lost, and named where digits are."""

import re
import unicodedata

from outdial.batches.lists.shape import Repair, Wrong
from outdial.domain.number import ImpossibleNumber, canonical

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_AS_TEXT = re.compile(r'="+([^"]*)"+')
"""How some exports make a spreadsheet keep a number as text."""
_DECIMAL = re.compile(r"(\+?[0-9]{7,15})[.,]0+")
_ROUNDED = re.compile(r"\+?[0-9](?:[.,][0-9]+)?[eE]\+?[0-9]+")
_SEVERAL = re.compile(r"[0-9]{5}[^0-9+()]*[;,|&][^0-9+]*[+0-9(]|[0-9]\s*\n\s*[+0-9(]|[0-9][\s/;,|]+\+[0-9]")
_ERROR = re.compile(r"#(?:N/A|NV|REF!|BEZUG!|NAME\?|VALUE!|WERT!|DIV/0!|NUM!|ZAHL!|NULL!|#+)", re.IGNORECASE)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}[./][0-9]{1,2}[./](?:19|20)[0-9]{2}")
_WITHOUT_PLUS = re.compile(r"[0-9(][0-9 \t\-.()/\u00a0\u2007\u2009\u202f\u2010-\u2014\u2212]*")
_APOSTROPHES = "'`\u00b4\u2018\u2019"


class BadNumber(Exception):
    """Can't be dialled; holds what kind of wrong it is, and words for its owner."""

    def __init__(self, kind: Wrong, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def read_number(text: str, *, country: str | None = None, add_plus: bool = False) -> tuple[str, Repair | None]:
    """The number in E.164 and what was done for it; BadNumber where nobody can know what was meant."""
    if _E164.fullmatch(text):
        return text, None
    bare, repair = _undamaged(text)
    _refuse_what_is_lost(bare)
    bare = _without_slash(bare)
    if _WITHOUT_PLUS.fullmatch(bare):
        if country is not None:
            return _national(bare, country), Repair.NATIONAL
        if add_plus and not bare.startswith("0"):
            return _checked(f"+{bare}"), Repair.PLUS
        raise BadNumber(Wrong.NO_PLUS, _without_plus(bare))
    return _checked(bare), repair


def is_country(code: str) -> bool:
    """Whether numbers of this country (ISO 3166) can be read."""
    import phonenumbers  # 0.4 s, for those who need it

    return code in phonenumbers.SUPPORTED_REGIONS


def like_a_number(text: str) -> bool:
    """Whether this cell looks like a phone number, good or damaged: enough to see that a line holds no names."""
    digits = _digits(text)
    return (digits >= 7 and digits * 2 > len(text) and not any(c.isalpha() for c in text)) or bool(
        _ROUNDED.fullmatch(text.strip())
    )


def seems_rounded(number: str) -> bool:
    """Whether a good number looks as if a spreadsheet had put zeros for its last digits."""
    return len(number) >= 10 and number.endswith("000000")


def _undamaged(text: str) -> tuple[str, Repair | None]:
    """The text without what spreadsheets and address books put around numbers; no digit is touched."""
    repair: Repair | None = None
    seen = unicodedata.normalize("NFKC", text) if not text.isascii() else text
    visible = "".join(c for c in seen if unicodedata.category(c) != "Cf") if not seen.isascii() else seen
    if visible != text:
        repair = Repair.INVISIBLE
    bare = visible.strip()
    if wrapped := _AS_TEXT.fullmatch(bare):
        bare, repair = wrapped[1].strip(), Repair.APOSTROPHE
    if bare[:1] in _APOSTROPHES and bare:
        bare, repair = bare.strip(_APOSTROPHES).strip(), Repair.APOSTROPHE
    if decimal := _DECIMAL.fullmatch(bare):
        bare, repair = decimal[1], Repair.DECIMAL
    return bare, repair


def _refuse_what_is_lost(bare: str) -> None:
    if not bare:
        raise BadNumber(Wrong.MISSING, "there is no phone number")
    if _ROUNDED.fullmatch(bare):
        why = f"{bare!r}: a spreadsheet rounded this number and its last digits are lost"
        raise BadNumber(Wrong.ROUNDED, why)
    if _ERROR.fullmatch(bare):
        raise BadNumber(Wrong.NUMBER, f"{bare!r} is an error of the spreadsheet, not a phone number")
    if _DATE.fullmatch(bare):
        raise BadNumber(Wrong.NUMBER, f"{bare!r} is a day, not a phone number")
    if _SEVERAL.search(bare):
        raise BadNumber(Wrong.NUMBER, "there is more than one phone number; one person is called at one number")


def _without_slash(bare: str) -> str:
    """A / behind the area code is how people write; anywhere else it may part two numbers (…5678/79)."""
    before, slash, behind = bare.partition("/")
    if not slash:
        return bare
    begins_anew = behind.lstrip().startswith(("0", "+", "("))
    if begins_anew or "/" in behind or _digits(before) > 8 or _digits(behind) < 4:
        raise BadNumber(Wrong.NUMBER, "a / stands where it may part two numbers; write one number, without it")
    return f"{before} {behind}"


def _digits(text: str) -> int:
    return sum(sign.isdigit() for sign in text)


def _without_plus(bare: str) -> str:
    if bare.startswith("00"):
        return "it starts with 00; write + instead"
    if bare.startswith("0"):
        return "it has no country code: it starts with 0"
    return "it has no + and so may or may not begin with a country code"


def _national(bare: str, country: str) -> str:
    """As people of this country dial it; numbers that begin with its country code are understood too."""
    import phonenumbers

    try:
        parsed = phonenumbers.parse(bare, country)
    except phonenumbers.NumberParseException as error:
        raise BadNumber(Wrong.NUMBER, f"no phone number of {country}: {error}".rstrip(".")) from None
    why = phonenumbers.is_possible_number_with_reason(parsed)
    if why == phonenumbers.ValidationResult.TOO_LONG:
        raise BadNumber(Wrong.NUMBER, f"too long for a phone number of {country}")
    if why != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise BadNumber(Wrong.NUMBER, f"too short for a phone number of {country}")
    return _checked(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


def _checked(text: str) -> str:
    try:
        return canonical(text)
    except ImpossibleNumber as error:
        raise BadNumber(Wrong.NUMBER, error.message) from None
