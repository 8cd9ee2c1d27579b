"""What a member of a receipt may be: texts, numbers, digests, names and times, each spelled in one way (docs/spec/receipt-v1.md).

All raise FormatError: ``format.receipt``, of digests and names what these raise.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from bundler.errors import Code, FormatError, translated
from bundler.oci.digest import Digest
from bundler.oci.reference import Reference

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)

T = TypeVar("T")


def maybe(read: Callable[[Any], T], value: Any) -> T | None:
    return None if value is None else read(value)


def each(read: Callable[[Any], T], value: Any) -> tuple[T, ...]:
    if not isinstance(value, list):
        raise malformed("a list is something else", found=ascii(value)[:80])
    return tuple(map(read, value))


def text_of(value: Any) -> str:
    if not isinstance(value, str):
        raise malformed("a text is something else", found=ascii(value)[:80])
    return value


def number_of(value: Any) -> int:
    if type(value) is not int:
        raise malformed("a number is something else", found=ascii(value)[:80])
    return value


def digest_of(value: Any) -> Digest:
    return Digest.parse(text_of(value))


def reference_of(value: Any) -> Reference:
    return Reference.parse(text_of(value))


def time_of(value: Any) -> datetime:
    with translated(ValueError, to=FormatError, what="a time does not exist", code=Code.FORMAT_RECEIPT):
        if isinstance(value, str) and _TIME.fullmatch(value):
            return datetime.fromisoformat(value)
    raise malformed("a time is not well-formed", found=ascii(value)[:80], wanted="YYYY-MM-DDTHH:MM:SSZ")


def malformed(what: str, *, found: object = None, wanted: object = None) -> FormatError:
    return FormatError(f"the receipt is not well-formed: {what}", code=Code.FORMAT_RECEIPT, found=found, wanted=wanted)
