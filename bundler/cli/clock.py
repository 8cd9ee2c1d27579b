"""The one place that asks for the time; everything below takes it as an argument."""

import os
from datetime import UTC, datetime

from bundler.bundle.tar import MAX_TIME
from bundler.errors import UsageError


def now() -> datetime:
    return datetime.now(UTC)


def source_date_epoch() -> datetime | None:
    """``$SOURCE_DATE_EPOCH`` (reproducible-builds.org), seconds since 1970; None where it is not set. Raises UsageError."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 11 and int(text) < MAX_TIME):
        raise UsageError(
            "SOURCE_DATE_EPOCH is not a number of seconds that a bundle can hold", found=ascii(text), wanted=f"0 to {MAX_TIME - 1}"
        )
    return datetime.fromtimestamp(int(text), UTC)
