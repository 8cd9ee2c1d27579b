"""Checkpoints: a log's signed word on its size and root (c2sp.org/tlog-checkpoint, c2sp.org/signed-note)."""

import re
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field

from bundler.errors import Code
from bundler.trust import merkle
from bundler.trust.encodings import from_base64, to_base64
from bundler.trust.need import need

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

    def __str__(self) -> str:
        return f"\u2014 {self.name} {to_base64(self.hint + self.signature)}"


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
        control = any((c < " " and c != "\n") or "\ud800" <= c <= "\udfff" for c in text)  # no UTF-8 has surrogates
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

    @classmethod
    def of(cls, origin: str, size: int, root: bytes) -> "Checkpoint":
        """One that nobody has signed yet, of the three lines that each has."""
        return cls(origin, size, root, f"{origin}\n{size}\n{to_base64(root)}\n".encode(), ())

    def __str__(self) -> str:
        """The signed note, which :meth:`parse` reads."""
        return "\n".join([self.note.decode(), *map(str, self.signatures), ""])

    def check(self, name: str, hints: Set[bytes], has_signed: Callable[[bytes, bytes], bool]) -> None:
        """A line under ``name`` with one of the ``hints`` is there, and of each of these ``has_signed``, told of the note's bytes
        and the signature, says so. Lines of others, witnesses as well, are passed over.

        Raises TrustError (``checkpoint.signature``, ``checkpoint.no-log-signature``).
        """
        own = [s for s in self.signatures if s.name == name and s.hint in hints]
        need(bool(own), Code.CHECKPOINT_NO_LOG_SIGNATURE, "a checkpoint that its log has not signed", wanted=f"a line of {name}")
        for signature in own:
            need(
                has_signed(self.note, signature.signature),
                Code.CHECKPOINT_SIGNATURE,
                "a checkpoint's signature does not verify",
                found=name,
            )

    def check_holds(self, leaf: bytes, *, index: int, path: Iterable[bytes]) -> None:
        """Its tree has ``leaf`` (a leaf's hash) at ``index``: ``path`` leads from there to the root.

        Raises TrustError (``tlog.proof``).
        """
        root = merkle.root_hash(leaf, index=index, size=self.size, path=path)
        need(root == self.root, Code.TLOG_PROOF, "an inclusion proof leads to another root", found=root.hex(), wanted=self.root.hex())
