"""What both prefixes answer beyond the published pages: the superset, the extras, and the limits of one answer."""

import csv
import io

from outdial.api import conversation_schema, schema
from tests.support.server import Desk, answered, until
from tests.wire.golden import THE_SUPERSET

LATER = 4_000_000_000


def test_both_prefixes_tell_the_same_batch(desk: Desk) -> None:
    made = desk.submit(
        ["+493081110000"], scheduled_time_unix=LATER, target_concurrency_limit=3, timezone="Europe/Berlin"
    )
    assert made.keys() >= THE_SUPERSET
    for prefix in ("/v1/convai", "/v1/voiceai"):
        seen = answered(desk.http.get(f"{prefix}/batch-calling/{made['id']}"))
        schema.BatchWithRecipients.model_validate_json(desk.http.get(f"{prefix}/batch-calling/{made['id']}").content)
        assert {name: seen[name] for name in made} == made
    assert (made["target_concurrency_limit"], made["timezone"]) == (3, "Europe/Berlin")
    assert made["telephony_call_config"] == {"ringing_timeout_secs": 60, "twilio_call_recording_enabled": False}
    assert made["branch_name"] is None


def test_a_batch_now_is_scheduled_when_it_came(desk: Desk) -> None:
    made = desk.submit(["+493081110001"])
    assert 0 <= made["scheduled_time_unix"] - made["created_at_unix"] <= 1


def test_unknown_keys_are_accepted_and_client_data_is_kept(desk: Desk) -> None:
    data = {"dynamic_variables": {"a": 1, "b": "zwölf", "c": True, "d": 1.5, "e": None}, "user_id": "u", "new_key": [1]}
    person = {"phone_number": "+49 (30) 8111-0002", "conversation_initiation_client_data": data, "shoe_size": 43}
    made = desk.submit([], recipients=[person], scheduled_time_unix=LATER, something_new={"x": 1})
    seen = desk.get(made["id"])["recipients"][0]
    assert seen["conversation_initiation_client_data"] == data
    assert seen["phone_number"] == "+493081110002"


def test_recipients_are_left_out_paged_and_filtered(desk: Desk) -> None:
    made = desk.submit([f"+49{n}0408" for n in range(3000, 3003)] + [f"+49{n}5000" for n in range(4000, 4002)])
    desk.until_over(made["id"])
    bare = answered(desk.http.get(desk.path(made["id"]), params={"recipients": 0}))
    assert (bare["recipients"], bare["recipients_truncated"], bare["total_calls_scheduled"]) == ([], True, 5)
    path = desk.path(made["id"], "/recipients")
    seen = []
    cursor = None
    while True:
        page = answered(desk.http.get(path, params={"page_size": 2} | ({"cursor": cursor} if cursor else {})))
        seen += page["recipients"]
        cursor = page["next_cursor"]
        assert page["has_more"] == (cursor is not None)
        if cursor is None:
            break
    assert seen == desk.get(made["id"])["recipients"]
    missed = answered(desk.http.get(path, params={"outcome": "no_answer"}))["recipients"]
    reached = answered(desk.http.get(path, params={"status": "completed"}))["recipients"]
    assert (len(missed), len(reached)) == (3, 2)
    assert desk.http.get(path, params={"outcome": "bored"}).status_code == 422


def test_the_preview_says_whom_a_retry_would_call(desk: Desk) -> None:
    made = desk.submit(["+493082220408", "+493082220404", "+493082220301", "+493082225000"])
    desk.until_over(made["id"])
    path = desk.path(made["id"], "/retry-preview")
    seen = answered(desk.http.get(path))
    schema.RetryPreview.model_validate(seen)
    assert (seen["would_call"], seen["by_outcome"]) == (1, {"no_answer": 1})
    assert {one["outcome"]: one["count"] for one in seen["would_not"]} == {
        "completed": 1,
        "voicemail": 1,
        "invalid_number": 1,
    }
    assert all(one["reason"] for one in seen["would_not"])
    wider = answered(desk.http.get(path, params={"include": "voicemail"}))
    assert wider["by_outcome"] == {"voicemail": 1, "no_answer": 1}
    retried = answered(desk.http.post(desk.path(made["id"], "/retry"), json={"include": ["voicemail"]}))
    assert retried["retry_count"] == 1
    over = desk.until_over(made["id"])
    assert [one["attempts"] for one in over["recipients"]] == [2, 1, 2, 1]


def test_pause_and_resume_are_told_beside_the_status(desk: Desk) -> None:
    made = desk.submit(["+493083330001"], scheduled_time_unix=LATER)
    for _ in range(2):
        paused = answered(desk.http.post(desk.path(made["id"], "/pause")))
    assert (paused["paused"], paused["status"]) == (True, "pending")
    assert paused["status_reason"]
    resumed = answered(desk.http.post(desk.path(made["id"], "/resume")))
    assert resumed["paused"] is False
    assert resumed["status_reason"].startswith("scheduled")


def test_cancel_with_hang_up_ends_the_conversations(desk: Desk) -> None:
    made = desk.submit(["+493084440001"])
    assert answered(desk.http.post(desk.path(made["id"], "/cancel"), params={"hang_up": "true"}))["status"] in {
        "cancelled",
        "completed",
    }
    until(lambda: desk.get(made["id"]), lambda seen: seen["total_calls_finished"] == 1)


