"""Trusted roots: what is read of them, and that one bad instance takes nothing from the others."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bundler.errors import BundlerError, Code
from bundler.trust.sigstore.root import TrustedRoot
from tests.support.cases import each
from tests.support.trials import WORLD
from tests.support.vectors import vectors
from tests.support.world import b64, canonical, log_json, note_id, spki


def root(edit: Any) -> TrustedRoot:
    value = WORLD.root_json()
    return TrustedRoot.parse(canonical(edit(value) or value))


def test_a_root_has_its_authorities_and_logs() -> None:
    found = WORLD.root()
    assert [log.name for log in found.logs] == ["rekor.world.example", "tiles.world.example"]
    assert [log.name for log in found.ct_logs] == ["ct.world.example"]
    assert [a.name for a in found.authorities] == ["https://fulcio.world.example"]
    assert [a.name for a in found.timestamp_authorities] == ["https://tsa.world.example"]
    assert found.authorities[0].anchor.der == WORLD.ca.der
    assert [c.der for c in found.authorities[0].intermediates] == [WORLD.intermediate.der]
    assert found.left_out == ()


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "application/vnd.dev.sigstore.trustedroot.v0.1+json",
        "application/vnd.dev.sigstore.trustedroot.v0.2+json",
    ],
)
def test_the_known_versions_are_read(media_type: str) -> None:
    """R-1."""
    assert root(lambda value: value | {"mediaType": media_type}).left_out == ()


@each(
    ("raw", "code"),
    [
        (b"", Code.FORMAT_JSON),
        (b"[]", Code.ROOT_MALFORMED),
        (b"{}", Code.ROOT_MALFORMED),
        (b'{"mediaType":"application/vnd.dev.sigstore.trustedroot.v0.3+json"}', Code.ROOT_MEDIA_TYPE),
        (b'{"mediaType":"application/vnd.dev.sigstore.trustedroot.v0.2+json","tlogs":{}}', Code.ROOT_MALFORMED),
        (b'{"mediaType":"application/vnd.dev.sigstore.trustedroot.v0.2+json","tlogs":[7]}', Code.ROOT_MALFORMED),
        (canonical({"mediaType": "application/vnd.dev.sigstore.trustedroot.v0.2+json", "tlogs": [{}] * 257}), Code.LIMIT_SIGNATURE),
        (b" " * ((4 << 20) + 1), Code.LIMIT_DOCUMENT),
    ],
)
def test_a_root_that_is_none(raw: bytes, code: Code) -> None:
    """R-1."""
    with pytest.raises(BundlerError) as refusal:
        TrustedRoot.parse(raw)
    assert refusal.value.code is code


def changed(path: str, new: Any) -> Any:
    """An edit of the first log."""

    def edit(value: dict[str, Any]) -> None:
        inner: Any = value["tlogs"][0]
        *outer, last = path.split("/")
        for part in outer:
            inner = inner[part]
        if new is None:
            del inner[last]
        else:
            inner[last] = new

    return edit


@each(
    ("edit", "why"),
    [
        (changed("publicKey/validFor", None), "validFor"),
        (changed("publicKey/validFor/start", None), "start"),
        (changed("publicKey/validFor/start", "2020-01-01T00:00:00"), "time"),
        (changed("publicKey/validFor/end", 7), "end"),
        (changed("publicKey/rawBytes", "QUJD"), "key"),
        (changed("publicKey/rawBytes", b64(spki(WORLD.key("k", ec.SECP256K1())))), "curve"),
        (changed("publicKey/rawBytes", b64(spki(WORLD.rsa_key("short", 1024)))), "RSA"),
        (changed("publicKey/rawBytes", b64(b"0*0\x05\x06\x03+ep\x03!\0" + b"\1" + b"\0" * 31)), "small order"),
        (changed("publicKey/rawBytes", b64(spki(mldsa.MLDSA44PrivateKey.from_seed_bytes(b"\7" * 32)))), "MLDSA44"),
        (changed("publicKey", None), "publicKey"),
        (changed("baseUrl", None), "baseUrl"),
        (changed("logId", None), "logId"),
        (changed("logId/keyId", b64(b"\7" * 32)), "id"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_log_that_cannot_be_used_is_left_out_and_the_others_stay(edit: Any, why: str) -> None:
    """R-1, R-4, R-5."""
    found = root(edit)
    assert [log.name for log in found.logs] == ["tiles.world.example"]
    assert len(found.left_out) == 1
    assert why in found.left_out[0]


@pytest.mark.parametrize(
    "address", ["http://tiles.world.example:3000", "https://tiles.world.example/log", "http://tiles.world.example:80/log/"]
)
def test_a_log_whose_id_is_by_its_host_goes_by_its_host(address: str) -> None:
    """Rekor 2 behind a port or a path: its checkpoints' origin is the host, and so cosign makes its id."""
    found = root(lambda value: value["tlogs"][1].update(baseUrl=address))
    assert [log.name for log in found.logs] == ["rekor.world.example", "tiles.world.example"]


