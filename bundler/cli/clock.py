"""The one place that asks for the time; everything below takes it as an argument."""

import os
from datetime import UTC, datetime

from bundler.errors import UsageError


def now() -> datetime:
    return datetime.now(UTC)


def source_date_epoch() -> datetime | None:
    """``$SOURCE_DATE_EPOCH`` (reproducible-builds.org), seconds since 1970; None where it is not set."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 11):
        raise UsageError("SOURCE_DATE_EPOCH is no number of seconds", found=ascii(text))
    return datetime.fromtimestamp(int(text), UTC)
