"""The do-not-call list and the workspace's calling hours over HTTP, on both prefixes."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from outdial.api import suppression_schema as schema
from tests.support.server import Desk, answered

LATER = 4_000_000_000
SETTINGS = "/v1/convai/settings"
NIGHT = {"timezone": "UTC", "rules": [{"weekdays": ["mon"], "start": "02:00", "end": "02:01"}]}
_series = itertools.count(1)


@pytest.fixture
def numbers(desk: Desk) -> Iterator[list[str]]:
    """Numbers of this test alone; off the list again afterwards."""
    series = next(_series)
    mine = [f"+4930{series:04d}{n}5000" for n in range(10, 30)]
    yield mine
    desk.http.post(f"{desk.prefix}/do-not-call/remove", json={"phone_numbers": mine})


def post(desk: Desk, path: str, body: object) -> Any:
    return answered(desk.http.post(f"{desk.prefix}/do-not-call{path}", json=body))


def test_one_and_many_are_added_checked_listed_and_removed(desk: Desk, numbers: list[str]) -> None:
    assert post(desk, "", {"phone_number": numbers[0], "reason": "asked"}) == {"added": 1, "already_listed": 0}
    many = [numbers[0], {"phone_number": numbers[1], "reason": "wrote"}, numbers[2]]
    assert post(desk, "", {"phone_numbers": many, "source": "crm"}) == {"added": 2, "already_listed": 1}
    checked = post(desk, "/check", {"phone_numbers": numbers[:4]})
    schema.DoNotCallChecked.model_validate(checked)
    assert (checked["checked"], checked["suppressed_count"]) == (4, 3)
    entries = {one["phone_number"]: one for one in checked["suppressed"]}
    assert [(entries[n]["reason"], entries[n]["source"]) for n in numbers[:3]] == [
        ("asked", "api"),
        ("wrote", "crm"),
        ("", "crm"),
    ]
    one = answered(desk.http.get(f"{desk.prefix}/do-not-call/{numbers[1]}"))
    assert one == entries[numbers[1]]
    assert desk.http.delete(f"{desk.prefix}/do-not-call/{numbers[1]}").status_code == 204
    gone = desk.http.delete(f"{desk.prefix}/do-not-call/{numbers[1]}")
    assert (gone.status_code, gone.json()["detail"]["code"]) == (404, "do_not_call_entry_not_found")
    assert post(desk, "/remove", {"phone_numbers": numbers}) == {"removed": 2}


def test_the_list_is_paged_by_number(desk: Desk, numbers: list[str]) -> None:
    post(desk, "", {"phone_numbers": list(reversed(numbers))})
    seen, cursor = [], None
    while True:
        query = {"page_size": 7} | ({"cursor": cursor} if cursor else {})
        page = answered(desk.http.get(f"{desk.prefix}/do-not-call", params=query))
        schema.DoNotCallList.model_validate(page)
        seen += [one["phone_number"] for one in page["do_not_call"]]
        cursor = page["next_cursor"]
        assert page["has_more"] is (cursor is not None)
        if cursor is None:
            break
    assert [one for one in seen if one in numbers] == numbers
    assert seen == sorted(seen)


def test_wrong_numbers_are_named_by_their_place_and_then_none_is_added(desk: Desk, numbers: list[str]) -> None:
    wrong = desk.http.post(f"{desk.prefix}/do-not-call", json={"phone_numbers": [numbers[0], "030 1", "x"]})
    assert wrong.status_code == 422
    assert [one["loc"] for one in wrong.json()["detail"]] == [
        ["body", "phone_numbers", 1],
        ["body", "phone_numbers", 2],
    ]
    assert post(desk, "/check", {"phone_numbers": numbers})["suppressed_count"] == 0


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "", {}, 422, None),
        ("POST", "", {"phone_numbers": 5}, 422, None),
        ("POST", "/check", {}, 422, None),
        ("GET", "?cursor=nonsense", None, 400, "invalid_cursor"),
        ("GET", "?page_size=0", None, 422, None),
        ("GET", "/030123", None, 400, "invalid_phone_number"),
        ("GET", "/+4930999999999", None, 404, "do_not_call_entry_not_found"),
        ("DELETE", "/+4930999999999", None, 404, "do_not_call_entry_not_found"),
        ("POST", "/import", {"a": 1}, 400, "invalid_file"),
    ],
)
def test_refusals(desk: Desk, method: str, path: str, body: Any, status: int, code: str | None) -> None:
    answer = desk.http.request(method, f"{desk.prefix}/do-not-call{path}", json=body)
    assert answer.status_code == status, answer.text
    if code is not None:
        assert answer.json()["detail"]["code"] == code


def test_without_a_key_nothing_is_told(desk: Desk) -> None:
    with desk.server.client(**{"x-other": "1"}) as nobody:
        assert nobody.get(f"{desk.prefix}/do-not-call").status_code == 401


def test_a_file_is_imported_and_its_bad_lines_are_told(desk: Desk, numbers: list[str]) -> None:
    post(desk, "", {"phone_number": numbers[0]})
    lines = ["phone_number;reason", *(f"{number};r{n}" for n, number in enumerate(numbers)), "030 17;x", numbers[3]]
    told = answered(
        desk.http.post(
            f"{desk.prefix}/do-not-call/import",
            params={"reason": "campaign"},
            content="\r\n".join(lines).encode(),
            headers={"content-type": "text/csv"},
        )
    )
    schema.DoNotCallImported.model_validate(told)
    assert {name: told[name] for name in ("rows", "added", "already_listed", "rejected")} == {
        "rows": 22,
        "added": 19,
        "already_listed": 2,
        "rejected": 1,
    }
    assert told["errors"] == [{"line": 22, "message": "a phone number starts with + and the country code"}]
    entry = answered(desk.http.get(f"{desk.prefix}/do-not-call/{numbers[3]}"))
    assert (entry["reason"], entry["source"]) == ("r3", "import")


def test_a_big_file_comes_in_pieces(desk: Desk) -> None:
    mine = [f"+4931{n:07d}" for n in range(20_000)]

    def pieces() -> Iterator[bytes]:
        content = ("phone_number\n" + "\n".join(mine)).encode()
        for at in range(0, len(content), 10_007):
            yield content[at : at + 10_007]

    told = answered(desk.http.post(f"{desk.prefix}/do-not-call/import", content=pieces()))
    assert (told["rows"], told["rejected"]) == (20_000, 0)
    for at in range(0, len(mine), 10_000):
        post(desk, "/remove", {"phone_numbers": mine[at : at + 10_000]})


def test_a_file_that_breaks_off_keeps_what_stood_before(desk: Desk, numbers: list[str]) -> None:
    content = f"phone_number\n{numbers[0]}\n".encode() + b"\xff\n"
    refused = desk.http.post(f"{desk.prefix}/do-not-call/import", content=content)
    assert (refused.status_code, refused.json()["detail"]["code"]) == (400, "invalid_file")
    assert post(desk, "/check", {"phone_numbers": numbers})["suppressed_count"] in {0, 1}


def test_submit_tells_how_many_are_not_called(desk: Desk, numbers: list[str]) -> None:
    post(desk, "", {"phone_numbers": numbers[:2]})
    made = desk.submit(numbers[:3], scheduled_time_unix=LATER)
    assert (made["suppressed_count"], made["total_calls_scheduled"], made["total_calls_finished"]) == (2, 3, 2)
    people = desk.get(made["id"])["recipients"]
    assert [(one["status"], one["outcome"]) for one in people] == [
        ("failed", "suppressed"),
        ("failed", "suppressed"),
        ("pending", None),
    ]
    preview = answered(desk.http.get(desk.path(made["id"], "/retry-preview")))
    assert [(one["outcome"], one["count"]) for one in preview["would_not"]] == [("suppressed", 2)]
    nobody = desk.submit(numbers[:2])
    assert (nobody["status"], nobody["suppressed_count"]) == ("completed", 2)
    assert "do-not-call" in nobody["status_reason"]


def test_opting_out_reaches_people_who_wait_already(desk: Desk, numbers: list[str]) -> None:
    made = desk.submit(numbers[:2], scheduled_time_unix=LATER)
    assert made["suppressed_count"] == 0
    assert made["status_reason"] == "scheduled: it begins at 2096-10-02 07:06:40 UTC"


def test_hours_of_the_workspace_count_until_they_are_removed(desk: Desk, numbers: list[str]) -> None:
    try:
        assert answered(desk.http.patch(SETTINGS, json={"calling_hours": NIGHT}))["calling_hours"] == NIGHT
        assert answered(desk.http.get(SETTINGS))["calling_hours"] == NIGHT
        assert answered(desk.http.patch(SETTINGS, json={"something": 1}))["calling_hours"] == NIGHT
        made = desk.submit(numbers[:1])
        assert made["status_reason"].startswith("outside calling hours of the workspace: they open next at ")
        assert made["status_reason"].endswith("02:00 UTC")
        assert made["calling_hours"] is None
        own = {"timezone": "UTC", "rules": [{"start": "00:00", "end": "24:00"}]}
        free = desk.submit(numbers[1:2], calling_hours=own)
        desk.until_over(free["id"])
        assert desk.server.rang(numbers[0]) == 0
    finally:
        assert answered(desk.http.patch(SETTINGS, json={"calling_hours": None}))["calling_hours"] is None
    desk.until_over(made["id"])
    assert desk.server.rang(numbers[0]) == 1


@pytest.mark.parametrize("hours", [{"rules": []}, {"rules": [{"start": "9", "end": "18:00"}]}, {"timezone": "Mars"}])
def test_hours_that_can_t_be_read_are_refused(desk: Desk, hours: dict[str, Any]) -> None:
    refused = desk.http.patch(SETTINGS, json={"calling_hours": hours})
    assert (refused.status_code, refused.json()["detail"]["code"]) == (400, "invalid_calling_hours")
