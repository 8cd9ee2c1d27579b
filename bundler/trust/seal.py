"""Seals: first who sealed a bundle, then what it claims. Nothing of a payload is looked at before enough keys have signed it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from bundler.errors import Code, FormatError, TrustError, translated
from bundler.oci.digest import Digest
from bundler.trust.dsse import Envelope
from bundler.trust.keys import PublicKey, Signed
from bundler.trust.policy import Policy, Seal
from bundler.trust.statement import PAYLOAD_TYPE
from bundler.trust.verdict import Check, Outcome

MAX_ENVELOPE = (256 << 20) // 3 * 4 + (64 << 10)  # bytes: 256 MiB in base64, and 16 signatures

_SPEC = "bundle-v1.md, seal"


@dataclass(frozen=True, slots=True)
class OpenedSeal:
    """Who signed a seal and, if that is enough for any stream, what it says."""

    identity: Digest
    """Of the payload: the identity of the bundle."""
    payload: bytes | None = field(repr=False)
    """None unless ``met``."""
    met: tuple[Seal, ...]
    """The entries of the policy whose threshold is reached."""
    signers: tuple[str, ...]
    """The fingerprints of all keys under ``[[seal]]`` that signed it."""
    checks: tuple[Check, ...]

    @property
    def reasons(self) -> tuple[Code, ...]:
        """Why it is not opened; empty exactly if it is."""
        return () if self.met else (Code.SEAL_SIGNATURE,)


def open_seal(policy: Policy, envelope: bytes) -> OpenedSeal:
    """Count the signatures of ``envelope`` against every ``[[seal]]`` of the policy: each key once, its keyid unread.

    Raises FormatError (``format.seal``, ``limit.seal``) for what is no envelope of 1 to 16 signatures over a statement.
    """
    if len(envelope) > MAX_ENVELOPE:
        raise FormatError("a seal is too large", code=Code.LIMIT_SEAL, found=f"{len(envelope)} bytes", wanted=f"at most {MAX_ENVELOPE}")
    with translated(FormatError, to=FormatError, what="a seal is not well-formed", code=Code.FORMAT_SEAL):
        opened = Envelope.parse(envelope, limit=MAX_ENVELOPE)
    if opened.payload_type != PAYLOAD_TYPE:
        raise FormatError("a seal of another payload", code=Code.FORMAT_SEAL, found=opened.payload_type[:80], wanted=PAYLOAD_TYPE)
    keys = {key.fingerprint: key for seal in policy.seals for key in seal.keys}
    signed = opened.signed
    found = [_signer(keys.values(), signature.sig, signed) for signature in opened.signatures]
    signers = tuple(sorted({key.fingerprint for key in found if key}))
    met = tuple(seal for seal in policy.seals if sum(key.fingerprint in signers for key in seal.keys) >= seal.threshold)
    identity = Digest.of(opened.payload)
    checks = (*_signatures(found, identity), *(() if met else _thresholds(policy, signers, identity)))
    return OpenedSeal(identity=identity, payload=opened.payload if met else None, met=met, signers=signers, checks=checks)


def may_seal(opened: OpenedSeal, *, stream: str, repositories: Iterable[str]) -> tuple[Check, ...]:
    """What of an opened seal's claims is not its signers' to make: another stream, images outside its scopes. Empty if all is.

    ``repositories`` are those of all its images, expanded and without tag.
    """
    seals = [seal for seal in opened.met if seal.stream == stream]
    if not seals:
        may = ", ".join(sorted({seal.stream for seal in opened.met})) or "none"
        detail = f"the keys that sealed the bundle may not seal the stream {stream[:160]!a}; they may seal {may}"
        return (_failed("stream", Code.SEAL_STREAM, detail, opened.identity),)
    scopes = [scope for seal in seals for scope in seal.scopes]
    outside = sorted({repository for repository in repositories if not any(scope.covers(repository) for scope in scopes)})
    if outside:
        more = f" and {len(outside) - 1} more" if len(outside) > 1 else ""
        detail = f"outside what the stream {stream} may carry: {outside[0]}{more}, wanted {', '.join(map(str, scopes))}"
        return (_failed("scope", Code.SEAL_SCOPE, detail, opened.identity),)
    return ()


def _signer(keys: Iterable[PublicKey], signature: bytes, signed: Signed) -> PublicKey | None:
    for key in keys:
        with suppress(TrustError):
            key.verify(signature, signed)
            return key
    return None


def _signatures(found: Sequence[PublicKey | None], identity: Digest) -> Iterator[Check]:
    for number, key in enumerate(found, start=1):
        if key is None:
            yield _failed("signature", Code.KEY_UNKNOWN, f"signature {number} is by no key that may seal", identity)
        else:
            yield Check("signature", Outcome.PASSED, None, f"signature {number} by {key}", identity, _SPEC)


def _thresholds(policy: Policy, signers: Sequence[str], identity: Digest) -> Iterator[Check]:
    """How near each entry came."""
    for seal in policy.seals:
        count = sum(key.fingerprint in signers for key in seal.keys)
        detail = f"stream {seal.stream}: sealed by {count}, wanted {seal.threshold} of {len(seal.keys)} keys"
        yield _failed("threshold", Code.SEAL_SIGNATURE, detail, identity)
    if not policy.seals:
        yield _failed("threshold", Code.SEAL_SIGNATURE, "nobody is trusted to seal anything", identity)


def _failed(name: str, code: Code, detail: str, subject: Digest) -> Check:
    return Check(name, Outcome.FAILED, code, detail, subject, _SPEC)
