"""The station's trust folder: found, checked for who may write it, read whole into memory, and extended.

Nothing in a bundle changes it, and it is never looked for in the working directory, because media carry folders too.
"""

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bundler.content.files import disk, is_taken, sync_folder, write_whole
from bundler.content.together import alone
from bundler.errors import Code, ConflictError, UsageError
from bundler.ledger.keyfile import public_key
from bundler.stations.names import Names
from bundler.stations.trustfolder import TrustFolder
from bundler.trust import trusttoml
from bundler.trust.addition import render_rule, render_seal, with_next_serial
from bundler.trust.keys import Role
from bundler.trust.policy import Policy
from bundler.trust.removal import without_key, without_rule
from bundler.trust.signer import SignerEntry
from bundler.trust.table import FILE

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

    def behind(self, signer: SignerEntry) -> Iterator[bytes]:
        """What the signer is known by: its key, the file of its root, the files of its stores."""
        return signer.behind(self.files)


class NewAnchor(Protocol):
    """A root or a store to pin."""

    def addition(self, trust: Trust) -> tuple[str, Mapping[str, bytes]] | None:
        """Its table as text, and its files by where they go in the folder; None where it is pinned already.

        Raises UsageError (``trust.form``, ``trust.store``, ``usage.input``).
        """
        ...


@dataclass(frozen=True, slots=True)
class NewRule:
    """Whose signatures images need. ``keys`` are copied; ``signers`` are tables as ``trust.toml`` has them."""

    scope: str
    keys: Sequence[Path] = ()
    signers: Sequence[Mapping[str, Any]] = ()
    threshold: int | None = None
    attestations: Sequence[str | Mapping[str, Any]] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    node: str | None = None
    name: str | None = None
    key_log: Mapping[str, Any] = field(default_factory=dict)
    """What stands beside each key: ``root`` and perhaps ``log``."""
    called: Sequence[str] = ()
    """What the keys, then the signers, are called; none or one for each."""


