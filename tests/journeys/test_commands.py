"""Commands against a running server: what they print, where, and with which exit code."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.proxy import losing_proxy
from tests.support.server import Desk, Server, open_desk
from tests.support.sheets import workbook

REFUSED, USAGE, NOT_ALL_REACHED, INTERRUPTED = 1, 2, 3, 130


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One engine will do: what commands say does not depend on it."""
    folder = tmp_path_factory.mktemp("server")
    started = Server(folder, f"sqlite:///{folder}/outdial.db").start()
    yield started
    started.stop()


@pytest.fixture
def here(server: Server) -> Iterator[Desk]:
    opened = open_desk(server)
    yield opened
    opened.http.close()


def outdial(
    here: Desk, *words: str, stdin: bytes | None = None, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "outdial.cli.main", *words]
    env = {**here.server.environment(), **environment}
    return subprocess.run(command, env=env, input=stdin, cwd=cwd, capture_output=True, timeout=60, check=False)


def told(done: subprocess.CompletedProcess[bytes], code: int = 0) -> Any:
    """The JSON that stands alone on standard output."""
    assert done.returncode == code, done.stderr.decode()
    return json.loads(done.stdout)


def words_of(done: subprocess.CompletedProcess[bytes], code: int = 0) -> str:
    assert done.returncode == code, done.stderr.decode()
    return done.stdout.decode()


def listed(tmp_path: Path, content: str, name: str = "people.csv") -> str:
    path = tmp_path / name
    path.write_text(content)
    return str(path)


def with_both(here: Desk) -> tuple[str, ...]:
    return ("--agent", here.agent_id, "--from", here.number_id)


def batches(here: Desk) -> int:
    return len(here.http.get(f"{here.prefix}/batch-calling/workspace").json()["batch_calls"])


# --- submit --------------------------------------------------------------------------------------------------------

DAMAGED = """\
Telefon;Vorname;Note
+49 30 9111 5000;Ada;x
1,41E+10;Bob;y
0301234567;Eve;z
'+493091115000;Zoe;
"""
TOLD = """\
{file}: its columns are separated by semicolons
{file}: column 'Telefon' is read as phone_number
{file}: 1 row had an apostrophe or ="…" around the number, as spreadsheets write text; it was left out
{file}: 1 row with a number that stands above (line 5 as line 2): called once for each, one after the other
  line 3, Telefon: '1,41E+10': a spreadsheet rounded this number and its last digits are lost
  line 4, Telefon: it has no country code: it starts with 0
2 rows can't be called and were written to {bad}, with what is wrong. Corrected there, that file can be submitted as \
it is.
Rounded numbers can't be read back: where the list comes from, format the column as text and export it again.
Numbers without +: --country DE reads them as people in Germany write them (any country's two letters do); \
--add-plus is right where they begin with their country code and only the + was lost.
"""


def test_a_damaged_list_is_told_row_by_row_and_nobody_is_called(here: Desk, tmp_path: Path) -> None:
    file, before = listed(tmp_path, DAMAGED), batches(here)
    done = outdial(here, "submit", file, *with_both(here))
    assert (done.returncode, done.stdout) == (REFUSED, b"")
    bad = tmp_path / "people.bad.csv"
    refusal = f"outdial: {file}: nobody was called, since 2 of 4 rows are bad; --skip-bad calls the other 2\n"
    assert done.stderr.decode() == TOLD.format(file=file, bad=bad) + refusal
    assert bad.read_text(encoding="utf-8-sig").splitlines() == [
        "Telefon,Vorname,Note,outdial_place,outdial_problem",
        '"1,41E+10",Bob,y,3,"Telefon: \'1,41E+10\': a spreadsheet rounded this number and its last digits are lost"',
        "0301234567,Eve,z,4,Telefon: it has no country code: it starts with 0",
    ]
    assert batches(here) == before


def test_the_good_rows_of_a_damaged_list_are_called_when_that_is_asked_for(here: Desk, tmp_path: Path) -> None:
    file = listed(tmp_path, DAMAGED)
    batch = told(outdial(here, "submit", file, *with_both(here), "--skip-bad", "--country", "DE", "--json"))
    assert batch["total_calls_scheduled"] == 3
    people = here.get(batch["id"])["recipients"]
    assert [one["phone_number"] for one in people] == ["+493091115000", "+49301234567", "+493091115000"]
    assert here.until_over(batch["id"])["total_calls_finished"] == 3


