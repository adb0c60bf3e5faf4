"""Lists as people have them: every encoding, every delimiter, and the damage that spreadsheets do."""

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outdial.batches.lists.badfile import BadFile
from outdial.batches.lists.columns import plan
from outdial.batches.lists.jsonl import CLIENT_DATA
from outdial.batches.lists.number import BadNumber, like_a_number, read_number, seems_rounded
from outdial.batches.lists.reading import open_people
from outdial.batches.lists.shape import BadRow, ListError, Person, Problem, Repair, Rules, Wrong
from outdial.batches.lists.survey import Survey
from outdial.domain import bounds
from tests.support.sheets import Cell, Fault, Formula, workbook

BERLIN = "+493012345678"


def rows(content: bytes | str, name: str = "people.csv", **rules: Any) -> list[Person | BadRow]:
    return list(opened(content, name, **rules))


def opened(content: bytes | str, name: str = "people.csv", **rules: Any) -> Any:
    return open_people(io.BytesIO(content.encode() if isinstance(content, str) else content), name, Rules(**rules))


def one(content: bytes | str, name: str = "people.csv", **rules: Any) -> Person:
    (row,) = rows(content, name, **rules)
    assert isinstance(row, Person), row
    return row


def bad(content: bytes | str, name: str = "people.csv", **rules: Any) -> tuple[int, str, str]:
    """(place, kind, message) of the only row."""
    (row,) = rows(content, name, **rules)
    assert isinstance(row, BadRow), row
    return row.place, str(row.problems[0].kind), row.problems[0].message


def said(person: Person) -> dict[str, Any]:
    return dict(person.recipient["conversation_initiation_client_data"]["dynamic_variables"])


def refusal(content: bytes | str, name: str = "people.csv", **rules: Any) -> str:
    with pytest.raises(ListError) as refused:
        rows(content, name, **rules)
    return str(refused.value)


# --- how much may be said ------------------------------------------------------------------------------------------

LONG = "x" * 70_000
TOO_LONG = "it has 70,000 characters; 65,536 are the most; shorten it"


@pytest.mark.parametrize(
    ("content", "name", "problem"),
    [
        (f"phone_number,Note\n{BERLIN},{LONG}\n", "people.csv", ("Note", TOO_LONG)),
        (f"phone_number,First Message\n{BERLIN},{LONG}\n", "people.csv", ("First Message", TOO_LONG)),
        (json.dumps({"phone_number": BERLIN, "note": LONG}), "people.jsonl", ("note", TOO_LONG)),
        (json.dumps({"phone_number": BERLIN, CLIENT_DATA: {"user_id": LONG}}), "people.jsonl", ("user_id", TOO_LONG)),
        (
            "phone_number," + ",".join(f"v{n}" for n in range(1_001)) + f"\n{BERLIN}" + ",1" * 1_001,
            "people.csv",
            ("dynamic_variables", "it has 1,001 variables; 1,000 are the most; shorten it"),
        ),
        (
            f"phone_number,{'n' * 257}\n{BERLIN},1",
            "people.csv",
            ("n" * 64, "its name has 257 characters; 256 are the most; shorten it"),
        ),
        (
            f"phone_number,a,b,c,d,e\n{BERLIN}" + f",{LONG[:60_000]}" * 5,
            "people.csv",
            ("", "what is said of this person has more than 262,144 bytes; shorten it"),
        ),
    ],
    ids=["variable", "override", "json", "as the wire has it", "variables", "name", "whole"],
)
def test_what_the_server_refuses_as_too_much_is_a_bad_row(content: str, name: str, problem: tuple[str, str]) -> None:
    (row,) = rows(content, name)
    assert isinstance(row, BadRow)
    assert row.problems == (Problem(Wrong.SIZE, *problem),)


def test_as_much_as_the_server_takes_is_read() -> None:
    longest = LONG[: bounds.LONGEST_TEXT]
    assert said(one(f"phone_number,note\n{BERLIN},{longest}\n")) == {"note": longest}


