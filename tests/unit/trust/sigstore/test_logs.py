"""Log entries: about this signature, key and content; promised, proved, and when."""

import base64
import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa

from bundler.errors import Code, TrustError
from bundler.trust import merkle
from bundler.trust.checkpoint import Checkpoint
from bundler.trust.sigstore.item import Item
from bundler.trust.sigstore.steps import Thresholds
from tests.support.cases import each
from tests.support.trials import WORLD, Case, Cases, Trial
from tests.support.world import (
    AT,
    MINUTE,
    Private,
    Signature,
    World,
    b64,
    canonical,
    log_json,
    note,
    pem,
    read_entry,
    sign,
    tree_hash,
    tree_path,
)

CASES = Cases()
refused, proved = CASES.refused, CASES.proved
PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'
ENVELOPE = b'{"payload":"...","signatures":[]}'
SECOND = timedelta(seconds=1)


def edited(value: dict[str, Any], path: str, new: Any) -> dict[str, Any]:
    """A copy with another value at ``path``; None takes the member away."""
    value = json.loads(json.dumps(value))
    *outer, last = (int(part) if part.isdigit() else part for part in path.split("/"))
    inner: Any = value
    for part in outer:
        inner = inner[part]
    if new is None:
        del inner[last]
    else:
        inner[last] = new
    return value


def body_with(w: World, path: str, new: Any, *, kind: str = "hashedrekord") -> Item:
    signed = w.signed() if kind.startswith("hashedrekord") else w.attested(PAYLOAD)
    body = edited(getattr(signed, kind)(), path, new)
    if kind.endswith("_2"):
        return signed.item([signed.tile(body)], [signed.stamp()])
    return signed.item([signed.entry(body)])


# What the body binds


@refused("T-6", Code.TLOG_BODY)
def an_entry_of_another_signature_on_the_same_payload(w: World) -> Item:
    """CVE-2022-23649."""
    return body_with(w, "spec/signature/content", b64(sign(w.key("leaf"), b"an artifact", hashes.SHA384())))


@refused("T-6", Code.TLOG_BODY)
def an_entry_of_another_artifact_by_the_same_certificate(w: World) -> Item:
    """CVE-2026-22703."""
    signed = w.signed()
    return signed.item([w.signed(b"another").entry()])


@refused("T-6", Code.TLOG_BODY)
def an_entry_about_another_digest(w: World) -> Item:
    return body_with(w, "spec/data/hash/value", "00" * 32)


@refused("T-6", Code.TLOG_BODY)
def an_entry_with_a_digest_in_upper_case(w: World) -> Item:
    signed = w.signed()
    value = signed.hashedrekord()["spec"]["data"]["hash"]["value"]
    return body_with(w, "spec/data/hash/value", value.upper())


@refused("T-6", Code.TLOG_BODY)
def an_entry_with_sha1(w: World) -> Item:
    """A digest that fits, and that others could make fit."""
    weak = {"algorithm": "sha1", "value": hashlib.sha1(b"an artifact", usedforsecurity=False).hexdigest()}
    return body_with(w, "spec/data/hash", weak)


@refused("T-6", Code.TLOG_BODY)
def an_entry_with_another_certificate_for_the_same_key(w: World) -> Item:
    other = w.leaf(claims={"8": "https://another.example"})
    return body_with(w, "spec/signature/publicKey/content", b64(other.pem))


@refused("T-6", Code.FORMAT_PEM)
def an_entry_with_the_bare_key_of_the_certificate(w: World) -> Item:
    return body_with(w, "spec/signature/publicKey/content", b64(pem(w.key("leaf"))))


@refused("T-6", Code.TLOG_BODY)
def an_entry_with_the_certificate_and_one_more(w: World) -> Item:
    return body_with(w, "spec/signature/publicKey/content", b64(w.leaf().pem + w.ca.pem))


@refused("T-6", Code.TLOG_BODY)
def an_entry_that_says_another_kind_beside_its_body(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry() | {"kindVersion": {"kind": "dsse", "version": "0.0.1"}}])


@refused("T-6", Code.TLOG_BODY)
def an_entry_that_says_another_version_beside_its_body(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry() | {"kindVersion": {"kind": "hashedrekord", "version": "0.0.2"}}])


@refused("T-6", Code.TLOG_KIND)
def an_entry_of_a_kind_that_nobody_knows(w: World) -> Item:
    return body_with(w, "kind", "rekord")


@refused("T-6", Code.TLOG_KIND)
def an_entry_of_a_version_that_nobody_knows(w: World) -> Item:
    return body_with(w, "apiVersion", "0.0.3")


@proved("T-6")
def an_entry_of_sha384(w: World) -> Item:
    return w.signed(leaf=w.leaf(key=w.key("384", ec.SECP384R1())), by=hashes.SHA384()).item()


@proved("T-6")
def an_entry_of_an_envelope(w: World) -> Item:
    return w.attested(PAYLOAD).item()


@refused("T-6", Code.TLOG_BODY)
def an_entry_of_another_payload(w: World) -> Item:
    return body_with(w, "spec/payloadHash/value", "00" * 32, kind="dsse")


@refused("T-6", Code.TLOG_BODY)
def an_entry_of_an_envelope_with_another_signature(w: World) -> Item:
    return body_with(w, "spec/signatures/0/signature", b64(b"another"), kind="dsse")


@refused("T-6", Code.TLOG_BODY)
def an_entry_of_an_envelope_by_another_certificate(w: World) -> Item:
    return body_with(w, "spec/signatures/0/verifier", b64(w.ca.pem), kind="dsse")


