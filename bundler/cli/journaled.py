"""What ``journal`` says in the end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bundler.cli.rows import wrapped
from bundler.cli.terminal import Terminal
from bundler.ledger.journal.checking import Receipts, Verified
from bundler.trust.checkpoint import Checkpoint
from bundler.trust.keys import PublicKey
from bundler.trust.window import spelled


def tree(checkpoint: Checkpoint) -> dict[str, Any]:
    """What a checkpoint says, as JSON."""
    return {"origin": checkpoint.origin, "size": checkpoint.size, "root": f"sha256:{checkpoint.root.hex()}"}


def entries(count: int) -> str:
    """``1 entry``, ``2 entries``."""
    return f"{count} entr{'y' if count == 1 else 'ies'}"


@dataclass(frozen=True, slots=True)
class Found:
    """A journal that was proved, since when, by whom it is cosigned, and the receipts beside it."""

    verified: Verified
    key: PublicKey
    since: Checkpoint | None
    receipts: Receipts | None
    cosigned: Sequence[tuple[tuple[str, datetime], PublicKey]]

    def value(self) -> dict[str, Any]:
        return {
            "journal": tree(self.verified.checkpoint),
            "key": str(self.key),
            "since": self.since and self.since.size,
            "cosigned": [{"name": name, "key": str(key), "time": spelled(at)} for (name, at), key in self.cosigned],
            "receipts": self.receipts and {"found": self.receipts.found, "missing": self.receipts.missing},
            "beyond": [str(path) for path in self.verified.beyond],
        }

    def lines(self, out: Terminal) -> Iterator[str]:
        checkpoint = self.verified.checkpoint
        yield f"{out.good('PASSED')}: {entries(checkpoint.size)}, and nothing in them was changed"
        yield from wrapped(out, "origin", checkpoint.origin)
        yield from wrapped(out, "root", f"sha256:{checkpoint.root.hex()}")
        yield from wrapped(out, "key", str(self.key))
        if self.since is not None:
            yield from wrapped(out, "since", f"{entries(self.since.size)}: it has only grown")
        for (name, at), key in self.cosigned:
            yield from wrapped(out, "cosigned", f"by {name}, {key}, at {spelled(at)}")
        if self.receipts is not None:
            yield from wrapped(out, "receipts", f"{self.receipts.found} there, each as its entry says; {self.receipts.missing} not there")
        if self.since is None and not self.cosigned:
            told = "whoever has the station's key could have written all of it anew; an earlier checkpoint (--since) rules that out"
            yield from wrapped(out, None, f"note: {told}")
        if self.verified.beyond:
            told = f"{len(self.verified.beyond)} files beyond the checkpoint do not count; the next import sets them aside"
            yield from wrapped(out, None, f"note: {told}")
