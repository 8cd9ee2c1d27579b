"""Times and windows of validity."""

from datetime import UTC, datetime, timedelta

import pytest

from bundler.errors import Code, FormatError
from bundler.trust.window import ALWAYS, Window, parse_time, spelled
from tests.support.cases import each

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)


@each(
    ("text", "time"),
    [
        ("2026-03-01T12:00:00Z", AT),
        ("2026-03-01t12:00:00z", AT),
        ("2026-03-01T13:30:00+01:30", AT),
        ("2026-03-01T10:30:00-01:30", AT),
        ("2026-03-01T12:00:00.5Z", AT + timedelta(milliseconds=500)),
        ("2026-03-01T12:00:00.123456789Z", AT + timedelta(microseconds=123456)),
        ("2022-12-31T23:59:59.999Z", datetime(2022, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_with_its_zone(text: str, time: datetime) -> None:
    """R-2."""
    assert parse_time(text) == time
    assert parse_time(text).utcoffset() == timedelta(0)


@each(
    "text",
    [
        *("2026-03-01T12:00:00", "2026-03-01", "2026-03-01 12:00:00Z", "2026-3-1T12:00:00Z", "2026-03-01T12:00Z", "2026-03-01T12:00:00.Z"),
        *("2026-02-29T12:00:00Z", "2026-03-01T24:00:00Z", "2026-03-01T12:00:60Z", "0000-01-01T00:00:00Z", "2026-03-01T12:00:00+1:00"),
        *(
            "0001-01-01T00:00:00+23:00",
            "9999-12-31T23:59:59-01:00",
            "2026-03-01T12:00:00.0000000001Z",
            "２026-03-01T12:00:00Z",
            "",
            None,
            7,
        ),
    ],
)
def test_a_time_that_is_none(text: object) -> None:
    with pytest.raises(FormatError) as refusal:
        parse_time(text)
    assert refusal.value.code is Code.FORMAT_TIME


def test_a_window_has_both_its_ends() -> None:
    """R-2: closed."""
    window = Window(AT, AT + MOMENT)
    assert [time in window for time in (AT - MOMENT, AT, AT + MOMENT, AT + 2 * MOMENT)] == [False, True, True, False]
    assert AT in Window(AT)
    assert AT - MOMENT not in Window(AT)
    assert AT in Window(None, AT)
    assert AT + MOMENT not in Window(None, AT)
    assert datetime.min.replace(tzinfo=UTC) in ALWAYS


def test_a_window_is_spelled_for_people() -> None:
    assert str(Window(AT)) == "2026-03-01T12:00:00Z to …"
    assert str(Window(None, AT)) == "… to 2026-03-01T12:00:00Z"
    assert spelled(AT) == "2026-03-01T12:00:00Z"
    assert spelled(datetime.min.replace(tzinfo=UTC)) == "0001-01-01T00:00:00Z"
    assert spelled(datetime.max.replace(tzinfo=UTC)) == "9999-12-31T23:59:59Z"
