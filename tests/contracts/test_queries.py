"""How the `.sql` files are read."""

from pathlib import Path

import pytest

from outdial.domain.outcome import Outcome
from outdial.store.queries import BadQuery, load, named, numbered, parse, plain


def sql(text: str) -> str:
    (query,) = parse(f"-- name: q\n{text}", numbered, where="here")
    return query.sql


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("select :a, :b, :a;", "select $1, $2, $1"),
        ("select :a::bigint, 'it''s :b', \":c\"", "select $1::bigint, 'it''s :b', \":c\""),
        ("select $$ :a $$, $x$ :b $$ $x$, :c", "select $$ :a $$, $x$ :b $$ $x$, $1"),
        ("x := :a", "x := $1"),
        ("select 1 -- why :a\n/* and\n:b */ where true", "select 1 \n where true"),
        ("select '100%' like :a", "select '100%' like $1"),
    ],
)
def test_parameters_are_numbered_and_nothing_else_is_touched(written: str, sent: str) -> None:
    assert sql(written) == sent


def test_sqlite_keeps_the_names() -> None:
    (query,) = parse("-- name: q\nselect :b, :a", named, where="here")
    assert (query.sql, query.params) == ("select :b, :a", ("b", "a"))
    assert query.arguments({"a": 1, "b": [Outcome.BUSY], "c": None}) == ['["busy"]', 1]
    with pytest.raises(BadQuery, match="'a'"):
        query.arguments({"b": 1})


def test_a_copy_knows_its_columns() -> None:
    (query,) = parse("-- name: q\ncopy t (a, b) from stdin;", numbered, where="here")
    assert query.copy_columns == ("a", "b")


@pytest.mark.parametrize(
    "text",
    ["select 1", "-- name: Q\nselect 1", "-- name: q\n", "-- name: q\n-- only words\n;", "-- name: a-b\nselect 1"],
)
def test_what_is_not_written_so_is_refused(text: str) -> None:
    with pytest.raises(BadQuery):
        list(parse(text, named, where="here"))


def test_a_name_stands_once(tmp_path: Path) -> None:
    for file in ("a.sql", "b.sql"):
        (tmp_path / file).write_text("-- a word first\n\n-- name: q\nselect 1;\n")
    with pytest.raises(BadQuery, match=r"b\.sql.*'q'"):
        load(tmp_path, named)


def test_values_go_plain() -> None:
    assert [plain(v) for v in (1, 1.5, "x", None, True, b"x", Outcome.BUSY)] == [1, 1.5, "x", None, True, b"x", "busy"]
    assert type(plain(Outcome.BUSY)) is str
    assert plain(({"o": Outcome.BUSY},)) == '[{"o":"busy"}]'
    with pytest.raises(BadQuery):
        plain(object())
