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
    # Python 3.13 asks authorities for what RFC 5280 wants of their makers, as critical basicConstraints and key identifiers. The
    # authorities of factories and hospitals often lack these, and OpenSSL, Go and older Pythons prove the same chains without.
    # An intermediate that was named is an anchor, as it is to those. No signature, name or time is looked at less.
    made.verify_flags = (made.verify_flags & ~ssl.VERIFY_X509_STRICT) | ssl.VERIFY_X509_PARTIAL_CHAIN
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


def lacks(error: ssl.SSLCertVerificationError) -> tuple[str, str]:
    """What a certificate that was refused should have been, and what a person can do."""
    return _LACKS.get(error.verify_code, _ELSE)


_ELSE = ("a chain to an authority that is accepted here", "have the registry's certificate, or the one that is at fault, made anew")
_AUTHORITY = (
    "one whose authority is accepted here",
    "name that authority with --ca-file; if it was named, the registry does not send the certificates in between, or has another's",
)
_NAME = (
    "one with the registry's name, as it is written here, in subjectAltName; a common name does not count",
    "name the registry as its certificate does, or have that made for this name too",
)
_TIME = ("one that is valid now", "check the clock of this machine; if it is right, have the registry's certificate renewed")
_STRENGTH = ("keys of at least 2048 bits (RSA) and signatures with SHA-256 or better", "have the registry's certificate made anew")
_LACKS = {
    9: _TIME,
    10: _TIME,
    18: _AUTHORITY,
    19: _AUTHORITY,
    20: _AUTHORITY,
    21: _AUTHORITY,
    26: ("one that may be a server's: with serverAuth in extendedKeyUsage, if it has that", "have the registry's certificate made anew"),
    62: _NAME,
    64: _NAME,
    66: _STRENGTH,
    67: _STRENGTH,
    68: _STRENGTH,
    79: (
        "an authority with CA:TRUE in basicConstraints, and with keyCertSign in keyUsage, if it has that",
        "have the authority's certificate made anew; or name the registry's own certificate with --ca-file",
    ),
}
"""By OpenSSL's numbers (x509_vfy.h, X509_V_ERR_…)."""


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
