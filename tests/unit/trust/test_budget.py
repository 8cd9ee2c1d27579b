"""What judging an image costs at most: a stated number of verifications and of bytes, whatever lies about it."""

from collections.abc import Iterator

import pytest

from bundler.errors import FormatError
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.lookup import Form
from bundler.oci.reference import Reference
from bundler.stations.carried import Carried
from bundler.trust.dsse import Envelope
from bundler.trust.evidence import Evidence
from bundler.trust.judge import MAX_PIECES, MAX_VERIFICATIONS
from bundler.trust.once import once
from tests.support.bundles import lookups_in
from tests.support.signing import P256, SLSA, SPDX, Key, Scene, att, policy, rule, signed

KEYS = [Key.of("ed25519", number) for number in range(10, 20)]


def lists_of_signatures(scene: Scene, *lengths: int) -> list[Evidence]:
    """As many signatures by nobody who is pinned about one part of the image after the other, and a good one of the root."""
    payload, signature = signed(scene.root)
    parts = [scene.root, *scene.platforms]
    good = scene.content.sig(scene.root.digest, (payload, signature))
    pieces = scene.pieces(scene.root.digest, Form.SIG, good)
    for part, length in zip(parts, lengths, strict=False):
        listed = scene.content.sig(part.digest, *[(payload, b"forged %d" % number) for number in range(length)])
        pieces += scene.pieces(part.digest, Form.SIG, listed)
    return pieces


def test_as_many_verifications_as_are_allowed_are_made() -> None:
    scene = Scene.of_index()
    asked = policy(rule(P256, *KEYS[:3], threshold=1))
    evidence = lists_of_signatures(scene, MAX_PIECES - 1)
    assert len(evidence) * 4 == MAX_VERIFICATIONS
    assert scene.judge(asked, evidence).passed


@pytest.mark.parametrize("order", [1, -1], ids=["good first", "good last"])
def test_beyond_nothing_is_judged_in_whatever_order_it_comes(order: int) -> None:
    scene = Scene.of_index()
    evidence = lists_of_signatures(scene, MAX_PIECES - 1, 1)
    verdict = scene.judge(policy(rule(P256, *KEYS[:3], threshold=1)), evidence[::order])
    assert [str(code) for code in verdict.reasons] == ["policy.threshold", "limit.evidence"]
    assert verdict.signers == ()
    assert any("4000 verifications" in check.detail for check in verdict.checks)


def test_what_holds_no_signature_costs_nothing() -> None:
    scene = Scene.of_index()
    evidence = lists_of_signatures(scene, MAX_PIECES - 1)
    sbom = scene.content.sbom(scene.platforms[0].digest, b"SPDXVersion: SPDX-2.3")
    evidence += scene.pieces(scene.platforms[0].digest, Form.SBOM, sbom)
    evidence += [Evidence(scene.platforms[0].digest, Form.REFERRER, scene.content.manifest(sbom.blobs[0], []), None, None, is_proven=False)]
    assert scene.judge(policy(rule(P256, *KEYS[:3], threshold=1)), evidence).passed


# --- bytes ---


def test_a_large_manifest_that_many_signatures_are_about_counts_as_often() -> None:
    scene = Scene.of_image()
    scene.root = scene.content.document({"mediaType": mediatype.OCI_INDEX, "manifests": [], "annotations": {"x": "x" * (3 << 20)}})
    listed = scene.content.sig(scene.root.digest, signed(scene.root), *[(b"{}", b"%d" % number) for number in range(400)])
    verdict = scene.judge(policy(rule(P256)), scene.pieces(scene.root.digest, Form.SIG, listed))
    assert [str(code) for code in verdict.reasons] == ["policy.threshold", "limit.evidence"]


# --- reading ---


def test_each_payload_of_an_image_is_read_once() -> None:
    scene = Scene.of_index()
    envelopes = [att(scene.root, P256, SPDX), att(scene.root, P256, SLSA)]
    for part in (scene.root, *scene.platforms):
        scene.content.att(part.digest, *envelopes, *envelopes)
    asked: list[Digest] = []

    def chunks(blob: Descriptor) -> Iterator[bytes]:
        asked.append(blob.digest)
        return iter((scene.content.blobs[blob.digest],))

    documents = {document.digest: document for document in scene.content.documents.values()}
    carried = Carried(
        Reference.parse(scene.name),
        scene.root.digest,
        documents,
        (scene.root.digest,),
        tuple(lookups_in(scene.content, "registry.example/app")),
    )
    assert carried.image(chunks).borrowing == frozenset()
    pieces = list(carried.evidences(chunks))
    configs = {piece.document.blobs[0].digest for piece in pieces if piece.document.blobs[0].size > 70}
    assert sorted(asked) == sorted({piece.layer.digest for piece in pieces if piece.layer} | configs)
    assert len(pieces) == 12
    assert {piece.place for piece in pieces} == {1, 2, 3, 4}
    assert all(piece.payload == scene.content.blobs[piece.layer.digest] for piece in pieces if piece.layer)


def test_once_remembers_what_it_gave_and_what_it_refused() -> None:
    asked: list[bytes] = []

    @once
    def length(raw: bytes) -> int:
        asked.append(raw)
        if not raw:
            raise FormatError("there is nothing in it")
        return len(raw)

    def refused() -> str:
        with pytest.raises(FormatError) as caught:
            length(b"")
        return str(caught.value)

    assert [length(b"ab"), length(b"ab"), length(b"abc")] == [2, 2, 3]
    assert [refused(), refused()] == ["there is nothing in it"] * 2
    assert asked == [b"ab", b"abc", b""]


def test_an_envelope_that_is_read_again_is_the_same() -> None:
    raw = att(Scene.of_image().root)
    assert Envelope.parse(raw).signed is Envelope.parse(bytes(raw)).signed