def test_a_log_whose_id_is_by_its_whole_address_goes_by_that() -> None:
    address = "tiles.world.example:3000/log"
    tiles = log_json(f"http://{address}", WORLD.tiles, note_id(address, WORLD.tiles))
    assert [log.name for log in root(lambda value: value | {"tlogs": [tiles]}).logs] == [address]


def test_the_same_log_twice_is_no_log() -> None:
    """Which of two windows is meant, nobody could say."""
    found = root(lambda value: value | {"tlogs": [*value["tlogs"], log_json("https://again", WORLD.rekor)]})
    assert [log.name for log in found.logs] == ["tiles.world.example"]
    assert len(found.left_out) == 2


def test_a_log_is_found_by_its_id_and_by_nothing_else() -> None:
    """R-5, CVE-2023-47122."""
    found = WORLD.root()
    assert found.log(WORLD.rekor_id) is found.logs[0]
    assert found.log(WORLD.rekor_id[:-1]) is None
    assert found.log(b"") is None


def test_an_old_certificate_log_has_its_key_in_pkcs1() -> None:
    key = WORLD.rsa_key("ct").public_key()
    log = log_json("https://ct-rsa.example", WORLD.rsa_key("ct"))
    log["publicKey"]["rawBytes"] = b64(key.public_bytes(Encoding.DER, PublicFormat.PKCS1))
    found = root(lambda value: value | {"ctlogs": [log]})
    assert [log.name for log in found.ct_logs] == ["ct-rsa.example"]


@pytest.mark.parametrize(
    ("chain", "why"),
    [([], "without certificates"), (["QUJD"], "not well-formed"), ([b64(WORLD.ca.der)] * 9, "too many")],
    ids=["empty", "broken", "long"],
)
def test_an_authority_that_cannot_be_used_is_left_out_and_the_others_stay(chain: list[str], why: str) -> None:
    """R-5, row 23 of section 2: an empty chain is no error of ours."""

    def edit(value: dict[str, Any]) -> None:
        broken = json.loads(json.dumps(value["timestampAuthorities"][0]))
        broken["certChain"]["certificates"] = [{"rawBytes": raw} for raw in chain]
        value["timestampAuthorities"].append(broken)
        value["certificateAuthorities"].append(broken)

    found = root(edit)
    assert (len(found.authorities), len(found.timestamp_authorities), len(found.left_out)) == (1, 1, 2)
    assert all(why in reason for reason in found.left_out)


def test_an_authority_without_address_goes_by_its_anchor() -> None:
    def edit(value: dict[str, Any]) -> None:
        del value["certificateAuthorities"][0]["uri"]

    assert [a.name for a in root(edit).authorities] == ["CN=root,O=world.example"]


def test_an_authority_without_window_is_left_out() -> None:
    def edit(value: dict[str, Any]) -> None:
        del value["certificateAuthorities"][0]["validFor"]

    assert root(edit).authorities == ()


def test_lists_may_be_absent_or_null() -> None:
    found = TrustedRoot.parse(b'{"mediaType":"application/vnd.dev.sigstore.trustedroot.v0.2+json","tlogs":null}')
    assert (found.authorities, found.logs, found.ct_logs, found.timestamp_authorities) == ((), (), (), ())


@pytest.mark.parametrize("name", ["public-good-trusted_root.json", "staging-trusted_root.json"])
def test_the_roots_of_the_world_are_read_whole(name: str) -> None:
    found = TrustedRoot.parse((vectors("sigstore-python") / name).read_bytes())
    assert found.left_out == ()
    assert len(found.logs) >= 2
    assert len(found.ct_logs) >= 2
    assert len(found.authorities) >= 1


def test_every_root_of_the_conformance_suite_is_read() -> None:
    paths = sorted((vectors("sigstore-conformance") / "bundle-verify").glob("*/trusted_root.json"))
    left_out = {path.parent.name: TrustedRoot.parse(path.read_bytes()).left_out for path in paths}
    assert len(left_out) == 38
    assert [name for name, reasons in left_out.items() if reasons] == ["trust-root-tlog-missing-validity-start_fail"]


def test_a_key_that_begins_as_base64_of_something_else_is_not_guessed() -> None:
    raw = base64.b64encode(WORLD.ca.der).decode()
    assert [log.name for log in root(changed("publicKey/rawBytes", raw)).logs] == ["tiles.world.example"]
