"""The entries of a journal, a line of JSON each (journal-v1.md, section 3)."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from bundler import strictjson
from bundler.errors import Code, FormatError
from bundler.oci.digest import Digest
from bundler.trust.window import parse_time, spelled

_MAX = 1024  # bytes; one has some 150


class Kind(StrEnum):
    """What was done that there is a receipt of."""

    IMPORT = "import"
    REFUSAL = "refusal"
    TRUST = "trust"


@dataclass(frozen=True, slots=True)
class Entry:
    """What was done, the digest of the receipt's envelope, and when by the clock of the station, to the second."""

    kind: Kind
    receipt: Digest
    time: datetime

    def to_bytes(self) -> bytes:
        return strictjson.dumps({"kind": str(self.kind), "receipt": str(self.receipt), "time": spelled(self.time)})

    @classmethod
    def parse(cls, raw: bytes) -> "Entry":
        """Raises FormatError (``format.json``, ``format.digest``, ``format.time``, ``limit.document``) for all that :meth:`to_bytes` does
        not write."""
        match strictjson.loads(raw, limit=_MAX):
            case {"kind": str(kind), "receipt": str(receipt), "time": str(time)} if kind in list(Kind):
                entry = cls(Kind(kind), Digest.parse(receipt), parse_time(time).astimezone(UTC))
                if entry.to_bytes() == raw:
                    return entry
        raise FormatError("an entry of a journal is not one that is written here", code=Code.FORMAT_JSON, found=ascii(raw[:160])[2:-1])
