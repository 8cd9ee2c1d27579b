"""A private Sigstore on loopback: real Fulcio, timestamp authority and Rekor v2, and this folder's own OIDC issuer and CT log.

All keys are made for one run. cosign is told of it by a signing configuration and a trusted root, as by its owner.
"""

import base64
import fcntl
import hashlib
import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from bundler.trust import der
from tests.interop import peers as real
from tests.support import cms, ports
from tests.support.world import Issued, authority_extensions, issue, name, sign, spki, usage

IDENTITY = "release@held.test"
PASSWORD = "only for tests"
READY_WITHIN = 120  # seconds

Private = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Sigstore:
    """A Sigstore that runs: its parts by their addresses, and what cosign is told of it."""

    peers: real.Peers
    folder: Path
    issuer: str
    fulcio: str
    tsa: str
    rekor: str
    token_key: rsa.RSAPrivateKey

    @property
    def root(self) -> Path:
        """Its trusted root, as ``cosign trusted-root create`` writes it."""
        return self.folder / "trusted_root.json"

    @property
    def signing_config(self) -> Path:
        return self.folder / "signing_config.json"

    def token(self, identity: str = IDENTITY) -> Path:
        """A file with an identity token that lasts some minutes."""
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": "sigstore", "sub": identity, "email": identity, "email_verified": True}
        body = ".".join(
            _url64(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "1"}, claims | {"iat": now, "exp": now + 600})
        )
        signature = self.token_key.sign(body.encode(), padding.PKCS1v15(), hashes.SHA256())
        path = self.folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:8]}.token"
        path.write_text(f"{body}.{_url64(signature)}")
        return path

    def sign(self, reference: str, *, identity: str = IDENTITY) -> None:
        """Signs ``REPO@DIGEST`` keyless, as cosign 3 does: a bundle with certificate, log entry and timestamp."""
        self.peers.cosign("sign", *self._new(identity), reference)

    def attest(self, reference: str, predicate: Path, *, type_: str = "spdxjson", identity: str = IDENTITY) -> None:
        self.peers.cosign("attest", *self._new(identity), "--predicate", predicate, "--type", type_, reference)

    def sign_with_key(self, reference: str, keys: real.Keys) -> None:
        """Signs it by a key, and logs and stamps that."""
        self.peers.cosign("sign", "--yes", real.NEW, "--signing-config", self.signing_config, "--key", keys.private, reference)

    def sign_old(self, reference: str, *, identity: str = IDENTITY) -> None:
        """Signs it keyless at the tag ``.sig``, with a timestamp and no log: cosign 3 logs old forms to Rekor v1 alone."""
        flags = ("--yes", "--use-signing-config=false", "--tlog-upload=false", real.OLD)
        services = ("--fulcio-url", self.fulcio, "--timestamp-server-url", f"{self.tsa}/api/v1/timestamp")
        trusted = ("--trusted-root", self.root)
        self.peers.cosign("sign", *flags, *services, *trusted, "--identity-token", self.token(identity), reference)

    def verify(self, reference: str, *arguments: str | Path, identity: str = IDENTITY, check: bool = True) -> real.Ran:
        """cosign's verdict on bundles."""
        return self.peers.cosign("verify", real.NEW, *self._trusted(identity), *arguments, reference, check=check)

    def verify_attestation(self, reference: str, *, type_: str = "spdxjson", check: bool = True) -> real.Ran:
        return self.peers.cosign("verify-attestation", real.NEW, *self._trusted(IDENTITY), "--type", type_, reference, check=check)

    def verify_old(self, reference: str, *, identity: str = IDENTITY, check: bool = True) -> real.Ran:
        """cosign's verdict on ``.sig``."""
        flags = (real.OLD, "--use-signed-timestamps", "--insecure-ignore-tlog=true")
        return self.peers.cosign("verify", *flags, *self._trusted(identity), reference, check=check)

    def _new(self, identity: str) -> tuple[str | Path, ...]:
        told = ("--signing-config", self.signing_config, "--trusted-root", self.root)
        return ("--yes", real.NEW, *told, "--identity-token", self.token(identity))

    def _trusted(self, identity: str) -> tuple[str | Path, ...]:
        return ("--trusted-root", self.root, "--certificate-identity", identity, "--certificate-oidc-issuer", self.issuer)


