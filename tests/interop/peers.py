"""Real programs and real registries, run as their users run them, on this machine alone.

A program gets a home of its own, and no way to any network but loopback: its proxy is a closed port. A registry
listens on a free port of 127.0.0.1 and keeps its content in the folder it is given.
"""

import http.client
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import pytest

from tests.interop.tools import pins
from tests.support import ports

PASSWORD = "only for tests"
CLOSED = "http://127.0.0.1:9"  # the discard port: nothing answers, and at once
LOOPBACK = "127.0.0.1"
READY_WITHIN = 120  # seconds; a registry takes half of one, a busy machine more

Ran = subprocess.CompletedProcess[str]


class PeerError(AssertionError):
    """A peer that was expected to succeed did not; the message holds what it said."""


def program(name: str) -> str:
    """The path of a peer; where it is missing, the test is skipped, or fails if this is CI."""
    path = str(pins.binary(name)) if name in pins.peers() else shutil.which(name)
    if not (path and os.access(path, os.X_OK)):
        get = "make interop builds it" if name in pins.peers() else "Debian packages it"
        absent(f"{name} is not here; {get}")
    return path


def absent(reason: str) -> NoReturn:
    """A peer is missing: the test is skipped, or fails if this is CI."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


# --- programs ---


@dataclass(frozen=True)
class Peers:
    """The programs, sharing one home: their keys, logins and trust stores lie there and nowhere else."""

    home: Path

    def run(
        self, name: str, *arguments: str | Path, check: bool = True, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Ran:
        """Runs a peer and gives its output; ``check`` makes any exit but 0 a ``PeerError``."""
        command = [program(name), *map(str, arguments)]
        ran = subprocess.run(
            command,
            env=self._environment() | dict(env or {}),
            cwd=cwd or self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check and ran.returncode:
            raise PeerError(f"{name} {' '.join(command[1:])}\nended with {ran.returncode}\n{ran.stdout}{ran.stderr}")
        return ran

    def cosign(self, *arguments: str | Path, check: bool = True, env: Mapping[str, str] | None = None) -> Ran:
        return self.run("cosign", *arguments, check=check, env=env)

    def crane(self, *arguments: str | Path, check: bool = True) -> Ran:
        return self.run("crane", *arguments, check=check)

    def oras(self, *arguments: str | Path, check: bool = True, cwd: Path | None = None) -> Ran:
        """oras; its flags differ by command (``--plain-http``, ``--to-plain-http``), so the caller gives them."""
        return self.run("oras", *arguments, check=check, cwd=cwd)

    def regctl(self, *arguments: str | Path, check: bool = True) -> Ran:
        """regctl, told that each registry on loopback among its arguments speaks http."""
        hosts = sorted({host for argument in arguments for host in _loopback_hosts(str(argument))})
        plain = [word for host in hosts for word in ("--host", f"reg={host},tls=disabled")]
        return self.run("regctl", *arguments, *plain, check=check)

    def notation(self, *arguments: str | Path, check: bool = True) -> Ran:
        return self.run("notation", *arguments, check=check)

    def skopeo(self, *arguments: str | Path, check: bool = True) -> Ran:
        return self.run("skopeo", "--insecure-policy", *arguments, check=check)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_RUNTIME_DIR": str(self.home),
            "DOCKER_CONFIG": str(self.home / "docker"),
            "TUF_ROOT": str(self.home / "tuf"),
            "COSIGN_PASSWORD": PASSWORD,
            "COSIGN_YES": "true",
            "HTTP_PROXY": CLOSED,
            "HTTPS_PROXY": CLOSED,
            "NO_PROXY": f"{LOOPBACK},localhost",
            "LC_ALL": "C.UTF-8",
        }


def _loopback_hosts(argument: str) -> list[str]:
    return [part for part in argument.replace("=", "/").split("/") if part.startswith(f"{LOOPBACK}:")]


# --- registries ---


@dataclass(frozen=True)
class Registry:
    """A registry that runs."""

    name: str
    host: str
    referrers: bool  # whether it has the referrers API of distribution-spec 1.1

    def reference(self, repository: str, tag_or_digest: str = "") -> str:
        """``HOST/REPOSITORY``, with ``:TAG`` or ``@DIGEST`` where one is given."""
        separator = "@" if ":" in tag_or_digest else ":" if tag_or_digest else ""
        return f"{self.host}/{repository}{separator}{tag_or_digest}"

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        """The status and body of ``GET PATH``, asked without any program between."""
        with closing(http.client.HTTPConnection(self.host, timeout=120)) as connection:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def tags(self, repository: str) -> list[str]:
        """The tags of the repository, sorted; none where there is no such repository."""
        status, body = self.get(f"/v2/{repository}/tags/list")
        return sorted(json.loads(body)["tags"] or []) if status == 200 else []

    def manifest(self, repository: str, tag_or_digest: str) -> dict[str, Any]:
        """The manifest or index of that name, parsed."""
        accept = ", ".join(f"application/vnd.{kind}+json" for kind in MANIFEST_KINDS)
        status, body = self.get(f"/v2/{repository}/manifests/{tag_or_digest}", Accept=accept)
        assert status == 200, f"{self.name} answered {status} for {repository} {tag_or_digest}: {body!r}"
        parsed: dict[str, Any] = json.loads(body)
        return parsed

    def referring(self, repository: str, digest: str) -> list[dict[str, Any]]:
        """What refers to the digest: by the referrers API where there is one, else by the fallback tag."""
        if self.referrers:
            status, body = self.get(f"/v2/{repository}/referrers/{digest}")
            assert status == 200, f"{self.name} answered {status} for the referrers of {digest}: {body!r}"
            found: list[dict[str, Any]] = json.loads(body)["manifests"]
            return found
        fallback = digest.replace(":", "-")
        return list(self.manifest(repository, fallback)["manifests"]) if fallback in self.tags(repository) else []


MANIFEST_KINDS = (
    "oci.image.index.v1",
    "oci.image.manifest.v1",
    "docker.distribution.manifest.list.v2",
    "docker.distribution.manifest.v2",
)


@contextmanager
def docker_registry(folder: Path) -> Iterator[Registry]:
    """Debian's docker-registry, distribution 2.8: no referrers API, indexes only whole."""
    with _serving("docker-registry", folder, lambda port: ["serve", _configured(folder, port)], referrers=False) as registry:
        yield registry