# --- numbers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "repair"),
    [
        (BERLIN, None),
        ("+49 30 1234-5678", None),
        ("+49 (30) 1234.5678", None),
        ("+49 30/12345678", None),
        ("'+493012345678", Repair.APOSTROPHE),
        ("\u2019+493012345678", Repair.APOSTROPHE),
        ('="+493012345678"', Repair.APOSTROPHE),
        ("+493012345678.0", Repair.DECIMAL),
        ("\u202a+49 30 12345678\u202c", Repair.INVISIBLE),
        ("\uff0b\uff14\uff19 30 12345678", Repair.INVISIBLE),
        ("+49\u00a030\u00a012345678", None),
    ],
)
def test_what_programs_put_around_a_number_is_left_out(text: str, repair: Repair | None) -> None:
    number, found = read_number(text)
    assert number == BERLIN
    assert found in {repair, Repair.INVISIBLE if "\u00a0" in text or "\u2019" in text else repair}


@pytest.mark.parametrize("text", ["1.41E+10", "1,41E+10", "4.93012E+11", "5E+9", "+1.41e10"])
def test_a_rounded_number_is_never_read(text: str) -> None:
    for rules in ({}, {"country": "DE"}, {"add_plus": True}):
        with pytest.raises(BadNumber) as refused:
            read_number(text, **rules)  # type: ignore[arg-type]
        assert refused.value.kind is Wrong.ROUNDED


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("", Wrong.MISSING, "there is no phone number"),
        ("  ", Wrong.MISSING, "there is no phone number"),
        ("49301234567", Wrong.NO_PLUS, "it has no +"),
        ("030 1234567", Wrong.NO_PLUS, "it starts with 0"),
        ("0049 30 1234567", Wrong.NO_PLUS, "write + instead"),
        ("#N/A", Wrong.NUMBER, "error of the spreadsheet"),
        ("#BEZUG!", Wrong.NUMBER, "error of the spreadsheet"),
        ("########", Wrong.NUMBER, "error of the spreadsheet"),
        ("+493012345678 / +491711234567", Wrong.NUMBER, ""),
        ("+493012345678, +491711234567", Wrong.NUMBER, "more than one"),
        ("0301234/0301235", Wrong.NUMBER, "two numbers"),
        ("030 12345678; 0171 1234567", Wrong.NUMBER, "more than one"),
        ("+49 (0) 30 12345678", Wrong.NUMBER, "(0)"),
        ("+49 30 12345678/79", Wrong.NUMBER, "two numbers"),
        ("030 12345678/79", Wrong.NUMBER, "two numbers"),
        ("030/1234/5678", Wrong.NUMBER, "two numbers"),
        ("+49 30 CALL", Wrong.NUMBER, "digits only"),
        ("+49123", Wrong.NUMBER, "7 to 15 digits"),
        ("none", Wrong.NUMBER, "digits only"),
        ("2026-11-22", Wrong.NUMBER, "is a day"),
        ("22.11.2026", Wrong.NUMBER, "is a day"),
    ],
)
def test_what_can_t_be_dialled_is_told_by_its_kind(text: str, kind: Wrong, words: str) -> None:
    with pytest.raises(BadNumber) as refused:
        read_number(text)
    assert refused.value.kind is kind
    assert words in refused.value.message


@pytest.mark.parametrize(
    "text", ["030 12345678", "030/12345678", "0049 30 12345678", "49 30 12345678", "3012345678", "(030) 1234-5678"]
)
def test_a_country_reads_its_numbers_as_people_there_write_them(text: str) -> None:
    assert read_number(text, country="DE") == (BERLIN, Repair.NATIONAL)


def test_a_country_leaves_international_numbers_alone() -> None:
    assert read_number("+1 212 555 1234", country="DE") == ("+12125551234", None)
    with pytest.raises(BadNumber, match="7 to 15 digits"):
        read_number("0301", country="DE")
    with pytest.raises(BadNumber, match="no phone number of DE"):
        read_number("0", country="DE")
    with pytest.raises(BadNumber, match="too long for a phone number of DE"):
        read_number("03012345678901234", country="DE")