def test_a_dry_run_says_all_and_sends_nothing(here: Desk, tmp_path: Path) -> None:
    content = f"phone_number,name\n+493091115001,Ada\n+12125551234,Bob\n{'+493091115001,Eve'}\n"
    file, before = listed(tmp_path, content), batches(here)
    arguments = ("submit", file, "--dry-run", "--hours", "mon-sun 09:00-18:00", "--schedule", "2030-01-07 05:00 UTC")
    plain = told(outdial(here, *arguments, *with_both(here), "--json"))
    assert (plain["rows"], plain["people"], plain["bad_rows"], plain["doubled"], plain["sent"]) == (3, 3, 0, 1, False)
    assert plain["zones"] == [
        {"zones": ["Europe/Berlin"], "people": 2, "first_call_at": "2030-01-07T08:00:00+00:00"},
        {"zones": ["America/New_York"], "people": 1, "first_call_at": "2030-01-07T14:00:00+00:00"},
    ]
    assert plain["first_call_at"] == "2030-01-07T08:00:00+00:00"
    words = words_of(outdial(here, *arguments, *with_both(here)))
    assert words.splitlines()[:2] == [
        f"{file}: 3 rows, 3 can be called, 0 can't",
        "  2 different numbers, 1 row doubled",
    ]
    assert words.splitlines()[-5:] == [
        "  time zones of the phones:",
        "          2  Europe/Berlin  from 2030-01-07 09:00 Europe/Berlin",
        "          1  America/New_York  from 2030-01-07 09:00 America/New_York",
        "  first call: 2030-01-07 08:00 UTC",
        "Nothing was sent.",
    ]
    assert batches(here) == before


def test_a_dry_run_knows_the_do_not_call_list_and_the_workspace_s_hours(here: Desk, tmp_path: Path) -> None:
    opted_out = "+493091115099"
    assert outdial(here, "dnc", "add", opted_out).returncode == 0
    hours = {"timezone": "Europe/Berlin", "rules": [{"start": "08:00", "end": "20:00"}]}
    assert here.http.patch("/v1/convai/settings", json={"calling_hours": hours}).status_code == 200
    file = listed(tmp_path, f"phone_number\n{opted_out}\n+493091115098\n{opted_out}\n")
    later = ("--schedule", "2030-01-07 05:00 UTC")
    try:
        plain = told(outdial(here, "submit", file, "--dry-run", *later, "--json"))
        assert (plain["suppressed"], plain["first_call_at"]) == (2, "2030-01-07T07:00:00+00:00")
        words = words_of(outdial(here, "submit", file, "--dry-run", *later))
        assert "  2 on the do-not-call list; they are listed and not called\n" in words
        assert "  first call: 2030-01-07 08:00 Europe/Berlin\n" in words
        done = words_of(outdial(here, "submit", file, *with_both(here), *later))
        assert "2 people on the do-not-call list: not called" in done
    finally:
        here.http.patch("/v1/convai/settings", json={"calling_hours": None})
        outdial(here, "dnc", "remove", opted_out)


NO_ZONE = "for these numbers no single time zone is known, and the hours do not open in all that may be theirs; "
BY_ONE_CLOCK = "give --timezone, such as Europe/Berlin, by whose clock the hours count for everybody"


def test_hours_that_open_for_nobody_are_told_with_what_to_do(here: Desk, tmp_path: Path) -> None:
    file = listed(tmp_path, "phone_number\n+15551234567\n")
    dry = ("submit", file, "--dry-run", "--hours", "mon-fri 09:00-18:00")
    assert words_of(outdial(here, *dry), REFUSED).splitlines()[-3:] == [
        "  first call: never in the next two weeks: no phone's calling hours open",
        f"nobody can be called: {NO_ZONE}{BY_ONE_CLOCK}",
        "Nothing was sent.",
    ]
    assert told(outdial(here, *dry, "--json"), REFUSED)["obstacles"] == [
        f"nobody can be called: {NO_ZONE}{BY_ONE_CLOCK}"
    ]
    assert told(outdial(here, *dry, "--timezone", "Europe/Berlin", "--json"))["obstacles"] == []
    both = listed(tmp_path, "phone_number\n+15551234567\n+493091115020\n", "both.csv")
    some = outdial(here, "submit", both, "--dry-run", "--hours", "mon-fri 09:00-18:00")
    assert f"1 of 2 can't be called: {NO_ZONE}{BY_ONE_CLOCK}" in words_of(some)
    later = ("--schedule", "2030-01-07 09:00 UTC", "--json")
    done = outdial(here, "submit", both, *with_both(here), "--hours", "mon-fri 09:00-18:00", *later)
    assert told(done)["total_calls_scheduled"] == 2
    assert f"{both}: 1 of 2 can't be called: {NO_ZONE}{BY_ONE_CLOCK}" in done.stderr.decode()


