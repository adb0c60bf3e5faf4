"""A list of people from a file of any kind: opened once, read as a stream, every row a person or told what is wrong."""

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any, BinaryIO

import msgspec

from outdial.batches.lists import jsonl
from outdial.batches.lists.columns import Plan, numbers_named, plain, plan
from outdial.batches.lists.delimited import Record, delimited, one_delimiter, swallowed
from outdial.batches.lists.encoding import Encoding, check_encoding, encoding_of
from outdial.batches.lists.number import BadNumber, like_a_number, read_number
from outdial.batches.lists.shape import BadRow, ListError, Person, Problem, Repair, Rules, Wrong
from outdial.batches.lists.sheet import LOOK_AT, MARKS, sheet_of
from outdial.domain import bounds

LONGEST_ID = 256
_JSON_NAMES = (".jsonl", ".ndjson", ".jsonlines", ".json")
MOST_EXCESSES = 10
"""Complaints about how much is said of one person."""
_MOST_PLANS = 1_000
"""Shapes of JSON objects that are remembered; a list that invents keys for everybody is read without."""


class People:
    """The people of one list: iterate over it once. Memory grows only by the ids that its owner gave."""

    def __init__(self, rules: Rules, *, unit: str, told: list[str], names: tuple[str, ...] = ()) -> None:
        self.unit = unit
        """What a place counts: "line" or "row"."""
        self.told = told
        """What was guessed; complete before the first row."""
        self.names = names
        """The columns; none for JSON lines."""
        self.nameless = 0
        """Rows with something in a column without a name, which is left out."""
        self.rules = rules
        self._seen: dict[str, int] = {}

    def __iter__(self) -> Iterator[Person | BadRow]:
        raise NotImplementedError

    def _number(self, text: str, column: str, problems: list[Problem]) -> tuple[str, Repair | None]:
        try:
            return read_number(text, country=self.rules.country, add_plus=self.rules.add_plus)
        except BadNumber as error:
            problems.append(Problem(error.kind, column, error.message))
            return "", None

    def _id(self, own: str, place: int, problems: list[Problem]) -> None:
        """Complain unless this id can be used; it is unique in the whole list."""
        if len(own) > LONGEST_ID or not own.isprintable():
            problems.append(Problem(Wrong.ID, "id", f"an id has 1 to {LONGEST_ID} printable characters"))
        elif (first := self._seen.setdefault(own, place)) != place:
            problems.append(Problem(Wrong.ID, "id", f"the id {own[:64]!r} stands on {self.unit} {first} already"))


def open_people(file: BinaryIO, name: str = "", rules: Rules | None = None) -> People:
    """The list in this file, by what it begins with and by its name; ListError where it is none."""
    rules = rules or Rules()
    head = file.read(8)
    file.seek(0)
    if not head:
        raise ListError("it is empty")
    if head.startswith(MARKS):
        sheet = sheet_of(file, rules.sheet)
        return _table(sheet.records(), rules, unit="row", told=list(sheet.told), among=LOOK_AT)
    if rules.sheet is not None:
        raise ListError("it is no spreadsheet and has no sheets")
    if rules.encoding is not None:
        check_encoding(file, rules.encoding)
    encoding = Encoding(rules.encoding) if rules.encoding else encoding_of(file)
    if name.lower().endswith(_JSON_NAMES) or head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b'{"'):
        return _Objects(file, encoding, rules)
    way = delimited(file, encoding, rules.delimiter and one_delimiter(rules.delimiter))
    return _table(way.records(file), rules, unit="line", told=list(way.told), among=5, delimiter=way.delimiter)


# --- tables --------------------------------------------------------------------------------------------------------


def _table(
    records: Iterator[Record], rules: Rules, *, unit: str, told: list[str], among: int, delimiter: str = ","
) -> People:
    """A table whose line of names is found, or given."""
    if rules.columns is not None:
        columns = plan(rules.columns, rules.number_column)
        return _Table(records, columns, rules, unit=unit, told=told, delimiter=delimiter)
    first = list(islice(records, among))
    if not first:
        raise ListError("it is empty")
    at = next((n for n, record in enumerate(first) if _names(record, rules)), None)
    if at is None:
        if any(like_a_number(cell) for cell in first[0].cells):
            raise ListError(
                f"{unit} {first[0].place} holds a phone number and not the names of the columns; put a line such as "
                "phone_number,first_name before it, or name them: --columns phone_number,first_name"
            )
        at = 0
    if at:
        told.append(f"the names of the columns are on {unit} {first[at].place}; what stands above is left out")
    columns = plan(first[at].cells, rules.number_column)
    rest = chain(first[at + 1 :], records)
    return _Table(rest, columns, rules, unit=unit, told=told, delimiter=delimiter)


