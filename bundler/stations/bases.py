"""What a far side has already, as files say it, so that the next bundle need not carry it (docs/spec/bundle-v1.md, section 7).

A return file or a receipt is a station's own word, a bundle only what was sent there. Who is wrong, or lies, makes a bundle that the
station cannot make whole (``base.missing``), and never lets anything in.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from bundler.bundle.archive import Archive, opened
from bundler.bundle.frames import MAGIC
from bundler.bundle.seal import Kind
from bundler.content.files import at_once, read_small
from bundler.errors import BundlerError, Code, TrustError, UsageError
from bundler.ledger import receipt, returnfile
from bundler.ledger.keyfile import public_key
from bundler.ledger.reading import Held
from bundler.oci.digest import Digest
from bundler.stations.holdings import FileKind, check_small
from bundler.trust.keys import PublicKey, Signed


@dataclass(frozen=True, slots=True)
class Base:
    """A file that says what a far side has."""

    file: Path
    kind: FileKind
    """What it is, and so how much its word counts."""
    station: str | None
    """Who says it, or whom the bundle was for; None for a bundle that is for every station."""
    identities: tuple[Digest, ...]
    """The bundles that brought it."""
    held: Mapping[str, Mapping[Digest, int]] = field(repr=False)
    """Blobs and their sizes, by registry; of a bundle under an empty name, for it says nothing about registries."""
    verified: bool = False
    """Whether one of the given keys has signed it."""

    @property
    def is_confirmed(self) -> bool:
        """Whether the far side itself says it."""
        return self.kind is not FileKind.BUNDLE

    def has(self, digest: Digest) -> bool:
        return any(digest in blobs for blobs in self.held.values())


@dataclass(frozen=True)
class Bases:
    """All the bases of an export."""

    files: tuple[Base, ...] = ()

    @cached_property
    def blobs(self) -> Mapping[Digest, int]:
        """What may be left out, with sizes: what every station has, in each of its registries that a file tells of, and what was sent to
        all. Of one registry of one station its receipts and return files add up.
        """
        stations: dict[str | None, dict[str, dict[Digest, int]]] = {}
        for base in filter(lambda base: base.is_confirmed, self.files):
            registries = stations.setdefault(base.station, {})
            for registry, blobs in base.held.items():
                registries.setdefault(registry, {}).update(blobs)
        first, *others = [blobs for registries in stations.values() for blobs in registries.values() or [{}]] or [{}]
        everywhere = {digest: size for digest, size in first.items() if all(other.get(digest) == size for other in others)}
        return {digest: size for base in self.files if not base.is_confirmed for digest, size in base.held[""].items()} | everywhere

    @property
    def stations(self) -> tuple[str, ...]:
        """Those that the files are from or for."""
        return tuple(sorted({base.station for base in self.files if base.station is not None}))

    def identities(self, digests: Collection[Digest]) -> tuple[Digest, ...]:
        """The bundles that brought these blobs, in order."""
        brought = (base for base in self.files if any(map(base.has, digests)))
        return tuple(sorted({identity for base in brought for identity in base.identities}, key=str))

    def check_station(self, station: str | None) -> None:
        """Raises UsageError for a base of another station than the one that the bundle is for."""
        if station is not None and (others := [base for base in self.files if base.station not in (None, station)]):
            raise UsageError(
                f"the bundle is for {station}, and a base is of another station",
                found="; ".join(f"{base.file} is of {base.station!a}" for base in others),
                wanted=f"return files and receipts of {station}",
            )


NO_BASES = Bases()


def read_bases(paths: Sequence[Path], *, keys: Sequence[Path], sealers: Sequence[PublicKey]) -> Bases:
    """The bases in these files. With files of public ``keys`` each base must be signed by one of these; a bundle may be by one of the
    ``sealers`` instead.

    Raises TrustError (``receipt.signature``, ``seal.signature``), UsageError (``usage.input``), FormatError (``format.receipt``,
    ``format.return``, ``limit.seal``), and as :func:`opened` and :meth:`Archive.sealed_by`.
    """
    public = [public_key(key, role="seal") for key in keys]
    return Bases(tuple(_read(path, public, sealers) for path in dict.fromkeys(paths)))


def _read(path: Path, keys: Sequence[PublicKey], sealers: Sequence[PublicKey]) -> Base:
    if begins(path) == MAGIC:
        with opened(path) as archive:
            return _bundle(path, archive, keys, sealers)
    raw = read_small(path, limit=receipt.MAX_RECEIPT, what="the base")
    if returnfile.is_return_file(raw):
        return _return(path, returnfile.opened(raw, keys) if keys else returnfile.unverified(raw), verified=bool(keys))
    return _receipt(path, _receipt_by(raw, keys) if keys else receipt.unverified(raw), verified=bool(keys))


def begins(path: Path) -> bytes:
    """The first bytes of a file, or none where :func:`read_small` will say why it cannot be read."""
    try:
        with open(path, "rb", opener=at_once) as file:
            return file.read(len(MAGIC)) if path.is_file() else b""
    except OSError:
        return b""


def _bundle(path: Path, archive: Archive, keys: Sequence[PublicKey], sealers: Sequence[PublicKey]) -> Base:
    signed = Signed.by_sha256(archive.envelope.signed)
    verified = any(_verifies(key, signature, signed) for key in (*keys, *sealers) for signature in archive.envelope.signatures)
    if keys and not verified:
        raise TrustError(
            f"the base {path} is not sealed by any of these keys",
            code=Code.SEAL_SIGNATURE,
            wanted=f"a seal by {' or '.join(map(str, (*sealers, *keys)))}",
            next="give the key that sealed it with --base-key, or no --base-key at all",
        )
    if not verified:
        check_small(archive, what=f"the seal of the base {path}", instead="give the key that sealed it with --base-key")
    content = archive.sealed_by(archive.envelope.payload())
    seal = content.seal
    blobs = {member.digest: member.size for member in seal.members if member.name is None and member.kind is not Kind.DOCUMENT}
    blobs |= {each.digest: each.size for each in seal.elsewhere}
    return Base(path, FileKind.BUNDLE, seal.station, (content.identity, *seal.base), {"": blobs}, verified=verified)


def _verifies(key: PublicKey, signature: bytes, signed: Signed) -> bool:
    with suppress(BundlerError):
        key.verify(signature, signed)
        return True
    return False


def _return(path: Path, told: returnfile.Return, *, verified: bool) -> Base:
    identities = tuple(accepted.identity for accepted in told.streams.values())
    return Base(path, FileKind.RETURN, told.station, identities, _by_registry(told.held) if identities else {}, verified=verified)


def _receipt_by(raw: bytes, keys: Sequence[PublicKey]) -> receipt.Receipt:
    last, *others = reversed(keys)
    for key in others:
        with suppress(TrustError):
            return receipt.opened(raw, key)
    return receipt.opened(raw, last)


def _receipt(path: Path, told: receipt.Receipt, *, verified: bool) -> Base:
    identities = () if told.bundle is None else (told.bundle.identity,)
    return Base(path, FileKind.RECEIPT, told.station, identities, _by_registry(told.held) if identities else {}, verified=verified)


def _by_registry(held: Mapping[str, Iterable[Held]]) -> dict[str, dict[Digest, int]]:
    """Whatever any repository of a registry has: import takes it from there."""
    registries: dict[str, dict[Digest, int]] = {}
    for repository, blobs in held.items():
        registries.setdefault(repository.partition("/")[0], {}).update((blob.digest, blob.size) for blob in blobs)
    return registries
