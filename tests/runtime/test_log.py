"""Logging: one event a line, and no phone number gets out."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from outdial.runtime.log import configure, get_logger, mask


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("+4930123456", "**56"),
        ("dialled +14155550123.", "dialled **23."),
        ("+1 (415) 555-0123", "**23"),
        ("+49.30.12 34", "**34"),
        ("<sip:+4930123456@10.0.0.1>", "<sip:**56@10.0.0.1>"),
        ("GET /x?to=%2B4930123456&a=1", "GET /x?to=**56&a=1"),
        ("+4930123456,+4930123499", "**56,**99"),
    ],
)
def test_a_phone_number_keeps_its_last_two_digits(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    ["2026-01-01T00:00:00+00:00", "1e+100", "1 + 1", "C++", "took 1200 ms", "018f3a6e-1234-7abc-8def-0123456789ab"],
)
def test_other_text_is_left_as_it_is(text: str) -> None:
    assert mask(text) == text


def test_json_is_one_object_a_line_with_ids_as_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure(style="json")
    get_logger().info("call settled", call="k1", took_ms=12)
    get_logger().debug("not shown")
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    told = json.loads(line)
    assert told.pop("t").endswith("Z")
    assert told == {"event": "call settled", "call": "k1", "took_ms": 12, "level": "info"}


@pytest.mark.parametrize("style", ["json", "console"])
def test_no_number_gets_out_by_any_way(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure(style=style)
    log = get_logger()

    class Thing:
        def __repr__(self) -> str:
            return "Thing(+4930123456)"

    log.info("dialled +4930123456", number="4930123456", to=4930123456, deep={"a": ["+4930123456"]}, thing=Thing())
    try:
        int("can't dial +4930123456")
    except ValueError:
        log.exception("call failed", line="+4930123456\nnext")
    # a name of no library: a server that ran in this process before may have silenced its own loggers
    logging.getLogger("some.library").warning("POST /to/%s", "+4930123456")
    told = capsys.readouterr().err
    assert "123456" not in told.replace("\\n", "")
    assert "call failed" in told
    assert "can't dial **56" in told
    assert "POST /to/**56" in told


def test_words_from_outside_begin_no_line_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    configure(style="console")
    get_logger().info("said", words="hello\nERROR forged\rx")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_lines_of_other_libraries_look_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    configure(style="json", level="warning")
    logging.getLogger("asyncio").warning("slow %s", "thing")
    logging.getLogger("asyncio").info("not shown")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "slow thing"


def test_configuring_twice_writes_each_line_once(capsys: pytest.CaptureFixture[str]) -> None:
    configure(style="json")
    configure(style="json")
    logging.getLogger("x").warning("once")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(ValueError, match="'xml'"):
        configure(style="xml")