def test_a_lost_plus_is_put_back_only_when_its_owner_says_so() -> None:
    assert read_number("493012345678", add_plus=True) == (BERLIN, Repair.PLUS)
    assert read_number("493012345678.0", add_plus=True) == (BERLIN, Repair.PLUS)
    with pytest.raises(BadNumber, match="starts with 0"):
        read_number("03012345678", add_plus=True)


def test_a_decimal_behind_a_number_never_becomes_a_digit() -> None:
    assert read_number("493012345678.0", country="DE")[0] == BERLIN


def test_a_rounded_number_that_was_written_out_looks_rounded() -> None:
    assert seems_rounded("+14100000000")
    assert not seems_rounded("+14155550000")


def test_two_extensions_never_become_one_number() -> None:
    with pytest.raises(BadNumber, match="two numbers"):
        read_number("030 12345678/79", country="DE")


def test_names_do_not_look_like_numbers() -> None:
    assert [like_a_number(text) for text in ("+49 30 1234567", "1.41E+10", "phone_number", "Tel 1", "")] == [
        True, True, False, False, False,
    ]  # fmt: skip


# --- columns -------------------------------------------------------------------------------------------------------


def test_the_published_columns_are_overrides_and_all_else_is_said() -> None:
    person = one(
        f"phone_number,language,first_message,system_prompt,voice_id,name,city\n{BERLIN},de,Hallo!,Sei nett.,v1,Ada,\n"
    )
    assert person.recipient == {
        "phone_number": BERLIN,
        "conversation_initiation_client_data": {
            "dynamic_variables": {"name": "Ada"},
            "conversation_config_override": {
                "agent": {"language": "de", "first_message": "Hallo!", "prompt": {"prompt": "Sei nett."}},
                "tts": {"voice_id": "v1"},
            },
        },
    }


def test_an_empty_row_of_variables_sends_nothing_of_them() -> None:
    assert one(f"phone_number,name,language\n{BERLIN}, ,\n").recipient == {"phone_number": BERLIN}


@pytest.mark.parametrize("name", ["Phone Number", "PHONE_NUMBER", "phone-number", " phone_number ", "Telefon", "Tel.",
                                  "Mobile", "Handy", "Telefonnummer", "téléphone", "msisdn"])  # fmt: skip
def test_a_column_that_means_the_number_is_taken_and_told(name: str) -> None:
    people = opened(f"{name};first_name\n{BERLIN};Ada\n")
    assert [row.number for row in people] == [BERLIN]
    told = [note for note in people.told if "is read as phone_number" in note]
    assert bool(told) is (name.strip() != "phone_number")


def test_of_several_that_may_be_meant_none_is_taken() -> None:
    both = f"phone,mobile\n{BERLIN},+491711234567\n"
    assert "more than one column may hold the number: 'phone', 'mobile'" in refusal(both)
    assert one(both, number_column="mobile").number == "+491711234567"
    assert one(f"phone,phone_number\n1,{BERLIN}\n").number == BERLIN


def test_without_a_column_for_numbers_it_says_what_is_there() -> None:
    words = refusal("name,house number\nAda,5\n")
    assert words.startswith("it has no column 'phone_number'; its columns are 'name', 'house number'.")
    assert "--number-column" in words
    assert one(f"name,who to ring\nAda,{BERLIN}\n", number_column="who to ring").number == BERLIN


def test_a_file_without_names_is_not_read_as_one_with_a_strange_name() -> None:
    words = refusal(f"{BERLIN},Ada\n+493012345679,Bob\n")
    assert words.startswith("line 1 holds a phone number and not the names of the columns")
    found = rows(f"{BERLIN},Ada\n+493012345679,Bob\n", columns=("phone_number", "name"))
    assert [said(row) for row in found if isinstance(row, Person)] == [{"name": "Ada"}, {"name": "Bob"}]