@refused("T-6", Code.TLOG_BODY)
def an_entry_of_an_envelope_with_two_signatures(w: World) -> Item:
    both = w.attested(PAYLOAD).dsse()["spec"]["signatures"] * 2
    return body_with(w, "spec/signatures", both, kind="dsse")


@refused("T-6", Code.TLOG_BODY)
def an_entry_of_an_envelope_without_signatures(w: World) -> Item:
    return body_with(w, "spec/signatures", [], kind="dsse")


@refused("T-6", Code.TLOG_BODY)
def an_entry_of_an_envelope_beside_a_signature_in_none(w: World) -> Item:
    signed = w.signed()
    attested = w.attested(PAYLOAD)
    return signed.item([signed.entry(attested.dsse())])


@proved("A2-3")
def an_entry_of_the_very_envelope(w: World) -> Item:
    return w.attested(PAYLOAD, envelope=ENVELOPE).item()


@refused("A2-3", Code.TLOG_BODY)
def an_entry_of_an_envelope_with_other_bytes(w: World) -> Item:
    signed = w.attested(PAYLOAD, envelope=ENVELOPE)
    return signed.item([signed.entry(edited(signed.dsse(), "spec/envelopeHash/value", "00" * 32))])


@proved("T-6")
def an_intoto_entry(w: World) -> Item:
    signed = w.attested(PAYLOAD)
    return signed.item([signed.entry(signed.intoto())])


@refused("T-6", Code.TLOG_BODY)
def an_intoto_entry_of_another_payload(w: World) -> Item:
    return body_with(w, "spec/content/payloadHash/value", "00" * 32, kind="intoto")


@refused("T-6", Code.TLOG_BODY)
def an_intoto_entry_of_another_signature(w: World) -> Item:
    return body_with(w, "spec/content/envelope/signatures/0/sig", b64(b64(b"another").encode()), kind="intoto")


@refused("T-6", Code.TLOG_BODY)
def an_intoto_entry_whose_signature_is_no_text(w: World) -> Item:
    return body_with(w, "spec/content/envelope/signatures/0/sig", b64(b"\xff\xfe"), kind="intoto")


@refused("T-6", Code.TLOG_BODY)
def an_intoto_entry_by_another_certificate(w: World) -> Item:
    return body_with(w, "spec/content/envelope/signatures/0/publicKey", b64(w.ca.pem), kind="intoto")


@refused("T-6", Code.TLOG_BODY)
def an_intoto_entry_with_two_signatures(w: World) -> Item:
    both = w.attested(PAYLOAD).intoto()["spec"]["content"]["envelope"]["signatures"] * 2
    return body_with(w, "spec/content/envelope/signatures", both, kind="intoto")


@proved("A2-3")
def an_intoto_entry_of_the_very_envelope(w: World) -> Item:
    signed = w.attested(PAYLOAD, envelope=ENVELOPE)
    return signed.item([signed.entry(signed.intoto())])


@refused("A2-3", Code.TLOG_BODY)
def an_intoto_entry_of_an_envelope_with_other_bytes(w: World) -> Item:
    signed = w.attested(PAYLOAD, envelope=ENVELOPE)
    return signed.item([signed.entry(edited(signed.intoto(), "spec/content/hash/value", "00" * 32))])


@proved("T-6")
def an_old_intoto_entry_of_the_very_envelope(w: World) -> Item:
    signed = w.attested(PAYLOAD, envelope=ENVELOPE)
    return signed.item([signed.annotation(signed.intoto_1())])


@refused("T-6", Code.TLOG_BODY)
def an_old_intoto_entry_of_another_envelope(w: World) -> Item:
    signed = w.attested(PAYLOAD, envelope=ENVELOPE)
    return signed.item([signed.annotation(signed.intoto_1())], envelope=b"another")


@refused("T-6", Code.TLOG_BODY)
def an_old_intoto_entry_by_another_certificate(w: World) -> Item:
    signed = w.attested(PAYLOAD, envelope=ENVELOPE)
    return signed.item([signed.annotation(edited(signed.intoto_1(), "spec/publicKey", b64(w.ca.pem)))])


@refused("T-6", Code.TLOG_KIND)
def an_old_intoto_entry_where_the_envelope_is_not_kept(w: World) -> Item:
    signed = w.attested(PAYLOAD)
    return signed.item([signed.entry(signed.intoto_1())])


# Bodies that are no bodies


@refused("T-6", Code.TLOG_MALFORMED)
def a_body_that_is_null(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry(b"null")])


@refused("T-6", Code.TLOG_MALFORMED)
def a_body_that_is_a_list(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry(b"[]")])


@refused("T-6", Code.TLOG_MALFORMED)
def a_body_without_spec(w: World) -> Item:
    return body_with(w, "spec", None)


@refused("T-6", Code.TLOG_MALFORMED)
def a_body_with_a_number_for_a_kind(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry(canonical(signed.hashedrekord() | {"kind": 7}))])


@refused("G-4", Code.FORMAT_JSON)
def a_body_with_a_name_twice(w: World) -> Item:
    signed = w.signed()
    raw = canonical(signed.hashedrekord())
    return signed.item([signed.entry(raw[:-1] + b',"kind":"hashedrekord"}')])


@refused("G-4", Code.FORMAT_BASE64)
def a_body_whose_signature_has_loose_bits(w: World) -> Item:
    return body_with(w, "spec/signature/content", "QR==")


# Promises


@refused("T-2", Code.TLOG_SET)
def a_promise_by_another_key(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry(promise_key=w.key("thief"))])


@refused("T-2", Code.TLOG_SET)
def a_promise_for_another_time(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry() | {"integratedTime": str(int(AT.timestamp()) + 1)}])


