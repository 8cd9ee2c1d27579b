"""Digests: the names of content (image-spec, descriptor.md, "Digests")."""

import hashlib
import re
import sys
from dataclasses import dataclass

from bundler.errors import Code, FormatError

_FORMS = {"sha256": re.compile(r"[0-9a-f]{64}", re.ASCII), "sha512": re.compile(r"[0-9a-f]{128}", re.ASCII)}


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """An algorithm and lower-case hex. Paths, tags and URLs take only this type, so none holds foreign text."""

    algorithm: str
    encoded: str

    def __post_init__(self) -> None:
        form = _FORMS.get(self.algorithm)
        if form is None or not form.fullmatch(self.encoded):
            raise FormatError(
                "a digest is not well-formed",
                code=Code.FORMAT_DIGEST,
                found=ascii(f"{self.algorithm}:{self.encoded}"[:160]),
                wanted="sha256: with 64 or sha512: with 128 lower-case hex digits",
            )

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """Raises FormatError (``format.digest``)."""
        algorithm, _, encoded = text.partition(":")
        return cls(sys.intern(algorithm), encoded)  # a seal may name a hundred thousand

    @classmethod
    def of(cls, data: bytes, *, algorithm: str = "sha256") -> "Digest":
        return cls(algorithm, hashlib.new(algorithm, data).hexdigest())

    def same_kind_of(self, data: bytes) -> "Digest":
        """The digest of ``data`` in this one's algorithm, for comparing."""
        return Digest.of(data, algorithm=self.algorithm)

    @property
    def tag(self) -> str:
        """``sha256-<hex>``: the referrers tag (distribution-spec, "Referrers Tag Schema") and the stem of cosign's tags."""
        return f"{self.algorithm}-{self.encoded}"

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.encoded}"
