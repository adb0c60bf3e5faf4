"""Watching a batch through a server that goes away and comes back."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from outdial.cli import tell, watching
from outdial.cli.client import Failed, NoAnswer, Refused
from tests.cli.test_client import Fake, hangs_up, says

PENDING: dict[str, Any] = {
    "id": "btcal_1", "name": "n", "status": "pending", "status_reason": "", "total_calls_scheduled": 2,
    "total_calls_dispatched": 0, "total_calls_finished": 0, "retry_count": 0,
}  # fmt: skip
OVER = {**PENDING, "status": "completed", "total_calls_dispatched": 2, "total_calls_finished": 2}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    monkeypatch.setattr(watching, "EVERY_SECS", 0.01)
    made = Fake()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_server_that_comes_back_is_watched_on(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = io.StringIO()
    monkeypatch.setattr(tell, "out", Console(file=text, width=100))
    fake.answers = [says(200, PENDING), *[hangs_up] * 6, says(200, OVER)]
    assert watching.follow(fake.client, "btcal_1") == OVER
    assert [line.strip() for line in text.getvalue().splitlines()] == [
        "pending: 0 of 2 finished, 0 under way",
        "completed: 2 of 2 finished, 0 under way",
    ]
    assert "trying again" in capsys.readouterr().err


def test_a_database_that_is_away_for_a_while_is_waited_for(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    away = says(503, {"detail": {"message": "the database can't be read now"}}, retry_after="0")
    fake.answers = [says(200, PENDING), *[away] * 5, says(200, OVER)]
    watching.follow(fake.client, "btcal_1", quiet=True)
    assert "the database can't be read now; trying again" in capsys.readouterr().err


def test_a_batch_that_was_deleted_meanwhile_ends_the_watch(fake: Fake) -> None:
    fake.answers = [says(200, PENDING), says(404, {"detail": {"code": "batch_not_found", "message": "no batch"}})]
    with pytest.raises(Refused, match="no batch"):
        watching.follow(fake.client, "btcal_1", quiet=True)


def test_a_server_that_was_never_there_is_not_waited_for(fake: Fake) -> None:
    fake.answers = [hangs_up]
    with pytest.raises(NoAnswer):
        watching.follow(fake.client, "btcal_1")


def test_quiet_says_its_lines_on_standard_error(fake: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    fake.answers = [says(200, PENDING), says(200, OVER)]
    watching.follow(fake.client, "btcal_1", quiet=True)
    said = capsys.readouterr()
    assert (said.out, "2 of 2 finished" in said.err) == ("", True)


def test_a_bound_is_kept(fake: Fake) -> None:
    fake.answers = [says(200, PENDING)]
    with pytest.raises(Failed, match="not over within 0 s"):
        watching.follow(fake.client, "btcal_1", quiet=True, within_secs=0.05)