@refused("T-2", Code.TLOG_SET)
def a_promise_for_another_place(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry() | {"logIndex": "1234568"}])


@refused("T-2", Code.TLOG_SET)
def a_promise_for_another_body(w: World) -> Item:
    signed = w.signed()
    other = w.signed(b"another").entry()
    return signed.item([signed.entry() | {"inclusionPromise": other["inclusionPromise"]}])


@refused("T-2", Code.TLOG_SET)
def a_promise_of_another_log(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry(promised=lambda value: value | {"logID": "00" * 32})])


@refused("T-3", Code.TLOG_SET)
def a_promise_without_time(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry(at=AT - timedelta(seconds=AT.timestamp()))])


@refused("T-3", Code.TLOG_SET)
def a_promise_for_a_year_that_no_calendar_has(w: World) -> Item:
    signed = w.signed()
    later = {"integratedTime": 10**15}
    entry = signed.entry(promised=lambda value: value | later)
    return signed.item([entry | {"integratedTime": "1000000000000000"}])


@refused("T-3", Code.TLOG_SET)
def a_promise_for_the_first_second_of_the_year_10000(w: World) -> Item:
    return promised_at(w, 253402300800)


@refused("T-3", Code.X509_CHAIN)
def a_promise_for_the_last_second_of_the_year_9999(w: World) -> Item:
    return promised_at(w, 253402300799)


def promised_at(w: World, seconds: int) -> Item:
    signed = w.signed()
    entry = signed.entry(promised=lambda value: value | {"integratedTime": seconds})
    return signed.item([entry | {"integratedTime": str(seconds)}])


@refused("T-3", Code.TLOG_KEY_WINDOW)
def a_promise_after_the_end_of_the_logs_key(w: World) -> Trial:
    return Trial(w.signed().item(), ending(w, rekor="2026-03-01T11:59:59Z"))


@proved("R-2")
def a_promise_in_the_last_second_of_the_logs_key(w: World) -> Trial:
    return Trial(w.signed().item(), ending(w, rekor="2026-03-01T12:00:00Z"))


@refused("T-3", Code.TLOG_KEY_WINDOW)
def a_promise_before_the_logs_key(w: World) -> Trial:
    return Trial(w.signed().item(), w.root(lambda value: edited(value, "tlogs/0/publicKey/validFor/start", "2026-03-01T12:00:01Z")))


@refused("X-6", Code.TIME_THRESHOLD)
def a_time_that_no_promise_covers(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry(promise=False)])


@proved("X-6")
def an_old_log_without_promise_beside_a_timestamp(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry(promise=False, at=AT + 60 * MINUTE)], [signed.stamp()])


@proved("T-5")
def an_annotation_with_a_promise_alone(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.annotation()])


@refused("T-5", Code.TLOG_SET)
def a_bundle_of_the_first_version_without_promise(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry(promise=False)], version="0.1")


@proved("T-5")
def a_bundle_of_the_first_version_whose_proof_has_no_checkpoint(w: World) -> Item:
    signed = w.signed()
    entry = signed.entry()
    del entry["inclusionProof"]["checkpoint"]
    return signed.item([entry], version="0.1")


@refused("T-5", Code.TLOG_PROOF)
def a_bundle_of_the_first_version_whose_proof_with_a_checkpoint_is_wrong(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry(proof=lambda value: value | {"logIndex": "4"})], version="0.1")


@refused("T-5", Code.TLOG_PROOF)
def a_later_bundle_without_proof(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry(proof=False)], version="0.2")


@refused("T-5", Code.TLOG_MALFORMED)
def a_later_bundle_whose_proof_has_no_checkpoint(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry(proof=lambda value: without(value, "checkpoint"))], version="0.2")


@refused("T-8", Code.TLOG_MALFORMED)
def an_entry_at_a_negative_place(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry() | {"logIndex": "-1"}])


@refused("T-8", Code.TLOG_MALFORMED)
def an_entry_at_a_place_beyond_64_bits(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry() | {"logIndex": str(1 << 63)}])


@refused("T-8", Code.TLOG_MALFORMED)
def an_entry_at_a_place_with_a_leading_zero(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry() | {"logIndex": "01234567"}])


@refused("T-8", Code.TLOG_MALFORMED)
def an_entry_at_a_place_that_is_a_truth_value(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry() | {"logIndex": True}])


@proved("G-4")
def an_entry_with_numbers_for_its_integers(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry() | {"logIndex": 1234567, "integratedTime": int(AT.timestamp())}])


# Annotations


def annotation_with(w: World, path: str, new: Any) -> Item:
    signed = w.signed()
    return signed.item([canonical(edited(json.loads(signed.annotation()), path, new))])


@refused("A1-5", Code.TLOG_MALFORMED)
def an_annotation_with_a_member_more(w: World) -> Item:
    return annotation_with(w, "Extra", 1)


@refused("A1-5", Code.TLOG_MALFORMED)
def an_annotation_whose_payload_has_a_member_more(w: World) -> Item:
    return annotation_with(w, "Payload/extra", 1)


@refused("A1-5", Code.TLOG_MALFORMED)
def an_annotation_with_a_log_in_upper_case(w: World) -> Item:
    return annotation_with(w, "Payload/logID", w.rekor_id.hex().upper())


@refused("A1-5", Code.TLOG_MALFORMED)
def an_annotation_that_is_no_object(w: World) -> Item:
    return w.signed().item([b"[]"])


# Proofs