def test_the_workspace_s_hours_that_open_for_nobody_are_told_too(here: Desk, tmp_path: Path) -> None:
    file = listed(tmp_path, "phone_number\n+15551234567\n")
    hours = {"rules": [{"start": "09:00", "end": "18:00"}]}
    assert here.http.patch("/v1/convai/settings", json={"calling_hours": hours}).status_code == 200
    try:
        (why,) = told(outdial(here, "submit", file, "--dry-run", "--json"), REFUSED)["obstacles"]
    finally:
        here.http.patch("/v1/convai/settings", json={"calling_hours": None})
    instead = "give --hours and --timezone, which count instead of the workspace's hours"
    assert why == f"nobody can be called: {NO_ZONE}{instead}"


def test_a_dry_run_needs_no_server(here: Desk, tmp_path: Path) -> None:
    file = listed(tmp_path, "phone_number\n+493091115001\n")
    done = outdial(here, "submit", file, "--dry-run", OUTDIAL_API_KEY="")
    assert b"The server was not asked: OUTDIAL_API_KEY is not set" in done.stderr
    assert b"the do-not-call list was not asked" in done.stdout
    assert done.returncode == 0


def test_a_dry_run_refuses_what_the_server_would_refuse_as_too_much(here: Desk, tmp_path: Path) -> None:
    file = listed(tmp_path, f"phone_number,note\n+493091115021,{'x' * 70_000}\n+493091115022,y\n")
    done = outdial(here, "submit", file, "--dry-run")
    assert ", 1 can be called, 1 can't" in words_of(done, REFUSED)
    assert "  line 2, note: it has 70,000 characters; 65,536 are the most; shorten it" in done.stderr.decode()


def test_a_dry_run_of_a_bad_list_is_refused(here: Desk, tmp_path: Path) -> None:
    plain = told(outdial(here, "submit", listed(tmp_path, DAMAGED), "--dry-run", "--json"), REFUSED)
    assert [(one["place"], one["problem"]) for one in plain["bad"]] == [(3, "rounded"), (4, "no_plus")]
    assert Path(plain["bad_file"]).exists()


def test_spreadsheets_and_json_lines_are_lists_too(here: Desk, tmp_path: Path) -> None:
    book = tmp_path / "people.xlsx"
    book.write_bytes(workbook({"People": [["phone_number", "zip"], ["+493091115002", 10115.0]]}))
    lines = listed(tmp_path, '{"phone_number": "+493091115003", "n": 5}\n', "people.jsonl")
    for file, variables in ((str(book), {"zip": "10115"}), (lines, {"n": 5})):
        batch = told(outdial(here, "submit", file, *with_both(here), "--json"))
        (person,) = here.get(batch["id"])["recipients"]
        assert person["conversation_initiation_client_data"]["dynamic_variables"] == variables


def test_a_list_may_come_through_a_pipe(here: Desk, tmp_path: Path) -> None:
    content = b"phone_number\n+493091115004\n"
    batch = told(outdial(here, "submit", "-", *with_both(here), "--name", "piped", "--json", stdin=content))
    assert batch["name"] == "piped"
    done = outdial(here, "submit", "-", *with_both(here), stdin=b"phone_number\n1\n", cwd=tmp_path)
    assert done.returncode == REFUSED
    assert (tmp_path / "outdial.bad.csv").exists()


def test_how_it_is_called_reaches_the_batch(here: Desk, tmp_path: Path) -> None:
    file = listed(tmp_path, "phone_number\n+493091115005\n")
    batch = told(
        outdial(
            here, "submit", file, *with_both(here), "--json", "--name", "Monday", "--timezone", "Europe/Berlin",
            "--schedule", "2030-01-07 09:00", "--concurrency", "3", "--hours", "mon-fri 09:00-18:00",
        )
    )  # fmt: skip
    assert (batch["name"], batch["timezone"], batch["scheduled_time_unix"]) == (
        "Monday",
        "Europe/Berlin",
        1_894_003_200,
    )
    assert batch["target_concurrency_limit"] == 3
    assert batch["calling_hours"]["rules"][0]["start"] == "09:00"


