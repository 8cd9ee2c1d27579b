"""What receipts and return files have in common: an envelope by the station's key in one spelling, and the values in it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from bundler import strictjson
from bundler.bundle.seal import TIME
from bundler.errors import BundlerError, Code, FormatError, translated
from bundler.oci.digest import Digest
from bundler.oci.reference import Reference
from bundler.trust.dsse import Envelope

T = TypeVar("T")
Sign = Callable[[bytes], bytes]
"""Whoever holds the station's key: gives its signature over some bytes."""


@dataclass(frozen=True, slots=True, order=True)
class Held:
    """A blob that a repository has."""

    digest: Digest
    size: int
    """Bytes."""

    def to_json(self) -> dict[str, Any]:
        return {"digest": str(self.digest), "size": self.size}


def envelope_of(raw: bytes, *, kind: str, limit: int, what: str, code: Code) -> Envelope:
    """The envelope in ``raw``, of at most ``limit`` bytes, around a payload of the type ``kind``; nobody has verified it.

    Raises FormatError (``code``) for what is not spelled in the one way, too; ``what`` it should be is said, as "a receipt".
    """
    with translated(BundlerError, to=FormatError, what=f"this is not {what}", code=code):
        envelope = Envelope.of(strictjson.loads(raw, limit=limit))
    if envelope.payload_type != kind:
        found = ascii(envelope.payload_type)[:80]
        raise FormatError(f"this is not {what}: its payload is of another type", code=code, found=found, wanted=kind)
    if spelt(envelope) != raw:
        raise FormatError(f"this is not {what} as canonical JSON with canonical base64 spells it, or it has more members", code=code)
    return envelope


def spelt(envelope: Envelope) -> bytes:
    """The one spelling of an envelope."""
    return strictjson.dumps(envelope.to_json())


def held_of(value: Any) -> Held:
    """A blob. This and what follows raise FormatError, which whoever reads a document translates into its own."""
    match value:
        case {"digest": digest, "size": size}:
            return Held(digest_of(digest), number_of(size))
    raise _refused("a blob lacks digest or size", value)


def maybe(read: Callable[[Any], T], value: Any) -> T | None:
    """What ``read`` makes of it; None of null."""
    return None if value is None else read(value)


def each(read: Callable[[Any], T], value: Any) -> tuple[T, ...]:
    """What ``read`` makes of every item of a list."""
    if not isinstance(value, list):
        raise _refused("a list is something else", value)
    return tuple(map(read, value))


def text_of(value: Any) -> str:
    if not isinstance(value, str):
        raise _refused("a text is something else", value)
    return value


def number_of(value: Any) -> int:
    if type(value) is not int:
        raise _refused("a number is something else", value)
    return value


def digest_of(value: Any) -> Digest:
    return Digest.parse(text_of(value))


def reference_of(value: Any) -> Reference:
    return Reference.parse(text_of(value))


def time_of(value: Any) -> datetime:
    with translated(ValueError, to=FormatError, what="a time does not exist", code=Code.FORMAT_TIME):
        if isinstance(value, str) and TIME.fullmatch(value):
            return datetime.fromisoformat(value)
    raise _refused("a time is not of the form YYYY-MM-DDTHH:MM:SSZ", value)


def _refused(what: str, found: object) -> FormatError:
    return FormatError(what, code=Code.FORMAT_JSON, found=ascii(found)[:160])
