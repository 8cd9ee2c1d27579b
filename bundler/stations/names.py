"""What signers are called where trust is extended: as asked, else as before, else by a file's name or a certificate's subject."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bundler.errors import FormatError
from bundler.trust.kinds import kind_of
from bundler.trust.table import alike, is_name


class Names:
    """Names as they are given out: what nobody asked for is one that no other signer has, else none."""

    def __init__(self, known: Mapping[str, str]) -> None:
        """``known`` are those that trust has, as ``Policy.names``."""
        self._known = dict(known)
        self._whose = {alike(name): who for who, name in known.items()}

    def of_keys(self, files: Iterable[str], paths: Sequence[Path], asked: Sequence[str] = ()) -> dict[str, str]:
        """For public keys from ``paths``, by where they go in the folder. What is ``asked`` is checked where trust is read."""
        if asked:
            return dict(zip(files, asked, strict=True))
        found = {file: self._free(f"sha256:{Path(file).stem}", path.stem) for file, path in zip(files, paths, strict=True)}
        return {file: name for file, name in found.items() if name is not None}

    def of_others(self, signers: Sequence[Mapping[str, Any]], asked: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Tables of signers with their names. An identity says by itself who it is, and has none unless it is ``asked``."""
        if asked:
            return [{**signer, "name": name} for signer, name in zip(signers, asked, strict=True)]
        return [{**signer} | ({"name": name} if (name := self._by_itself(signer)) is not None else {}) for signer in signers]

    def _by_itself(self, signer: Mapping[str, Any]) -> str | None:
        with suppress(FormatError):  # whoever reads trust says what is wrong with it
            introduced = kind_of(signer).introduce(signer)
            return self._free(*introduced) if introduced else None
        return None

    def _free(self, who: str, name: str | None) -> str | None:
        """The name that ``who`` has, else this one unless it cannot be one or is somebody else's."""
        wanted = self._known.get(who, name)
        return wanted if wanted and is_name(wanted) and self._whose.setdefault(alike(wanted), who) == who else None
