"""Conversations: listed by every filter of the wire, page by page, told, and erased."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from outdial.api import conversation_schema
from outdial.api.conversation_filters import HELD_BY_NONE
from outdial.store.blobs import BlobFolder
from tests.support.server import Desk, Server, answered, open_desk, until
from tests.support.sound import mp3_of

PATHS = ("/v1/convai/conversations", "/v1/voiceai/conversations")


@pytest.fixture(scope="module")
def called(server: Server) -> Iterator[tuple[Desk, dict[str, Any], dict[str, Any]]]:
    """A desk with two batches that are over: four reached, one busy, one machine; then one reached."""
    desk = open_desk(server)
    people: list[dict[str, Any]] = [
        {
            "id": f"p{n}",
            "phone_number": f"+4930955{n}5000",
            "conversation_initiation_client_data": {
                "dynamic_variables": {"n": n, "name": f"N{n}", "odd": n % 2 == 1},
                "user_id": f"u{n % 2}",
            },
        }
        for n in range(4)
    ]
    people += [{"phone_number": "+493095560486"}, {"phone_number": "+493095560301"}]
    first = desk.submit([], recipients=people, branch_id="b1", environment="prod", timezone="Europe/Berlin")
    first = desk.until_over(first["id"])
    second = desk.until_over(desk.submit(["+493095575000"])["id"])
    yield desk, first, second
    desk.http.close()


def ids(desk: Desk, path: str = PATHS[0], **asked: Any) -> list[str]:
    page = answered(desk.http.get(path, params={"agent_id": desk.agent_id, **asked}))
    conversation_schema.ConversationList.model_validate(page)
    return [one["conversation_id"] for one in page["conversations"]]


def of(batch: dict[str, Any], *places: int) -> set[str]:
    return {batch["recipients"][n]["conversation_id"] for n in places}


@pytest.mark.parametrize("path", PATHS)
def test_all_of_them_are_listed_newest_first(called: Any, path: str) -> None:
    desk, first, second = called
    seen = ids(desk, path)
    assert len(seen) == len(set(seen)) == 7
    assert seen[0] in of(second, 0)
    assert set(seen) == of(first, *range(6)) | of(second, 0)
    assert ids(desk, path, sort_direction="asc") == seen[::-1]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("direction", ["asc", "desc"])
@pytest.mark.parametrize("asked", [{}, {"user_id": "u1"}, {"exclude_statuses": ["failed"]}])
def test_pages_are_the_list_in_pieces(called: Any, path: str, direction: str, asked: dict[str, Any]) -> None:
    desk, _, _ = called
    asked = {"agent_id": desk.agent_id, "sort_direction": direction, **asked}
    whole = ids(desk, path, **asked)
    for size in (1, 2, 3):
        seen: list[str] = []
        cursor = None
        while True:
            more = {"cursor": cursor} if cursor else {}
            page = answered(desk.http.get(path, params={**asked, "page_size": size, **more}))
            seen += [one["conversation_id"] for one in page["conversations"]]
            cursor = page["next_cursor"]
            assert page["has_more"] == (cursor is not None)
            if cursor is None:
                break
        assert seen == whole


def test_each_filter_keeps_what_it_says(called: Any) -> None:
    desk, first, second = called
    everyone = of(first, *range(6)) | of(second, 0)
    start = first["created_at_unix"]

    def kept(**asked: Any) -> set[str]:
        return set(ids(desk, **asked))

    assert kept(batch_call_id=first["id"]) == of(first, *range(6))
    assert kept(batch_call_id=second["id"]) == of(second, 0)
    assert kept(call_successful="failure") == of(first, 4, 5)
    assert kept(call_successful="unknown") == set()
    assert kept(user_id="u1") == of(first, 1, 3)
    assert kept(branch_id="b1") == of(first, *range(6))
    assert kept(exclude_statuses=["done"]) == of(first, 4)
    assert kept(termination_reasons=["hung_up"]) >= of(first, 0, 1, 2, 3)
    assert kept(phone_number_ids=[desk.number_id]) == everyone
    assert kept(tool_names=["transfer"]) == set()
    assert kept(exclude_batch=True) == set()
    assert kept(call_start_after_unix=start - 5) == everyone
    assert kept(call_start_after_unix=start + 3_600) == set()
    assert kept(call_start_before_unix=start + 3_600) == everyone
    assert kept(call_start_before_unix=start - 5) == set()
    assert kept(call_duration_min_secs=60) == set()
    assert kept(call_duration_max_secs=60) == everyone
    assert kept(dynamic_variable_params=["name:eq:N1"]) == of(first, 1)
    assert kept(dynamic_variable_params=["name:in:N1|N2"]) == of(first, 1, 2)
    assert kept(dynamic_variable_params=["n:gte:1", "n:lt:3"]) == of(first, 1, 2)
    assert kept(dynamic_variable_params=["odd:eq:true"]) == of(first, 1, 3)
    assert kept(dynamic_variable_params=["name:eq:"]) == of(first, 4, 5) | of(second, 0)
    assert kept(dynamic_variable_params=["name:neq:"]) == of(first, 0, 1, 2, 3)
    said = answered(desk.http.get(f"{PATHS[0]}/{first['recipients'][0]['conversation_id']}"))["transcript"][0]
    assert of(first, 0) <= kept(search=said["message"].upper())
    assert kept(search="nobody ever said this") == set()
    assert kept(dynamic_variable_filter="name:eq:N1", dynamic_variable_params=["n:gte:1"]) == of(first, 1)
    assert kept(conversation_initiation_source="loopback", direction="outbound") == everyone
    assert kept(conversation_initiation_source="twilio") == kept(direction="inbound") == set()
    assert kept(has_feedback_comment="false", text_only="false", topic_ids="") == everyone


@pytest.mark.parametrize("name", sorted(HELD_BY_NONE))
def test_a_filter_by_what_no_conversation_has_finds_none(called: Any, name: str) -> None:
    desk, _, _ = called
    for path in PATHS:
        assert ids(desk, path, **{name: "4"}) == []


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"page_size": 101}, 422),
        ({"call_successful": "maybe"}, 422),
        ({"exclude_statuses": ["in_progress"]}, 422),
        ({"dynamic_variable_params": ["name"]}, 422),
        ({"dynamic_variable_params": ["name:like:x"]}, 422),
        ({"dynamic_variable_params": ["n:gt:x"]}, 422),
        ({"dynamic_variable_filter": "name"}, 422),
        ({"direction": "sideways"}, 422),
        ({"call_start_after_unix": 10**30}, 422),
        ({"cursor": "x"}, 400),
        ({"cursor": "Yi4xLjE"}, 400),
        ({"search": "a\x00b"}, 422),
    ],
)
def test_a_filter_that_can_t_be_is_refused(called: Any, asked: dict[str, Any], status: int) -> None:
    desk, _, _ = called
    assert desk.http.get(PATHS[0], params=asked).status_code == status


def table(desk: Desk, **asked: Any) -> list[dict[str, str]]:
    answer = desk.http.get(f"{PATHS[1]}/export", params={"agent_id": desk.agent_id, **asked})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="conversations.csv"'
    return list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))


def test_conversations_are_exported_in_the_words_of_the_list(called: Any) -> None:
    desk, first, _ = called
    rows = table(desk)
    assert [row["conversation_id"] for row in rows] == ids(desk)
    page = answered(desk.http.get(PATHS[1], params={"agent_id": desk.agent_id}))["conversations"]
    for row, told in zip(rows, page, strict=True):
        for name in (
            "agent_id",
            "agent_name",
            "status",
            "call_successful",
            "termination_reason",
            "direction",
            "outcome",
        ):
            assert row[name] == told[name], name
        assert int(row["message_count"]) == told["message_count"]
        assert int(row["call_duration_secs"]) == told["call_duration_secs"]
        assert datetime.fromisoformat(row["call_started_at"]).timestamp() == told["start_time_unix_secs"]
    (ada,) = (row for row in rows if row["batch_call_recipient_id"] == "p1")
    whole = answered(desk.http.get(f"{PATHS[1]}/{ada['conversation_id']}"))
    assert (ada["external_number"], ada["agent_number"]) == ("+493095515000", "+49305550100")
    assert ada["batch_call_id"] == first["id"]
    assert json.loads(ada["dynamic_variables"]) == {"n": 1, "name": "N1", "odd": True}
    assert ada["transcript"] == "\n".join(f"{said['role']}: {said['message']}" for said in whole["transcript"])


def test_an_export_takes_the_filters_of_the_list_and_a_limit(called: Any) -> None:
    desk, first, _ = called
    for asked in (
        {"call_successful": "failure"},
        {"batch_call_id": first["id"]},
        {"dynamic_variable_params": "n:gte:2"},
    ):
        assert [row["conversation_id"] for row in table(desk, **asked)] == ids(desk, **asked)
    assert [row["conversation_id"] for row in table(desk, limit=3)] == ids(desk)[:3]
    assert table(desk, direction="web") == table(desk, rating_min=1) == []
    for limit in (0, 5_001, "x"):
        assert desk.http.get(f"{PATHS[1]}/export", params={"limit": limit}).status_code == 422


def test_what_a_stranger_put_in_a_list_is_no_formula_in_the_export(server: Server) -> None:
    desk = open_desk(server)
    person = {"id": "=1+1", "phone_number": "+493095615000"}
    desk.until_over(desk.submit([], recipients=[person])["id"])
    assert [row["batch_call_recipient_id"] for row in table(desk)] == ["'=1+1"]
    desk.http.close()


def test_a_conversation_that_was_not_recorded_has_no_audio(called: Any) -> None:
    desk, first, _ = called
    for path in PATHS:
        refused = desk.http.get(f"{path}/{first['recipients'][0]['conversation_id']}/audio")
        assert (refused.status_code, refused.json()["detail"]["code"]) == (404, "recording_not_found")
        unknown = desk.http.get(f"{path}/conv_{'0' * 32}/audio")
        assert unknown.json()["detail"]["code"] == "conversation_not_found"


def test_a_batch_s_own_fields_are_told_with_it(called: Any) -> None:
    desk, first, _ = called
    seen = answered(desk.http.get(f"{PATHS[0]}/{first['recipients'][0]['conversation_id']}"))
    assert (seen["branch_id"], seen["environment"], seen["metadata"]["timezone"]) == ("b1", "prod", "Europe/Berlin")
    assert {name: first[name] for name in ("branch_id", "environment", "timezone")} == {
        "branch_id": "b1",
        "environment": "prod",
        "timezone": "Europe/Berlin",
    }


def test_an_erased_conversation_is_gone_for_good(server: Server) -> None:
    desk = open_desk(server)
    over = desk.until_over(desk.submit(["+493095585000", "+493095585001"])["id"])
    gone, stays = (one["conversation_id"] for one in over["recipients"])
    assert answered(desk.http.delete(f"{PATHS[0]}/{gone}")) == {}
    assert desk.http.get(f"{PATHS[0]}/{gone}").status_code == 404
    assert desk.http.delete(f"{PATHS[0]}/{gone}").status_code == 404
    assert ids(desk) == [stays]
    assert desk.get(over["id"])["total_calls_finished"] == 2, "the batch still counts it"
    desk.http.close()


def test_a_call_under_way_is_listed_and_can_t_be_erased(server: Server, tmp_path: Any) -> None:
    slow = Server(tmp_path, f"sqlite:///{tmp_path}/o.db", settings={"OUTDIAL_CARRIER_TALK_SECS": "20"}).start()
    try:
        desk = open_desk(slow)
        made = desk.submit(["+493095595000"])
        (listed,) = until(
            lambda: answered(desk.http.get(PATHS[0], params={"batch_call_id": made["id"]}))["conversations"],
            lambda seen: bool(seen) and seen[0]["status"] == "in-progress",
        )
        path = f"{PATHS[0]}/{listed['conversation_id']}"
        refused = desk.http.delete(path)
        assert (refused.status_code, refused.json()["detail"]["code"]) == (400, "conversation_in_progress")
        assert answered(desk.http.get(path))["status"] == "in-progress"
        answered(desk.http.post(desk.path(made["id"], "/cancel"), params={"hang_up": "true"}))
        until(lambda: answered(desk.http.get(path))["status"], lambda status: status in {"done", "failed"})
        assert ids(desk) == [listed["conversation_id"]], "listed once, before and after"
        desk.http.close()
    finally:
        slow.stop()


def test_a_recording_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    pytest.importorskip("lameenc", reason="the extra `sip` is not installed: no wheel for this machine")
    server = Server(tmp_path, f"sqlite:///{tmp_path}/o.db").start()
    try:
        desk = open_desk(server)
        conversation_id = desk.until_over(desk.submit(["+493095605000"])["id"])["recipients"][0]["conversation_id"]
        blobs, name = BlobFolder(tmp_path / "recordings"), f"{conversation_id.removeprefix('conv_')}.wav"
        with blobs.create(name) as recording:
            recording.write(b"RIFF, but not a WAV")
        blobs.keep(name)
        assert desk.http.get(f"{PATHS[0]}/{conversation_id}/audio").status_code == 404
        assert "recording can't be read" in server.log
        desk.http.close()
    finally:
        server.stop()


def test_a_recording_is_played_and_goes_with_its_conversation(tmp_path: Path) -> None:
    pytest.importorskip("lameenc", reason="the extra `sip` is not installed: no wheel for this machine")
    from outdial.media.recording import stereo, wav_header
    from tests.media.test_codec import sine

    server = Server(tmp_path, f"sqlite:///{tmp_path}/o.db").start()
    try:
        desk = open_desk(server)
        over = desk.until_over(desk.submit(["+493095605000"])["id"])
        conversation_id = over["recipients"][0]["conversation_id"]
        path = f"{PATHS[0]}/{conversation_id}"
        assert not answered(desk.http.get(path))["has_audio"]
        blobs = BlobFolder(tmp_path / "recordings")
        name = f"{conversation_id.removeprefix('conv_')}.wav"
        said = stereo(sine(440, 8_000, 5.0), sine(1_000, 8_000, 5.0))
        with blobs.create(name) as recording:
            recording.write(wav_header(8_000, 2, len(said)) + said)
        assert desk.http.get(f"{path}/audio").status_code == 404, "one that is being written is not there yet"
        blobs.keep(name)
        assert answered(desk.http.get(path))["has_audio"]
        played = desk.http.get(f"{path}/audio")
        assert (played.status_code, played.headers["content-type"]) == (200, "audio/mpeg")
        secs, hertz, channels = mp3_of(played.content)
        assert (hertz, channels) == (8_000, 2)
        assert 5.0 <= secs < 5.4
        as_it_was = desk.http.get(f"{path}/audio", params={"format": "wav"})
        assert (as_it_was.status_code, as_it_was.headers["content-type"]) == (200, "audio/wav")
        assert as_it_was.content == wav_header(8_000, 2, len(said)) + said
        assert desk.http.get(f"{path}/audio", params={"format": "ogg"}).status_code == 422
        answered(desk.http.delete(path))
        with pytest.raises(FileNotFoundError):
            blobs.open(name)
        desk.http.close()
    finally:
        server.stop()