@refused("T-4", Code.TLOG_PROOF)
def a_proof_with_another_sibling(w: World) -> Item:
    return proof_with(w, lambda value: value | {"hashes": [b64(b"\7" * 32), *value["hashes"][1:]]})


@refused("T-4", Code.TLOG_PROOF)
def a_proof_for_another_place(w: World) -> Item:
    return proof_with(w, lambda value: value | {"logIndex": "2"})


@refused("T-4", Code.TLOG_PROOF)
def a_proof_for_a_place_beyond_the_tree(w: World) -> Item:
    return proof_with(w, lambda value: value | {"logIndex": "7"})


@refused("T-4", Code.TLOG_PROOF)
def a_proof_that_is_too_short(w: World) -> Item:
    return proof_with(w, lambda value: value | {"hashes": value["hashes"][:-1]})


@refused("T-4", Code.TLOG_PROOF)
def a_proof_that_is_too_long(w: World) -> Item:
    return proof_with(w, lambda value: value | {"hashes": [*value["hashes"], b64(b"\7" * 32)]})


@refused("T-4", Code.TLOG_PROOF)
def a_proof_with_a_short_hash(w: World) -> Item:
    return proof_with(w, lambda value: value | {"hashes": [b64(b"\7" * 31), *value["hashes"][1:]]})


@refused("G-5", Code.LIMIT_SIGNATURE)
def a_proof_with_more_hashes_than_any_tree_has(w: World) -> Item:
    return proof_with(w, lambda value: value | {"hashes": [b64(b"\7" * 32)] * 65})


@refused("C-7", Code.CHECKPOINT_MISMATCH)
def a_proof_in_a_tree_of_another_size_than_the_checkpoints(w: World) -> Item:
    return proof_with(w, lambda value: value | {"treeSize": "6"})


@refused("C-7", Code.CHECKPOINT_MISMATCH)
def a_proof_with_another_root_than_the_checkpoints(w: World) -> Item:
    return proof_with(w, lambda value: value | {"rootHash": b64(b"\7" * 32)})


@refused("C-7", Code.CHECKPOINT_MISMATCH)
def a_checkpoint_of_another_tree_of_the_same_log(w: World) -> Item:
    other = w.signed(b"another").entry()["inclusionProof"]["checkpoint"]
    return proof_with(w, lambda value: value | {"checkpoint": other})


@refused("T-4", Code.TLOG_PROOF)
def a_proof_of_another_entry_in_the_same_tree(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry() | {"inclusionProof": w.signed(b"another").entry()["inclusionProof"]}])


@proved("T-4")
def a_tree_of_one_entry(w: World) -> Item:
    """Zero is left out of protobuf's JSON, and so is an empty list."""
    signed = w.signed()
    entry = signed.entry(place=0, size=1)
    entry["inclusionProof"] = without(without(entry["inclusionProof"], "logIndex"), "hashes")
    return signed.item([entry])


def proof_with(w: World, proof: Any) -> Item:
    signed = w.signed()
    return signed.item([signed.entry(proof=proof)])


# Checkpoints


@refused("C-5", Code.CHECKPOINT_SIGNATURE)
def a_checkpoint_by_another_key_under_the_logs_hint(w: World) -> Item:
    return checkpoint_by(w, checkpoint_key=w.key("thief"))


@refused("C-5", Code.CHECKPOINT_NO_LOG_SIGNATURE)
def a_checkpoint_under_another_hint(w: World) -> Item:
    return checkpoint_by(w, checkpoint=lambda text: reline(text, lambda blob: b"\0\0\0\0" + blob[4:]))


@refused("C-5", Code.CHECKPOINT_NO_LOG_SIGNATURE)
def a_checkpoint_under_another_name(w: World) -> Item:
    return checkpoint_by(w, signer="other.world.example")


@refused("C-5", Code.CHECKPOINT_SIGNATURE)
def a_checkpoint_with_a_good_and_a_bad_signature_of_the_log(w: World) -> Item:
    return checkpoint_by(w, checkpoint=lambda text: text + reline(text, lambda blob: blob[:-1] + b"\0").rpartition("\n\n")[2])


@proved("C-5")
def a_checkpoint_with_a_witness_before_and_after(w: World) -> Item:
    witness = "\u2014 witness.example/w1 " + b64(b"wit1" + b"\0" * 72) + "\n"
    return checkpoint_by(w, checkpoint=lambda text: text.replace("\n\n", "\n\n" + witness) + witness)


@proved("C-2")
def a_checkpoint_with_a_line_more(w: World) -> Item:
    return checkpoint_by(w, extra_lines="Timestamp: 1772366400000000000\n")


@proved("C-6")
def an_origin_by_an_inner_name_of_the_old_log(w: World) -> Item:
    return checkpoint_by(w, key=w.rekor, origin_name="rekor-7c9f.internal - 42")


@refused("C-1", Code.CHECKPOINT_MALFORMED)
def a_checkpoint_without_blank_line(w: World) -> Item:
    return checkpoint_by(w, checkpoint=lambda text: text.replace("\n\n", "\n"))


@refused("C-1", Code.CHECKPOINT_MALFORMED)
def a_checkpoint_without_last_line_end(w: World) -> Item:
    return checkpoint_by(w, checkpoint=lambda text: text[:-1])


@refused("C-1", Code.CHECKPOINT_MALFORMED)
def a_checkpoint_with_a_carriage_return(w: World) -> Item:
    return checkpoint_by(w, extra_lines="more\r\n")


@refused("C-1", Code.CHECKPOINT_MALFORMED)
def a_checkpoint_over_its_limit(w: World) -> Item:
    return checkpoint_by(w, extra_lines="x" * 65536 + "\n")