def test_delete_answers_204_with_nothing(desk: Desk) -> None:
    made = desk.submit(["+493084450001"], scheduled_time_unix=LATER)
    gone = desk.http.delete(desk.path(made["id"]))
    assert (gone.status_code, gone.content) == (204, b"")
    assert desk.http.get(desk.path(made["id"])).status_code == 404
    assert desk.http.delete(desk.path(made["id"])).status_code == 404
    listed = answered(desk.http.get(f"{desk.prefix}/batch-calling/workspace"))["batch_calls"]
    assert made["id"] not in [one["id"] for one in listed]


def test_the_export_is_a_row_a_person_with_every_variable(desk: Desk) -> None:
    variables = ({"x": "1,2"}, {"y": True, "status": "vip"}, {})
    people = [
        {"phone_number": f"+49308555000{n}", "conversation_initiation_client_data": {"dynamic_variables": said}}
        for n, said in enumerate(variables, 1)
    ]
    people[0]["id"] = 'a,"b"'
    made = desk.submit([], recipients=people, scheduled_time_unix=LATER)
    response = desk.http.get(desk.path(made["id"], "/export"))
    assert response.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [(row["phone_number"], row["status"], row["x"], row["y"]) for row in rows] == [
        ("+493085550001", "pending", "1,2", ""),
        ("+493085550002", "pending", "", "true"),
        ("+493085550003", "pending", "", ""),
    ]
    assert rows[0]["recipient_id"] == 'a,"b"'
    assert rows[1]["dynamic_variables.status"] == "vip"
    short = desk.http.get(desk.path(made["id"], "/export"), params={"limit": 1})
    assert len(short.text.splitlines()) == 2


def test_the_export_hands_no_formula_to_a_spreadsheet(desk: Desk) -> None:
    said = {
        "a": "=1+1", "b": "@SUM(A1)", "c": "+cmd|' /C calc'!A0", "d": "-2+cmd()", "e": "\t=1", "f": "\r=1",
        "g": "-5.50", "h": "+49 (30) 8111-0002", "i": -5, "j": "a=b", "k": "'=1", "=l": "x",
    }  # fmt: skip
    people = [{"phone_number": "+493085550001", "id": "=id", "conversation_initiation_client_data": {}}]
    people[0]["conversation_initiation_client_data"] = {"dynamic_variables": said}
    made = desk.submit([], recipients=people, scheduled_time_unix=LATER)
    text = desk.http.get(desk.path(made["id"], "/export")).text
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert (row["recipient_id"], row["phone_number"], row["'=l"]) == ("'=id", "+493085550001", "x")
    assert [row[name] for name in "abcdef"] == [f"'{said[name]}" for name in "abcdef"]
    assert [row[name] for name in "ghijk"] == ["-5.50", "+49 (30) 8111-0002", "-5", "a=b", "'=1"]


def test_ten_thousand_people_are_taken_and_told_in_full(desk: Desk) -> None:
    numbers = [f"+4930{n:07d}" for n in range(10_000)]
    made = desk.submit(numbers, scheduled_time_unix=LATER)
    seen = desk.get(made["id"])
    assert [one["phone_number"] for one in seen["recipients"]] == numbers
    assert not seen["recipients_truncated"]
    assert len({one["id"] for one in seen["recipients"]}) == 10_000
    assert len(desk.http.get(desk.path(made["id"], "/export")).text.splitlines()) == 10_001


def test_a_conversation_is_told_for_every_call_that_was_sent(desk: Desk) -> None:
    made = desk.submit(["+493086660486", "+493086665000"])
    over = desk.until_over(made["id"])
    busy, reached = (
        answered(desk.http.get(f"{desk.prefix}/conversations/{one['conversation_id']}")) for one in over["recipients"]
    )
    for seen in (busy, reached):
        conversation_schema.Conversation.model_validate(seen)
        assert seen["metadata"]["batch_call"]["batch_call_id"] == made["id"]
        assert seen["metadata"]["phone_call"]["direction"] == "outbound"
    assert (busy["status"], busy["metadata"]["phone_call"]["call_result"]) == ("failed", "busy")
    assert (reached["status"], reached["metadata"]["phone_call"]["call_result"]) == ("done", "answered")
    assert reached["analysis"]["call_successful"] == "success"
    assert reached["transcript"]


def test_the_export_tells_each_call_s_times_also_while_it_runs(desk: Desk) -> None:
    block = 1 if desk.prefix == "/v1/convai" else 2
    made = desk.submit([f"+49308777{block}5000", f"+49308777{block}0486"])
    running = desk.http.get(desk.path(made["id"], "/export"))
    assert len(running.text.splitlines()) == 3
    over = desk.until_over(made["id"])
    reached, busy = csv.DictReader(io.StringIO(desk.http.get(desk.path(made["id"], "/export")).text))
    assert (reached["outcome"], busy["outcome"]) == ("completed", "busy")
    assert reached["conversation_id"] == over["recipients"][0]["conversation_id"]
    assert reached["call_started_at"] <= reached["call_answered_at"] <= reached["call_ended_at"]
    assert float(reached["call_duration_secs"]) >= 0
    assert (busy["call_answered_at"], busy["call_duration_secs"]) == ("", "")
    assert busy["call_ended_at"].endswith("Z")
