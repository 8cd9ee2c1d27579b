"""The station's trust folder: found, checked for who may write it, read whole into memory, and extended.

Nothing in a bundle changes it, and it is never looked for in the working directory, because media carry folders too.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bundler.content.files import disk, read_small, sync_folder, write_whole
from bundler.errors import Code, ConflictError, UsageError
from bundler.trust.keys import MAX_KEY_FILE, PublicKey, Role
from bundler.trust.policy import FILE, MAX_FILE, Policy, render_rule, render_seal, with_next_serial

EMPTY = """version = 1
serial = 1
"""


@dataclass(frozen=True, slots=True)
class Trust:
    """A loaded trust folder."""

    path: Path
    policy: Policy
    raw: bytes
    files: Mapping[str, bytes]


def find(given: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The folder: the one given, else the first that exists of ``$OCI_BUNDLER_TRUST``, the user's, the system's; or None."""
    if given is not None:
        return given
    if environ.get("OCI_BUNDLER_TRUST"):
        return Path(environ["OCI_BUNDLER_TRUST"])
    home = environ.get("XDG_CONFIG_HOME") or (f"{environ['HOME']}/.config" if environ.get("HOME") else None)
    places = [Path(home, "oci-bundler", "trust")] if home else []
    return next((p for p in (*places, Path("/etc/oci-bundler/trust")) if os.path.lexists(p)), None)


def load(given: Path | None, environ: Mapping[str, str]) -> Trust:
    """Find and read it. Raises UsageError (``trust.missing``, ``trust.permissions``, ``trust.form``, ``trust.key``, …)."""
    path = find(given, environ)
    if path is None:
        raise UsageError(
            "this station trusts nobody yet",
            code=Code.TRUST_MISSING,
            wanted="--trust DIR, $OCI_BUNDLER_TRUST, $XDG_CONFIG_HOME/oci-bundler/trust or /etc/oci-bundler/trust",
            next="make one with `oci-bundler trust init DIR` and `oci-bundler trust add DIR`",
        )
    return read(path)


def read(path: Path) -> Trust:
    """The folder at ``path``, read once; what is judged is what was read. Raises as :func:`load`."""
    folder = _Folder(path)
    raw = folder.read(FILE)
    files = {name: folder.read(name) for name in sorted(Policy.named_files(raw) | folder.keys(raw))}
    return Trust(path=path, policy=Policy.parse(raw, files), raw=raw, files=files)


def init(path: Path) -> Trust:
    """Make an empty trust folder, which admits nothing. Raises ConflictError (``output.exists``) if something is there."""
    if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
        raise ConflictError(f"{path} exists and is not empty", code=Code.OUTPUT_EXISTS, next="choose another folder")
    with disk(f"{path} cannot be made"):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        (path / "keys").mkdir(mode=0o700)
    write_whole(path / FILE, EMPTY.encode(), mode=0o600)
    return read(path)


def add_seal(trust: Trust, *, stream: str, scopes: Sequence[str], keys: Sequence[Path], threshold: int | None) -> Trust:
    """Trust further keys to seal a stream. Raises UsageError (``trust.form``, ``trust.key``, ``trust.roles``)."""
    files = _key_files(keys, role="seal")
    return _extend(trust, render_seal(stream=stream, scopes=scopes, keys=list(files), threshold=threshold), files)


def add_rule(
    trust: Trust,
    *,
    scope: str,
    keys: Sequence[Path],
    threshold: int | None,
    attestations: Sequence[str],
    node: str | None,
    name: str | None,
) -> Trust:
    """Say whose signatures images need. Raises UsageError (``trust.form``, ``trust.key``, ``trust.roles``)."""
    files = _key_files(keys, role="image")
    rule = render_rule(scope=scope, keys=list(files), threshold=threshold, attestations=attestations, node=node, name=name)
    return _extend(trust, rule, files)


