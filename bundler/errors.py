"""Every end that is not success: its class, its exit code, its reason code.

::

    BundlerError        1  something we did not foresee; please report
    ├── UsageError      2  the command line, the configuration, or the station's trust
    ├── FormatError     3  a document does not say what its format allows, or says too much
    ├── IntegrityError  4  bytes are not what they were described as
    ├── TrustError      5  nobody whom the station trusts vouches for this
    ├── IncompleteError 6  an image, a platform, a part or a base is not there
    ├── TransportError  7  a registry or a disk did not answer, or broke the protocol
    └── ConflictError   8  the destination or the output already holds something else

Any other exception that escapes is a bug and keeps its traceback.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import ClassVar

SOME_REFUSED = 9  # exit code of a run that was told to go on with the images that can be, and left others behind
MAX_QUOTED = 1_000  # characters of one field of an error: two references of the greatest length, a third of a screen


class Code(StrEnum):
    """A stable reason code. Scripts compare it; ``docs/reference/reason-codes.md`` lists each with its meaning."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> "Code":
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    INTERNAL = "internal", "a bug in oci-bundler"
    INTERRUPTED = "interrupted", "the person or the system ended the run"

    USAGE = "usage", "the command line asks for something that does not exist or does not fit together"
    USAGE_INPUT = "usage.input", "an input file is not there or cannot be read"
    USAGE_PASSWORD = "usage.password", "a passphrase is needed and there is none, or it is wrong"
    USAGE_KEY = "usage.key", "a private or public key file is not one that can be used here"
    USAGE_REFERENCE = "usage.reference", "a reference on the command line or in a list is not well-formed"
    USAGE_CREDENTIALS = "usage.credentials", "a credential file is malformed"

    TRUST_MISSING = "trust.missing", "no trust folder was found, or trust.toml is not in it"
    TRUST_PERMISSIONS = "trust.permissions", "trust is writable by others, owned by another user, or a symlink"
    TRUST_FORM = "trust.form", "trust.toml has an unknown or ill-formed entry"
    TRUST_KEY = "trust.key", "a key in trust is absent, ill-formed, too weak, or of a kind that is not accepted"
    TRUST_STORE = "trust.store", "a store in trust with a certificate or revocation list that does not belong in it"
    TRUST_ROLES = "trust.roles", "one key both seals bundles and signs images, or does one of these and is the station's own"
    TRUST_SERIAL = "trust.serial", "the bundle asks for newer trust than the station has"

    STATION_MISSING = "station.missing", "a folder that is named as a station's is not there, or is not a station"
    STATION_PERMISSIONS = "station.permissions", "a station is writable by others, owned by another user, or a symlink"
    STATION_FORM = "station.form", "station.toml has an unknown or ill-formed entry, or its key is not one"
    STATION_STATE = "station.state", "what the station accepted is lost, damaged, another station's, or more than it can hold"

    FORMAT_JSON = "format.json", "JSON that is not strict: encoding, duplicate names, depth, numbers, trailing data"
    FORMAT_DER = "format.der", "DER that is not strict: lengths, tags, integers, times, trailing data"
    FORMAT_CBOR = "format.cbor", "CBOR that is not strict: lengths, types, names twice, depth, trailing data"
    FORMAT_BASE64 = "format.base64", "base64 of another alphabet, padding or spelling than its format's"
    FORMAT_PEM = "format.pem", "PEM that is not one block of the kind that is wanted"
    FORMAT_TIME = "format.time", "a time that is not of the form of RFC 3339, without its zone, or does not exist"
    FORMAT_DIGEST = "format.digest", "a digest that is not well-formed or not of a known algorithm"
    FORMAT_MANIFEST = "format.manifest", "a manifest or index that is not well-formed"
    FORMAT_MEDIA_TYPE = "format.media-type", "a media type that is unknown here or that contradicts the document"
    FORMAT_SCHEMA1 = "format.schema1", "a Docker schema 1 manifest, which cannot be verified by digest"
    FORMAT_LAYOUT = "format.layout", "an OCI image layout that is not well-formed"
    FORMAT_REFERENCE = "format.reference", "a reference inside a document is not well-formed"
    FORMAT_PLATFORM = "format.platform", "a platform that is not of the form OS/ARCH[/VARIANT]"
    FORMAT_BUNDLE = "format.bundle", "a file that is not a bundle, or whose frames are not as the format lays them"
    FORMAT_TAR = "format.tar", "a tar header or padding that the format does not allow"
    FORMAT_SEAL = "format.seal", "a seal that is not well-formed or contradicts itself"
    FORMAT_VERSION = "format.version", "a bundle of a version that this program does not know"
    FORMAT_UNLISTED = "format.unlisted", "a member that the seal does not list, or not in this place"
    FORMAT_DERIVED = "format.derived", "oci-layout, index.json or manifest.json is not what the seal and the manifests make it"
    FORMAT_RETURN = "format.return", "a return file that is not well-formed"
    FORMAT_RECEIPT = "format.receipt", "a receipt that is not well-formed or contradicts itself"

    LIMIT_SEAL = "limit.seal", "a seal above 32 MiB or another of its limits, or above 8 MiB where it is read unverified"
    LIMIT_DOCUMENT = "limit.document", "a manifest, index or list above its limit"
    LIMIT_DEPTH = "limit.depth", "indexes or evidence nested deeper than the limit"
    LIMIT_EVIDENCE = "limit.evidence", "evidence above a limit, of its size or of what judging one image may take: carried, not judged"
    LIMIT_SIGNATURE = (
        "limit.signature",
        "a signature with more certificates, entries, timestamps or subjects, or with longer names, than the limit",
    )
    LIMIT_ANSWER = "limit.answer", "an answer of a registry above its limit"
    LIMIT_ARCHIVE = (
        "limit.archive",
        "an archive with more members, blocks or padding, or far more bytes inside than outside, than the limit",
    )

    CONTENT_DIGEST = "content.digest", "bytes whose digest is not the one they were described by"
    CONTENT_SIZE = "content.size", "bytes whose length is not the one they were described by"
    CONTENT_TRUNCATED = "content.truncated", "content that ends before its described size"
    CONTENT_MISSING = "content.missing", "something that an image of the bundle needs and that the bundle does not hold"
    CONTENT_FRAME = "content.frame", "a zstd frame or gzip member that does not decompress, or whose checksum or size is wrong"
    JOURNAL_CHANGED = (
        "journal.changed",
        "a journal that is not what was signed: rewritten, cut, reordered or forked",
    )

    SEAL_SIGNATURE = "seal.signature", "the seal is not signed by enough of the keys that may seal"
    SEAL_STREAM = "seal.stream", "the keys that sealed the bundle may not seal this stream"
    SEAL_SCOPE = "seal.scope", "an image lies outside the repositories that the stream may carry"
    SEAL_STATION = "seal.station", "the bundle is addressed to a station"
    STREAM_ROLLBACK = "stream.rollback", "the bundle is older than one of its stream that the station accepted"
    STREAM_EQUIVOCATION = "stream.equivocation", "the station accepted another bundle of its stream with the same number"
    STREAM_GAP = "stream.gap", "the bundle does not follow the last one of its stream that the station accepted"
    BASE_MISSING = "base.missing", "the bundle needs a base that is not here"
    TIME_EXPIRED = "time.expired", "the bundle's time is over"
    TIME_FUTURE = "time.future", "the bundle is from more than a day in the future"

    RECEIPT_SIGNATURE = "receipt.signature", "a receipt or return file that is not signed by the key that it is verified with"

    POLICY_NO_MATCH = "policy.no-match", "no rule of the station covers this repository"
    POLICY_DENIED = "policy.denied", "the station's rule for this repository denies everything in it"
    POLICY_THRESHOLD = "policy.threshold", "not enough of the rule's signers have signed"
    POLICY_ATTESTATION = "policy.attestation", "an attestation that the rule requires is absent or not by its signers"
    POLICY_NAME = "policy.name", "the signed payload does not name this repository"

    SIGNATURE_MISSING = "signature.missing", "no signature was found about a manifest that needs one"
    SIGNATURE_INVALID = "signature.invalid", "a signature that does not verify"
    SIGNATURE_MALFORMED = "signature.malformed", "a signature or its carrier that is not well-formed"
    SIGNATURE_WRAPPED = "signature.wrapped", "a signature or envelope with line ends in its base64, which are passed over"
    KEY_UNKNOWN = "key.unknown", "a signature that does not verify, and that nothing ties to a key of the rule"
    KEY_WEAK = "key.weak", "an RSA key below 3072 bits"
    KEY_LEGACY_HASH = "key.legacy-hash", "a P-384 or P-521 key with SHA-256, as older tools sign"
    KEY_UNSUPPORTED = "key.unsupported", "the installed cryptography library lacks this algorithm"
    PAYLOAD_MALFORMED = "payload.malformed", "a signed payload that is not well-formed"
    PAYLOAD_TYPE = "payload.type", "a signed payload of another type"
    PAYLOAD_DIGEST = "payload.digest", "a signed payload about another manifest"
    DSSE_MALFORMED = "dsse.malformed", "a DSSE envelope that is not well-formed"
    DSSE_SIGNATURE_COUNT = "dsse.signature-count", "a DSSE envelope with no or several signatures"
    INTOTO_STATEMENT = "intoto.statement", "an in-toto statement that is not well-formed"
    INTOTO_PREDICATE = "intoto.predicate", "an attestation that says something else than the rule asks for"
    INTOTO_SUBJECT = "intoto.subject", "an in-toto statement about something else"
    BUNDLE_MALFORMED = "bundle.malformed", "a Sigstore bundle that is not well-formed"
    BUNDLE_MEDIA_TYPE = "bundle.media-type", "a Sigstore bundle of an unknown version"
    BUNDLE_MATERIAL = "bundle.material", "verification material of another kind than the rule pins"
    BUNDLE_CONTENT = "bundle.content", "a Sigstore bundle with no or two contents"
    BUNDLE_MESSAGE_DIGEST = "bundle.message-digest", "a Sigstore bundle that names another message digest"
    X509_MALFORMED = "x509.malformed", "a certificate that is not well-formed"
    X509_KEY = "x509.key", "a certificate or log with a key of a kind or size that is not accepted"
    X509_CHAIN = "x509.chain", "no chain from the certificate to an authority of the root that is valid at every verified time"
    X509_AUTHORITY_WINDOW = "x509.authority-window", "a verified time outside the window that the root gives the authority"
    X509_LEAF = "x509.leaf", "a certificate that may not sign: a CA's, or of another key usage"
    TSA_MALFORMED = "tsa.malformed", "a timestamp that is not well-formed, or with no or several signers"
    TSA_STATUS = "tsa.status", "a timestamp response that grants no timestamp"
    TSA_UNKNOWN = "tsa.unknown", "a timestamp by an authority that the root does not have"
    TSA_IMPRINT = "tsa.imprint", "a timestamp of something else"
    TSA_ALGORITHM = "tsa.algorithm", "a timestamp with an algorithm that is not accepted"
    TSA_ATTRIBUTES = "tsa.attributes", "a timestamp whose signed attributes are not about its content or its signer"
    TSA_SIGNATURE = "tsa.signature", "a timestamp whose signature does not verify"
    TSA_LEAF = "tsa.leaf", "a timestamp by a certificate that is not for timestamps alone"
    ROOT_MALFORMED = "root.malformed", "a trusted root that is not well-formed, or one of its instances"
    ROOT_MEDIA_TYPE = "root.media-type", "a trusted root of an unknown version"
    ROOT_LOG_ID = "root.log-id", "a log of a trusted root whose id is not that of its key"
    TLOG_MALFORMED = "tlog.malformed", "a transparency log entry that is not well-formed"
    TLOG_UNKNOWN_LOG = "tlog.unknown-log", "an entry of a log that the root does not have"
    TLOG_SET = "tlog.set", "a signed entry timestamp that is absent or does not verify"
    TLOG_KEY_WINDOW = "tlog.key-window", "a verified time outside the window that the root gives the log"
    TLOG_PROOF = "tlog.proof", "an inclusion proof that is absent or does not lead to the checkpoint's root"
    TLOG_BODY = "tlog.body-mismatch", "a log entry about another signature, key or content"
    TLOG_KIND = "tlog.kind-unsupported", "a log entry of a kind or version that is not accepted"
    TLOG_THRESHOLD = "tlog.threshold", "entries of fewer logs than the root asks for"
    CHECKPOINT_MALFORMED = "checkpoint.malformed", "a checkpoint that is not a signed note of a log"
    CHECKPOINT_ORIGIN = "checkpoint.origin", "a checkpoint of another log"
    CHECKPOINT_SIGNATURE = "checkpoint.signature", "a checkpoint whose signature by its log does not verify"
    CHECKPOINT_NO_LOG_SIGNATURE = "checkpoint.no-log-signature", "a checkpoint that its log has not signed"
    CHECKPOINT_MISMATCH = "checkpoint.mismatch", "a checkpoint of another tree than the inclusion proof's"
    SCT_MISSING = "sct.missing", "a certificate without a signed certificate timestamp"
    SCT_THRESHOLD = "sct.threshold", "certificate timestamps of fewer logs than the root asks for"
    IDENTITY_SAN = "identity.san", "a certificate for another identity, or for none"
    IDENTITY_ISSUER = "identity.issuer", "a certificate by another OIDC issuer, or with none or two"
    IDENTITY_CLAIM = "identity.claim", "a certificate that says something else than the signer's claims"
    IDENTITY_SUBJECT = "identity.subject", "a certificate for another subject"
    ENVELOPE_MALFORMED = "envelope.malformed", "a Notation envelope that is not well-formed"
    ENVELOPE_MEDIA_TYPE = "envelope.media-type", "a Notation envelope that is neither JWS nor COSE"
    ENVELOPE_ALGORITHM = "envelope.algorithm", "a Notation envelope with another algorithm than its signer's key has"
    ENVELOPE_SCHEME = "envelope.scheme", "a Notation envelope of an unknown signing scheme, or with another scheme's time"
    CRIT_MALFORMED = "crit.malformed", "a list of critical attributes that lacks one or has one twice"
    CRIT_UNKNOWN = "crit.unknown", "a critical attribute that nobody here understands, as a verification plugin's"
    PAYLOAD_ANNOTATIONS = "payload.annotations", "a signed payload without an annotation that the rule asks for"
    PAYLOAD_DESCRIPTOR = "payload.descriptor", "a signed payload of another media type, digest or size than the manifest's"
    X509_PROFILE = "x509.profile", "a certificate chain that is not as the Notary Project wants it"
    X509_VALIDITY = "x509.validity", "a certificate that is not valid at the time that is judged by"
    STORE_UNTRUSTED = "store.untrusted", "no certificate of the chain lies in the store, or the store is of another kind"
    EXPIRY_EXPIRED = "expiry.expired", "a signature whose own expiry has passed"
    TIMESTAMP_MISSING = "timestamp.missing", "a signature without the timestamp that its signer entry asks for"
    REVOCATION_REVOKED = "revocation.revoked", "a certificate that its issuer has revoked"
    REVOCATION_UNAVAILABLE = "revocation.unavailable", "a certificate that could be revoked, and no usable list of its issuer in the store"
    TIME_THRESHOLD = "time.threshold", "fewer timestamps than the root asks for, or no verified time at all"
    CARRIER_SUBJECT = "carrier.subject", "a referrer whose subject is another manifest"
    CARRIER_OTHER = "carrier.other", "evidence of a kind that is carried and not judged"
    EVIDENCE_UNSIGNED = "evidence.unsigned", "evidence that nobody has signed"
    EVIDENCE_RUNNABLE = "evidence.runnable", "something found as evidence that is not proven to be evidence, and is not signed as an image"
    TLOG_NOT_CHECKED = "tlog.not-checked", "a transparency log entry that the rule does not ask for"
    TIMESTAMP_NOT_CHECKED = "timestamp.not-checked", "a timestamp that the rule does not ask for"
    CERTIFICATE_NOT_CHECKED = "certificate.not-checked", "a certificate beside a signature by a pinned key"

    IMAGE_MISSING = "image.missing", "an image that the source does not have"
    IMAGE_PLATFORM = "image.platform", "a platform that the image does not have"
    IMAGE_MOVED = "image.moved", "a tag that names another digest than the one asked for"
    BLOB_MISSING = "blob.missing", "a blob or manifest that its source lacks"

    REGISTRY_UNREACHABLE = "registry.unreachable", "no connection, or it broke more often than it is tried"
    REGISTRY_TLS = "registry.tls", "the registry's certificate is not accepted"
    REGISTRY_CREDENTIALS = "registry.credentials", "the registry wants other or more credentials"
    REGISTRY_STATUS = "registry.status", "an answer that says it cannot or will not"
    REGISTRY_PROTOCOL = "registry.protocol", "an answer that the distribution specification does not allow"
    REGISTRY_ORIGIN = "registry.origin", "a redirect, realm or location that leads to another origin"
    REGISTRY_SPARSE_INDEX = "registry.sparse-index", "the registry refuses an index of which not all platforms are carried"
    REGISTRY_OVERTAKEN = "registry.overtaken", "evidence that was put, and names that other writers replaced again and again"
    REGISTRY_LOST = "registry.lost", "a blob that the registry took, or said to have, and does not have at the end"
    REGISTRY_READ_BACK = "registry.read-back", "the registry gives other bytes than were pushed"
    DISK_IO = "disk.io", "a file system operation failed"
    DISK_FULL = "disk.full", "no space is left"
    DISK_LOCKED = "disk.locked", "another process has the folder"

    NAME_CONFLICT = "name.conflict", "a name at the destination holds something else"
    OUTPUT_EXISTS = "output.exists", "the output exists already"


