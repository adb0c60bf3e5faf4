"""Orders as they come over the wire, read on the spot and by the process beside the server."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel

from outdial.api.agent_schema import UpdateAgent
from outdial.api.body import as_model
from outdial.api.number_schema import UpdatePhoneNumber
from outdial.api.reader import SMALL, Reader
from outdial.api.submission import read_submission
from outdial.domain.bounds import DEEPEST, LARGEST_DATA, LONGEST_NAME, LONGEST_TEXT, MOST_VARIABLES
from outdial.domain.errors import Invalid, Unprocessable


def body_of(people: int = 3, **changes: Any) -> bytes:
    order: dict[str, Any] = {
        "call_name": "test",
        "agent_id": "agent_1",
        "agent_phone_number_id": "phnum_1",
        "recipients": [{"phone_number": f"+4930{n:07d}", "id": f"c{n}"} for n in range(people)],
    }
    return json.dumps(order | changes).encode()


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    made = Reader()
    yield made
    await made.stop()


def test_the_least_that_an_order_needs() -> None:
    order = read_submission(b'{"call_name":"","agent_id":"a","recipients":[{"phone_number":"+4930 1234567"}]}')
    assert (order.head.name, order.head.number_id, order.head.scheduled_at) == ("", None, None)
    assert [(one.number, one.client_data_json, one.window_class) for one in order.people] == [
        ("+49301234567", "{}", "")
    ]
    assert order.people[0].recipient_id.startswith("rcpt_")


def test_client_data_is_kept_to_the_letter() -> None:
    data = '{ "dynamic_variables": {"pi": 3.140, "big": 12345678901234567890, "ü": "\\u00fc"}, "x": [1, {}] }'
    before = '{"call_name":"","agent_id":"a","recipients":[{"phone_number":"+49301234567",'
    order = read_submission(f'{before}"conversation_initiation_client_data":{data}}}]}}'.encode())
    assert order.people[0].client_data_json == data


def test_numbers_written_as_text_are_taken_as_the_schema_takes_them() -> None:
    order = read_submission(body_of(target_concurrency_limit="5", scheduled_time_unix="1900000000"))
    assert (order.head.target_concurrency_limit, order.head.scheduled_at) == (5, 1_900_000_000.0)


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("name", ["scheduled_time_unix", "target_concurrency_limit", "ringing_timeout_secs"])
def test_a_truth_value_is_no_number(name: str, value: object) -> None:
    inside = name == "ringing_timeout_secs"
    changes: dict[str, Any] = {"telephony_call_config": {name: value}} if inside else {name: value}
    with pytest.raises(Unprocessable) as wrong:
        read_submission(body_of(**changes))
    loc = ("body", "telephony_call_config", name) if inside else ("body", name)
    assert [(one.loc, one.type) for one in wrong.value.complaints] == [(loc, "number_type")]


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (UpdateAgent, b'{"conversation_config": {"tts": {"speed": true}}}'),
        (UpdateAgent, b'{"conversation_config": {"conversation": {"max_duration_seconds": true}}}'),
        (UpdateAgent, b'{"platform_settings": {"call_limits": {"agent_concurrency_limit": true}}}'),
        (UpdatePhoneNumber, b'{"max_concurrent_calls": true}'),
        (UpdatePhoneNumber, b'{"max_calls_per_second": true}'),
    ],
)
def test_nor_is_it_one_in_settings(model: type[BaseModel], body: bytes) -> None:
    with pytest.raises(Unprocessable) as wrong:
        as_model(body, model)
    assert [one.type for one in wrong.value.complaints] == ["number_type"]


OVERRIDE = ("body", "recipients", 0, "conversation_initiation_client_data", "conversation_config_override")


def with_override(override: object) -> bytes:
    data = {"conversation_config_override": override}
    return body_of(recipients=[{"phone_number": "+49301234567", "conversation_initiation_client_data": data}])


@pytest.mark.parametrize(
    ("override", "loc"),
    [
        ([], ()),
        ({"agent": []}, ("agent",)),
        ({"agent": {"first_message": 5}}, ("agent", "first_message")),
        ({"agent": {"prompt": "Be kind"}}, ("agent", "prompt")),
        ({"agent": {"prompt": {"prompt": ["Be kind"]}}}, ("agent", "prompt", "prompt")),
        ({"tts": {"voice_id": 1}}, ("tts", "voice_id")),
        ({"tts": {"speed": True}}, ("tts", "speed")),
        ({"conversation": {"max_duration_seconds": True}}, ("conversation", "max_duration_seconds")),
        ({"turn": "mine"}, ("turn",)),
    ],
)
def test_an_override_of_the_wrong_type_is_told_by_its_place(override: object, loc: tuple[str, ...]) -> None:
    with pytest.raises(Unprocessable) as wrong:
        read_submission(with_override(override))
    assert wrong.value.complaints[0].loc == (*OVERRIDE, *loc)


@pytest.mark.parametrize(
    "override",
    [
        None,
        {"agent": None, "tts": None, "new": 1},
        {"agent": {"first_message": None, "prompt": {"prompt": None, "new": [1]}, "new": {}}, "tts": {"speed": 1}},
    ],
)
def test_nulls_and_unknown_keys_of_an_override_are_kept(override: object) -> None:
    (person,) = read_submission(with_override(override)).people
    assert json.loads(person.client_data_json) == {"conversation_config_override": override}


DATA = "conversation_initiation_client_data"


def of_the_second(data: object) -> bytes:
    """An order for two people, of whom the second has these data."""
    people = [{"phone_number": "+49301234567"}, {"phone_number": "+49301234568", DATA: data}]
    return body_of(recipients=people)


def test_data_at_their_bounds_are_taken_as_they_came() -> None:
    variables = {f"v{n}": "" for n in range(MOST_VARIABLES - 3)} | dict.fromkeys("abc", "x" * LONGEST_TEXT)
    data = {"dynamic_variables": variables, "note": "y" * (LARGEST_DATA - 3 * LONGEST_TEXT - 16_000)}
    text = json.dumps(data | {"more": "z" * 100})
    assert LARGEST_DATA - 10_000 < len(text) <= LARGEST_DATA
    assert json.loads(read_submission(of_the_second(json.loads(text))).people[1].client_data_json) == json.loads(text)


TOO_MUCH: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"dynamic_variables": {f"v{n}": n for n in range(MOST_VARIABLES + 1)}}, ("dynamic_variables",)),
    ({"dynamic_variables": {"n": "x" * (LONGEST_TEXT + 1)}}, ("dynamic_variables", "n")),
    ({"dynamic_variables": {"n" * (LONGEST_NAME + 1): 1}}, ("dynamic_variables", "n" * 64)),
    (
        {"conversation_config_override": {"agent": {"first_message": "x" * (LONGEST_TEXT + 1)}}},
        ("conversation_config_override", "agent", "first_message"),
    ),
    ({"custom_llm_extra_body": {"a": {"b": "x" * (LONGEST_TEXT + 1)}}}, ("custom_llm_extra_body", "a", "b")),
    ({"user_id": "x" * (LONGEST_TEXT + 1)}, ("user_id",)),
    ({"dynamic_variables": {f"v{n}": "x" * LONGEST_TEXT for n in range(4)}}, ()),
]


@pytest.mark.parametrize(("data", "path"), TOO_MUCH)
def test_data_beyond_their_bounds_are_refused_by_person_and_place(data: object, path: tuple[str, ...]) -> None:
    with pytest.raises(Unprocessable) as wrong:
        read_submission(of_the_second(data))
    (complaint,) = wrong.value.complaints
    assert complaint.loc == ("body", "recipients", 1, DATA, *path)


def test_data_that_are_too_deep_are_refused_also_where_they_are_short() -> None:
    deep: list[Any] = []
    for _ in range(DEEPEST - 2):
        deep = [deep]
    assert read_submission(of_the_second({"custom_llm_extra_body": {"x": deep[0]}})).people
    with pytest.raises(Unprocessable) as wrong:
        read_submission(of_the_second({"custom_llm_extra_body": {"x": deep}}))
    assert wrong.value.complaints[0].loc[:5] == ("body", "recipients", 1, DATA, "custom_llm_extra_body")


def test_a_list_of_people_with_too_much_is_told_a_hundred_times() -> None:
    person = {"phone_number": "+49301234567", DATA: {"x" * 300: 1, "y" * 300: {}, "z": ["w" * 70_000]}}
    with pytest.raises(Unprocessable) as wrong:
        read_submission(body_of(recipients=[person] * 200))
    assert 100 <= len(wrong.value.complaints) <= 110


def test_the_head_of_an_order_has_its_bounds_too() -> None:
    detection = {"mode": "enable", "actions": [{"action": "hang_up", "answered_by": ["fax"] * 21}]}
    with pytest.raises(Unprocessable) as wrong:
        read_submission(body_of(telephony_call_config={"twilio_machine_detection": detection}))
    assert wrong.value.complaints[0].loc[:3] == ("body", "telephony_call_config", "twilio_machine_detection")


def test_calling_hours_give_each_number_its_window() -> None:
    hours = {"rules": [{"start": "09:00", "end": "18:00"}]}
    people = [{"phone_number": "+4930123456"}, {"phone_number": "+81312345678"}, {"phone_number": "+870773111632"}]
    windows = [one.window_class for one in read_submission(body_of(recipients=people, calling_hours=hours)).people]
    assert windows == ["Europe/Berlin", "Asia/Tokyo", "?"]
    fallback = read_submission(body_of(recipients=people, calling_hours=hours, timezone="Europe/Paris")).people
    assert fallback[2].window_class == "Europe/Paris"


async def test_the_same_order_is_read_by_the_process_beside(reader: Reader) -> None:
    body = body_of(1_234, timezone="Europe/Berlin")
    assert len(body) > SMALL
    assert await reader.read(body) == read_submission(body)


async def test_many_big_orders_at_once_come_back_whole(reader: Reader) -> None:
    bodies = [body_of(1_000 + n) for n in range(5)]
    assert await asyncio.gather(*(reader.read(body) for body in bodies)) == [read_submission(body) for body in bodies]


async def test_what_it_refuses_is_refused_here(reader: Reader) -> None:
    with pytest.raises(Unprocessable) as wrong:
        await reader.read(body_of(1_000, agent_id=5))
    assert wrong.value.complaints[0].loc == ("body", "agent_id")
    with pytest.raises(Invalid) as refused:
        await reader.read(body_of(1_000, timezone="Mars"))
    assert (refused.value.code, refused.value.param) == ("invalid_parameters", "timezone")
    assert len((await reader.read(body_of(1_000))).people) == 1_000


async def test_a_reader_that_died_is_replaced(reader: Reader) -> None:
    await reader.start()
    assert reader._process is not None
    reader._process.kill()
    assert len((await reader.read(body_of(1_000))).people) == 1_000


async def test_a_caller_who_goes_away_leaves_nothing_for_the_next(reader: Reader) -> None:
    await reader.start()
    gone = asyncio.create_task(reader.read(body_of(9_000)))
    await asyncio.sleep(0.02)
    gone.cancel()
    assert len((await reader.read(body_of(1_001))).people) == 1_001
