"""Trust stores: certificates that a station's owner has put there, by what they may vouch for
(notaryproject/specifications, ``trust-store-trust-policy.md``, "Trust Store")."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from bundler.errors import Code, FormatError
from bundler.oci.digest import Digest
from bundler.trust.addition import rendered
from bundler.trust.encodings import from_pem, is_pem
from bundler.trust.kind import Files, Section, file, usable
from bundler.trust.notation.envelope import Scheme
from bundler.trust.notation.revocation import Crl
from bundler.trust.table import Table
from bundler.trust.x509 import Authority, Certificate

MAX_CERTIFICATES = 1000
_NAMES = {"name", "type", "certificates", "crl"}


class StoreType(StrEnum):
    """What the certificates of a store may vouch for."""

    CA = "ca"
    """Signers who say themselves when they signed."""
    SIGNING_AUTHORITY = "signingAuthority"
    """Signing authorities, whose word on the time is taken."""
    TSA = "tsa"
    """Timestamp authorities."""

    @classmethod
    def of(cls, scheme: Scheme) -> "StoreType":
        return cls.CA if scheme is Scheme.X509 else cls.SIGNING_AUTHORITY


@dataclass(frozen=True, slots=True)
class Store:
    """A named store."""

    name: str
    type: StoreType
    certificates: tuple[Certificate, ...]
    crls: tuple[Crl, ...] = ()
    files: tuple[str, ...] = ()
    """Where in the folder its certificates and revocation lists lie."""
    table: str = "store"

    @classmethod
    def parse(cls, name: str, kind: StoreType, certificates: Sequence[bytes], crls: Sequence[bytes] = ()) -> "Store":
        """From the contents of its files: certificates in PEM or DER, revocation lists likewise.

        Raises FormatError (``trust.store``, ``x509.malformed``, ``format.pem``) also for a certificate that could vouch for
        nothing: one that is neither a CA's nor self-signed, or among timestamp authorities no self-signed CA's.
        """
        found = tuple(certificate for raw in certificates for certificate in _certificates(raw))
        if not 1 <= len(found) <= MAX_CERTIFICATES:
            raise FormatError(
                f"the store {name} has no or too many certificates",
                code=Code.TRUST_STORE,
                found=len(found),
                wanted=f"1 to {MAX_CERTIFICATES}",
            )
        for certificate in found:
            _check(certificate, kind)
        return cls(name, kind, found, tuple(map(Crl.parse, crls)))

    def to_json(self, files: Files) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": str(self.type),
            "files": [{"file": path, "sha256": Digest.of(files[path]).encoded} for path in self.files],
            "certificates": [{"subject": each.subject, "window": str(each.window)} for each in self.certificates],
            "crls": [{"issuer": each.issuer, "window": str(each.window)} for each in self.crls],
        }

    def lines(self, files: Files) -> Iterator[str]:
        yield f"store  {self.name}, of type {self.type}"
        yield from (f"       {path}, sha256 {Digest.of(files[path]).encoded}" for path in self.files)
        yield from (f"       certificate of {each.subject}, {each.window}" for each in self.certificates)
        yield from (f"       revocation list of {each.issuer}, {each.window}" for each in self.crls)

    @property
    def authorities(self) -> tuple[Authority, ...]:
        """Each certificate as the anchor of chains that come with what it vouches for."""
        return tuple(Authority(f"{self.name}: {certificate.subject}", certificate) for certificate in self.certificates)


def file_of(name: str, data: bytes, ending: str) -> str:
    """Where in the folder a file of a store to be added goes: by its digest, for its own name may be anything."""
    return f"stores/{name}/{Digest.of(data).encoded[:16]}.{ending}"


def render_store(*, name: str, type: StoreType, certificates: Sequence[str], crl: Sequence[str] = ()) -> str:  # noqa: A002 - its name there
    """A ``[[store]]`` to append to ``trust.toml``. Raises as :func:`addition.rendered`."""
    return rendered("store", {"name": name, "type": str(type), "certificates": list(certificates), "crl": list(crl) or None})


def _certificates(raw: bytes) -> list[Certificate]:
    if is_pem(raw):
        return [Certificate.parse(der) for der in from_pem(raw, "CERTIFICATE", what="a certificate file")]
    return [Certificate.parse(raw)]


def _check(certificate: Certificate, kind: StoreType) -> None:
    self_signed = certificate.is_issued_by(certificate)
    vouches = (certificate.is_ca and self_signed) if kind is StoreType.TSA else (certificate.is_ca or self_signed)
    if not vouches:
        wanted = "self-signed CA certificates" if kind is StoreType.TSA else "certificates of CAs, or self-signed ones"
        raise FormatError(
            "a store has a certificate that does not belong in it", code=Code.TRUST_STORE, found=certificate.subject, wanted=wanted
        )


def _parse(table: Table, files: Files) -> Store:
    table.check_names(_NAMES)
    name = table.label("name")
    kind = StoreType(table.choice("type", StoreType, needed=True))
    certificates, crls = table.texts("certificates", least=1), table.texts("crl")
    with usable(f"the store {name}"):
        store = Store.parse(name, kind, [file(files, path) for path in certificates], [file(files, path) for path in crls])
    return replace(store, files=(*certificates, *crls))


def _files(table: Table) -> Iterator[str]:
    yield from (*table.texts("certificates"), *table.texts("crl"))


STORES = Section("store", _files, _parse)