class BundlerError(Exception):
    """What happened, what was found, what was wanted, and what a person can do next.

    Each of these has at most :data:`MAX_QUOTED` characters: what is longer is shortened here, whoever raises, for names and
    values in foreign documents may have millions.
    """

    exit: ClassVar[int] = 1
    default: ClassVar[Code] = Code.INTERNAL

    def __init__(
        self,
        what: str,
        *,
        code: Code | None = None,
        found: object = None,
        wanted: object = None,
        next: str | None = None,  # noqa: A002 - the word of the JSON contract
    ) -> None:
        self.what = shortened(what)
        self.code = code or self.default
        self.found = None if found is None else shortened(str(found))
        self.wanted = None if wanted is None else shortened(str(wanted))
        self.next = None if next is None else shortened(next)
        super().__init__(self.what)

    def __str__(self) -> str:
        parts = [f"found {self.found}"] if self.found is not None else []
        parts += [f"wanted {self.wanted}"] if self.wanted is not None else []
        return f"{self.what}: {', '.join(parts)}" if parts else self.what


class UsageError(BundlerError):
    """The command line, the configuration, or the station's trust cannot be used."""

    exit = 2
    default = Code.USAGE


class FormatError(BundlerError):
    """A document does not say what its format allows, or is over a limit."""

    exit = 3
    default = Code.FORMAT_BUNDLE