@refused("C-2", Code.CHECKPOINT_MALFORMED)
def a_checkpoint_with_an_empty_line_inside(w: World) -> Item:
    return checkpoint_by(w, extra_lines="\nmore\n")


@refused("C-2", Code.CHECKPOINT_MALFORMED)
def a_checkpoint_without_origin(w: World) -> Item:
    return checkpoint_by(w, checkpoint=lambda text: "\n" + text.partition("\n")[2])


@refused("C-2", Code.CHECKPOINT_MALFORMED)
def a_checkpoint_whose_size_has_a_leading_zero(w: World) -> Item:
    return checkpoint_by(w, checkpoint=lambda text: text.replace("\n7\n", "\n07\n"))


@refused("C-2", Code.CHECKPOINT_MALFORMED)
def a_checkpoint_whose_root_is_short(w: World) -> Item:
    return checkpoint_by(w, checkpoint=lambda text: "\n".join([*text.split("\n")[:2], b64(b"\7" * 31), *text.split("\n")[3:]]))


@refused("C-3", Code.CHECKPOINT_MALFORMED)
def a_signature_line_with_another_dash(w: World) -> Item:
    return checkpoint_by(w, checkpoint=lambda text: text + text.rpartition("\n\n")[2].replace("\u2014", "\u2013"))


@refused("C-3", Code.CHECKPOINT_MALFORMED)
def a_signature_line_whose_name_has_a_plus(w: World) -> Item:
    return checkpoint_by(w, checkpoint=lambda text: f"{text}\u2014 a+b {b64(b'12345')}\n")


@refused("C-3", Code.CHECKPOINT_MALFORMED)
def a_signature_line_whose_name_has_a_strange_space(w: World) -> Item:
    return checkpoint_by(w, checkpoint=lambda text: f"{text}\u2014 a\u2028b {b64(b'12345')}\n")


@refused("C-3", Code.CHECKPOINT_MALFORMED)
def a_signature_line_without_name(w: World) -> Item:
    return checkpoint_by(w, checkpoint=lambda text: f"{text}\u2014  {b64(b'12345')}\n")


@refused("C-3", Code.CHECKPOINT_MALFORMED)
def a_signature_line_that_has_a_hint_and_no_signature(w: World) -> Item:
    return checkpoint_by(w, checkpoint=lambda text: f"{text}\u2014 witness {b64(b'1234')}\n")


@refused("G-5", Code.CHECKPOINT_MALFORMED)
def a_checkpoint_with_more_signatures_than_the_limit(w: World) -> Item:
    return checkpoint_by(w, checkpoint=lambda text: text + f"\u2014 witness {b64(b'12345')}\n" * 32)


@proved("G-5")
def a_checkpoint_with_as_many_signatures_as_the_limit(w: World) -> Item:
    return checkpoint_by(w, checkpoint=lambda text: text + f"\u2014 witness {b64(b'12345')}\n" * 31)


def checkpoint_by(w: World, *, origin_name: str | None = None, **wrong: Any) -> Item:
    signed = w.signed()
    if origin_name is None:
        return signed.item([signed.entry(**wrong)])
    return signed.item([signed.entry(checkpoint=lambda text: resigned(text, w.rekor, w.rekor_id, origin_name))])


def reline(text: str, change: Any) -> str:
    """The signed note with its one signature's blob changed."""
    signed, _, line = text.rpartition("\n\n")
    dash, who, blob = line.strip().split(" ")
    return f"{signed}\n\n{dash} {who} {b64(change(base64.b64decode(blob)))}\n"


def resigned(text: str, key: Private, log_id: bytes, origin: str) -> str:
    """The same checkpoint of a log that calls itself something else."""
    said = origin + "\n" + text.rpartition("\n\n")[0].partition("\n")[2] + "\n"
    return note(said, (origin.partition(" - ")[0], log_id[:4], sign(key, said.encode())))


# Rekor 2


@proved("U-2")
def an_entry_of_the_new_log(w: World) -> Item:
    return tiled(w)


@proved("U-3")
def an_entry_of_the_new_log_of_an_envelope(w: World) -> Item:
    return tiled(w, w.attested(PAYLOAD))


@proved("U-4")
def an_entry_of_the_new_log_of_the_dsse_kind(w: World) -> Item:
    signed = w.attested(PAYLOAD)
    return tiled(w, signed, signed.dsse_2())


@refused("U-3", Code.TLOG_BODY)
def an_entry_of_the_new_log_of_the_payload_instead_of_what_is_signed(w: World) -> Item:
    attested = w.attested(PAYLOAD)
    body = edited(
        attested.hashedrekord_2(),
        "spec/hashedRekordV002/data/digest",
        w.signed(PAYLOAD).hashedrekord_2()["spec"]["hashedRekordV002"]["data"]["digest"],
    )
    return tiled(w, attested, body)


@refused("U-2", Code.TLOG_BODY)
def an_entry_of_the_new_log_of_another_signature(w: World) -> Item:
    return body_with(w, "spec/hashedRekordV002/signature/content", b64(b"another"), kind="hashedrekord_2")


@refused("U-2", Code.TLOG_BODY)
def an_entry_of_the_new_log_by_another_certificate(w: World) -> Item:
    return body_with(w, "spec/hashedRekordV002/signature/verifier/x509Certificate/rawBytes", b64(w.ca.der), kind="hashedrekord_2")


@refused("U-2", Code.TLOG_BODY)
def an_entry_of_the_new_log_that_says_another_algorithm(w: World) -> Item:
    return body_with(w, "spec/hashedRekordV002/signature/verifier/keyDetails", "PKIX_ECDSA_P384_SHA_384", kind="hashedrekord_2")


