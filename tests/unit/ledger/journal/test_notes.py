"""Who says so: signatures of the station, cosignatures, proofs (journal-v1.md, sections 4, 6 and 7)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from bundler.errors import BundlerError, Code, UsageError
from bundler.ledger.journal.notes import Proof, cosigned, cosigner, proof_text, verify_proof
from bundler.trust.checkpoint import MAX_SIGNATURES, Checkpoint, Signature
from bundler.trust.encodings import to_base64
from tests.support.cases import each
from tests.support.journals import ORIGIN, OTHER, STATION, WITNESS, checkpoint, entries
from tests.support.signing import Key
from tests.support.world import tree_path

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
SAID = entries(7)
NOTE = checkpoint(SAID)


def proof(index: int = 2, note: Checkpoint = NOTE) -> str:
    return proof_text(note, index=index, path=tree_path(SAID, index))


def cosigned_by_the_witness(note: Checkpoint = NOTE, *, name: str = "auditor.example", at: datetime = AT) -> Checkpoint:
    return cosigned(note, name=name, key=WITNESS.public, sign=WITNESS.sign, at=at)


def ends(act: Callable[[], object]) -> Code:
    with pytest.raises(BundlerError) as raised:
        act()
    return raised.value.code


def test_a_cosignature_says_who_and_when_and_stands_behind_the_stations() -> None:
    note = Checkpoint.parse(str(cosigned_by_the_witness()))
    assert cosigner(note, key=WITNESS.public) == ("auditor.example", AT)
    assert [line.name for line in note.signatures] == [ORIGIN, "auditor.example"]
    assert (note.note, note.signatures[0]) == (NOTE.note, NOTE.signatures[0])


def test_a_cosigner_who_signs_again_has_one_line() -> None:
    later = datetime(2026, 12, 1, tzinfo=UTC)
    note = cosigned_by_the_witness(cosigned_by_the_witness(), at=later)
    assert len(note.signatures) == 2
    assert cosigner(note, key=WITNESS.public)[1] == later


@pytest.mark.parametrize("at", [0, 4, 11, 12, 75])
def test_a_cosignature_with_one_bit_changed_is_refused(at: int) -> None:
    note = cosigned_by_the_witness()
    own, line = note.signatures
    raw = bytearray(line.hint + line.signature)
    raw[at] ^= 1
    changed = replace(note, signatures=(own, Signature(line.name, bytes(raw[:4]), bytes(raw[4:]))))
    wanted = Code.CHECKPOINT_NO_LOG_SIGNATURE if at < 4 else Code.CHECKPOINT_SIGNATURE
    assert ends(lambda: cosigner(changed, key=WITNESS.public)) is wanted


def test_a_cosignature_is_about_this_tree_under_this_name_alone() -> None:
    _, line = cosigned_by_the_witness().signatures
    other = checkpoint(SAID[:6])
    assert ends(lambda: cosigner(replace(other, signatures=(line,)), key=WITNESS.public)) is Code.CHECKPOINT_SIGNATURE
    renamed = replace(line, name="another.example")
    assert ends(lambda: cosigner(replace(NOTE, signatures=(renamed,)), key=WITNESS.public)) is Code.CHECKPOINT_NO_LOG_SIGNATURE
    short = replace(line, signature=line.signature[:-1])
    assert ends(lambda: cosigner(replace(NOTE, signatures=(short,)), key=WITNESS.public)) is Code.CHECKPOINT_SIGNATURE
    plain = replace(line, signature=line.signature[:8] + WITNESS.sign(NOTE.note))
    assert ends(lambda: cosigner(replace(NOTE, signatures=(plain,)), key=WITNESS.public)) is Code.CHECKPOINT_SIGNATURE


def test_a_cosignature_of_a_time_beyond_the_calendar_is_refused_though_it_verifies() -> None:
    seconds = 1 << 62
    signature = WITNESS.sign(f"cosignature/v1\ntime {seconds}\n".encode() + NOTE.note)
    _, line = cosigned_by_the_witness().signatures
    late = replace(line, signature=seconds.to_bytes(8, "big") + signature)
    assert ends(lambda: cosigner(replace(NOTE, signatures=(late,)), key=WITNESS.public)) is Code.CHECKPOINT_SIGNATURE


def test_a_checkpoint_without_cosigner_has_none() -> None:
    assert ends(lambda: cosigner(NOTE, key=WITNESS.public)) is Code.CHECKPOINT_NO_LOG_SIGNATURE
    assert ends(lambda: cosigner(NOTE, key=STATION.public)) is Code.CHECKPOINT_NO_LOG_SIGNATURE


def test_only_an_ed25519_key_cosigns_under_a_name_that_a_note_can_have() -> None:
    with pytest.raises(UsageError, match="cannot cosign"):
        cosigned(NOTE, name="auditor", key=OTHER.public, sign=OTHER.sign, at=AT)
    for name in ("", "two words", "a+b", "a\abell", "x" * 256):
        with pytest.raises(UsageError, match="a name is not one"):
            cosigned_by_the_witness(name=name)
    assert cosigner(cosigned_by_the_witness(name="x" * 255), key=WITNESS.public)[0] == "x" * 255


def test_a_cosignature_of_a_prehash_is_refused() -> None:
    witness = Key("witness", ed25519.Ed25519PrivateKey.from_private_bytes(b"\7" * 32))
    note = cosigned(NOTE, name="auditor.example", key=WITNESS.public, sign=witness.sign_prehashed, at=AT)
    assert ends(lambda: cosigner(note, key=WITNESS.public)) is Code.CHECKPOINT_SIGNATURE


def test_as_many_lines_as_a_note_may_have_and_no_more() -> None:
    many = replace(NOTE, signatures=tuple(Signature(f"w{number}", b"1234", b"5") for number in range(MAX_SIGNATURES - 1)))
    full = cosigned_by_the_witness(many)
    assert Checkpoint.parse(str(full)) == full
    assert len(cosigned_by_the_witness(full).signatures) == MAX_SIGNATURES, "an own line is replaced"
    with pytest.raises(UsageError, match="too many signatures"):
        cosigned_by_the_witness(full, name="one-more")


@each("index", range(7))
def test_a_proof_holds_for_its_entry_and_no_other(index: int) -> None:
    text = proof(index)
    assert verify_proof(text, SAID[index], key=STATION.public, origin=ORIGIN) == Proof(index, tuple(tree_path(SAID, index)), NOTE)
    assert ends(lambda: verify_proof(text, SAID[index - 1], key=STATION.public, origin=ORIGIN)) is Code.TLOG_PROOF


def test_a_proof_is_written_as_the_specification_has_it() -> None:
    hashes = "".join(f"{to_base64(each)}\n" for each in tree_path(SAID, 2))
    assert proof() == f"c2sp.org/tlog-proof@v1\nindex 2\n{hashes}\n{NOTE}"
    assert proof_text(checkpoint(SAID[:1]), index=0, path=()) == f"c2sp.org/tlog-proof@v1\nindex 0\n\n{checkpoint(SAID[:1])}"


def test_the_extra_data_of_a_proof_is_passed_over() -> None:
    text = proof().replace("\nindex", "\nextra d2hhdGV2ZXI=\nindex", 1)
    assert verify_proof(text, SAID[2], key=STATION.public, origin=ORIGIN).index == 2


def test_a_proof_with_cosignatures_is_read() -> None:
    assert verify_proof(proof(note=cosigned_by_the_witness()), SAID[2], key=STATION.public, origin=ORIGIN).index == 2


@each(
    ("change", "code"),
    [
        (lambda text: text.replace("@v1", "@v2"), Code.TLOG_PROOF),
        (lambda text: text.replace("index 2", "index 02"), Code.TLOG_PROOF),
        (lambda text: text.replace("index 2", "index 3"), Code.TLOG_PROOF),
        (lambda text: text.replace("index 2", "index 7"), Code.TLOG_PROOF),
        (lambda text: text.replace("index 2\n", ""), Code.TLOG_PROOF),
        (lambda text: "c2sp.org/tlog-proof@v1", Code.TLOG_PROOF),
        (lambda text: "", Code.TLOG_PROOF),
        (lambda text: text.replace("index 2\n", "index 2\nAAAA\n"), Code.TLOG_PROOF),
        (lambda text: text.replace("index 2\n", f"index 2\n{to_base64(bytes(32))}\n"), Code.TLOG_PROOF),
        (lambda text: text.replace("index 2\n", "index 2\n???\n"), Code.FORMAT_BASE64),
        (lambda text: "\n".join(text.split("\n")[:2] + text.split("\n")[3:]), Code.TLOG_PROOF),
        (lambda text: text.partition("\n\n")[0] + "\n\n", Code.CHECKPOINT_MALFORMED),
        (lambda text: text + "x" * 70_000, Code.TLOG_PROOF),
        (lambda text: text.replace("\n7\n", "\n8\n"), Code.CHECKPOINT_SIGNATURE),
        (lambda text: text.replace(ORIGIN, "oci-bundler.plant-8"), Code.CHECKPOINT_ORIGIN),
    ],
)
def test_a_proof_that_is_not_one_is_refused(change: Callable[[str], str], code: Code) -> None:
    assert ends(lambda: verify_proof(change(proof()), SAID[2], key=STATION.public, origin=ORIGIN)) is code


def test_a_proof_has_hashes_of_sha_256_alone() -> None:
    text = proof().replace("index 2\n", f"index 2\n{to_base64(bytes(31))}\n")
    with pytest.raises(BundlerError, match="not a SHA-256"):
        Proof.parse(text)


def test_a_proof_by_another_key_is_refused() -> None:
    text = proof(note=checkpoint(SAID, by=OTHER))
    assert ends(lambda: verify_proof(text, SAID[2], key=STATION.public, origin=ORIGIN)) is Code.CHECKPOINT_NO_LOG_SIGNATURE