def test_more_than_one_submit_takes_is_split_only_when_asked_for(here: Desk, tmp_path: Path) -> None:
    people = "".join(f"+49309{n:08d}\n" for n in range(10_001))
    file, before = listed(tmp_path, f"phone_number\n{people}"), batches(here)
    later = ("--schedule", "2030-01-07 09:00 UTC")
    done = outdial(here, "submit", file, *with_both(here), *later)
    assert done.returncode == REFUSED
    assert b"10,001 people do not fit: one submit takes 10,000. --split makes 2 batches of them" in done.stderr
    assert batches(here) == before
    dry = outdial(here, "submit", file, "--dry-run")
    refused = "will be refused without --split: 10,001 people do not fit: one submit takes 10,000."
    last = [f"{refused} --split makes 2 batches of them", "Nothing was sent."]
    assert words_of(dry, REFUSED).splitlines()[-2:] == last
    assert told(outdial(here, "submit", file, "--dry-run", "--split", "--json"))["batches"] == 2
    key = ("--idempotency-key", f"split-{time.time_ns()}")
    made = told(outdial(here, "submit", file, *with_both(here), *later, "--split", *key, "--json"))["batches"]
    assert [(one["name"], one["total_calls_scheduled"]) for one in made] == [
        ("people (1 of 2)", 10_000),
        ("people (2 of 2)", 1),
    ]
    again = told(outdial(here, "submit", file, *with_both(here), *later, "--split", *key, "--json"))["batches"]
    assert [one["id"] for one in again] == [one["id"] for one in made], "the same key made nothing new"


def test_the_same_key_rings_nobody_twice(here: Desk, tmp_path: Path) -> None:
    file = listed(tmp_path, "phone_number\n+493091115006\n")
    key = ("--idempotency-key", f"once-{time.time_ns()}")
    first = told(outdial(here, "submit", file, *with_both(here), *key, "--json"))
    assert told(outdial(here, "submit", file, *with_both(here), *key, "--json"))["id"] == first["id"]
    here.until_over(first["id"])
    assert here.server.rang("+493091115006") == 1


def test_a_lost_answer_rings_nobody_twice(here: Desk, tmp_path: Path) -> None:
    file, before = listed(tmp_path, "phone_number\n+493091115011\n+493091110486\n"), batches(here)
    with losing_proxy(here.server.url, lose=1) as proxy:
        batch = told(outdial(here, "submit", file, *with_both(here), "--json", OUTDIAL_URL=proxy.url))
        assert [status for method, status, _ in proxy.answers if method == "POST"] == [200, 200]
    here.until_over(batch["id"])
    with losing_proxy(here.server.url, lose=2) as proxy:
        again = told(outdial(here, "retry", batch["id"], "--json", OUTDIAL_URL=proxy.url))
    assert (again["retry_count"], batches(here)) == (1, before + 1)
    here.until_over(batch["id"])
    assert [here.server.rang(number) for number in ("+493091115011", "+493091110486")] == [1, 2]


def test_nobody_answers_and_it_says_how_to_go_on_safely(here: Desk, tmp_path: Path) -> None:
    file = listed(tmp_path, "phone_number\n+493091115007\n")
    done = outdial(here, "submit", file, *with_both(here), OUTDIAL_URL="http://127.0.0.1:9")
    assert done.returncode == REFUSED
    assert b"no answer from http://127.0.0.1:9: Connection refused; does `outdial serve` run there?" in done.stderr
    done = outdial(here, "retry", "btcal_x", OUTDIAL_URL="http://127.0.0.1:9")
    assert re.search(rb"--idempotency-key [0-9a-f]{32} sends it again and rings nobody twice", done.stderr)


def test_a_wrong_key_is_told(here: Desk) -> None:
    done = outdial(here, "list", OUTDIAL_API_KEY="not-the-right-key-at-all")
    assert (done.returncode, done.stdout) == (REFUSED, b"")
    assert b"OUTDIAL_API_KEY" in done.stderr
    assert b"not-the-right-key" not in done.stderr


