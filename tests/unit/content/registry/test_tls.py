"""TLS: whom a registry must prove itself to, and how."""

import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from bundler.content.registry import tls
from bundler.content.registry.client import Repository
from bundler.content.registry.origin import Origin
from bundler.content.registry.proxies import Proxies
from bundler.errors import BundlerError, Code, UsageError
from bundler.oci.descriptor import Descriptor
from tests.support.authority import DAY, NOW, Authority
from tests.support.hostile_registry import Exchange, HostileRegistry, answer
from tests.support.reach import Reach

Hostile = Callable[..., HostileRegistry]

ROOT = Path(__file__).parents[4]
LATEST = "/v2/app/manifests/latest"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.made(tmp_path / "authority")


def fails(repository: Repository) -> BundlerError:
    with pytest.raises(BundlerError) as caught:
        repository.document("latest")
    return caught.value


def test_a_registry_proves_itself_by_the_authority_that_was_named(hostile: Hostile, reach: Reach, authority: Authority) -> None:
    server = hostile(tls=authority.server()).always("GET", LATEST, answer(404))
    repository = reach(server, plain_http=False, ca_file=authority.ca)
    assert repository.document("latest") is None
    assert repository.document("latest") is None


def test_a_registry_with_any_other_proof_is_not_spoken_to(
    hostile: Hostile, reach: Reach, authority: Authority, tmp_path: Path
) -> None:  # REG-048, REG-049
    other = Authority.made(tmp_path / "other")
    tls_1_0 = authority.server()
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        tls_1_0.maximum_version = tls_1_0.minimum_version = ssl.TLSVersion.TLSv1
    tls_1_0.set_ciphers("ALL:@SECLEVEL=0")
    for context in (authority.server(until=NOW - DAY), authority.server(host="registry.example"), other.server(), tls_1_0):
        server = hostile(tls=context)
        for flags in ({"ca_file": authority.ca}, {}):
            error = fails(reach(server, plain_http=False, **flags))
            assert (error.exit, error.code) == (7, Code.REGISTRY_TLS)
        assert not server.asked


MODEST: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "an authority whose basicConstraints are not critical": ({"critical": False}, {}),
    "an authority without an identifier of its key": ({"known": False}, {}),
    "a certificate without identifiers of keys": ({}, {"known": False}),
    "neither": ({"critical": False, "known": False}, {"known": False}),
}


@pytest.mark.parametrize("modest", MODEST)
def test_what_only_the_newest_pythons_want_of_certificates_is_not_asked_for(
    hostile: Hostile, reach: Reach, tmp_path: Path, modest: str
) -> None:
    of_authority, of_server = MODEST[modest]
    authority = Authority.made(tmp_path / "modest", **of_authority)
    server = hostile(tls=authority.server(**of_server)).on("GET", LATEST, answer(404))
    assert reach(server, plain_http=False, ca_file=authority.ca).document("latest") is None