def _names(record: Record, rules: Rules) -> bool:
    """Whether these cells name the columns."""
    if rules.number_column is not None:
        return plain(rules.number_column) in {plain(cell) for cell in record.cells}
    return bool(numbers_named(record.cells))


class _Table(People):
    def __init__(
        self, records: Iterator[Record], columns: Plan, rules: Rules, *, unit: str, told: list[str], delimiter: str
    ) -> None:
        super().__init__(rules, unit=unit, told=[*told, *columns.guesses], names=columns.names)
        self._records = records
        self._plan = columns
        self._delimiter = delimiter

    def __iter__(self) -> Iterator[Person | BadRow]:
        width = len(self._plan.names)
        for record in self._records:
            if record.broken:
                yield BadRow(record.place, (Problem(Wrong.BROKEN, "", record.broken),), tuple(record.cells))
                continue
            if len(record.cells) < width:
                record.cells.extend([""] * (width - len(record.cells)))
            yield self._row(record, width)

    def _row(self, record: Record, width: int) -> Person | BadRow:
        columns, cells, problems = self._plan, record.cells, list[Problem]()
        _check_shape(record, width, columns.number, self._delimiter, problems)
        number, repair = self._number(cells[columns.number], columns.names[columns.number], problems)
        recipient: dict[str, Any] = {"phone_number": number}
        if columns.id is not None and (own := cells[columns.id].strip()):
            self._id(own, record.place, problems)
            recipient["id"] = own
        said = {name: value for place, name in columns.variables if (value := cells[place].strip())}
        override: dict[str, Any] = {}
        for place, path in columns.overrides:
            if value := cells[place].strip():
                _put(override, path, value)
        self.nameless += any(cells[place].strip() for place in columns.nameless)
        _add_client_data(recipient, said, override)
        _check_size(recipient, columns, problems)
        if problems:
            return BadRow(record.place, tuple(problems), tuple(cells))
        return Person(record.place, number, recipient, repair)


def _check_shape(record: Record, width: int, number: int, delimiter: str, problems: list[Problem]) -> None:
    cells = record.cells
    if len(cells) > width and any(cell.strip() for cell in cells[width:]):
        many = f"it has {len(cells)} cells and the line of names has {width}; a text with a separator needs quotes"
        problems.append(Problem(Wrong.COLUMNS, "", many))
    if record.lines > 1 and swallowed(cells, number, delimiter):
        last = record.place + record.lines - 1
        joined = f"a quote on line {record.place} closes only on line {last} and has swallowed the rows between"
        problems.append(Problem(Wrong.BROKEN, "", joined))
    if any("\0" in cell for cell in cells):
        problems.append(Problem(Wrong.VALUE, "", "it has a zero character"))


# --- JSON lines ----------------------------------------------------------------------------------------------------


class _Objects(People):
    def __init__(self, file: BinaryIO, encoding: Encoding, rules: Rules) -> None:
        super().__init__(rules, unit="line", told=[encoding.told] if encoding.told else [])
        self._lines = jsonl.lines(file, encoding)
        self._plans: dict[tuple[str, ...], Plan] = {}
        first = next(self._lines, None)
        if first is None:
            raise ListError("it is empty")
        if first.found is not None:
            self.told += self._plan_of(first.found).guesses
        self._lines = chain([first], self._lines)

    def __iter__(self) -> Iterator[Person | BadRow]:
        for line in self._lines:
            problems: list[Problem] = []
            if line.found is None:
                problems.append(Problem(Wrong.BROKEN, "", line.why))
                yield BadRow(line.place, tuple(problems), (line.text,))
                continue
            person = self._person(line.place, line.found, problems)
            yield person or BadRow(line.place, tuple(problems), (line.text,))

    def _person(self, place: int, found: Mapping[str, Any], problems: list[Problem]) -> Person | None:
        try:
            columns = self._plan_of(found)
        except ListError as error:
            problems.append(Problem(Wrong.MISSING, "", str(error)))
            return None
        values = [found[name] for name in found]
        column = columns.names[columns.number]
        number, repair = self._number(_whole(values[columns.number], column, problems), column, problems)
        recipient: dict[str, Any] = {"phone_number": number}
        if columns.id is not None and (own := _whole(values[columns.id], "id", problems).strip()):
            self._id(own, place, problems)
            recipient["id"] = own
        said = {
            name: values[at]
            for at, name in columns.variables
            if name != jsonl.CLIENT_DATA and _sayable(values[at], name, problems)
        }
        override: dict[str, Any] = {}
        for at, path in columns.overrides:
            if text := _text(values[at], columns.names[at], problems):
                _put(override, path, text)
        _add_client_data(recipient, said, override, _given(found, problems))
        _check_size(recipient, columns, problems)
        return None if problems else Person(place, number, recipient, repair)

    def _plan_of(self, found: Mapping[str, Any]) -> Plan:
        names = tuple(found)
        known = self._plans.get(names)
        if known is None:
            known = plan(names, self.rules.number_column)
            if len(self._plans) < _MOST_PLANS:
                self._plans[names] = known
        return known


