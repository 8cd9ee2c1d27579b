"""Roots and stores to pin, from the files of whoever adds them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bundler.content.files import read_small
from bundler.errors import Code, UsageError
from bundler.stations.truststore import Trust
from bundler.trust.notation import store
from bundler.trust.notation.revocation import MAX_CRL
from bundler.trust.sigstore import anchor
from bundler.trust.sigstore.root import MAX_ROOT

MAX_CERTIFICATE_FILE = 1 << 20


@dataclass(frozen=True, slots=True)
class NewRoot:
    """A trusted root to pin; without a ``file``, one that is pinned already."""

    name: str
    file: Path | None = None
    log: int | None = None
    timestamp: int | None = None
    sct: int | None = None

    def addition(self, trust: Trust) -> tuple[str, Mapping[str, bytes]] | None:
        """As :class:`NewAnchor` has it."""
        if self._is_pinned(trust):
            return None
        assert self.file is not None
        path = anchor.file_of(self.name)
        text = anchor.render_root(name=self.name, file=path, log=self.log, timestamp=self.timestamp, sct=self.sct)
        return text, {path: _read_root(self.file)}

    def _is_pinned(self, trust: Trust) -> bool:
        """Whether the root is there already, so that a second rule can be added with the words of the first."""
        roots = [each for each in trust.policy.anchors if isinstance(each, anchor.Root)]
        known = next((root for root in roots if root.name == self.name), None)
        if known is None:
            if self.file is None:
                found = ascii(self.name)[:160]
                raise UsageError("there is no such root", code=Code.TRUST_FORM, found=found, wanted="--root FILE beside it")
            return False
        same = self.file is None or _read_root(self.file) == trust.files[known.file]
        asked = {"log": self.log, "timestamp": self.timestamp, "sct": self.sct}
        other = [name for name, number in asked.items() if number not in (None, getattr(known.needed, name))]
        if not same or other:
            raise UsageError(
                f"another root is named {self.name} already",
                code=Code.TRUST_FORM,
                found=f"another number of {other[0]}" if same else f"another file, {known.file}",
                next="give this one a name with --root-name; to rotate that one, replace its file and raise the serial",
            )
        return True


@dataclass(frozen=True, slots=True)
class NewStore:
    """A store to fill from files of certificates and revocation lists, in PEM or DER."""

    name: str
    type: store.StoreType
    certificates: Sequence[Path]
    crls: Sequence[Path] = ()

    def addition(self, trust: Trust) -> tuple[str, Mapping[str, bytes]]:  # noqa: ARG002 - a store is never pinned twice
        """As :class:`NewAnchor` has it."""
        certificates = self._files(self.certificates, "crt", MAX_CERTIFICATE_FILE, what="the certificate")
        crls = self._files(self.crls, "crl", MAX_CRL, what="the revocation list")
        text = store.render_store(name=self.name, type=self.type, certificates=list(certificates), crl=list(crls))
        return text, certificates | crls

    def _files(self, paths: Sequence[Path], ending: str, limit: int, *, what: str) -> dict[str, bytes]:
        read = [read_small(path, limit=limit, what=what) for path in paths]
        return {store.file_of(self.name, data, ending): data for data in read}


def _read_root(path: Path) -> bytes:
    return read_small(path, limit=MAX_ROOT, what="the trusted root")