@contextmanager
def running(peers: real.Peers, folder: Path) -> Iterator[Sigstore]:
    """Starts everything in ``folder``, and gives it when it answers."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        token_key = rsa.generate_private_key(65537, 2048)
        issuer = stack.enter_context(_issuer(token_key))
        ct_key = ec.generate_private_key(ec.SECP256R1())
        ct = stack.enter_context(_ct_log(ct_key))
        rekor_key = ed25519.Ed25519PrivateKey.generate()
        keys: dict[str, CertificateIssuerPrivateKeyTypes] = {"ct.pub": ct_key, "rekor.pub": rekor_key}
        for name_, private in keys.items():
            (folder / name_).write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        tsa = stack.enter_context(timestamp_server(folder / "tsa"))
        rekor = stack.enter_context(_rekor(folder / "rekor", rekor_key))
        fulcio = stack.enter_context(_fulcio(folder / "fulcio", issuer=issuer, ct=ct, ct_public=folder / "ct.pub"))
        sigstore = Sigstore(peers, folder, issuer, fulcio, tsa, rekor, token_key)
        _tell_cosign(sigstore, ct)
        yield sigstore


def _tell_cosign(here: Sigstore, ct: str) -> None:
    since, run = "start-time=2020-01-01T00:00:00Z", here.peers.cosign
    run(
        *("trusted-root", "create", "--out", here.root),
        f"--fulcio=url={here.fulcio},certificate-chain={here.folder}/fulcio/chain.pem",
        f"--rekor=url={here.rekor},public-key={here.folder}/rekor.pub,{since},origin=127.0.0.1",
        f"--ctfe=url={ct},public-key={here.folder}/ct.pub,{since}",
        f"--tsa=url={here.tsa}/api/v1/timestamp,certificate-chain={here.folder}/tsa/chain.pem",
    )
    run(
        *("signing-config", "create", "--out", here.signing_config),
        f"--fulcio=url={here.fulcio},api-version=1,{since},operator=held.test",
        f"--rekor=url={here.rekor},api-version=2,{since},operator=held.test",
        "--rekor-config=ANY",
        f"--oidc-provider=url={here.issuer},api-version=1,{since},operator=held.test",
        f"--tsa=url={here.tsa}/api/v1/timestamp,api-version=1,{since},operator=held.test",
        "--tsa-config=ANY",
    )


# --- the parts that are ours ---


@contextmanager
def _answering(answer: Any) -> Iterator[str]:
    """Serves ``answer(path, body)`` as JSON on a free port; None is 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, *_: Any) -> None:
            pass

        def _answer(self, body: bytes) -> None:
            value = answer(f"http://{self.headers['Host']}", self.path, body)
            data = json.dumps(value).encode()
            self.send_response(404 if value is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer((real.LOOPBACK, 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{real.LOOPBACK}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _issuer(key: rsa.RSAPrivateKey) -> Any:
    """An OIDC issuer, as far as Fulcio asks one: where its keys are, and its keys (OpenID Connect Discovery 1.0)."""
    numbers = key.public_key().public_numbers()
    jwk = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "1", "n": _url64(_big(numbers.n)), "e": _url64(_big(numbers.e))}

    def answer(me: str, path: str, _: bytes) -> Any:
        if path == "/.well-known/openid-configuration":
            algorithms = {"id_token_signing_alg_values_supported": ["RS256"], "response_types_supported": ["id_token"]}
            places = {"authorization_endpoint": f"{me}/auth", "token_endpoint": f"{me}/token", "jwks_uri": f"{me}/keys"}
            return {"issuer": me, "subject_types_supported": ["public"]} | places | algorithms
        return {"keys": [jwk]} if path == "/keys" else None

    return _answering(answer)


def _ct_log(key: ec.EllipticCurvePrivateKey) -> Any:
    """A CT log, as far as Fulcio asks one: it promises to log each precertificate that it is shown (RFC 6962, section 4.2)."""

    def answer(_me: str, path: str, body: bytes) -> Any:
        if not path.endswith("/ct/v1/add-pre-chain"):
            return None
        precertificate, issuer, *_ = (x509.load_der_x509_certificate(base64.b64decode(each)) for each in json.loads(body)["chain"])
        milliseconds = int(time.time() * 1000)
        tbs = _without_poison(precertificate)
        issuer_hash = hashlib.sha256(issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
        signed = b"\0\0" + milliseconds.to_bytes(8, "big") + b"\0\1" + issuer_hash + len(tbs).to_bytes(3, "big") + tbs + b"\0\0"
        signature = sign(key, signed)
        return {
            "sct_version": 0,
            "id": base64.b64encode(hashlib.sha256(spki(key)).digest()).decode(),
            "timestamp": milliseconds,
            "extensions": "",
            "signature": base64.b64encode(b"\4\3" + len(signature).to_bytes(2, "big") + signature).decode(),
        }

    return _answering(answer)


POISON = cms.seq(cms.oid("1.3.6.1.4.1.11129.2.4.3"), b"\x01\x01\xff", cms.octets(b"\x05\x00"))


def _without_poison(precertificate: x509.Certificate) -> bytes:
    """What is to be signed in the certificate that comes of it, with lengths anew (RFC 6962, section 3.2)."""
    *before, extensions = der.Element.parse(precertificate.tbs_certificate_bytes, der.SEQUENCE).items().rest()
    [listed] = der.Element.parse(extensions.raw, der.context(3)).items().rest()
    kept = [each.raw for each in listed.items().rest() if each.raw != POISON]
    return cms.seq(*(each.raw for each in before), cms.tlv(der.context(3), cms.seq(*kept)))


# --- the parts that are real ---


@contextmanager
def _fulcio(folder: Path, *, issuer: str, ct: str, ct_public: Path) -> Iterator[str]:
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    ca = issue(name("held root"), key, None, window=_years(), extensions=authority_extensions(key, key, path_length=1))
    (folder / "chain.pem").write_bytes(ca.pem)
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD.encode()))
    (folder / "ca.key").write_bytes(encrypted)
    config = {"OIDCIssuers": {issuer: {"IssuerURL": issuer, "ClientID": "sigstore", "Type": "email"}}}
    (folder / "config.json").write_text(json.dumps(config))

    def arguments(port: int, second: int, third: int) -> list[str]:
        places = [f"--host={real.LOOPBACK}", f"--port={port}", f"--grpc-host={real.LOOPBACK}", f"--grpc-port={second}"]
        more = [f"--metrics-port={third}", f"--legacy-unix-domain-socket={folder}/socket"]
        ca_ = ["--ca=fileca", f"--fileca-cert={folder}/chain.pem", f"--fileca-key={folder}/ca.key", f"--fileca-key-passwd={PASSWORD}"]
        log = [f"--ct-log-url={ct}", f"--ct-log-public-key-path={ct_public}", "--fileca-watch=false"]
        return ["serve", *places, *more, *ca_, *log, f"--config-path={folder}/config.json"]

    with _serving("fulcio", folder, arguments, asked="/api/v2/trustBundle") as url:
        yield url


@contextmanager
def timestamp_server(folder: Path) -> Iterator[str]:
    """A timestamp authority, which answers at ``/api/v1/timestamp``; ``root.pem`` in its folder is its root."""
    folder.mkdir()
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = issue(name("held stamps root"), root_key, None, window=_years(), extensions=authority_extensions(root_key, root_key))
    leaf = issue(name("held stamps"), key, root, window=_years(), extensions=_stamping(key, root))
    (folder / "chain.pem").write_bytes(leaf.pem + root.pem)
    (folder / "root.pem").write_bytes(root.pem)
    (folder / "tsa.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def arguments(port: int, *_: int) -> list[str]:
        signer = ["--timestamp-signer=file", f"--file-signer-key-path={folder}/tsa.key", "--file-signer-passwd=none"]
        chain = [f"--certificate-chain-path={folder}/chain.pem", "--disable-ntp-monitoring"]
        return ["serve", f"--host={real.LOOPBACK}", f"--port={port}", *signer, *chain]

    with _alone(), _serving("timestamp-server", folder, arguments, asked="/ping") as url:
        yield url


@contextmanager
def _alone() -> Iterator[None]:
    """Wait for the machine's other timestamp servers: their metrics have one port, which nothing can change."""
    with (Path(tempfile.gettempdir()) / "oci-bundler-timestamp-server.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _stamping(key: Private, root: Issued) -> list[Any]:
    return [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage(digital_signature=True), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), True),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key()), False),
    ]