def test_lines_above_the_names_are_left_out_and_told() -> None:
    people = opened(f"Customers of 2026,,\n\nphone_number,name,x\n{BERLIN},Ada,1\n")
    assert people.told == ["the names of the columns are on line 3; what stands above is left out"]
    assert [row.place for row in people] == [4]


def test_two_columns_of_one_name_are_refused() -> None:
    assert refusal(f"phone_number,name,name\n{BERLIN},a,b\n").startswith("two columns are called 'name'")


def test_names_of_the_server_are_refused() -> None:
    assert "system__" in refusal(f"phone_number,system__time\n{BERLIN},1\n")


def test_a_column_without_a_name_is_left_out_and_counted() -> None:
    people = opened(f"phone_number,,name\n{BERLIN},x,Ada\n+493012345679,,Bob\n")
    assert [said(row) for row in people] == [{"name": "Ada"}, {"name": "Bob"}]
    assert people.nameless == 1


def test_ids_are_the_caller_s_own_and_unique() -> None:
    found = rows(f"ID,phone_number\na,{BERLIN}\n,{BERLIN}\na,{BERLIN}\n")
    assert [row.recipient.get("id") for row in found[:2] if isinstance(row, Person)] == ["a", None]
    assert isinstance(found[2], BadRow)
    assert found[2].problems[0].message == "the id 'a' stands on line 2 already"
    assert bad(f"id,phone_number\n{'x' * 257},{BERLIN}\n")[1] == "id"


def test_a_plan_knows_nothing_of_our_own_columns() -> None:
    columns = plan(["phone_number", "outdial_place", "outdial_problem", "name"])
    assert [name for _, name in columns.variables] == ["name"]


# --- text files ----------------------------------------------------------------------------------------------------

GERMAN = f"phone_number,name\r\n{BERLIN},Jürgen Müßig\r\n"


@pytest.mark.parametrize(
    "content",
    [
        GERMAN.encode(),
        GERMAN.encode("utf-8-sig"),
        GERMAN.encode("utf-16"),
        b"\xfe\xff" + GERMAN.encode("utf-16-be"),
        GERMAN.encode("utf-16-le"),
        GERMAN.encode("utf-16-be"),
        GERMAN.encode("utf-32"),
        GERMAN.encode("cp1252"),
    ],
)
def test_every_usual_encoding_is_found(content: bytes) -> None:
    assert said(one(content)) == {"name": "Jürgen Müßig"}


def test_windows_letters_are_a_guess_and_told_with_an_example() -> None:
    people = opened(GERMAN.encode("cp1252"))
    assert people.told == ["it is not UTF-8 and was read as Windows-1252, e.g. 'Jürgen'; --encoding says otherwise"]
    assert said(one("phone_number,name\n+493012345678,Łódź\n".encode("cp1250"), encoding="cp1250")) == {"name": "Łódź"}


@pytest.mark.parametrize("name", ["utf-16-le", "utf-16-be"])
def test_two_bytes_a_letter_without_a_mark_are_a_guess_and_told(name: str) -> None:
    assert opened(GERMAN.encode(name)).told == [f"it has no mark and was read as {name}; --encoding says otherwise"]
    assert opened(GERMAN.encode("utf-16")).told == []


def test_a_strange_space_is_no_example() -> None:
    people = opened(f"phone_number\n{BERLIN}\xa0\n".encode("cp1252"))
    assert people.told == ["it is not UTF-8 and was read as Windows-1252; --encoding says otherwise"]
    assert [row.number for row in people] == [BERLIN]


def test_strange_letters_after_a_megabyte_are_still_seen() -> None:
    filler = "".join(f"+4930{n:08d},Ada\n" for n in range(60_000))
    found = rows(f"phone_number,name\n{filler}".encode() + "+493012345678,Jürgen\n".encode("cp1252"))
    assert len(found) == 60_001
    assert isinstance(found[-1], Person)
    assert said(found[-1]) == {"name": "Jürgen"}


