"""Phone numbers as people write them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outdial.domain.errors import Invalid
from outdial.domain.number import ImpossibleNumber, canonical, last_two, zones


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+4915112345678", "+4915112345678"),
        ("  +49 151 123-456.78 ", "+4915112345678"),
        ("+1 (555) 000-0486", "+15550000486"),
        ("+1\u00a0555\u2011000\u20130486", "+15550000486"),
        ("+1234567", "+1234567"),
        ("+123456789012345", "+123456789012345"),
    ],
)
def test_clear_writings_become_e164(written: str, number: str) -> None:
    assert canonical(written) == number


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "missing"),
        ("  - ", "missing"),
        ("015112345678", "starts with + and the country code"),
        ("5550000486", "starts with + and the country code"),
        ("004915112345678", "write + instead of 00"),
        ("+49 (0)151 12345678", "(0)"),
        ("+49 ( 0 ) 151 12345678", "(0)"),
        ("+0123456789", "no country code starts with 0"),
        ("+123456", "has 6"),
        ("+1234567890123456", "has 16"),
        ("+", "has 0"),
        ("+1 555 000 0486 ext 5", "'e'"),
        ("+1555CALLME", "'C'"),
        ("tel:+15550000486", "'t'"),
        ("++15550000486", "'+'"),
        ("+1/555/0000486", "'/'"),
        ("+\u0661234567", "'\u0661'"),
        ("4.91511E+12", "spreadsheet"),
        ("+4915112345678.0", "leave the .0"),
        (" 4915112345678,00", "leave the .0"),
        ("+15550000486\n+15550000487", "'\\n'"),
    ],
)
def test_what_is_ambiguous_is_refused_with_its_reason(written: str, why: str) -> None:
    with pytest.raises(ImpossibleNumber) as caught:
        canonical(written)
    assert why in str(caught.value)
    assert isinstance(caught.value, Invalid | ValueError)
    assert caught.value.code == "invalid_phone_number"


@given(st.text(max_size=20))
def test_any_text_is_a_number_or_refused_and_twice_is_once(text: str) -> None:
    try:
        number = canonical(text)
    except ImpossibleNumber:
        return
    assert canonical(number) == number
    assert "".join(c for c in text if c in "0123456789") == number[1:]


def test_the_refusal_holds_no_digits_of_the_number() -> None:
    with pytest.raises(ImpossibleNumber) as caught:
        canonical("015198765432")
    assert "8765" not in str(caught.value)


def test_ten_thousand_clean_numbers_take_milliseconds() -> None:
    numbers = [f"+1555{n:07d}" for n in range(10_000)]
    begin = time.process_time()
    assert [canonical(n) for n in numbers] == numbers
    assert time.process_time() - begin < 0.1  # 4 ms on a calm machine


@pytest.mark.parametrize(
    ("number", "among"),
    [
        ("+493012345678", {"Europe/Berlin"}),
        ("+12125550123", {"America/New_York"}),
        ("+18005551234", {"America/New_York", "Pacific/Honolulu"}),
        ("+15550000486", {"America/New_York"}),  # outside the plan: by its country
    ],
)
def test_candidate_zones(number: str, among: set[str]) -> None:
    assert among <= zones(number)


@pytest.mark.parametrize("number", ["+8821234567", "+9991234567"])
def test_nowhere_has_no_zones(number: str) -> None:
    assert zones(number) == frozenset()


def test_logs_hold_two_digits() -> None:
    assert last_two("+15550000486") == "86"
