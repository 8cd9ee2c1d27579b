"""Protobuf messages in their JSON form, as Sigstore writes them (protobuf.dev, "ProtoJSON Format").

``null`` is absent, a 64 bit integer may be a string, and names that nobody here knows are passed over, since later
versions may add some. Everything else has one form.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bundler import strictjson
from bundler.errors import Code, FormatError
from bundler.trust.encodings import from_base64
from bundler.trust.window import parse_time

_INT64 = re.compile(r"-?(?:0|[1-9][0-9]{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Message:
    """An object, to be asked for its members by name. All raise FormatError, ``code`` being its code."""

    members: dict[str, Any]
    what: str
    code: Code

    @classmethod
    def parse(cls, raw: bytes, *, limit: int, what: str, code: Code) -> "Message":
        """From at most ``limit`` bytes of strict JSON (``format.json``)."""
        return cls.of(strictjson.loads(raw, limit=limit), what=what, code=code)

    @classmethod
    def of(cls, value: Any, *, what: str, code: Code) -> "Message":
        if not isinstance(value, dict):
            raise FormatError(f"{what} is not an object", code=code, found=ascii(value)[:40])
        return cls(value, what, code)

    def has(self, name: str) -> bool:
        return self.members.get(name) is not None

    def message(self, name: str) -> "Message":
        return Message.of(self.members.get(name), what=f"{name} of {self.what}", code=self.code)

    def maybe(self, name: str) -> "Message | None":
        return self.message(name) if self.has(name) else None

    def messages(self, name: str, *, limit: int) -> list["Message"]:
        """A list of at most ``limit`` objects; absent is empty."""
        return [Message.of(item, what=f"one of {name} of {self.what}", code=self.code) for item in self.list(name, limit=limit)]

    def list(self, name: str, *, limit: int) -> list[Any]:
        value = self.members.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.error(name, value, "a list")
        if len(value) > limit:
            raise FormatError(f"too many {name} of {self.what}", code=Code.LIMIT_SIGNATURE, found=len(value), wanted=f"at most {limit}")
        return value

    def text(self, name: str) -> str:
        value = self.members.get(name)
        if not isinstance(value, str):
            raise self.error(name, value, "a string")
        return value

    def bytes(self, name: str) -> bytes:
        return from_base64(self.text(name), what=f"{name} of {self.what}")

    def time(self, name: str) -> datetime:
        return parse_time(self.text(name))

    def natural(self, name: str) -> int:
        """An integer from 0 to 2**63 - 1; absent is 0, for writers leave out what is zero."""
        value = self.members.get(name)
        if value is None:
            return 0
        if isinstance(value, str) and _INT64.fullmatch(value):
            value = int(value)
        if type(value) is not int or not 0 <= value < 1 << 63:
            raise self.error(name, value, "an integer from 0 to 2**63 - 1")
        return value

    def error(self, name: str, value: object, wanted: str) -> FormatError:
        return FormatError(f"{name} of {self.what} is not well-formed", code=self.code, found=ascii(value)[:60], wanted=wanted)
