"""Whom a connection is made with: certificate authorities, and the certificates that we show.

``--ca-file`` stands alone: with it, nobody else's authorities count. Otherwise the system's do (``SSL_CERT_FILE`` and
``SSL_CERT_DIR`` are OpenSSL's), and beside them those of the first folder ``certs.d/HOST[:PORT]`` that is there
(containers-certs.d(5)): ``*.crt`` are authorities, ``NAME.cert`` with ``NAME.key`` is shown to the registry.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path

from bundler.content.registry.origin import PORTS, Origin
from bundler.errors import Code, UsageError

SYSTEM_FOLDERS = (Path("/etc/containers/certs.d"), Path("/etc/docker/certs.d"))


def certs_folders(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Where certificates of registries are kept: the user's folder, then the system's."""
    config = environ.get("XDG_CONFIG_HOME") or (f"{home}/.config" if (home := environ.get("HOME")) else None)
    return (*((Path(config) / "containers/certs.d",) if config else ()), *SYSTEM_FOLDERS)


def context(origin: Origin, *, ca_file: Path | None, folders: tuple[Path, ...], verify: bool = True) -> ssl.SSLContext:
    """What TLS with ``origin`` is begun with: version 1.2 or newer, names checked.

    Raises UsageError (``usage.input``, ``usage.key``) for certificates and keys that cannot be read.
    """
    try:
        made = ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:
        raise _unreadable(ca_file, error, code=Code.USAGE_INPUT) from error
    made.minimum_version = ssl.TLSVersion.TLSv1_2  # Python's default, but some distributions leave it to OpenSSL's configuration
    folder = _folder(origin, folders)
    if folder is not None:
        if ca_file is None:
            _add_authorities(made, folder)
        _add_our_certificates(made, folder)
    if not verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def _folder(origin: Origin, folders: tuple[Path, ...]) -> Path | None:
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    names = [f"{host}:{origin.port}"] + ([host] if origin.port == PORTS["https"] else [])
    if host == "registry-1.docker.io":
        names.append("docker.io")
    return next((folder / name for folder in folders for name in names if (folder / name).is_dir()), None)


def _add_authorities(made: ssl.SSLContext, folder: Path) -> None:
    for path in sorted(folder.glob("*.crt")):
        try:
            made.load_verify_locations(cafile=path)
        except OSError as error:
            raise _unreadable(path, error, code=Code.USAGE_INPUT) from error


def _add_our_certificates(made: ssl.SSLContext, folder: Path) -> None:
    for key in sorted(folder.glob("*.key")):
        if not key.with_suffix(".cert").exists():
            raise UsageError(f"{key} stands without its certificate", code=Code.USAGE_KEY, wanted=key.with_suffix(".cert"))
    for path in sorted(folder.glob("*.cert")):
        key = path.with_suffix(".key")
        if not key.exists():
            raise UsageError(f"{path} stands without its key", code=Code.USAGE_KEY, wanted=key)
        try:
            # without a password given, OpenSSL would ask the terminal for one
            made.load_cert_chain(path, key, password="")
        except OSError as error:
            raise _unreadable(path, error, code=Code.USAGE_KEY) from error


def _unreadable(path: Path | None, error: Exception, *, code: Code) -> UsageError:
    found = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return UsageError(f"{path} holds no certificates that can be used", code=code, found=found)
