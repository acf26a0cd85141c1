"""Times of logs in every form."""

from datetime import UTC, datetime

import pytest

from acg_lab.core import RecordError
from acg_lab.logs.log_times import lacks_zone, read_time

MOMENT = "2025-11-30T00:00:00Z"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1764460800, MOMENT),
        (1764460800000, MOMENT),
        (1764460800000000, MOMENT),
        (1764460800000000000, MOMENT),
        ("1764460800000000000", MOMENT),
        (1764460800.25, "2025-11-30T00:00:00.250Z"),
        ("2025-11-30T02:00:00+02:00", "2025-11-30T02:00:00+02:00"),
        ("2025-11-30T02:00:00+0200", MOMENT),
        ("2025-11-30 00:00:00", MOMENT),
        ("2025-11-30 00:00:00 UTC", MOMENT),
        ("2025-11-30", MOMENT),
        (datetime(2025, 11, 30, tzinfo=UTC), "2025-11-30T00:00:00+00:00"),
    ],
)
def test_every_form_is_the_same_time(value, text):
    """Seconds to nanoseconds, RFC 3339, ISO 8601 and datetimes are read; what is RFC 3339 stays as it is."""
    assert read_time(value) == text


@pytest.mark.parametrize("value", [None, True, "", "soon", 5, -1, float("nan"), float("inf"), 1e40, [], "2025-13-01"])
def test_what_is_no_time_is_refused(value):
    """Anything else is refused with its place."""
    with pytest.raises(RecordError, match=r"^at \$\.t: expected a time"):
        read_time(value, "$.t")


def test_a_missing_zone_is_seen():
    """Only texts without a zone lack one; numbers do not."""
    assert lacks_zone("2025-11-30T00:00:00")
    assert lacks_zone("2025-11-30")
    assert not any(map(lacks_zone, ["2025-11-30T00:00:00Z", "2025-11-30T00:00:00+0100", 1764460800, None]))