def test_what_a_file_is_not_is_told(here: Desk, tmp_path: Path) -> None:
    for file, words in (
        (str(tmp_path / "absent.csv"), "No such file or directory"),
        (str(tmp_path), "Is a directory"),
        (listed(tmp_path, "", "a.csv"), "it is empty"),
        (listed(tmp_path, "name\nAda\n", "b.csv"), "it has no column 'phone_number'; its columns are 'name'"),
        (listed(tmp_path, "phone_number\n"), "there is nobody to call in it"),
    ):
        done = outdial(here, "submit", file, *with_both(here))
        assert (done.returncode, done.stdout) == (REFUSED, b"")
        assert words in done.stderr.decode()
        assert "Traceback" not in done.stderr.decode()


def test_wrong_usage_is_told_before_the_file_is_read(here: Desk) -> None:
    for words in (
        ("submit", "x.csv"),
        ("submit", "x.csv", *with_both(here), "--country", "XX"),
        ("submit", "x.csv", *with_both(here), "--country", "DE", "--add-plus"),
        ("submit", "x.csv", *with_both(here), "--schedule", "soon"),
        ("submit", "x.csv", *with_both(here), "--timezone", "Mars"),
        ("submit", "x.csv", *with_both(here), "--hours", "often"),
        ("submit", "x.csv", *with_both(here), "--delimiter", "ab"),
        ("submit", "x.csv", *with_both(here), "--concurrency", "0"),
        ("watch",),
        ("nonsense",),
    ):
        done = outdial(here, *words)
        assert (done.returncode, done.stdout) == (USAGE, b""), done.stderr.decode()


def test_a_refusal_of_the_server_names_the_line_of_the_file(here: Desk, tmp_path: Path) -> None:
    wrong = {"phone_number": "+493091115009", "conversation_initiation_client_data": {"dynamic_variables": {"a": [1]}}}
    lines = ['{"phone_number": "+493091115008"}', "", json.dumps(wrong)]
    done = outdial(here, "submit", listed(tmp_path, "\n".join(lines), "p.jsonl"), *with_both(here))
    assert done.returncode == REFUSED
    assert "  line 3, conversation_initiation_client_data.dynamic_variables" in done.stderr.decode()


def test_what_the_agent_does_not_allow_is_refused_as_published(here: Desk, tmp_path: Path) -> None:
    file = listed(tmp_path, "phone_number,first_message\n+493091115010,Hallo!\n")
    done = outdial(here, "submit", file, *with_both(here))
    assert done.returncode == REFUSED
    assert "overrides agent.first_message, which agent 'Ada' does not allow" in done.stderr.decode()
    allowed = {"overrides": {"conversation_config_override": {"agent": {"first_message": True}}}}
    agent = {"name": "Allows", "conversation_config": {}, "platform_settings": allowed}
    made = here.http.post("/v1/convai/agents/create", json=agent).json()["agent_id"]
    batch = told(outdial(here, "submit", file, "--agent", made, "--from", here.number_id, "--json"))
    assert batch["total_calls_scheduled"] == 1


# --- batches that are there ----------------------------------------------------------------------------------------


def test_a_retry_s_dry_run_names_whom_and_whom_not(here: Desk, tmp_path: Path) -> None:
    file = listed(
        tmp_path, "id,phone_number\nada,+493091125000\nbob,+493091120486\njoe,+493091120404\nzoe,+493091121408\n"
    )
    done = outdial(here, "submit", file, *with_both(here), "--watch", "--json")
    batch = told(done, NOT_ALL_REACHED)
    assert b"4 of 4 finished" in done.stderr
    words = words_of(outdial(here, "retry", batch["id"], "--dry-run"))
    assert [" ".join(line.split()) for line in words.splitlines()] == [
        "nobody answered 1 person calls again",
        "+493091121408 zoe",
        "busy 1 person calls again",
        "+493091120486 bob",
        "completed 1 person was reached",
        "no such number 1 person the number does not exist",
        "A retry would call 2. Nobody was called now.",
    ]
    assert here.get(batch["id"])["retry_count"] == 0
    everyone = words_of(outdial(here, "retry", batch["id"], "--dry-run", "--all"))
    assert "joe" in everyone
    again = told(outdial(here, "retry", batch["id"], "--json"))
    assert again["retry_count"] == 1


