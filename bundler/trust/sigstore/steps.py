"""The steps by which a signed item is proved under a trusted root, in their order: each written once, for every format."""

from dataclasses import dataclass
from datetime import datetime

from bundler.errors import Code, TrustError
from bundler.trust.keys import Match, PublicKey
from bundler.trust.need import need
from bundler.trust.rfc3161 import Stamp, TimestampToken
from bundler.trust.sigstore import fulcio, rekor
from bundler.trust.sigstore.identity import Identity
from bundler.trust.sigstore.item import Item
from bundler.trust.sigstore.rekor import Verifier
from bundler.trust.sigstore.root import Log, TrustedRoot
from bundler.trust.sigstore.sct import check_scts
from bundler.trust.window import spelled
from bundler.trust.x509 import Certificate, accepted_key

MAX_ENTRIES = 32
MAX_STAMPS = 32


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How many distinct ones a station asks for, of what its root has. A verified time is needed whatever stands here."""

    log: int = 1
    timestamp: int = 0
    sct: int = 1


@dataclass(frozen=True, slots=True)
class Remark:
    """Something beside a signature that counted for nothing, and why."""

    code: Code
    detail: str


@dataclass(frozen=True, slots=True)
class ProvedTime:
    """A time, and which log or timestamp authority vouches for it."""

    time: datetime
    by: str

    def __str__(self) -> str:
        return f"{spelled(self.time)} by {self.by}"


@dataclass(frozen=True, slots=True)
class Proof:
    """What is proved of an item's signature."""

    match: Match
    identity: Identity | None
    """Of the certificate; None where a pinned key signed."""
    times: tuple[ProvedTime, ...]
    logs: tuple[str, ...]
    """The logs that have it, each once."""
    remarks: tuple[Remark, ...]


def prove_by_certificate(item: Item, root: TrustedRoot, needed: Thresholds) -> Proof:
    """That the holder of the item's certificate signed it while the certificate was valid, as ``root`` shows it.

    Raises TrustError or FormatError with the code of the first step that fails.
    """
    leaf = certificate_of(item)
    fulcio.check_leaf(leaf)
    match = accepted_key(leaf.spki).verify(item.signature, item.message)
    seen = _seen(item, root, Verifier(leaf.der, is_certificate=True, algorithm=match.algorithm))
    need(bool(seen.times), Code.TIME_THRESHOLD, "no log and no authority of the root vouches for a time", wanted="at least 1")
    seen.check(needed)
    for issuer in fulcio.issuers(leaf, item.chain, root, [proved.time for proved in seen.times]):
        check_scts(leaf, issuer, root, threshold=needed.sct)
    return seen.proof(match, Identity.of(leaf))


def prove_by_key(item: Item, key: PublicKey, root: TrustedRoot, needed: Thresholds, *, at: datetime | None = None) -> Proof:
    """That the holder of a pinned ``key`` signed it, and that logs and authorities of ``root`` have seen it.

    Where a log proves that it has the signature, and nobody proves a time (Rekor 2 gives none), its key must be its own
    ``at``: a pinned key is good until trust is changed, and so is the log's word while its key is.

    Raises TrustError or FormatError with the code of the first step that fails.
    """
    need(item.certificate is None, Code.BUNDLE_MATERIAL, "a signature by a certificate, where a key is pinned")
    match = key.verify(item.signature, item.message)
    seen = _seen(item, root, Verifier(key.spki, is_certificate=False, algorithm=match.algorithm), at=at)
    seen.check(needed)
    return seen.proof(match, None)


def certificate_of(item: Item) -> Certificate:
    """The signer's, of which nothing is believed. Raises TrustError (``bundle.material``) where it came with none."""
    need(item.certificate is not None, Code.BUNDLE_MATERIAL, "a signature by a key, where an identity is pinned")
    assert item.certificate is not None
    return item.certificate


@dataclass(frozen=True, slots=True)
class _Seen:
    """What logs and timestamp authorities of a root say of an item; all that they say was verified."""

    times: tuple[ProvedTime, ...]
    logs: frozenset[Log]
    authorities: int
    remarks: tuple[Remark, ...]

    def check(self, needed: Thresholds) -> None:
        names = ", ".join(sorted(log.name for log in self.logs)) or "none"
        need(len(self.logs) >= needed.log, Code.TLOG_THRESHOLD, "not enough logs have the signature", found=names, wanted=needed.log)
        enough = self.authorities >= needed.timestamp
        need(
            enough,
            Code.TIME_THRESHOLD,
            "not enough authorities have stamped the signature",
            found=self.authorities,
            wanted=needed.timestamp,
        )

    def proof(self, match: Match, identity: Identity | None) -> Proof:
        return Proof(match, identity, self.times, tuple(sorted(log.name for log in self.logs)), self.remarks)


def _seen(item: Item, root: TrustedRoot, verifier: Verifier, *, at: datetime | None = None) -> _Seen:
    """``at`` stands in for a proved time where there is none, and is none itself."""
    need(len(item.stamps) <= MAX_STAMPS, Code.LIMIT_SIGNATURE, "too many timestamps", found=len(item.stamps), wanted=MAX_STAMPS)
    need(len(item.entries) <= MAX_ENTRIES, Code.LIMIT_SIGNATURE, "too many log entries", found=len(item.entries), wanted=MAX_ENTRIES)
    stamps, strange_stamps = _stamps(item, root)
    entries, strange_entries = _entries(item, root, verifier)
    times = (*(ProvedTime(s.time, s.authority.name) for s in stamps), *(ProvedTime(t, log.name) for log, t in entries if t))
    judged_by = times or ((ProvedTime(at, "the station's clock"),) if at else ())
    for log in (log for log, time in entries if time is None):
        for proved in judged_by:  # Rekor 2 gives no time, so its key must vouch at those that others give
            need(proved.time in log.window, Code.TLOG_KEY_WINDOW, f"{log.name} is not trusted then", found=proved, wanted=log.window)
    return _Seen(
        times=times,
        logs=frozenset(log for log, _ in entries if judged_by),  # without any, nobody could say whether the log's key was its own
        authorities=len({stamp.authority.certificates for stamp in stamps}),
        remarks=(*strange_stamps, *strange_entries),
    )


def _stamps(item: Item, root: TrustedRoot) -> tuple[list[Stamp], list[Remark]]:
    found, strange = [], []
    for raw in item.stamps:
        try:
            found.append(TimestampToken.parse_response(raw).verified(item.stamped, root.timestamp_authorities))
        except TrustError as error:
            if error.code is not Code.TSA_UNKNOWN:
                raise
            strange.append(Remark(Code.TSA_UNKNOWN, str(error)))
    return found, strange


def _entries(item: Item, root: TrustedRoot, verifier: Verifier) -> tuple[list[tuple[Log, datetime | None]], list[Remark]]:
    found, strange = [], []
    for entry in item.entries:
        log = root.log(entry.log_id)
        if log is None:
            strange.append(Remark(Code.TLOG_UNKNOWN_LOG, f"an entry of the log {entry.log_id.hex()[:64]}, which the root does not have"))
        else:
            found.append((log, rekor.proved_time(entry, log, item, verifier)))
    return found, strange