def test_what_is_no_text_is_refused() -> None:
    assert "zero bytes" in refusal(b"\x00\x01\x02\x03" * 100)
    assert "neither UTF-8 nor Windows-1252" in refusal(b"phone_number\n\x81\x8d\n")
    assert "no letters of utf-8" in refusal(GERMAN.encode("cp1252"), encoding="utf-8")
    assert "there is no encoding 'klingon'" in refusal(GERMAN, encoding="klingon")
    assert "there is no encoding 'base64'" in refusal(GERMAN, encoding="base64")
    assert refusal("") == "it is empty"
    assert refusal("\n\n\n") == "it is empty"
    assert refusal("\ufeff") == "it is empty"


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_every_usual_delimiter_is_found(sign: str) -> None:
    lines = [["name", "phone_number", "note"], ["Ada", BERLIN, "a, b; c | d"], ["Bob", "+493012345679", ""]]
    text = io.StringIO()
    csv.writer(text, delimiter=sign).writerows(lines)
    found = rows(text.getvalue())
    assert [said(row) for row in found if isinstance(row, Person)] == [
        {"name": "Ada", "note": "a, b; c | d"},
        {"name": "Bob"},
    ]


def test_the_line_of_a_spreadsheet_that_names_its_delimiter_is_no_row() -> None:
    people = opened(f"sep=;\r\nphone_number;name\r\n{BERLIN};Ada\r\n")
    assert [(row.place, said(row)) for row in people] == [(3, {"name": "Ada"})]


def test_any_sign_can_be_named() -> None:
    assert said(one(f"phone_number~name\n{BERLIN}~Ada\n", delimiter="~")) == {"name": "Ada"}
    assert said(one(f"phone_number\tname\n{BERLIN}\tAda\n", delimiter="tab")) == {"name": "Ada"}
    assert "no delimiter" in refusal(f"phone_number\n{BERLIN}\n", delimiter="ab")


def test_one_column_needs_no_delimiter() -> None:
    assert one(f"phone_number\n{BERLIN}\n").number == BERLIN
    assert one(f"phone_number\r{BERLIN}\r").number == BERLIN


def test_a_text_with_line_breaks_is_one_row_and_places_stay_lines() -> None:
    found = rows(f'phone_number,note\n{BERLIN},"two\nlines, and ""quotes"""\n1,x\n')
    assert isinstance(found[0], Person)
    assert said(found[0]) == {"note": 'two\nlines, and "quotes"'}
    assert [row.place for row in found] == [2, 4]


def test_empty_lines_are_no_rows() -> None:
    assert [row.place for row in rows(f"phone_number,name\n\n{BERLIN},Ada\n,\n\n+493012345679,Bob\n")] == [3, 6]


def test_a_row_that_is_too_wide_is_told_and_a_short_one_is_none() -> None:
    found = rows(f"phone_number,name\n{BERLIN},Meier, Ada\n{BERLIN}\n{BERLIN},Bob,,\n")
    assert isinstance(found[0], BadRow)
    assert "3 cells and the line of names has 2" in found[0].problems[0].message
    assert [isinstance(row, Person) for row in found[1:]] == [True, True]


def test_a_quote_that_never_closes_stops_everything() -> None:
    words = refusal(f'phone_number,name\n{BERLIN},"Ada\n+493012345679,Bob\n')
    assert words == "line 2: a quote opens here and never closes; nothing behind it can be read"


def test_a_quote_that_swallows_rows_is_no_row() -> None:
    place, kind, message = bad(f'phone_number,name\n{BERLIN},"Ada\n+493012345679,Bob\n+493012345670,Eve"\n')
    assert (place, kind) == (2, "broken")
    assert "closes only on line 4" in message


def test_something_behind_a_closing_quote_breaks_its_row_alone() -> None:
    found = rows(f'phone_number,name\n{BERLIN},"Ada"x\n+493012345679,Bob\n')
    assert [isinstance(row, Person) for row in found] == [False, True]
    assert isinstance(found[0], BadRow)
    assert "behind a closing quote" in found[0].problems[0].message


def test_zero_characters_are_refused() -> None:
    assert bad(f"phone_number,name\n{BERLIN},A\0da\n".encode("utf-16"))[1] == "value"


