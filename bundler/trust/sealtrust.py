"""Seals: first who sealed a bundle, then whether the bundle is one that these may seal."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from bundler.errors import Code, FormatError, TrustError
from bundler.trust.keys import PublicKey, Signed
from bundler.trust.policy import Policy, SealRule


@dataclass(frozen=True, slots=True)
class OpenedSeal:
    """Who signed a seal, and whether that is enough for any stream. Only then may its payload be looked at."""

    met: tuple[SealRule, ...]
    """The entries of the policy whose threshold is reached; empty where the seal stays shut (``seal.signature``)."""
    signers: tuple[str, ...]
    """The fingerprints of the keys under ``[[seal]]`` that signed it."""
    names: tuple[str | None, ...]
    """What these keys are called, in the same order."""
    details: tuple[str, ...]
    """For people: whose each signature is and, if none was met, how near each entry came."""


def open_seal(policy: Policy, signatures: Sequence[bytes], signed: bytes) -> OpenedSeal:
    """Count the ``signatures`` of a seal against every ``[[seal]]`` of the policy, each key once.

    ``signed`` is the SHA-256 of what they are over, the pre-authentication encoding of the payload.
    """
    keys = {key.fingerprint: key for seal in policy.seals for key in seal.keys}
    found = [_signer(keys.values(), signature, Signed.by_sha256(signed)) for signature in signatures]
    signers = {key.fingerprint for key in found if key}
    met = tuple(seal for seal in policy.seals if _count(seal, signers) >= seal.threshold)
    details = [f"signature {number} is by {key or 'no key that may seal'}" for number, key in enumerate(found, start=1)]
    details += [] if met else [_missed(seal, signers) for seal in policy.seals] or ["nobody is trusted to seal anything"]
    names = tuple(policy.names.get(fingerprint) for fingerprint in sorted(signers))
    return OpenedSeal(met, tuple(sorted(signers)), names, tuple(details))


def may_seal(opened: OpenedSeal, stream: str, repositories: Iterable[str]) -> Mapping[Code, str]:
    """Why those who sealed it may not seal this bundle, with what was found; nothing if they may.

    ``repositories`` are those of all its images, expanded and without tag. ``seal.stream``: none of the entries that were
    met is of that stream. ``seal.scope``: an image lies in no scope of those that are.
    """
    seals = [seal for seal in opened.met if seal.stream == stream]
    if not seals:
        theirs = ", ".join(sorted({seal.stream for seal in opened.met})) or "none"
        return {Code.SEAL_STREAM: f"its keys may not seal this stream: found {ascii(stream)[1:-1][:80]}, wanted {theirs}"}
    scopes = [scope for seal in seals for scope in seal.scopes]
    outside = sorted({name for name in repositories if not any(scope.covers(name) for scope in scopes)})
    if outside:
        more = f" and {len(outside) - 1} more" if len(outside) > 1 else ""
        return {Code.SEAL_SCOPE: f"outside what {stream} may carry: found {outside[0]}{more}, wanted {', '.join(map(str, scopes))}"}
    return {}


def _signer(keys: Iterable[PublicKey], signature: bytes, signed: Signed) -> PublicKey | None:
    for key in keys:
        with suppress(TrustError, FormatError):  # where the library cannot say, it is not theirs
            key.verify(signature, signed)
            return key
    return None


def _count(seal: SealRule, signers: set[str]) -> int:
    return sum(key.fingerprint in signers for key in seal.keys)


def _missed(seal: SealRule, signers: set[str]) -> str:
    return f"stream {seal.stream} wants {seal.threshold} of {len(seal.keys)} keys, found {_count(seal, signers)}"