@contextmanager
def _rekor(folder: Path, key: ed25519.Ed25519PrivateKey) -> Iterator[str]:
    folder.mkdir()
    (folder / "rekor.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def arguments(port: int, second: int, third: int) -> list[str]:
        flags = [f"--http-port={port}", f"--grpc-port={second}", f"--http-metrics-port={third}", f"--hostname={real.LOOPBACK}"]
        log = [f"--signer-filepath={folder}/rekor.key", f"--storage-dir={folder}/tiles", "--checkpoint-interval=1s"]
        return ["serve", *flags, *log]

    with _serving("rekor-server", folder, arguments, asked="/healthz") as url:
        yield url


@contextmanager
def _serving(peer: str, folder: Path, arguments: Any, *, asked: str) -> Iterator[str]:
    path = real.program(peer)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "NO_PROXY": real.LOOPBACK}
    with ports.held(3) as listening:
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [path, *arguments(*listening)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=folder
            )
        try:
            if not real.answers(listening[0], process, asked):
                raise real.PeerError(f"{peer} did not start\n{(folder / 'log').read_text(errors='replace')[-2000:]}")
            yield f"http://{real.LOOPBACK}:{listening[0]}"
        finally:
            process.terminate()
            process.wait(timeout=120)


def _years() -> tuple[datetime, datetime]:
    now = datetime.now(UTC).replace(microsecond=0)
    return now - timedelta(days=365), now + timedelta(days=3650)


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _big(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
