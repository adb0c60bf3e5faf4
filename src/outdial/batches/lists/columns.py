"""What the columns of a list mean, by the published rules: one holds the number, four are overrides, the rest is said.

`phone_number` is the number; `language`, `first_message`, `system_prompt` and `voice_id` override the agent's; every
other column is a dynamic variable. `id` is the caller's own id of the person.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from outdial.batches.lists.shape import ID, NUMBER, OURS, ListError

OVERRIDES: dict[str, tuple[str, ...]] = {
    "language": ("agent", "language"),
    "first_message": ("agent", "first_message"),
    "system_prompt": ("agent", "prompt", "prompt"),
    "voice_id": ("tts", "voice_id"),
}
"""Where each stands in conversation_config_override, and in what the agent allows."""
RESERVED = "system__"
"""Variables that begin so are the server's own."""
_MEANING_IT = """
    phone phones phonenumber phone_no phone_nr phone_num phonenr telephone telephone_number telephone_no tel tel_no
    tel_nr telnr telno tel_number mobile mobile_no mobile_number mobile_phone mobile_phone_number mobilephone cell
    cell_phone cellphone cell_number contact_number phone_e164 e164 msisdn to_number to_phone_number recipient_phone
    customer_phone telefon telefonnummer telefon_nr telefonnr telefon_nummer rufnummer handy handynummer handy_nr mobil
    mobilnummer mobilnr mobiltelefon mobilfunknummer telefono teléfono numero_de_telefono número_de_teléfono
    numero_di_telefono movil móvil celular cellulare téléphone téléphone_portable numéro numéro_de_téléphone
    numero_de_telephone portable telefone telemovel telemóvel telefoon telefoonnummer mobiel puhelin telefonszam
"""
SYNONYMS = frozenset(_MEANING_IT.split())
"""What people call the column with the number, as `plain` makes it."""
_APART = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Plan:
    """What each column is: its place in a row."""

    names: tuple[str, ...]
    number: int
    id: int | None
    overrides: tuple[tuple[int, tuple[str, ...]], ...]
    variables: tuple[tuple[int, str], ...]
    nameless: tuple[int, ...]
    """Columns without a name; what stands in them is left out."""
    guesses: tuple[str, ...]
    """What was not written as the rules have it and was understood all the same; to be told."""


def plain(name: str) -> str:
    """A name without what people vary: case, spaces, dashes, dots."""
    return _APART.sub("_", name.strip().casefold()).strip("_")


def numbers_named(names: Sequence[str]) -> list[int]:
    """The columns that may hold the number: the one that is called so, else all that mean it."""
    for fits in (lambda name: name.strip() == NUMBER, lambda name: plain(name) == NUMBER):
        if exact := [place for place, name in enumerate(names) if fits(name)]:
            return exact[:1]
    return [place for place, name in enumerate(names) if plain(name) in SYNONYMS]


def plan(names: Sequence[str], number_column: str | None = None) -> Plan:
    """What these columns are; ListError where the number's can't be told, or two have one name."""
    names = tuple(name.strip() for name in names)
    _refuse_doubles(names)
    guesses: list[str] = []
    number = _number(names, number_column, guesses)
    own: int | None = None
    overrides, variables, nameless = [], [], []
    for place, name in enumerate(names):
        meaning = plain(name)
        if place == number or meaning.startswith(OURS):
            continue
        if not name:
            nameless.append(place)
        elif meaning == ID and own is None:
            own = place
        elif meaning in OVERRIDES:
            overrides.append((place, OVERRIDES[meaning]))
            if name != meaning:
                guesses.append(f"column {name!r} is read as {meaning}, which overrides the agent's")
        elif name.casefold().startswith(RESERVED):
            raise ListError(f"column {name!r}: names that begin with {RESERVED} are the server's own; rename it")
        else:
            variables.append((place, name))
    return Plan(names, number, own, tuple(overrides), tuple(variables), tuple(nameless), tuple(guesses))


def _number(names: Sequence[str], asked: str | None, guesses: list[str]) -> int:
    if asked is not None:
        found = [place for place, name in enumerate(names) if name == asked.strip()] or [
            place for place, name in enumerate(names) if plain(name) == plain(asked)
        ]
        if len(found) != 1:
            raise ListError(f"there is no column {asked!r}; its columns are {_listed(names)}")
        return found[0]
    found = numbers_named(names)
    if not found:
        raise ListError(
            f"it has no column {NUMBER!r}; its columns are {_listed(names)}. "
            f"Rename the one with the numbers to {NUMBER}, or name it: --number-column NAME"
        )
    if len(found) > 1:
        raise ListError(
            f"more than one column may hold the number: {_listed([names[place] for place in found])}. "
            "Say which: --number-column NAME"
        )
    if names[found[0]] != NUMBER:
        guesses.append(f"column {names[found[0]]!r} is read as {NUMBER}")
    return found[0]


def _refuse_doubles(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in filter(None, names):
        if name in seen:
            raise ListError(f"two columns are called {name!r}; rename one, or nobody knows which one is meant")
        seen.add(name)


def _listed(names: Sequence[str], most: int = 12) -> str:
    shown = [repr(name[:40]) for name in names if name][:most]
    more = len(names) - len(shown)
    return (", ".join(shown) or "nameless") + (f" and {more} more" if more > 0 and len(shown) == most else "")