class IntegrityError(BundlerError):
    """Bytes are not what they were described as."""

    exit = 4
    default = Code.CONTENT_DIGEST


class TrustError(BundlerError):
    """Nobody whom the station trusts vouches for this."""

    exit = 5
    default = Code.SEAL_SIGNATURE


class IncompleteError(BundlerError):
    """Something that belongs to the whole is not there."""

    exit = 6
    default = Code.BLOB_MISSING


class TransportError(BundlerError):
    """A registry or a disk did not answer, or broke the protocol."""

    exit = 7
    default = Code.REGISTRY_PROTOCOL

    def __init__(
        self,
        what: str,
        *,
        code: Code | None = None,
        found: object = None,
        wanted: object = None,
        next: str | None = None,  # noqa: A002 - as in BundlerError
        status: int | None = None,
    ) -> None:
        """``status`` is that of HTTP, where a registry refused a request with it."""
        super().__init__(what, code=code, found=found, wanted=wanted, next=next)
        self.status = status


class ConflictError(BundlerError):
    """The destination or the output already holds something else under that name."""

    exit = 8
    default = Code.NAME_CONFLICT


@contextmanager
def naming(document: str) -> Iterator[None]:
    """Let our errors about what is read in this block leave it with the ``document`` named in front."""
    try:
        yield
    except (FormatError, IntegrityError) as error:
        kind = FormatError if isinstance(error, FormatError) else IntegrityError
        raise kind(f"{document}: {error.what}", code=error.code, found=error.found, wanted=error.wanted, next=error.next) from error


def shortened(text: str) -> str:
    """``text`` in at most :data:`MAX_QUOTED` characters: where there are more, its beginning, how many are missing, its end."""
    if len(text) <= MAX_QUOTED:
        return text
    kept = MAX_QUOTED - 50  # the words below, and a number that any text of this machine's memory has
    missing = f" [{len(text) - kept} more characters] "
    return text[: kept - 100] + missing + text[-100:]


@contextmanager
def translated(
    *foreign: type[Exception],
    to: type[BundlerError],
    what: str,
    code: Code | None = None,
    next: str | None = None,  # noqa: A002 - as in BundlerError
) -> Iterator[None]:
    """Let the ``foreign`` exceptions of a library leave this block only as our error ``to``."""
    try:
        yield
    except foreign as error:
        raise to(what, code=code, found=str(error) or type(error).__name__, next=next) from error