def test_all_that_is_wrong_with_a_row_is_told() -> None:
    (row,) = rows(f"id,phone_number,name\n{'x' * 300},030 1,a,b\n")
    assert isinstance(row, BadRow)
    assert {problem.kind for problem in row.problems} == {Wrong.COLUMNS, Wrong.NO_PLUS, Wrong.ID}


# --- spreadsheets --------------------------------------------------------------------------------------------------


def sheet(*lines: list[Cell]) -> bytes:
    return workbook({"Sheet1": lines})


def test_cells_are_read_as_people_see_them() -> None:
    person = one(sheet(["phone_number", "zip", "rate", "vip", "n"], [BERLIN, 10115.0, 1.5, True, "  x "]), "a.xlsx")
    assert said(person) == {"zip": "10115", "rate": "1.5", "vip": "true", "n": "x"}


def test_a_number_that_became_a_number_has_lost_its_plus() -> None:
    content = sheet(["phone_number"], [493012345678.0])
    assert bad(content, "a.xlsx")[1] == "no_plus"
    assert one(content, "a.xlsx", country="DE").number == BERLIN
    assert one(content, "a.xlsx", add_plus=True).number == BERLIN


def test_formulas_are_what_they_last_came_to() -> None:
    found = rows(
        sheet(
            ["phone_number", "name"], [Formula('"+49"&A9', BERLIN), Formula("B9", "Ada")], [Formula("A9", None), "Bob"]
        ),
        "a.xlsx",
    )
    assert isinstance(found[0], Person)
    assert (found[0].number, said(found[0])) == (BERLIN, {"name": "Ada"})
    assert isinstance(found[1], BadRow)
    assert found[1].problems[0].kind is Wrong.MISSING


def test_error_cells_are_no_values() -> None:
    found = rows(sheet(["phone_number", "name"], [Fault("#N/A"), "Ada"], [BERLIN, Fault("#REF!")]), "a.xlsx")
    assert isinstance(found[0], BadRow)
    assert isinstance(found[1], Person)
    assert found[1].recipient == {"phone_number": BERLIN}


def test_rows_keep_the_numbers_that_the_spreadsheet_shows() -> None:
    people = opened(sheet([], ["Customers"], [], ["phone_number", "name"], [], [BERLIN, "Ada"]), "a.xlsx")
    assert people.unit == "row"
    assert people.told == ["the names of the columns are on row 4; what stands above is left out"]
    assert [row.place for row in people] == [6]


def test_of_several_sheets_the_one_with_numbers_is_read_and_told() -> None:
    content = workbook({"Notes": [["hello"]], "People": [["phone_number"], [BERLIN]], "Empty": []})
    people = opened(content, "a.xlsx")
    assert people.told == ["of 2 sheets only 'People' has a column for numbers; it was read"]
    assert [row.number for row in people] == [BERLIN]
    both = workbook({"A": [["phone_number"], [BERLIN]], "B": [["phone_number"], ["+493012345679"]]})
    assert "several of its sheets have a column phone_number; its sheets are 'A', 'B'" in refusal(both, "a.xlsx")
    assert one(both, "a.xlsx", sheet="B").number == "+493012345679"
    assert "it has no sheet 'C'" in refusal(both, "a.xlsx", sheet="C")
    assert "no spreadsheet" in refusal(GERMAN, sheet="A")


def test_hidden_sheets_are_not_read() -> None:
    content = workbook({"Old": [["phone_number"], ["+493000000000"]], "New": [["phone_number"], [BERLIN]]}, ["Old"])
    assert one(content, "a.xlsx").number == BERLIN


def test_a_workbook_is_known_by_its_content_and_a_damaged_one_is_refused() -> None:
    content = sheet(["phone_number"], [BERLIN])
    assert one(content, "people.csv").number == BERLIN
    assert "can't be read as one" in refusal(content[:200], "a.xlsx")
    assert refusal(workbook({"A": []}), "a.xlsx") == "all of its sheets are empty"
    assert refusal(GERMAN.replace("phone_number", "who"), "a.xlsx").startswith("it has no column")


