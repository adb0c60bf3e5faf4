"""What commands show: golden texts of the live view, of lists and previews, and of JSON."""

import io
import json
import sys
from typing import Any

import pytest
from rich.console import Console

from outdial.cli import tell
from outdial.cli.batch import safely_again
from outdial.cli.client import NoAnswer
from outdial.cli.options import INTERRUPTED
from outdial.cli.watching import view

BATCH: dict[str, Any] = {
    "id": "btcal_1",
    "name": "Mon[day]\x1b[31m",
    "status": "in_progress",
    "status_reason": "outside calling hours; goes on at 09:00",
    "total_calls_scheduled": 1200,
    "total_calls_dispatched": 310,
    "total_calls_finished": 300,
    "retry_count": 1,
    "paused": False,
    "created_at_unix": 1_800_000_000,
    "suppressed_count": 2,
}


def shown(monkeypatch: pytest.MonkeyPatch, *what: Any) -> str:
    """What these renderables look like on a terminal of 100 columns, without colours."""
    text = io.StringIO()
    console = Console(file=text, width=100, highlight=False, emoji=False)
    monkeypatch.setattr(tell, "out", console)
    for one in what:
        one() if callable(one) else console.print(one)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def test_the_live_view(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, view(BATCH, {"busy": 20, "completed": 270, "no_answer": 10}, 3_725)) == (
        "btcal_1 'Mon[day]\\x1b[31m', retry 1: in_progress\n"
        "  outside calling hours; goes on at 09:00\n"
        "━━━━━━━━━━                                300 of 1,200 finished, 10 under way, 1:02:05\n"
        "270  completed\n"
        "20   busy\n"
        "10   nobody answered\n"
        "Ctrl-C leaves it running"
    )


def test_one_batch_and_many(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, lambda: tell.batch(BATCH)) == (
        "btcal_1 'Mon[day]\\x1b[31m', retry 1\n"
        "  in_progress (outside calling hours; goes on at 09:00): 300 of 1200 finished, 10 under way\n"
        "  2 people on the do-not-call list: not called"
    )
    lines = shown(monkeypatch, lambda: tell.batch_list([BATCH, {**BATCH, "paused": True}])).splitlines()
    assert lines[1].split() == [
        "btcal_1", "Mon[day]\N{REPLACEMENT CHARACTER}[31m", "in_progress", "1200", "300", "1", "2027-01-15", "08:00",
    ]  # fmt: skip
    assert "in_progress, paused" in lines[2]


def test_a_preview_of_a_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {
        "would_call": 3,
        "by_outcome": {"busy": 2, "no_answer": 1},
        "would_not": [
            {"outcome": "voicemail", "count": 4, "reason": 'a machine answered; ask with include: ["voicemail"]'}
        ],
    }
    assert shown(monkeypatch, lambda: tell.preview(seen)) == (
        "ended as         people  retry\n"
        "busy             2       calls again\n"
        "nobody answered  1       calls again\n"
        "voicemail        4       a machine answered; --include voicemail takes them too\n"
        "A retry would call 3."
    )
    assert tell.not_reached(seen) == 3


def test_why_a_retry_called_nobody() -> None:
    would_not = [
        {"outcome": "completed", "count": 2, "reason": "was reached"},
        {"outcome": "voicemail", "count": 3, "reason": 'a machine answered; ask with include: ["voicemail"]'},
        {"outcome": "invalid_number", "count": 1, "reason": "the number does not exist"},
    ]
    assert tell.nobody({"would_not": would_not}) == (
        "nobody was called: 2 were reached, 3 were answered by a machine (--include voicemail takes them too), "
        "1 number does not exist"
    )
    assert tell.nobody({"would_not": []}) == "nobody was called: there is nobody to call again"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_json_is_json_on_every_terminal(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(content, encoding=encoding, errors="backslashreplace"))
    tell.as_json({"name": "Jürgen …"})
    assert json.loads(content.getvalue().decode(encoding)) == {"name": "Jürgen …"}


def test_an_act_that_is_interrupted_may_have_been_done(capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    with pytest.raises(typer.Exit) as left, safely_again("retry", "k1"):
        raise KeyboardInterrupt
    assert left.value.exit_code == INTERRUPTED
    assert "--idempotency-key k1 sends it again and rings nobody twice" in capsys.readouterr().err
    with (
        pytest.raises(NoAnswer, match=r"no answer\nNobody knows whether the retry was accepted"),
        safely_again("retry", "k1"),
    ):
        raise NoAnswer("no answer")
