"""A do-not-call list as CSV, however its bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outdial.domain.errors import Invalid
from outdial.workspace.suppression_file import LONGEST_RECORD, Row, SuppressionFile


def read(content: bytes, *cuts: int) -> list[Row]:
    file, rows = SuppressionFile(), []
    for start, stop in zip((0, *cuts), (*cuts, len(content)), strict=True):
        rows += file.feed(content[start:stop])
    return [*rows, *file.end()]


def good(content: str) -> list[tuple[int, str, str]]:
    rows = read(content.encode())
    assert not [row for row in rows if row.problem], rows
    return [row[:3] for row in rows]


def test_columns_are_found_by_their_names() -> None:
    assert good("name,Phone_Number ,reason\nAda,+49 30 1234567,asked\nBen,+4930 7654321,\n") == [
        (2, "+49301234567", "asked"),
        (3, "+49307654321", ""),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("comma", [",", ";", "\t"])
def test_what_spreadsheets_write(end: str, mark: str, comma: str) -> None:
    lines = [f"phone_number{comma}reason", f"+49301234567{comma}a", "", f"+49307654321{comma}b"]
    assert good(mark + end.join(lines)) == [(2, "+49301234567", "a"), (4, "+49307654321", "b")]


def test_a_file_without_names_begins_with_a_number() -> None:
    assert good("+49301234567\n+49307654321,wrote") == [(1, "+49301234567", ""), (2, "+49307654321", "wrote")]


def test_a_reason_may_span_lines() -> None:
    content = 'phone_number,reason\n+49301234567,"said ""never"",\nand hung up"\n+49307654321,x\n'
    assert good(content) == [(2, "+49301234567", 'said "never",\nand hung up'), (4, "+49307654321", "x")]


def test_bad_lines_are_told_and_the_others_are_read() -> None:
    rows = read(b"phone_number\n030 123\n+49301234567\n4.93E+11\n\xc3\xa4\n+49307654321\n")
    assert [row.line for row in rows if row.problem] == [2, 4, 5]
    assert [row.number for row in rows if not row.problem] == ["+49301234567", "+49307654321"]
    assert not [row for row in rows if "030" in row.problem or "4.93" in row.problem], "numbers are personal"


def test_a_quote_that_is_never_closed_does_not_swallow_the_file() -> None:
    rest = "".join(f"+4930{n:07d},x\n" for n in range(10_000))
    rows = read(f'phone_number,reason\n+49301234567,"oops\n{rest}'.encode())
    assert rows[0].line == 2
    assert "never closed" in rows[0].problem or "not closed" in rows[0].problem
    assert sum(not row.problem for row in rows) > 5_000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name,telephone\nAda,+49301234567\n", "line 1: it names no column 'phone_number'"),
        (b"phone_number\n+49301234567\n\xff\xfe\n", "not UTF-8"),
        (b"PK\x03\x04\x00\x00", "no text"),
        (b"+49301234567" + b"x" * (2 * LONGEST_RECORD), "characters"),
    ],
)
def test_what_is_no_list_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(Invalid, match=words) as refused:
        read(content)
    assert refused.value.code == "invalid_file"


def test_an_empty_file_has_no_rows() -> None:
    assert read(b"") == read(b"\n\n") == read(b"phone_number\n") == []


CONTENT = '\ufeffphone_number;reason\r\n+49301234567;"a\r\nb"\r\n\r\n030;x\r+49307654321;ü\n+491711234567'.encode()


@given(st.lists(st.integers(0, len(CONTENT)), max_size=8))
def test_it_does_not_matter_where_the_bytes_are_cut(cuts: list[int]) -> None:
    assert read(CONTENT, *sorted(cuts)) == read(CONTENT)