@refused("U-2", Code.TLOG_BODY)
def an_entry_of_the_new_log_with_a_member_more(w: World) -> Item:
    return body_with(w, "spec/hashedRekordV002/extra", 1, kind="hashedrekord_2")


@refused("U-2", Code.TLOG_BODY)
def an_entry_of_the_new_log_in_another_spelling(w: World) -> Item:
    signed = w.signed()
    return tiled(w, signed, json.dumps(signed.hashedrekord_2(), sort_keys=True).encode())


@refused("U-4", Code.TLOG_BODY)
def a_dsse_entry_of_the_new_log_of_another_payload(w: World) -> Item:
    return body_with(w, "spec/dsseV002/payloadHash/digest", b64(b"\7" * 32), kind="dsse_2")


@refused("U-4", Code.TLOG_BODY)
def a_dsse_entry_of_the_new_log_beside_a_signature_in_no_envelope(w: World) -> Item:
    signed = w.signed()
    return tiled(w, signed, w.attested(PAYLOAD).dsse_2())


@refused("U-2", Code.TLOG_KIND)
def an_entry_of_the_new_log_by_a_key_that_it_has_no_name_for(w: World) -> Item:
    return tiled(w, w.signed(leaf=w.leaf(key=mldsa.MLDSA44PrivateKey.from_seed_bytes(b"\7" * 32))))


@refused("U-1", Code.TIME_THRESHOLD)
def an_entry_of_the_new_log_without_timestamp(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.tile()])


@refused("U-1", Code.TIME_THRESHOLD)
def an_entry_of_the_new_log_with_a_time_of_its_own_saying(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.tile() | {"integratedTime": str(int(AT.timestamp()))}])


@refused("U-5", Code.CHECKPOINT_ORIGIN)
def a_checkpoint_of_the_new_log_with_another_origin(w: World) -> Item:
    signed = w.signed()
    tile = signed.tile(checkpoint=lambda text: resigned(text, w.tiles, w.tiles_id, "other.world.example"))
    return signed.item([tile], [signed.stamp()])


@refused("U-5", Code.CHECKPOINT_ORIGIN)
def a_checkpoint_of_the_new_log_with_a_tree_after_its_name(w: World) -> Item:
    signed = w.signed()
    tile = signed.tile(checkpoint=lambda text: resigned(text, w.tiles, w.tiles_id, f"{World.TILES} - 42"))
    return signed.item([tile], [signed.stamp()])


@refused("R-3", Code.TLOG_KEY_WINDOW)
def a_timestamp_after_the_end_of_the_new_logs_key(w: World) -> Trial:
    return Trial(tiled(w), ending(w, tiles="2026-03-01T11:59:59Z"))


@proved("R-2")
def a_timestamp_in_the_last_second_of_the_new_logs_key(w: World) -> Trial:
    return Trial(tiled(w), ending(w, tiles="2026-03-01T12:00:00Z"))


@refused("R-3", Code.TLOG_KEY_WINDOW)
def one_of_two_times_after_the_end_of_the_new_logs_key(w: World) -> Trial:
    signed = w.signed()
    item = signed.item([signed.tile(), signed.entry(at=AT + MINUTE)], [signed.stamp()])
    return Trial(item, ending(w, tiles="2026-03-01T12:00:30Z"))


@proved("U-5")
def a_new_log_with_an_ecdsa_key(w: World) -> Trial:
    key = w.key("ecdsa tiles")
    root = w.root(lambda value: value | {"tlogs": [log_json(f"https://{World.TILES}", key)]})
    signed = w.signed()
    return Trial(signed.item([signed.tile(key=key)], [signed.stamp()]), root)


@proved("U-5")
def a_new_log_with_an_ecdsa_key_behind_a_port(w: World) -> Trial:
    """The origin is the host of the address."""
    key = w.key("ecdsa tiles")
    root = w.root(lambda value: value | {"tlogs": [log_json(f"http://{World.TILES}:3000/", key)]})
    signed = w.signed()
    return Trial(signed.item([signed.tile(key=key)], [signed.stamp()]), root)


@proved("C-4")
def a_new_log_whose_ed25519_key_is_named_by_its_spki(w: World) -> Trial:
    root = w.root(lambda value: value | {"tlogs": [log_json(f"https://{World.TILES}", w.tiles)]})
    signed = w.signed()
    tile = signed.tile(log_id=root.logs[0].id)
    return Trial(signed.item([tile], [signed.stamp()]), root)


@each(
    ("key", "by", "details"),
    [
        (WORLD.key("p256"), hashes.SHA256(), "PKIX_ECDSA_P256_SHA_256"),
        (WORLD.key("p384", ec.SECP384R1()), hashes.SHA384(), "PKIX_ECDSA_P384_SHA_384"),
        (WORLD.key("p384", ec.SECP384R1()), hashes.SHA256(), "PKIX_ECDSA_P384_SHA_256"),
        (WORLD.key("p521", ec.SECP521R1()), hashes.SHA512(), "PKIX_ECDSA_P521_SHA_512"),
        (WORLD.key("p521", ec.SECP521R1()), hashes.SHA256(), "PKIX_ECDSA_P521_SHA_256"),
        (WORLD.rsa_key("2048"), hashes.SHA256(), "PKIX_RSA_PKCS1V15_2048_SHA256"),
        (WORLD.ed("ed"), hashes.SHA512(), "PKIX_ED25519"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_new_log_names_every_algorithm_in_its_way(key: Private, by: hashes.HashAlgorithm, details: str) -> None:
    """K-7."""
    signed = WORLD.signed(leaf=WORLD.leaf(key=key), by=by, details=details)
    assert Trial(tiled(WORLD, signed)).prove().logs == (World.TILES,)


def tiled(w: World, signed: Signature | None = None, body: dict[str, Any] | bytes | None = None) -> Item:
    signed = signed or w.signed()
    return signed.item([signed.tile(body)], [signed.stamp()])


# Several logs


@refused("T-1", Code.TIME_THRESHOLD)
def an_entry_of_an_unknown_log(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry(key=w.key("unknown"))])


@refused("T-1", Code.TLOG_THRESHOLD)
def an_entry_of_an_unknown_log_beside_a_timestamp(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry(key=w.key("unknown"))], [signed.stamp()])


@proved("T-1")
def an_entry_of_an_unknown_log_beside_one_of_a_known(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry(key=w.key("unknown")), signed.entry()])