def test_a_sheet_that_is_damaged_inside_is_refused() -> None:
    content = sheet(["phone_number"], [BERLIN])
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    whole = parts["xl/worksheets/s1.xml"]
    for damaged in (whole[:-40], whole.replace(b'r="A2"', b'r="?"'), whole.replace(b"<is>", b"<xx>")):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as book:
            for name, part in parts.items():
                book.writestr(name, damaged if name.endswith("s1.xml") else part)
        words = refusal(made.getvalue(), "a.xlsx")
        assert "can't be read as one" in words or "empty" in words


# --- JSON lines ----------------------------------------------------------------------------------------------------


def lines(*objects: Any) -> str:
    return "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in objects)


def test_json_lines_are_flat_or_as_the_wire_has_them() -> None:
    wire = {
        "phone_number": BERLIN,
        "id": 7,
        "conversation_initiation_client_data": {"user_id": "u", "dynamic_variables": {"a": 1, "b": 2}},
        "b": 3,
        "language": "de",
    }
    found = rows(lines({"phone_number": BERLIN, "name": "Ada", "n": 5, "vip": True, "x": None}, wire), "p.jsonl")
    assert isinstance(found[0], Person)
    assert said(found[0]) == {"name": "Ada", "n": 5, "vip": True}
    assert isinstance(found[1], Person)
    assert found[1].recipient == {
        "phone_number": BERLIN,
        "id": "7",
        "conversation_initiation_client_data": {
            "user_id": "u",
            "dynamic_variables": {"a": 1, "b": 3},
            "conversation_config_override": {"agent": {"language": "de"}},
        },
    }


def test_broken_json_lines_are_told_one_by_one() -> None:
    found = rows(
        lines({"phone_number": BERLIN}, '{"phone_number": "+49', "[1]", "", {"name": "Ada"}, {"phone_number": [1]},
              {"phone_number": BERLIN, "a": {"b": 1}}, {"phone_number": 493012345678}, {"phone_number": None},
              {"phone_number": BERLIN, "language": 5},
              {"phone_number": BERLIN, "conversation_initiation_client_data": 5}),
        "people.jsonl",
    )  # fmt: skip
    kinds = [(row.place, str(row.problems[0].kind) if isinstance(row, BadRow) else "") for row in found]
    assert kinds == [
        (1, ""), (2, "broken"), (3, "broken"), (5, "missing"), (6, "value"), (7, "value"), (8, "no_plus"),
        (9, "missing"), (10, "value"), (11, "value"),
    ]  # fmt: skip


def test_json_is_known_by_its_content_and_an_array_is_told() -> None:
    assert one(lines({"phone_number": BERLIN}), "people.txt").number == BERLIN
    assert one("\ufeff" + lines({"phone_number": BERLIN}), "people.txt").number == BERLIN
    assert "one JSON array" in refusal('[{"phone_number": "+49"}]', "people.json")


def test_a_column_of_json_that_means_the_number_is_told() -> None:
    people = opened(lines({"phone": BERLIN, "name": "Ada"}), "p.jsonl")
    assert people.told == ["column 'phone' is read as phone_number"]


# --- the whole list ------------------------------------------------------------------------------------------------


def test_doubled_numbers_are_kept_and_counted() -> None:
    survey = Survey()
    for row in rows(f"phone_number\n{BERLIN}\n+49 30 12345678\n1\n+14100000000\n{BERLIN}\n"):
        survey.see(row)
    assert (survey.rows, survey.good, survey.bad, survey.different, survey.rounded) == (5, 4, 1, 2, 1)
    assert (survey.doubled, survey.doubles) == (2, [(3, 2), (6, 2)])


