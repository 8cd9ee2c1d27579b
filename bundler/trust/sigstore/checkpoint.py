"""Checkpoints: a log's signed word on its size and root (c2sp.org/tlog-checkpoint, c2sp.org/signed-note)."""

import re
from dataclasses import dataclass, field

from bundler.errors import Code
from bundler.trust.encodings import from_base64
from bundler.trust.need import need
from bundler.trust.sigstore.root import Log

MAX_CHECKPOINT = 64 << 10  # bytes of UTF-8
MAX_SIGNATURES = 32  # signed-note: at least 16 are to be taken
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_HINT = 4  # bytes of a key's id before a signature


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature line: who says to have signed, the first bytes of the key's id, the signature."""

    name: str
    hint: bytes
    signature: bytes = field(repr=False)

    @classmethod
    def parse(cls, line: str) -> "Signature":
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        well_formed = dash == "\u2014" and name and "+" not in name and not any(c.isspace() for c in name)
        need(bool(well_formed), Code.CHECKPOINT_MALFORMED, "a signature line of a checkpoint is not well-formed", found=ascii(line[:80]))
        blob = from_base64(encoded, what="a signature of a checkpoint")
        need(len(blob) > _HINT, Code.CHECKPOINT_MALFORMED, "a signature of a checkpoint is empty")
        return cls(name, blob[:_HINT], blob[_HINT:])


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint says, and who says to have signed it."""

    origin: str
    size: int
    root: bytes
    note: bytes = field(repr=False)
    """The signed bytes."""
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Raises TrustError (``checkpoint.malformed``) and FormatError (``format.base64``)."""
        need(
            len(text) <= MAX_CHECKPOINT, Code.CHECKPOINT_MALFORMED, "a checkpoint is over its limit", found=len(text), wanted=MAX_CHECKPOINT
        )
        control = any(c < " " and c != "\n" for c in text)
        note, _, block = text.rpartition("\n\n")
        whole = block.endswith("\n") and not control
        need(whole, Code.CHECKPOINT_MALFORMED, "a checkpoint is not a signed note: lines, a blank one, signature lines")
        origin, size, root, *others = [*note.split("\n"), "", ""]
        need(bool(origin) and "" not in others[:-2], Code.CHECKPOINT_MALFORMED, "a line of a checkpoint is empty")
        need(
            _SIZE.fullmatch(size) is not None, Code.CHECKPOINT_MALFORMED, "the size in a checkpoint is not a number", found=ascii(size[:40])
        )
        lines = block[:-1].split("\n")
        need(
            len(lines) <= MAX_SIGNATURES,
            Code.CHECKPOINT_MALFORMED,
            "a checkpoint with too many signatures",
            found=len(lines),
            wanted=MAX_SIGNATURES,
        )
        digest = from_base64(root, what="the root in a checkpoint")
        need(len(digest) == 32, Code.CHECKPOINT_MALFORMED, "the root in a checkpoint is not a SHA-256", found=f"{len(digest)} bytes")
        return cls(origin, int(size), digest, f"{note}\n".encode(), tuple(Signature.parse(line) for line in lines))

    def check(self, log: Log, *, by_origin: bool) -> None:
        """``log`` has signed it: a line under the origin's name and with its key's hint is there and verifies.

        With ``by_origin`` the origin must be one of the log's (Rekor 2); without, the log may go by an inner name of its own
        in front of the tree's (Rekor 1). Lines of others, witnesses as well, are passed over.

        Raises TrustError (``checkpoint.origin``, ``checkpoint.signature``, ``checkpoint.no-log-signature``).
        """
        need(
            self.origin in log.origins or not by_origin,
            Code.CHECKPOINT_ORIGIN,
            "a checkpoint of another log",
            found=ascii(self.origin),
            wanted=log.name,
        )
        name = self.origin.partition(" - ")[0]
        own = [s for s in self.signatures if s.name == name and s.hint in log.hints(name)]
        need(bool(own), Code.CHECKPOINT_NO_LOG_SIGNATURE, "a checkpoint that its log has not signed", wanted=f"a line of {name}")
        for signature in own:
            need(
                log.has_signed(self.note, signature.signature),
                Code.CHECKPOINT_SIGNATURE,
                "a checkpoint's signature does not verify",
                found=name,
            )
