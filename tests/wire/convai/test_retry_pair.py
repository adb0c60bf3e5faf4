"""The published pair of retry."""

from pathlib import Path

import pytest

from tests.support.server import Server, open_desk
from tests.wire.golden import ask, check, published

PAIR = published(Path(__file__).with_name("retry.published.json"))


@pytest.mark.parametrize("number", ["+4930777710408", "+4930777715000"])
def test_retry_answers_as_published(server: Server, number: str) -> None:
    desk = open_desk(server, "/v1/convai")
    batch = desk.submit([number])
    over = desk.until_over(batch["id"])
    answer = ask(desk, PAIR, batch["id"])
    check(PAIR, answer)
    somebody_to_call = over["recipients"][0]["status"] == "failed"
    assert answer["retry_count"] == somebody_to_call
    assert answer["status"] in ({"pending", "in_progress"} if somebody_to_call else {"completed"})
    assert answer["last_updated_at_unix"] >= over["last_updated_at_unix"]
    check(PAIR, desk.until_over(batch["id"]))