@pytest.mark.parametrize("name", ["people.csv", "people.jsonl"])
def test_the_bad_rows_corrected_are_a_list_of_their_own(name: str, tmp_path: Path) -> None:
    content = {
        "people.csv": 'name;phone_number;note\nÄda;030 1;"a;b\nc"\nBob;+493012345678;\n',
        "people.jsonl": lines({"name": "Äda", "phone_number": "030 1", "note": "a;b\nc"}, {"phone_number": BERLIN}),
    }[name]
    people = opened(content, name)
    path = tmp_path / f"bad.{name.rpartition('.')[2]}"
    with BadFile(path, people.names) as file:
        for row in people:
            if isinstance(row, BadRow):
                file.write(row)
    assert "it has no country code: it starts with 0" in path.read_text(encoding="utf-8-sig")
    corrected = one(path.read_bytes().replace(b"030 1", b"+493012345678"), path.name)
    assert (corrected.number, said(corrected)) == (BERLIN, {"name": "Äda", "note": "a;b\nc"})


def test_a_file_that_somebody_may_be_correcting_is_not_overwritten(tmp_path: Path) -> None:
    def written(message: str, *, ours: bool = True) -> str:
        with BadFile(tmp_path / "p.bad.csv", ("phone_number",), ours=ours) as file:
            file.write(BadRow(2, (Problem(Wrong.NUMBER, "phone_number", message),), ("1",)))
        return file.path.name

    assert [written("a"), written("a"), written("b"), written("b"), written("a")] == [
        "p.bad.csv", "p.bad.csv", "p.bad-2.csv", "p.bad-2.csv", "p.bad.csv",
    ]  # fmt: skip
    assert written("c", ours=False) == "p.bad.csv"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.bad-2.csv", "p.bad.csv"]


def test_a_list_that_fails_leaves_no_half_file(tmp_path: Path) -> None:
    def fail() -> None:
        with BadFile(tmp_path / "p.bad.csv", ("phone_number",)) as file:
            file.write(BadRow(2, (Problem(Wrong.NUMBER, "phone_number", "x"),), ("1",)))
            raise ListError("a quote")

    with pytest.raises(ListError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_cell_beyond_all_bounds_stops_everything() -> None:
    assert "more than 131,072 characters" in refusal(f"phone_number,name\n{BERLIN},{'x' * 140_000}\n")


# --- by chance -----------------------------------------------------------------------------------------------------

SIGNS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cf", "Zs", "Zl", "Zp"))
CELLS = st.text(SIGNS | st.sampled_from(" ,;|\"'\n"), max_size=12).map(str.strip)


@settings(max_examples=150, deadline=None)
@given(
    names=st.lists(CELLS, min_size=1, max_size=3),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_was_written_is_what_is_read(names: list[str], delimiter: str, encoding: str) -> None:
    text = io.StringIO()
    written = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    written.writerow(["phone_number", "name"])
    written.writerows([f"+4930{n:08d}", name] for n, name in enumerate(names))
    found = rows(text.getvalue().encode(encoding))
    assert [row.recipient["phone_number"] for row in found if isinstance(row, Person)] == [
        f"+4930{n:08d}" for n in range(len(names))
    ]
    assert [said(row)["name"] if name else "" for row, name in zip(found, names, strict=True)] == [
        name.replace("\r\n", "\n") for name in names
    ]  # type: ignore[arg-type]


@settings(max_examples=300, deadline=None)
@given(
    content=st.binary(max_size=300)
    | st.text(max_size=200).map(lambda text: f"phone_number,x\n{text}".encode("utf-8", "surrogatepass"))
    | st.binary(max_size=60).map(lambda rest: sheet(["phone_number"], [BERLIN])[:500] + rest),
    name=st.sampled_from(["a.csv", "a.jsonl", "a.xlsx"]),
    country=st.sampled_from([None, "DE"]),
)
def test_no_content_whatever_is_more_than_refused(content: bytes, name: str, country: str | None) -> None:
    try:
        found = rows(content, name, country=country)
    except ListError:
        return
    for row in found:
        assert row.place >= 1
        assert isinstance(row, Person) or row.problems


def test_a_good_list_leaves_no_file_behind(tmp_path: Path) -> None:
    with BadFile(tmp_path / "bad.csv", ("phone_number",)):
        pass
    assert list(tmp_path.iterdir()) == []