def test_a_retry_s_dry_run_names_everyone_in_json_too(here: Desk, tmp_path: Path) -> None:
    file = listed(tmp_path, "id,phone_number\nada,+493091125001\nbob,+493091120486\n")
    batch = told(outdial(here, "submit", file, *with_both(here), "--watch", "--json"), NOT_ALL_REACHED)
    assert "recipients" not in told(outdial(here, "retry", batch["id"], "--dry-run", "--json"))
    assert told(outdial(here, "retry", batch["id"], "--dry-run", "--all", "--json"))["recipients"] == [
        {"id": "bob", "phone_number": "+493091120486", "outcome": "busy", "would_call": True},
        {"id": "ada", "phone_number": "+493091125001", "outcome": "completed", "would_call": False},
    ]


def test_a_retry_that_calls_nobody_says_why(here: Desk) -> None:
    batch = here.submit(["+493091125002", "+493091125003", "+493091120404"])
    here.until_over(batch["id"])
    why = "nobody was called: 2 were reached, 1 number does not exist"
    assert words_of(outdial(here, "retry", batch["id"])).splitlines()[-1] == why
    done = outdial(here, "retry", batch["id"], "--json")
    assert (told(done)["retry_count"], done.stderr.decode()) == (0, f"{why}\n")


def test_the_list_of_batches(here: Desk) -> None:
    batch = here.submit(["+493091135000"], call_name="with [brackets]", scheduled_time_unix=4_000_000_000)
    rows = told(outdial(here, "list", "--limit", "1", "--json"))
    assert [row["id"] for row in rows] == [batch["id"]]
    told(outdial(here, "pause", batch["id"], "--json"))
    line = words_of(outdial(here, "list", "--agent", here.agent_id)).splitlines()[1]
    assert "with [brackets]" in line
    assert "pending, paused" in line


def test_an_export_is_a_whole_file_or_none(here: Desk, tmp_path: Path) -> None:
    batch = here.submit(["+493091145000", "+493091145001"])
    here.until_over(batch["id"])
    target = tmp_path / "out.csv"
    assert outdial(here, "export", batch["id"], "-o", str(target)).returncode == 0
    assert len(target.read_text().splitlines()) == 3
    assert outdial(here, "export", batch["id"], "--limit", "1").stdout.count(b"\n") == 2
    missing = outdial(here, "export", "btcal_nobody", "-o", str(tmp_path / "none.csv"))
    assert missing.returncode == REFUSED
    nowhere = outdial(here, "export", batch["id"], "-o", str(tmp_path / "no" / "out.csv"))
    assert nowhere.returncode == REFUSED
    assert "can't be written: No such file or directory" in nowhere.stderr.decode()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