def _whole(value: object, column: str, problems: list[Problem]) -> str:
    """A text, or a whole number as one."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    if value is not None:
        problems.append(Problem(Wrong.VALUE, column, "it is neither a text nor a whole number"))
    return ""


def _text(value: object, column: str, problems: list[Problem]) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    problems.append(Problem(Wrong.VALUE, column, "it overrides a text of the agent and is none"))
    return ""


def _sayable(value: object, column: str, problems: list[Problem]) -> bool:
    """Whether it is there; a variable is a text, a number, true or false."""
    if isinstance(value, dict | list):
        problems.append(Problem(Wrong.VALUE, column, "a variable is a text, a number, true or false"))
    elif isinstance(value, str) and "\0" in value:
        problems.append(Problem(Wrong.VALUE, column, "it has a zero character"))
    return value is not None and value != ""


def _given(found: Mapping[str, Any], problems: list[Problem]) -> Mapping[str, Any]:
    """What stands there as the wire has it."""
    given = found.get(jsonl.CLIENT_DATA)
    if given is None or isinstance(given, dict):
        return given or {}
    problems.append(Problem(Wrong.VALUE, jsonl.CLIENT_DATA, "it is no object"))
    return {}


# --- what both have ------------------------------------------------------------------------------------------------


def _put(override: dict[str, Any], path: tuple[str, ...], value: str) -> None:
    inner = override
    for step in path[:-1]:
        inner = inner.setdefault(step, {})
    inner[path[-1]] = value


def _add_client_data(
    recipient: dict[str, Any], said: dict[str, Any], override: dict[str, Any], given: Mapping[str, Any] | None = None
) -> None:
    """What the agent gets to know of this person; a column wins over what was given as the wire has it."""
    data = dict(given or {})
    if said:
        data["dynamic_variables"] = {**(data.get("dynamic_variables") or {}), **said}
    if override:
        data["conversation_config_override"] = _merged(data.get("conversation_config_override"), override)
    if data:
        recipient[jsonl.CLIENT_DATA] = data


def _check_size(recipient: Mapping[str, Any], columns: Plan, problems: list[Problem]) -> None:
    """Complain about what the server would refuse as too much."""
    data = recipient.get(jsonl.CLIENT_DATA)
    if data is None:
        return
    text = msgspec.json.encode(data).decode()
    if bounds.evidently_fine(text):
        return
    whole = bounds.too_large(text)
    found = islice(bounds.excesses(data), MOST_EXCESSES) if whole is None else (whole,)
    problems += [Problem(Wrong.SIZE, _column(one.path, columns), f"{one.plain}; shorten it") for one in found]


def _column(path: tuple[str | int, ...], columns: Plan) -> str:
    """The column that this place of what is said of a person came from; of JSON lines it may be the place itself."""
    match path:
        case ("dynamic_variables", str() as name):
            return name
        case ("conversation_config_override", *inner):
            named = (columns.names[at] for at, place in columns.overrides if place == tuple(inner))
            return next(named, ".".join(map(str, path)))
    return ".".join(map(str, path))


def _merged(given: object, ours: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(given) if isinstance(given, dict) else {}
    for name, value in ours.items():
        both[name] = _merged(both.get(name), value) if isinstance(value, dict) else value
    return both