@pytest.mark.parametrize("of_python", [ssl.VERIFY_X509_STRICT, ssl.VERIFY_X509_TRUSTED_FIRST])
def test_certificates_are_checked_alike_by_every_python(monkeypatch: pytest.MonkeyPatch, of_python: ssl.VerifyFlags) -> None:
    """Python 3.13 begins with other flags than those before it."""
    real = ssl.create_default_context

    def begun(**how: Any) -> ssl.SSLContext:
        made = real(**how)
        made.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST | of_python
        return made

    monkeypatch.setattr(ssl, "create_default_context", begun)
    made = tls.context(Origin.of("https", "registry.example"), ca_file=None, folders=())
    assert made.verify_flags == ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
    assert (made.verify_mode, made.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_an_intermediate_that_is_named_is_an_authority(hostile: Hostile, reach: Reach, authority: Authority) -> None:
    intermediate = Authority.made(authority.folder / "between", by=authority)
    server = hostile(tls=intermediate.server()).on("GET", LATEST, answer(404))
    assert reach(server, plain_http=False, ca_file=intermediate.ca).document("latest") is None
    error = fails(reach(server, plain_http=False, ca_file=authority.ca))
    assert (error.code, error.found) == (Code.REGISTRY_TLS, "unable to get local issuer certificate")


FAULTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no name but the common one": ({}, {"host": None}, "in subjectAltName"),
    "another address": ({}, {"host": "127.0.0.2"}, "in subjectAltName"),
    "for clients": ({}, {"usage": ExtendedKeyUsageOID.CODE_SIGNING}, "serverAuth in extendedKeyUsage"),
    "over": ({}, {"until": NOW - DAY}, "valid now"),
    "not yet begun": ({}, {"since": NOW + DAY / 2}, "valid now"),
    "by what is no authority": ({"basic": x509.BasicConstraints(ca=False, path_length=None)}, {}, "CA:TRUE in basicConstraints"),
    "by what does not say that it is an authority": ({"basic": None, "usage": "digital_signature"}, {}, "CA:TRUE in basicConstraints"),
    "by an authority that may not sign": ({"usage": "digital_signature"}, {}, "keyCertSign in keyUsage"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_certificate_lacks_is_said(hostile: Hostile, reach: Reach, tmp_path: Path, fault: str) -> None:
    of_authority, of_server, lacks = FAULTS[fault]
    authority = Authority.made(tmp_path / "odd", **of_authority)
    server = hostile(tls=authority.server(**of_server))
    error = fails(reach(server, plain_http=False, ca_file=authority.ca))
    assert (error.exit, error.code) == (7, Code.REGISTRY_TLS)
    assert lacks in (error.wanted or "")
    assert error.found
    assert error.next
    assert not server.asked


def test_an_authority_that_is_not_accepted_may_be_named(hostile: Hostile, reach: Reach, authority: Authority) -> None:
    error = fails(reach(hostile(tls=authority.server()), plain_http=False))
    assert "authority" in (error.wanted or "")
    assert "--ca-file" in (error.next or "")


def test_the_check_can_be_left_out_by_its_flag_for_the_registry_alone(hostile: Hostile, reach: Reach, authority: Authority) -> None:
    blob = Descriptor.of(b"x", "application/octet-stream")
    elsewhere = hostile(tls=authority.server(host="localhost"))
    server = hostile(tls=authority.server(until=NOW - DAY)).on("GET", LATEST, answer(404))
    server.on("GET", f"/v2/app/blobs/{blob.digest}", answer(307, headers={"Location": f"https://localhost:{elsewhere.port}/x"}))
    repository = reach(server, plain_http=False, insecure_skip_tls_verify=True)
    assert repository.document("latest") is None
    with pytest.raises(BundlerError) as caught:
        list(repository.chunks(blob))
    assert caught.value.code is Code.REGISTRY_TLS
    assert not elsewhere.asked


def test_plain_http_where_tls_is_spoken_is_an_error_that_helps(hostile: Hostile, reach: Reach, authority: Authority) -> None:
    error = fails(reach(hostile(tls=authority.server())))
    assert (error.exit, error.code, error.next) == (7, Code.REGISTRY_STATUS, "leave --plain-http out")


def test_tls_where_nobody_speaks_it_is_an_error_that_helps(hostile: Hostile, reach: Reach) -> None:
    proxy = hostile()

    def plain(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        exchange.sock.recv(1)
        exchange.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    proxy.on("CONNECT", "registry.example:443", plain)
    error = fails(reach("registry.example", plain_http=False, proxies=Proxies.from_environ({"HTTPS_PROXY": proxy.url})))
    assert (error.exit, error.code) == (7, Code.REGISTRY_TLS)
    assert "--plain-http" in (error.next or "")


@pytest.mark.parametrize("status", [200, 401, 404, 503])
def test_this_machine_may_speak_http_without_a_flag(server: HostileRegistry, reach: Reach, status: int) -> None:
    server.on("GET", "/v2/", answer(status)).always("GET", LATEST, answer(404))
    repository = reach(server, plain_http=False)
    assert repository.document("latest") is None
    assert repository.document("latest") is None
    assert len(server.to("GET", "/v2/")) == 1


def test_this_machine_is_spoken_to_in_tls_where_it_is_spoken(hostile: Hostile, reach: Reach, authority: Authority) -> None:
    server = hostile(tls=authority.server()).on("GET", LATEST, answer(404))
    assert reach(server, plain_http=False, ca_file=authority.ca).document("latest") is None
    assert [asked.path for asked in server.asked] == [LATEST]


def test_a_redirect_out_of_tls_is_not_followed(hostile: Hostile, reach: Reach, authority: Authority) -> None:  # REG-017
    trap = hostile()
    blob = Descriptor.of(b"x", "application/octet-stream")
    server = hostile(tls=authority.server()).on("GET", f"/v2/app/blobs/{blob.digest}", answer(302, headers={"Location": f"{trap.url}/x"}))
    with pytest.raises(BundlerError) as caught:
        list(reach(server, plain_http=False, ca_file=authority.ca).chunks(blob))
    assert (caught.value.exit, caught.value.code) == (7, Code.REGISTRY_ORIGIN)
    assert not trap.connections


@pytest.mark.parametrize("ask", ["manifests", "referrers"])
def test_a_document_is_not_followed_out_of_tls(hostile: Hostile, reach: Reach, authority: Authority, ask: str) -> None:  # REG-017
    trap, digest = hostile(), Descriptor.of(b"x", "a/b").digest
    target = f"/v2/app/{ask}/{digest}"
    server = hostile(tls=authority.server()).on("GET", target, answer(302, headers={"Location": f"{trap.url}{target}"}))
    repository = reach(server, plain_http=False, ca_file=authority.ca)
    with pytest.raises(BundlerError) as caught:
        repository.document(digest) if ask == "manifests" else repository.referrers(digest)
    assert (caught.value.exit, caught.value.code) == (7, Code.REGISTRY_ORIGIN)
    assert not trap.connections


@pytest.mark.parametrize("location", ["http://127.0.0.1:{port}/u", "//127.0.0.1:{port}/u"])
def test_an_upload_does_not_leave_tls(hostile: Hostile, reach: Reach, authority: Authority, location: str) -> None:  # REG-030
    trap = hostile()
    blob = Descriptor.of(b"x", "application/octet-stream")
    there = answer(202, headers={"Location": location.format(port=trap.port)})
    server = hostile(tls=authority.server()).on("POST", "/v2/app/blobs/uploads/", there)
    with pytest.raises(BundlerError) as caught:
        reach(server, plain_http=False, ca_file=authority.ca).put(blob, lambda: iter([b"x"]))
    assert (caught.value.exit, caught.value.code) == (7, Code.REGISTRY_ORIGIN)
    assert not trap.connections


def test_a_registry_that_hangs_up_in_the_middle_of_tls_is_unreachable(hostile: Hostile, reach: Reach, waits: list[float]) -> None:
    proxy = hostile()

    def hung_up(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        exchange.sock.recv(1 << 16)

    proxy.always("CONNECT", "registry.example:443", hung_up)
    error = fails(reach("registry.example", plain_http=False, proxies=Proxies.from_environ({"HTTPS_PROXY": proxy.url})))
    assert (error.exit, error.code, len(waits)) == (7, Code.REGISTRY_UNREACHABLE, 5)


def test_a_proxy_leads_to_tls_and_sees_nothing_of_it(hostile: Hostile, reach: Reach, authority: Authority) -> None:
    inside = authority.server(host="registry.example")
    proxy = hostile()

    def tunnel(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with inside.wrap_socket(exchange.sock, server_side=True) as secured:
            assert secured.recv(1 << 16).startswith(b"GET /v2/app/manifests/latest HTTP/1.1\r\nHost: registry.example:8443\r\n")
            secured.sendall(answer(404))

    proxy.on("CONNECT", "registry.example:8443", tunnel)
    through = Proxies.from_environ({"HTTPS_PROXY": f"http://alice:t0psecret@{proxy.host}"})
    repository = reach("registry.example:8443", plain_http=False, ca_file=authority.ca, proxies=through)
    assert repository.document("latest") is None
    assert proxy.asked[0].headers["proxy-authorization"] == "Basic YWxpY2U6dDBwc2VjcmV0"


@pytest.mark.parametrize("said", [answer(407), answer(502), b"HTTP/1.1 200 OK\r\n\r\nsomething unasked"])
def test_a_proxy_that_does_not_lead_there_is_an_error(hostile: Hostile, reach: Reach, said: bytes) -> None:
    proxy = hostile()
    proxy.always("CONNECT", "registry.example:443", said)
    error = fails(reach("registry.example", plain_http=False, proxies=Proxies.from_environ({"HTTPS_PROXY": proxy.url})))
    assert (error.exit, error.code) == (7, Code.REGISTRY_UNREACHABLE)


# certs.d


def test_certificates_of_a_registry_lie_in_a_folder_of_its_name(
    hostile: Hostile, reach: Reach, authority: Authority, tmp_path: Path
) -> None:  # row 7
    context = authority.server()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.ca)
    server = hostile(tls=context).on("GET", LATEST, answer(404))
    folder = tmp_path / "certs.d" / server.host
    folder.mkdir(parents=True)
    (folder / "ca.crt").write_bytes(authority.ca.read_bytes())
    for path, kind in zip(authority.pair("client"), ("cert", "key"), strict=True):
        (folder / f"client.{kind}").write_bytes(path.read_bytes())
    assert reach(server, plain_http=False, certs_folders=(tmp_path / "none", tmp_path / "certs.d")).document("latest") is None


@pytest.mark.parametrize(("present", "shown"), [("client.key", "client.cert"), ("client.cert", "client.key")])
def test_a_certificate_and_its_key_stand_together(tmp_path: Path, present: str, shown: str) -> None:
    folder = tmp_path / "registry.example"
    folder.mkdir()
    (folder / present).write_text("x")
    with pytest.raises(UsageError, match=shown) as caught:
        tls.context(Origin.of("https", "registry.example"), ca_file=None, folders=(tmp_path,))
    assert (caught.value.exit, caught.value.code) == (2, Code.USAGE_KEY)


def test_a_key_with_a_passphrase_makes_nobody_wait(tmp_path: Path, authority: Authority) -> None:
    folder = tmp_path / "registry.example"
    folder.mkdir()
    certificate, _ = authority.pair("client")
    (folder / "client.cert").write_bytes(certificate.read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    locked = serialization.BestAvailableEncryption(b"secret")
    (folder / "client.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))
    program = (
        "import sys; from pathlib import Path\n"
        "from bundler.content.registry import tls; from bundler.content.registry.origin import Origin\n"
        "tls.context(Origin.of('https', 'registry.example'), ca_file=None, folders=(Path(sys.argv[1]),))"
    )
    # in a session without a terminal OpenSSL asks standard input, which never ends here
    with subprocess.Popen([sys.executable, "-c", program, tmp_path], stdin=PIPE, stderr=PIPE, start_new_session=True, cwd=ROOT) as asked:
        assert asked.wait(120) == 1
        assert asked.stderr is not None
        assert b"UsageError" in asked.stderr.read()


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_an_authority_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=r"ca\.pem") as caught:
        tls.context(Origin.of("https", "registry.example"), ca_file=path, folders=())
    assert (caught.value.exit, caught.value.code) == (2, Code.USAGE_INPUT)


def test_an_authority_of_a_registry_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "registry.example").mkdir()
    (tmp_path / "registry.example/ca.crt").write_text("no certificate")
    with pytest.raises(UsageError, match=r"ca\.crt") as caught:
        tls.context(Origin.of("https", "registry.example"), ca_file=None, folders=(tmp_path,))
    assert caught.value.code is Code.USAGE_INPUT


@pytest.mark.parametrize(
    ("authority", "folder"),
    [("registry.example", "registry.example"), ("registry.example", "registry.example:443"), ("registry-1.docker.io", "docker.io")],
)
def test_a_folder_may_be_named_without_the_usual_port(tmp_path: Path, authority: str, folder: str) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "x.key").touch()
    with pytest.raises(UsageError):
        tls.context(Origin.of("https", authority), ca_file=None, folders=(tmp_path,))


def test_the_users_folder_goes_before_the_systems() -> None:
    assert tls.certs_folders({"HOME": "/home/u"})[0] == Path("/home/u/.config/containers/certs.d")
    assert tls.certs_folders({"HOME": "/home/u", "XDG_CONFIG_HOME": "/c"})[0] == Path("/c/containers/certs.d")
    assert tls.certs_folders({}) == tls.SYSTEM_FOLDERS
