"""The public keys that ``trust.toml`` names, among the files of the trust folder."""

from collections.abc import Mapping
from dataclasses import dataclass

from bundler.errors import Code, FormatError, UsageError
from bundler.oci.digest import Digest
from bundler.trust.encodings import from_pem
from bundler.trust.keys import PublicKey, Role


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """The key files of the trust folder, by their path."""

    files: Mapping[str, bytes]

    def load(self, name: str, *, role: Role) -> PublicKey:
        path = self.path(name)
        try:
            return PublicKey.parse(self.files[path], role=role)
        except UsageError as error:
            raise UsageError(f"{path} cannot be used: {error}", code=error.code, next=error.next) from error

    def path(self, name: str) -> str:
        """Where the key lies, so that it can be read."""
        there = self._with_fingerprint(name) if is_fingerprint(name) else [name] if name in self.files else []
        if not there:
            where = "a file keys/*.pub with that key" if is_fingerprint(name) else "that file in the trust folder"
            raise UsageError("a key that trust names is not there", code=Code.TRUST_KEY, found=ascii(name[:160]), wanted=where)
        return there[0]

    def _with_fingerprint(self, name: str) -> list[str]:
        return [path for path in sorted(self.files) if path.startswith("keys/") and path.endswith(".pub") and self._has(path, name)]

    def _has(self, path: str, fingerprint: str) -> bool:
        try:
            return [f"sha256:{Digest.of(der).encoded}" for der in from_pem(self.files[path], "PUBLIC KEY", what=path)] == [fingerprint]
        except FormatError:
            return False


def is_fingerprint(name: str) -> bool:
    """Whether a key is named by its own bytes, not by a path."""
    return name.startswith("sha256:")
