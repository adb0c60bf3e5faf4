"""From a CSV to everyone reachable reached, by the commands that people type."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Desk, Server, open_desk

REFUSED, USAGE, NOT_ALL_REACHED = 1, 2, 3


@pytest.fixture
def here(server: Server) -> Iterator[Desk]:
    opened = open_desk(server)
    yield opened
    opened.http.close()


def outdial(server: Server, *words: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "outdial.cli.main", *words]
    return subprocess.run(command, env=server.environment(), capture_output=True, timeout=60, check=False)


def told(done: subprocess.CompletedProcess[bytes], code: int = 0) -> Any:
    """The JSON that stands alone on standard output."""
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_a_csv_is_dialled_and_whoever_was_not_reached_is_called_again(here: Desk, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes(
        "\ufeffid,phone_number,first_name\r\nada,+493091115000,Ada\r\nbob,+493091111486,Bob\r\neve,+493091110404,Eve\r\n"
        "joe,+49 30 9111 1408,\r\n".encode()
    )
    server = here.server
    batch = told(outdial(server, "submit", str(file), "--agent", here.agent_id, "--from", here.number_id, "--json"))
    assert (batch["name"], batch["total_calls_scheduled"]) == ("people", 4)
    over = told(outdial(server, "watch", batch["id"], "--json"), NOT_ALL_REACHED)
    assert over["status"] == "completed"
    assert (len(over["recipients"]), over["recipients_truncated"]) == (4, False), "as on the wire: with its people"
    preview = told(outdial(server, "retry", batch["id"], "--dry-run", "--json"))
    assert (preview["would_call"], preview["by_outcome"]) == (2, {"no_answer": 1, "busy": 1})
    assert told(outdial(server, "retry", batch["id"], "--json"))["retry_count"] == 1
    told(outdial(server, "watch", batch["id"], "--json"), NOT_ALL_REACHED)

    done = outdial(server, "export", batch["id"])
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode())))
    assert [(row["recipient_id"], row["outcome"], row["attempts"], row["first_name"]) for row in rows] == [
        ("ada", "completed", "1", "Ada"),
        ("bob", "completed", "2", "Bob"),
        ("eve", "invalid_number", "1", "Eve"),
        ("joe", "completed", "2", ""),
    ]
    assert [server.rang(f"+49309111{end}") for end in ("5000", "1486", "0404", "1408")] == [1, 2, 1, 2]


def test_everyone_reached_is_exit_code_zero(here: Desk) -> None:
    batch = here.submit(["+493092225000"])
    assert outdial(here.server, "watch", batch["id"]).returncode == 0


def test_pause_resume_and_cancel_print_the_batch(here: Desk) -> None:
    batch = here.submit(["+493093335000"], scheduled_time_unix=4_000_000_000)
    assert told(outdial(here.server, "pause", batch["id"], "--json"))["paused"] is True
    assert told(outdial(here.server, "resume", batch["id"], "--json"))["paused"] is False
    assert told(outdial(here.server, "cancel", batch["id"], "--json"))["status"] == "cancelled"


def test_a_refusal_is_exit_code_one_with_words(here: Desk, tmp_path: Path) -> None:
    unknown = outdial(here.server, "watch", "btcal_nobody", "--json")
    assert (unknown.returncode, unknown.stdout) == (REFUSED, b"")
    assert b"no batch" in unknown.stderr
    file = tmp_path / "wrong.csv"
    file.write_text("phone_number\n030 123\n")
    wrong = outdial(here.server, "submit", str(file), "--agent", here.agent_id, "--from", here.number_id)
    assert wrong.returncode == REFUSED
    assert b"line 2, phone_number: it has no country code" in wrong.stderr
    file.write_text("who\n+4930123456\n")
    wrong = outdial(here.server, "submit", str(file), "--agent", here.agent_id, "--from", here.number_id)
    assert b"no column 'phone_number'" in wrong.stderr


def test_wrong_usage_is_exit_code_two(here: Desk) -> None:
    assert outdial(here.server, "submit").returncode == USAGE


def test_the_number_itself_can_be_given(here: Desk, tmp_path: Path) -> None:
    number = {"provider": "loopback", "phone_number": f"+4930666{id(here) % 100000:05d}", "label": "mine"}
    made = here.http.post("/v1/convai/phone-numbers", json=number).json()
    file = tmp_path / "one.csv"
    file.write_text("phone_number\n+493094445000\n")
    words = ("submit", str(file), "--agent", here.agent_id, "--from", number["phone_number"], "--json")
    assert told(outdial(here.server, *words))["phone_number_id"] == made["phone_number_id"]


def test_a_key_is_made_beside_the_running_server(here: Desk) -> None:
    environment = {**here.server.environment(), "OUTDIAL_SECRET_KEY": "a secret of thirty-two characters"}
    command = [sys.executable, "-m", "outdial.cli.main", "keys", "create", "--workspace", "second", "--json"]
    made = json.loads(subprocess.run(command, env=environment, capture_output=True, timeout=60, check=True).stdout)
    assert made["workspace"] == "second"
    with here.server.client(**{"xi-api-key": made["key"]}) as second:
        assert second.get("/v1/convai/batch-calling/workspace").json()["batch_calls"] == []