@pytest.mark.parametrize("words", [("export",), ("list", "--json")])
def test_a_full_disk_behind_standard_output_is_told(here: Desk, words: tuple[str, ...]) -> None:
    batch = here.submit(["+493091145002"], scheduled_time_unix=4_000_000_000)
    command = [sys.executable, "-m", "outdial.cli.main", *words, *([batch["id"]] if words == ("export",) else [])]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, env=here.server.environment(), stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == REFUSED
    assert "No space left" in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_an_interrupted_watch_leaves_the_batch_running(here: Desk) -> None:
    batch = here.submit(["+493091155000"], scheduled_time_unix=4_000_000_000)
    command = [sys.executable, "-m", "outdial.cli.main", "watch", batch["id"]]
    with subprocess.Popen(
        command, env=here.server.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert b"pending" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == INTERRUPTED
    assert f"still running: `outdial watch {batch['id']}` looks again" in errors.decode()
    assert here.get(batch["id"])["status"] == "pending"


def on_a_terminal(here: Desk, *words: str, typed: bytes = b"") -> tuple[int, str]:
    """A command on a terminal of its own: its exit code and all that it showed."""
    ours, theirs = pty.openpty()
    env = {**here.server.environment(), "TERM": "xterm", "COLUMNS": "120"}
    command = [sys.executable, "-m", "outdial.cli.main", *words]
    with subprocess.Popen(command, env=env, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True) as process:
        os.close(theirs)
        os.write(ours, typed)
        shown = b""
        while select.select([ours], [], [], 30)[0]:
            try:
                chunk = os.read(ours, 65_536)
            except OSError:  # its other end is closed
                break
            shown += chunk
        code = process.wait(30)
    os.close(ours)
    return code, shown.decode()


def test_on_a_terminal_a_watch_is_a_live_view(here: Desk) -> None:
    batch = here.submit(["+493091165000", "+493091160486"])
    code, shown = on_a_terminal(here, "watch", batch["id"])
    assert code == NOT_ALL_REACHED
    assert "Ctrl-C leaves it running" in shown
    assert "A retry would call 1." in shown


def test_on_a_terminal_one_is_asked_before_anybody_is_called(here: Desk, tmp_path: Path) -> None:
    file, before = listed(tmp_path, "phone_number\n+493091175000\n"), batches(here)
    code, shown = on_a_terminal(here, "submit", file, *with_both(here), typed=b"n\n")
    assert "Call 1 person now, from" in shown
    assert (code, batches(here)) == (REFUSED, before)
    code, _ = on_a_terminal(here, "submit", file, *with_both(here), typed=b"y\n")
    assert (code, batches(here)) == (0, before + 1)
    code, shown = on_a_terminal(here, "submit", file, *with_both(here), "--yes")
    assert (code, batches(here)) == (0, before + 2)
    assert "Call 1 person" not in shown


# --- agents and numbers --------------------------------------------------------------------------------------------


def test_agents_and_numbers_are_made_listed_and_meant_by_name(here: Desk, tmp_path: Path) -> None:
    name = f"Reminder {time.time_ns()}"
    agent = told(outdial(here, "agents", "create", "--name", name, "--first-message", "Hi {{name}}", "--json"))[
        "agent_id"
    ]
    kept = told(outdial(here, "agents", "get", agent, "--json"))
    assert kept["conversation_config"]["agent"]["first_message"] == "Hi {{name}}"
    assert agent in [row["agent_id"] for row in told(outdial(here, "agents", "list", "--json"))]
    number = f"+4930{time.time_ns() % 10**9:09d}"
    made = told(outdial(here, "numbers", "create", number, "--max-calls", "2", "--json"))["phone_number_id"]
    assert told(outdial(here, "numbers", "get", number, "--json"))["max_concurrent_calls"] == 2
    assert number in words_of(outdial(here, "numbers", "list"))
    file = listed(tmp_path, "phone_number\n+493091185000\n")
    batch = told(outdial(here, "submit", file, "--agent", name, "--from", number, "--json"))
    assert (batch["agent_id"], batch["phone_number_id"]) == (agent, made)
    unknown = outdial(here, "submit", file, "--agent", "Nobody", "--from", number)
    assert b"no agent is called 'Nobody'; there are " in unknown.stderr
    unknown = outdial(here, "submit", file, "--agent", agent, "--from", "+4930999")
    assert unknown.returncode == REFUSED
    twin = told(outdial(here, "agents", "create", "--name", name, "--json"))["agent_id"]
    doubled = outdial(here, "submit", file, "--agent", name, "--from", number)
    assert f"2 agents are called {name!r}; give the id of one: ".encode() in doubled.stderr
    assert twin.encode() in doubled.stderr


def test_a_refused_number_is_named_as_it_was_typed(here: Desk) -> None:
    for act in ("add", "check", "remove"):
        done = outdial(here, "dnc", act, "+493091185001", "5")
        assert done.returncode == REFUSED
        assert done.stderr == b"outdial: number 2, '5': a phone number starts with + and the country code\n"


def test_a_number_that_needs_more_says_where_to_give_it(here: Desk, tmp_path: Path) -> None:
    twilio = ("numbers", "create", "+493091185002", "--provider", "twilio")
    done = outdial(here, *twilio)
    assert done.returncode == REFUSED
    needs = 'twilio needs more than a number: --settings FILE gives it, a JSON object {"sid": …, "token": …}'
    assert done.stderr.decode().splitlines()[-1] == needs
    half = outdial(here, *twilio, "--settings", listed(tmp_path, '{"sid": "AC1"}', "half.json"))
    assert half.stderr.decode().endswith('a JSON object {"token": …}\n')


def test_a_whole_agent_comes_from_a_file(here: Desk, tmp_path: Path) -> None:
    whole = {"name": "Whole", "conversation_config": {"agent": {"prompt": {"prompt": "Be kind."}}}, "tags": ["a"]}
    path = listed(tmp_path, json.dumps(whole), "agent.json")
    made = told(outdial(here, "agents", "create", "--file", path, "--json"))["agent_id"]
    kept = told(outdial(here, "agents", "get", made, "--json"))
    assert (kept["name"], kept["tags"]) == ("Whole", ["a"])
    assert "Be kind." in words_of(outdial(here, "agents", "get", made))
    broken = outdial(here, "agents", "create", "--file", listed(tmp_path, "[1]", "x.json"))
    assert broken.returncode == REFUSED
    assert b"no object" in broken.stderr