def find(given: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The folder: the one given, else the first that exists of ``$OCI_BUNDLER_TRUST``, the user's, the system's; or None."""
    if given is not None:
        return given
    if environ.get("OCI_BUNDLER_TRUST"):
        return Path(environ["OCI_BUNDLER_TRUST"])
    home = environ.get("XDG_CONFIG_HOME") or f"{environ.get('HOME', '')}/.config"
    places = [Path(base, "oci-bundler", "trust") for base in (home, "/etc")]
    return next((place for place in places if place.is_absolute() and is_taken(place)), None)  # no other is the same everywhere


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


@contextmanager
def changing(given: Path | None, environ: Mapping[str, str]) -> Iterator[Trust]:
    """What :func:`load` gives, while the block changes it: who comes second waits, and builds on what the first has made.

    Where the file system has no locks, nobody waits. Raises as :func:`load`.
    """
    path = load(given, environ).path
    with alone(path):
        yield read(path)


def read(path: Path) -> Trust:
    """The folder at ``path``, read once; what is judged is what was read. Raises as :func:`load`."""
    folder = TrustFolder(path)
    raw = folder.read(FILE)
    files = {name: folder.read(name) for name in sorted(trusttoml.named_files(raw) | folder.keys(raw))}
    return Trust(path=path, policy=trusttoml.parse(raw, files), raw=raw, files=files)


def init(path: Path, *, seal_key: Path | None = None, image_key: Path | None = None, scopes: Sequence[str] = ()) -> Trust:
    """Make a trust folder, whole or not at all: one that admits nothing, or one for a sealer and a signer of images in ``scopes``.

    Raises ConflictError (``output.exists``) if something is there, UsageError (``trust.form``, ``trust.key``, ``trust.roles``).
    """
    text, files, names = EMPTY, dict[str, bytes](), Names({})
    if seal_key is not None:
        pinned = _key_files([seal_key], role="seal")
        files |= pinned
        named = names.of_keys(pinned, [seal_key])
        text += "\n" + render_seal(stream="default", scopes=scopes, keys=list(pinned), threshold=None, names=named)  # the one of `export`
    if image_key is not None:
        pinned = _key_files([image_key], role="image")
        files |= pinned
        signers = _key_signers(pinned, names.of_keys(pinned, [image_key]))
        text += "".join("\n" + render_rule(scope=scope, signers=signers) for scope in scopes)
    trusttoml.parse(text.encode(), files)
    with disk(f"{path} cannot be made"):
        if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
            raise ConflictError(f"{path} exists and is not empty", code=Code.OUTPUT_EXISTS, next="choose another folder")
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        (path / "keys").mkdir(mode=0o700)
    for name, data in files.items():
        write_whole(path / name, data, mode=0o600)
    write_whole(path / FILE, text.encode(), mode=0o600)
    return read(path)


def remove(trust: Trust, what: str) -> tuple[Trust, tuple[str, ...]]:
    """Take out the rule for the scope ``what``, or the public key of which it is the fingerprint, name or file, wherever that counts.

    A seal or rule that no other key is left for goes with it. Gives the trust after it, and what that means, in words.

    Raises UsageError (``usage.input`` where there is no such thing, or more than one; ``trust.form`` where fewer keys would be left
    than a threshold wants, or where only a person can change the file).
    """
    text = trust.raw.decode()
    gone: tuple[str, ...] = (what,)
    if what in {str(rule.scope) for rule in trust.policy.rules}:
        if what in trust.policy.names.values():
            raise _unclear(what, f"the rule for {what}, and the signer {_named(trust, what)}")
        text = without_rule(text, trust.policy, what)
    else:
        text, gone = without_key(text, trust.policy, _fingerprint(trust, what))
    try:
        after = _written(trust, text, {})
    except UsageError as error:
        then = "add the key that takes its place first, or change that part of trust.toml with an editor"
        raise UsageError(error.what, code=error.code, found=error.found, wanted=error.wanted, next=then) from error
    return after, tuple(_judged_after(after, scope) for scope in gone)


def _fingerprint(trust: Trust, what: str) -> str:
    """Of a key that counts in this trust, by its fingerprint, its name or its file; these must not be of two."""
    there = [key.fingerprint for key in trust.policy.keys]
    if what in there:
        return what
    named = _named(trust, what)
    try:
        filed = _filed(what)
    except UsageError:  # a file beside us need not be a key where its name is one in trust
        if named not in there:
            raise
        filed = None
    if named in there and filed in there and named != filed:
        raise _unclear(what, f"the key that has the name, {named}, and the one in the file, {filed}")
    for found in (named, filed):
        if found in there:
            return found
    raise UsageError(
        "there is no such scope or key in trust",
        code=Code.USAGE_INPUT,
        found=ascii(what)[:160],
        wanted=", ".join([*(str(rule.scope) for rule in trust.policy.rules), *sorted(there)]) or "a trust folder with something in it",
    )


def _named(trust: Trust, what: str) -> str | None:
    return {name: who for who, name in trust.policy.names.items()}.get(what)


def _filed(what: str) -> str | None:
    """The fingerprint of the public key in a file, if there is one; a name may be that of any file."""
    if not os.path.isfile(what):  # noqa: PTH113 - of what cannot be a path, pathlib raises
        return None
    return public_key(Path(what)).fingerprint


def _unclear(what: str, found: str) -> UsageError:
    return UsageError(
        f"{ascii(what)[:160]} may mean either of two",
        code=Code.USAGE_INPUT,
        found=found,
        next="say which with its fingerprint, or take it out of trust.toml with an editor and raise the serial by one",
    )


def _judged_after(trust: Trust, scope: str) -> str:
    """What becomes of the images that a rule was for."""
    other = trust.policy.rule_for(scope.replace("**", "x").replace("*", "x"))
    if other is None:
        return f"images of {scope} may not enter any more"
    return f"images of {scope} are judged by the rule for {other.scope} from now on"


def add_seal(
    trust: Trust,
    *,
    stream: str,
    scopes: Sequence[str],
    keys: Sequence[Path],
    threshold: int | None,
    called: Sequence[str] = (),
    order: str | None = None,
) -> Trust:
    """Trust further keys to seal a stream, in the ``order`` that it has already unless one is given.

    Raises UsageError (``trust.form``, ``trust.key``, ``trust.roles``).
    """
    files = _key_files(keys, role="seal")
    names = Names(trust.policy.names).of_keys(files, keys, called)
    text = render_seal(
        stream=stream, scopes=scopes, keys=list(files), threshold=threshold, names=names, order=order or trust.policy.stated_order(stream)
    )
    return extend(trust, text, files)


def add(trust: Trust, *, anchors: Sequence[NewAnchor] = (), rule: NewRule | None = None) -> Trust:
    """Pin roots and stores, and say whose signatures images need; all of it or nothing.

    Raises UsageError (``trust.form``, ``trust.key``, ``trust.roles``, ``trust.store``, ``usage.input``).
    """
    texts: list[str] = []
    files: dict[str, bytes] = {}
    for text, more in filter(None, [anchor.addition(trust) for anchor in anchors]):
        texts.append(text)
        files |= more
    if rule is not None:
        if any(str(other.scope) == rule.scope for other in trust.policy.rules):
            raise UsageError(
                "a scope has one rule",
                code=Code.TRUST_FORM,
                found=ascii(rule.scope)[:160],
                wanted="all of its signers in one rule, with a threshold",
                next=f"to replace it: oci-bundler trust remove {shlex.quote(str(trust.path))} {shlex.quote(rule.scope)}",
            )
        keys = _key_files(rule.keys, role="image")
        files |= keys
        texts.append(_rule(rule, keys, Names(trust.policy.names)))
    return extend(trust, "\n".join(texts), files) if texts else trust


def _rule(rule: NewRule, keys: Mapping[str, bytes], names: Names) -> str:
    named = names.of_keys(keys, rule.keys, rule.called[: len(keys)])
    return render_rule(
        scope=rule.scope,
        signers=[*_key_signers(keys, named, rule.key_log), *names.of_others(rule.signers, rule.called[len(keys) :])],
        threshold=rule.threshold,
        attestations=rule.attestations,
        annotations=rule.annotations,
        node=rule.node,
        name=rule.name,
    )


def extend(trust: Trust, addition: str, files: Mapping[str, bytes]) -> Trust:
    """Write the next ``trust.toml`` and new files, checked whole before they count.

    The file is renamed into place last, so that a cut leaves the trust as it was, with at most unused files beside it.
    """
    return _written(trust, with_next_serial(trust.raw.decode()).rstrip("\n") + "\n\n" + addition, files)


def _written(trust: Trust, text: str, files: Mapping[str, bytes]) -> Trust:
    trusttoml.parse(text.encode(), {**trust.files, **files})
    for name, data in files.items():
        _put(trust.path, name, data)
    write_whole(trust.path / FILE, text.encode(), replace=True, mode=0o600)
    return read(trust.path)


def _put(folder: Path, name: str, data: bytes) -> None:
    """Raises ConflictError (``output.exists``) where something else has the name, for it may be in use."""
    path = folder / name
    with disk(f"{folder} cannot be written"):
        for parent in reversed(path.relative_to(folder).parents[:-1]):
            (folder / parent).mkdir(mode=0o700, exist_ok=True)
            sync_folder((folder / parent).parent)
    if not os.path.lexists(path):
        write_whole(path, data, mode=0o600)
    elif TrustFolder(folder).read(name) != data:
        raise ConflictError(f"{path} exists, and is another", code=Code.OUTPUT_EXISTS, next="remove it, or choose another name")


def _key_files(paths: Sequence[Path], *, role: Role) -> dict[str, bytes]:
    """Public keys by where they go in the folder. Raises UsageError (``usage.input``, ``trust.key``)."""
    files: dict[str, bytes] = {}
    for path in paths:
        key = public_key(path, role=role)
        name = f"keys/{key.fingerprint.removeprefix('sha256:')}.pub"
        if name in files:
            raise UsageError(f"{path} is a key that was given already", code=Code.TRUST_KEY, found=key.fingerprint)
        files[name] = key.pem
    return files


def _key_signers(keys: Iterable[str], names: Mapping[str, str], beside: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    return [{"key": key} | dict(beside or {}) | ({"name": names[key]} if key in names else {}) for key in keys]