@refused("B-6", Code.TLOG_SET)
def a_wrong_entry_of_a_known_log_beside_a_right_one(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry(), signed.entry(promise_key=w.key("thief"))])


@refused("B-6", Code.TLOG_BODY)
def a_wrong_entry_where_none_is_needed(w: World) -> Trial:
    signed = w.signed()
    return Trial(signed.item([w.signed(b"another").entry()], [signed.stamp()]), needed=Thresholds(log=0))


@refused("T-7", Code.TLOG_THRESHOLD)
def the_same_log_twice_where_two_are_needed(w: World) -> Trial:
    signed = w.signed()
    return Trial(signed.item([signed.entry(), signed.entry(at=AT + SECOND)]), needed=Thresholds(log=2))


@proved("T-7")
def two_logs_where_two_are_needed(w: World) -> Trial:
    signed = w.signed()
    return Trial(signed.item([signed.entry(), signed.tile()]), needed=Thresholds(log=2))


@refused("T-7", Code.TLOG_THRESHOLD)
def no_entry_where_one_is_needed(w: World) -> Item:
    signed = w.signed()
    return signed.item([], [signed.stamp()])


@proved("GH-1")
def no_entry_where_none_is_needed(w: World) -> Trial:
    signed = w.signed()
    return Trial(signed.item([], [signed.stamp()]), needed=Thresholds(log=0))


@refused("G-7", Code.TIME_THRESHOLD)
def no_time_at_all_where_nothing_is_needed(w: World) -> Trial:
    return Trial(w.signed().item([]), needed=Thresholds(log=0, timestamp=0, sct=0))


@refused("G-5", Code.LIMIT_SIGNATURE)
def more_entries_than_the_limit(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry()] * 33)


@proved("G-5")
def as_many_entries_as_the_limit(w: World) -> Item:
    signed = w.signed()
    return signed.item([signed.entry()] * 32)


# Pinned keys


@proved("K")
def a_pinned_key_with_an_entry(w: World) -> Trial:
    return by_key(w)


@refused("B-3", Code.BUNDLE_MATERIAL)
def a_certificate_where_a_key_is_pinned(w: World) -> Trial:
    signed = w.signed()
    return Trial(signed.item(), key=signed.public)


@refused("K", Code.SIGNATURE_INVALID)
def a_pinned_key_that_did_not_sign(w: World) -> Trial:
    signed = w.signed(pinned=True)
    return Trial(signed.item(), key=w.signed(leaf=w.leaf(key=w.key("another")), pinned=True).public)


@refused("A1-5", Code.FORMAT_PEM)
def an_entry_of_a_certificate_where_a_key_is_pinned(w: World) -> Trial:
    signed = w.signed(pinned=True)
    body = edited(signed.hashedrekord(), "spec/signature/publicKey/content", b64(signed.leaf.pem))
    return Trial(signed.item([signed.entry(body)]), key=signed.public)


@refused("A1-5", Code.TLOG_BODY)
def an_entry_of_another_key_where_a_key_is_pinned(w: World) -> Trial:
    signed = w.signed(pinned=True)
    body = edited(signed.hashedrekord(), "spec/signature/publicKey/content", b64(pem(w.key("another"))))
    return Trial(signed.item([signed.entry(body)]), key=signed.public)


@refused("T-7", Code.TLOG_THRESHOLD)
def a_pinned_key_without_the_entry_that_is_needed(w: World) -> Trial:
    signed = w.signed(pinned=True)
    return Trial(signed.item([]), key=signed.public)


@proved("K")
def a_pinned_key_without_anything_where_nothing_is_needed(w: World) -> Trial:
    signed = w.signed(pinned=True)
    return Trial(signed.item([]), key=signed.public, needed=Thresholds(log=0))


@proved("U-2")
def a_pinned_key_in_the_new_log(w: World) -> Trial:
    signed = w.signed(pinned=True)
    return Trial(signed.item([signed.tile()], [signed.stamp()]), key=signed.public)


@refused("R-3", Code.TLOG_THRESHOLD)
def a_pinned_key_in_the_new_log_without_a_time_at_which_to_trust_it(w: World) -> Trial:
    signed = w.signed(pinned=True)
    return Trial(signed.item([signed.tile()]), key=signed.public)


@refused("B-6", Code.TLOG_SET)
def a_pinned_key_with_a_wrong_entry_where_none_is_needed(w: World) -> Trial:
    signed = w.signed(pinned=True)
    item = signed.item([signed.entry(promise_key=w.key("thief"))])
    return Trial(item, key=signed.public, needed=Thresholds(log=0))