@contextmanager
def distribution(folder: Path, settings: Mapping[str, Any] | None = None) -> Iterator[Registry]:
    """distribution 3, with its defaults but for ``settings``: no referrers API, indexes only whole."""
    with _serving("distribution", folder, lambda port: ["serve", _configured(folder, port, settings)], referrers=False) as registry:
        yield registry


@contextmanager
def olareg(folder: Path) -> Iterator[Registry]:
    """olareg, with the referrers API, deletion allowed and no garbage collection."""

    def arguments(port: int) -> list[str]:
        flags = ["--api-delete", "--api-blob-delete", "--gc-frequency=-1s"]
        return ["serve", f"--addr={LOOPBACK}", f"--port={port}", f"--dir={folder}", *flags]

    with _serving("olareg", folder, arguments, referrers=True) as registry:
        yield registry


def _configured(folder: Path, port: int, more: Mapping[str, Any] | None = None) -> str:
    settings = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder)}, "delete": {"enabled": True}},
        "http": {"addr": f"{LOOPBACK}:{port}"},
    }
    path = folder / "config.yml"
    path.write_text(json.dumps(settings | dict(more or {})))  # every JSON text is YAML
    return str(path)


@contextmanager
def _serving(name: str, folder: Path, arguments: Callable[[int], list[str]], *, referrers: bool) -> Iterator[Registry]:
    folder.mkdir(parents=True, exist_ok=True)
    path = program(name)
    with ports.held() as [port]:
        with (folder / "log").open("wb") as log:
            environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "OTEL_TRACES_EXPORTER": "none"}
            process = subprocess.Popen(
                [path, *arguments(port)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=folder
            )
        try:
            if not answers(port, process):
                raise PeerError(f"{name} did not start\n{(folder / 'log').read_text(errors='replace')[-2000:]}")
            yield Registry(name, f"{LOOPBACK}:{port}", referrers)
        finally:
            process.terminate()
            process.wait(timeout=120)


def answers(port: int, process: subprocess.Popen[bytes], path: str = "/v2/") -> bool:
    """Whether the process comes to answer ``GET PATH`` with 200 before it ends."""
    give_up = time.monotonic() + READY_WITHIN
    while process.poll() is None and time.monotonic() < give_up:
        try:
            with closing(http.client.HTTPConnection(LOOPBACK, port, timeout=READY_WITHIN)) as connection:
                connection.request("GET", path)
                if connection.getresponse().status == 200:
                    return True
                time.sleep(0.05)
        except OSError:
            time.sleep(0.05)
    return False


# --- pushing ---


def push(peers: Peers, layout: Path, name: str, reference: str) -> str:
    """Pushes the image of that name in an OCI layout with skopeo, all platforms, bytes unchanged; gives its digest."""
    peers.skopeo("copy", "--all", "--preserve-digests", "--dest-tls-verify=false", f"oci:{layout}:{name}", f"docker://{reference}")
    return digest_of(peers, reference)


def push_artifact(peers: Peers, layout: Path, name: str, reference: str) -> str:
    """Pushes any artifact of that name in an OCI layout with oras; gives its digest."""
    peers.oras("cp", "--from-oci-layout", f"{layout}:{name}", "--to-plain-http", reference)
    return digest_of(peers, reference)


def digest_of(peers: Peers, reference: str) -> str:
    """What crane says the reference's digest is."""
    return peers.crane("digest", reference).stdout.strip()


# --- cosign, with a key ---


@dataclass(frozen=True)
class Keys:
    """A key pair of cosign's, under ``PASSWORD``."""

    private: Path
    public: Path


def generate_keys(peers: Peers, folder: Path, name: str = "cosign") -> Keys:
    """A new ECDSA P-256 pair by ``cosign generate-key-pair``."""
    peers.cosign("generate-key-pair", "--output-key-prefix", folder / name)
    return Keys(folder / f"{name}.key", folder / f"{name}.pub")


def import_keys(peers: Peers, private: Path, folder: Path, name: str = "imported") -> Keys:
    """A pair that cosign can use from a PEM private key of any origin."""
    peers.cosign("import-key-pair", "--key", private, "--output-key-prefix", folder / name)
    return Keys(folder / f"{name}.key", folder / f"{name}.pub")


# Without these, cosign 3 asks the public Sigstore for a signing configuration and logs what it signs there.
OFFLINE = ("--yes", "--tlog-upload=false", "--use-signing-config=false")
OLD = "--new-bundle-format=false"
NEW = "--new-bundle-format=true"
UNLOGGED = "--insecure-ignore-tlog=true"  # what is pinned is the key; nothing was logged


def sign_old(peers: Peers, reference: str, keys: Keys, *, recursive: bool = False, annotations: Mapping[str, str] | None = None) -> None:
    """Signs ``REPO@DIGEST`` as cosign 1 and 2 did: a simple-signing payload at the tag ``sha256-<hex>.sig``."""
    peers.cosign("sign", *OFFLINE, OLD, *_sign_flags(keys, recursive, annotations), reference)


def sign_new(peers: Peers, reference: str, keys: Keys, *, recursive: bool = False, annotations: Mapping[str, str] | None = None) -> None:
    """Signs ``REPO@DIGEST`` as cosign 3 does: a Sigstore bundle that refers to the image."""
    peers.cosign("sign", *OFFLINE, NEW, *_sign_flags(keys, recursive, annotations), reference)


def _sign_flags(keys: Keys, recursive: bool, annotations: Mapping[str, str] | None) -> list[str]:
    stated = [word for key, value in (annotations or {}).items() for word in ("--annotations", f"{key}={value}")]
    return ["--key", str(keys.private), f"--recursive={str(recursive).lower()}", *stated]


def attest_old(peers: Peers, reference: str, keys: Keys, predicate: Path, *, type_: str = "spdxjson") -> None:
    """Attests ``REPO@DIGEST`` as cosign 1 and 2 did: a DSSE envelope at the tag ``sha256-<hex>.att``."""
    peers.cosign("attest", *OFFLINE, OLD, "--key", keys.private, "--predicate", predicate, "--type", type_, reference)


def attest_new(peers: Peers, reference: str, keys: Keys, predicate: Path, *, type_: str = "spdxjson") -> None:
    """Attests ``REPO@DIGEST`` as cosign 3 does: a Sigstore bundle that refers to the image."""
    peers.cosign("attest", *OFFLINE, NEW, "--key", keys.private, "--predicate", predicate, "--type", type_, reference)


def verify_old(peers: Peers, reference: str, public: Path, *arguments: str, check: bool = True) -> Ran:
    """cosign's verdict on the ``.sig`` form alone; the exit code is the answer, its text is not."""
    return peers.cosign("verify", "--key", public, OLD, UNLOGGED, *arguments, reference, check=check)


def verify_new(peers: Peers, reference: str, public: Path, *arguments: str, check: bool = True) -> Ran:
    """cosign's verdict on bundles that refer to the image, and on ``.sig`` only where there is no bundle at all."""
    return peers.cosign("verify", "--key", public, NEW, UNLOGGED, *arguments, reference, check=check)


def verify_attestation_old(peers: Peers, reference: str, public: Path, *, type_: str = "spdxjson", check: bool = True) -> Ran:
    """cosign's verdict on the ``.att`` form alone."""
    return peers.cosign("verify-attestation", "--key", public, OLD, UNLOGGED, "--type", type_, reference, check=check)


def verify_attestation_new(peers: Peers, reference: str, public: Path, *, type_: str = "spdxjson", check: bool = True) -> Ran:
    """cosign's verdict on attestation bundles that refer to the image, and on ``.att`` only where there is none."""
    return peers.cosign("verify-attestation", "--key", public, NEW, UNLOGGED, "--type", type_, reference, check=check)


# --- notation, with a certificate ---


def notation_certificate(peers: Peers, name: str) -> Path:
    """A key with a self-signed certificate that signs by default, and that certificate, in the store ``name``."""
    while True:
        peers.notation("cert", "generate-test", "--default", name)
        made = peers.home / "config/notation/truststore/x509/ca" / name / f"{name}.crt"
        serial = peers.run("openssl", "x509", "-in", made, "-noout", "-serial").stdout.strip()
        if int(serial.removeprefix("serial="), 16) > 0:
            return made
        shutil.rmtree(peers.home / "config/notation")  # it draws one of 200 serials, and one of them is 0, which we refuse


def notation_identity(peers: Peers, name: str = "peers.test") -> None:
    """A ``notation_certificate``, and a policy that trusts it for every repository."""
    notation_certificate(peers, name)
    trust = {
        "version": "1.0",
        "trustPolicies": [
            {
                "name": "everything",
                "registryScopes": ["*"],
                "signatureVerification": {"level": "strict"},
                "trustStores": [f"ca:{name}"],
                "trustedIdentities": ["*"],
            }
        ],
    }
    policy = peers.home / "policy.json"
    policy.write_text(json.dumps(trust))
    peers.notation("policy", "import", "--force", policy)


def notation_sign(peers: Peers, reference: str, *, envelope: Literal["jws", "cose"] = "jws", fallback_tag: bool = False) -> None:
    """Signs ``REPO@DIGEST``: through the referrers API, or by the fallback tag where there is none or it is asked for."""
    flags = ("--insecure-registry", f"--signature-format={envelope}", f"--force-referrers-tag={str(fallback_tag).lower()}")
    peers.notation("sign", *flags, reference)


def notation_verify(peers: Peers, reference: str, *, check: bool = True) -> Ran:
    """notation's verdict under the policy of ``notation_identity``."""
    return peers.notation("verify", "--insecure-registry", "-v", reference, check=check)