def _extend(trust: Trust, addition: str, keys: Mapping[str, bytes]) -> Trust:
    """Write the next ``trust.toml`` and new keys, checked whole before they count.

    The file is renamed into place last, so that a cut leaves the trust as it was, with at most an unused key beside it.
    """
    text = with_next_serial(trust.raw.decode()).rstrip("\n") + "\n\n" + addition
    Policy.parse(text.encode(), {**trust.files, **keys})
    with disk(f"{trust.path} cannot be written"):
        (trust.path / "keys").mkdir(mode=0o700, exist_ok=True)
        sync_folder(trust.path)
    for name, pem in keys.items():
        if not os.path.lexists(trust.path / name):
            write_whole(trust.path / name, pem, mode=0o600)
    write_whole(trust.path / FILE, text.encode(), replace=True, mode=0o600)
    return read(trust.path)


def _key_files(paths: Sequence[Path], *, role: Role) -> dict[str, bytes]:
    """Public keys by where they go in the folder. Raises UsageError (``usage.input``, ``trust.key``)."""
    files: dict[str, bytes] = {}
    for path in paths:
        key = PublicKey.parse(read_small(path, limit=MAX_KEY_FILE, what="the public key"), role=role)
        name = f"keys/{key.fingerprint.removeprefix('sha256:')}.pub"
        if name in files:
            raise UsageError(f"{path} is a key that was given already", code=Code.TRUST_KEY, found=key.fingerprint)
        files[name] = key.pem
    return files


class _Folder:
    """Reads files of a folder that only root and the caller may write, through no symlink."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            seen = os.lstat(path)
        except OSError as error:
            raise UsageError(
                f"there is no trust at {path}",
                code=Code.TRUST_MISSING,
                found=error.strerror,
                next=f"make it with `oci-bundler trust init {path}`",
            ) from error
        self._check(path, seen, folder=True)

    def read(self, name: str) -> bytes:
        """The file ``name``, a relative path that the policy has checked to stay inside."""
        inside = PurePosixPath(name)
        for folder in reversed(inside.parents[:-1]):
            self._check(self._path / folder, self._lstat(folder), folder=True)
        path = self._path / inside
        self._check(path, self._lstat(inside), folder=False)
        try:
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                self._check(path, os.fstat(file.fileno()), folder=False)  # what is read is what was checked
                data = file.read(MAX_FILE + 1)
        except OSError as error:
            raise UsageError(f"{path} cannot be read", code=Code.TRUST_PERMISSIONS, found=error.strerror) from error
        if len(data) > MAX_FILE:
            raise UsageError(f"{path} is too large", code=Code.TRUST_FORM, wanted=f"at most {MAX_FILE} bytes")
        return data

    def keys(self, raw: bytes) -> frozenset[str]:
        """The files under ``keys/``, where ``trust.toml`` names a key by its fingerprint; which it is, the policy finds out."""
        folder = self._path / "keys"
        if b"sha256:" not in raw or not folder.is_dir():
            return frozenset()
        return frozenset(f"keys/{path.name}" for path in folder.iterdir() if path.suffix == ".pub")

    def _lstat(self, name: PurePosixPath) -> os.stat_result:
        path = self._path / name
        try:
            return os.lstat(path)
        except OSError as error:
            missing = Code.TRUST_MISSING if str(name) == FILE else Code.TRUST_KEY
            raise UsageError(f"{path} is named by trust and not there", code=missing, found=error.strerror) from error

    def _check(self, path: Path, seen: os.stat_result, *, folder: bool) -> None:
        kind = "a folder" if folder else "a regular file"
        if not (stat.S_ISDIR if folder else stat.S_ISREG)(seen.st_mode):
            raise UsageError(f"{path} is not {kind}", code=Code.TRUST_PERMISSIONS, found=_kind(seen), wanted=kind)
        if seen.st_uid not in (0, os.geteuid()):
            raise UsageError(
                f"{path} belongs to somebody else",
                code=Code.TRUST_PERMISSIONS,
                found=f"uid {seen.st_uid}",
                wanted=f"root or uid {os.geteuid()}",
            )
        if seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise UsageError(
                f"others may write {path}",
                code=Code.TRUST_PERMISSIONS,
                found=f"mode {stat.S_IMODE(seen.st_mode):04o}",
                wanted="not writable by group or others",
                next=f"look at what is in it, then: chmod go-w {path}",
            )


def _kind(seen: os.stat_result) -> str:
    return "a symlink" if stat.S_ISLNK(seen.st_mode) else "something else"