@refused("A-9", Code.TIME_THRESHOLD)
def a_pinned_key_without_the_timestamp_that_is_needed(w: World) -> Trial:
    signed = w.signed(pinned=True)
    return Trial(signed.item(), key=signed.public, needed=Thresholds(timestamp=1))


def by_key(w: World) -> Trial:
    signed = w.signed(pinned=True)
    return Trial(signed.item(), key=signed.public)


def ending(w: World, *, rekor: str | None = None, tiles: str | None = None) -> Any:
    """The root, where a log's key ended then."""
    ends = {"tlogs/0": rekor, "tlogs/1": tiles}

    def edit(value: dict[str, Any]) -> dict[str, Any]:
        for path, end in ends.items():
            value = edited(value, f"{path}/publicKey/validFor/end", end) if end else value
        return value

    return w.root(edit)


def without(value: dict[str, Any], member: str) -> dict[str, Any]:
    return {name: inner for name, inner in value.items() if name != member}


@each("case", CASES.params)
def test_an_entry_ends_in_its_verdict(case: Case) -> None:
    assert case.end() is case.code


def test_a_proof_says_which_log_vouches_for_which_time() -> None:
    signed = WORLD.signed()
    proof = Trial(signed.item([signed.entry(), signed.tile()], [signed.stamp(at=AT + MINUTE)])).prove()
    assert [(proved.time, proved.by) for proved in proof.times] == [
        (AT + MINUTE, "https://tsa.world.example"),
        (AT, World.REKOR),
    ]
    assert str(proof.times[1]) == "2026-03-01T12:00:00Z by rekor.world.example"
    assert proof.logs == (World.REKOR, World.TILES)


def test_what_counted_for_nothing_is_said() -> None:
    """T-1, A-9."""
    signed = WORLD.signed()
    strange = World("another world")
    proof = Trial(
        signed.item([signed.entry(), signed.entry(key=strange.rekor)], [signed.stamp(tsa=strange.tsa_of(common="strange"))])
    ).prove()
    assert [remark.code for remark in proof.remarks] == [Code.TSA_UNKNOWN, Code.TLOG_UNKNOWN_LOG]


@pytest.mark.parametrize(("entries", "found"), [(0, "none"), (1, World.REKOR)])
def test_too_few_logs_are_named(entries: int, found: str) -> None:
    signed = WORLD.signed()
    with pytest.raises(TrustError) as refusal:
        Trial(signed.item([signed.entry()] * entries, [signed.stamp()]), needed=Thresholds(log=2)).prove()
    assert (refusal.value.found, refusal.value.wanted) == (found, "2")


def test_the_order_of_entries_changes_nothing() -> None:
    signed = WORLD.signed()
    entries, stamps = [signed.entry(), signed.tile(), signed.entry(key=WORLD.key("unknown"))], [signed.stamp()]
    one, other = (Trial(signed.item(order, stamps)).prove() for order in (entries, entries[::-1]))
    assert set(one.times) == set(other.times)
    assert one.logs == other.logs


@each("size", range(1, 18))
def test_every_place_in_every_small_tree_is_proved_by_its_path_alone(size: int) -> None:
    """T-4, against the definition in RFC 6962 that the test's own tree is written after."""
    leaves = [b"%d" % n for n in range(size)]
    root = tree_hash(leaves)
    for index in range(size):
        path = tree_path(leaves, index)
        leaf = merkle.leaf_hash(leaves[index])
        assert merkle.root_hash(leaf, index=index, size=size, path=path) == root
        assert all(
            merkle.root_hash(leaf, index=index, size=size, path=[*path[:n], b"\7" * 32, *path[n + 1 :]]) != root for n in range(len(path))
        )


@each(("index", "size", "path"), [(1, 1, 0), (-1, 1, 0), (0, 0, 0), (7, 7, 3), (0, 1, 1), (3, 7, 4), (3, 7, 2), (0, 2, 0)])
def test_a_path_of_another_length_leads_nowhere(index: int, size: int, path: int) -> None:
    """T-4: it is refused by itself, and not only for the root that it would lead to."""
    with pytest.raises(TrustError) as refusal:
        merkle.root_hash(merkle.leaf_hash(b""), index=index, size=size, path=[b"\7" * 32] * path)
    assert refusal.value.code is Code.TLOG_PROOF


def test_a_hash_of_another_length_is_refused_when_it_is_read() -> None:
    entry = WORLD.signed().entry(proof=lambda value: value | {"hashes": [b64(b"\7" * 33), *value["hashes"][1:]]})
    with pytest.raises(TrustError, match="not a SHA-256"):
        read_entry(entry)


def test_a_note_id_is_what_the_prod_log_of_2025_has() -> None:
    """R-4, by a public value."""
    log = log_json(
        "https://log2025-1.rekor.sigstore.dev", WORLD.key("leaf"), base64.b64decode("zxGZFVvd0FEmjR8WrFwMdcAJ9vtaY/QXf44Y1wUeP6A=")
    )
    log["publicKey"]["rawBytes"] = "MCowBQYDK2VwAyEAt8rlp1knGwjfbcXAYPYAkn0XiLz1x8O4t0YkEhie244="
    root = WORLD.root(lambda value: value | {"tlogs": [log]})
    assert root.left_out == ()


def test_a_checkpoint_of_64_kib_is_read() -> None:
    head, tail = f"log.example\n1\n{b64(bytes(32))}\n", f"\n\n\u2014 log.example {b64(b'12345')}\n"
    most = "x" * (65536 - len(head) - len(tail))
    assert Checkpoint.parse(head + most + tail).origin == "log.example"
    with pytest.raises(TrustError, match="over its limit"):
        Checkpoint.parse(head + most + "x" + tail)
