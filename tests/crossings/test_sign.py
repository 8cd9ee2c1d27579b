"""Signing images where they lie: in both of cosign's forms, beside what is there, and good for this project's own judge."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.manifest import Document, Manifest
from tests.support import signing
from tests.support.layouts import write_layout
from tests.support.signing import Key
from tests.support.station import EXPORTER, RELEASE, STRANGER, Crossing, Image, Ran, run, tags_of, write_key, write_trust

KINDS = ["p256", "p384", "p521", "rsa2048", "rsa3072", "ed25519"]


def sign(crossing: Crossing, image: Image, *flags: object, key: str = "release") -> Ran:
    return run("sign", image.reference, "--key", crossing.keys[key], "--json", *flags)


def sig_of(crossing: Crossing, image: Image, subject: Document) -> Manifest:
    found = crossing.here.repository(image.path).document(f"{subject.digest.tag}.sig")
    assert found is not None
    assert isinstance(found.content, Manifest)
    return found.content


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["sig", "bundle"])
def test_what_is_signed_passes(form: str, kind: str, crossing: Crossing) -> None:
    key = Key.of(kind)
    write_key(crossing.folder / "any.key", key)
    trust = write_trust(crossing.folder / "any", rules=[signing.rule(key, scope="**", name="signed" if form == "sig" else "any")])
    image = crossing.push(crossing.content.image())
    ran = run("sign", image.reference, "--key", crossing.folder / "any.key", "--form", form, "--json")
    assert ran.exit == 0, ran.err
    verdict = run("verify", f"docker://{image.reference}", "--trust", trust, "--json")
    assert verdict.exit == 0, verdict.out
    assert [signer["form"] for signer in verdict.json["images"][0]["signers"]] == [form]


def test_both_forms_are_made_where_they_are_asked_for_and_what_was_pushed_is_said(crossing: Crossing) -> None:
    image = crossing.push(crossing.content.image())
    said = sign(crossing, image, "--form", "sig,bundle").json
    repository = crossing.here.repository(image.path)
    tagged = tags_of(repository)[f"{image.root.digest.tag}.sig"]
    [referrer] = repository.referrers(image.root.digest).listed
    assert said == {
        "signed": [{"reference": image.reference, "digest": str(image.root.digest), "pushed": [str(tagged), str(referrer.digest)]}],
        "failed": [],
    }
    assert referrer.artifact_type == mediatype.SIGSTORE_BUNDLE_V03
    assert referrer.annotations["dev.sigstore.bundle.predicateType"] == "https://sigstore.dev/cosign/sign/v1"


# --- which form, where nobody says it ---


def bundles_of(crossing: Crossing, image: Image, subject: Document) -> list[Descriptor]:
    listed = crossing.here.repository(image.path).referrers(subject.digest).listed
    fallback = crossing.here.repository(image.path).document(subject.digest.tag)
    return [each for each in (*listed, *(fallback.children if fallback else ())) if each.artifact_type == mediatype.SIGSTORE_BUNDLE_V03]


@pytest.mark.parametrize("flags", [(), ("--form", "auto")], ids=["by default", "auto"])
def test_a_first_bundle_is_never_made_unasked(crossing: Crossing, flags: tuple[str, ...]) -> None:
    """It would hide the signatures of others from whoever looks at bundles first."""
    image = crossing.push(crossing.content.image())
    ran = sign(crossing, image, *flags)
    assert len(sig_of(crossing, image, image.root).layers) == 1
    assert bundles_of(crossing, image, image.root) == []
    assert ran.json["signed"][0]["pushed"] == [str(tags_of(crossing.here.repository(image.path))[f"{image.root.digest.tag}.sig"])]
    assert "signed in .sig alone" in ran.err


Attach = Callable[[Crossing, Document], Document]
OTHER_REFERRERS: dict[str, Attach] = {
    "an SBOM": lambda crossing, root: crossing.content.artifact(b"{}", "application/spdx+json", subject=root),
    "a Notation signature": lambda crossing, root: crossing.content.notation(root, b"{}"),
}


@pytest.mark.parametrize("attach", OTHER_REFERRERS.values(), ids=OTHER_REFERRERS)
def test_another_referrer_is_not_a_bundle(crossing: Crossing, attach: Attach) -> None:
    root = crossing.content.image()
    attach(crossing, root)
    image = crossing.push(root)
    assert "signed in .sig alone" in sign(crossing, image).err


BUNDLES = {
    "a signature": lambda crossing, root: crossing.attach(root),
    "an attestation": lambda crossing, root: crossing.content.bundle(
        root, json.dumps(signing.bundle(signing.dsse(root, predicate_type=signing.SPDX))).encode(), predicate_type=signing.SPDX
    ),
    "of an older version": lambda crossing, root: crossing.content.artifact(
        b"{}", "application/vnd.dev.sigstore.bundle+json;version=0.2", subject=root
    ),
}


@pytest.mark.parametrize("api", [True, False], ids=["by the API", "by the fallback list"])
@pytest.mark.parametrize("attach", BUNDLES.values(), ids=BUNDLES)
def test_where_there_is_a_bundle_another_is_made_beside_the_tag(tmp_path: Path, api: bool, attach: Attach) -> None:
    with Crossing(tmp_path, referrers_here=api) as crossing:
        root = crossing.content.image()
        attached = attach(crossing, root)
        if not api:
            crossing.content.fallback(root.digest, attached)
        image = crossing.push(root)
        ran = sign(crossing, image)
        assert ran.exit == 0, ran.err
        assert len(sig_of(crossing, image, root).layers) == 1
        theirs = {attached.digest}
        assert len({each.digest for each in bundles_of(crossing, image, root)} - theirs) == 1
        assert "one refers to the image already" in ran.err


def test_a_bundle_in_a_list_that_does_not_say_what_it_is_is_found(tmp_path: Path) -> None:
    """Older clients left the artifact type out of the fallback list."""
    with Crossing(tmp_path, referrers_here=False) as crossing:
        root = crossing.content.image()
        attached = crossing.attach(root)
        listed = {"mediaType": mediatype.OCI_INDEX, "manifests": [attached.descriptor.to_json()]}
        crossing.content.tags[root.digest.tag] = crossing.content.document(listed)
        image = crossing.push(root)
        assert "one refers to the image already" in sign(crossing, image).err


def test_each_manifest_below_an_index_is_asked_by_itself(crossing: Crossing) -> None:
    root = crossing.content.index()
    first, second = (crossing.content.documents[child.digest] for child in root.children)
    crossing.attach(first)
    image = crossing.push(root)
    signed = {one["digest"]: len(one["pushed"]) for one in sign(crossing, image, "--recursive").json["signed"]}
    assert signed == {str(root.digest): 1, str(first.digest): 2, str(second.digest): 1}


@pytest.mark.parametrize("bundled", [False, True], ids=["without a bundle", "with one"])
def test_the_same_again_puts_nothing(crossing: Crossing, bundled: bool) -> None:
    root = crossing.content.image()
    if bundled:
        crossing.attach(root, STRANGER)
    image = crossing.push(root)
    first = sign(crossing, image)
    crossing.here.asked.clear()
    second = sign(crossing, image)
    assert first.json == second.json
    assert not crossing.here.changes


def test_a_registry_without_an_api_gets_the_fallback_index(tmp_path: Path) -> None:
    with Crossing(tmp_path, referrers_here=False) as crossing:
        image = crossing.push(crossing.content.image())
        assert sign(crossing, image, "--form", "bundle").exit == 0
        assert crossing.run("verify", f"docker://{image.reference}").exit == 0
        assert image.root.digest.tag in crossing.here.repository(image.path).tags()


def test_an_index_is_signed_alone_or_with_all_that_is_below_it(crossing: Crossing) -> None:
    image = crossing.push(crossing.content.nested())
    assert [one["digest"] for one in sign(crossing, image).json["signed"]] == [str(image.root.digest)]
    below = sign(crossing, image, "--recursive").json["signed"]
    assert {one["digest"] for one in below} == {str(document.digest) for document in crossing.content.below(image.root)}
    trust = write_trust(crossing.folder / "both", rules=[signing.rule(RELEASE, scope="**", node="both")])
    assert run("verify", f"docker://{image.reference}", "--trust", trust).exit == 0


def test_a_signature_is_added_beside_those_there(crossing: Crossing) -> None:
    image = crossing.push(crossing.content.image())
    sign(crossing, image, "--form", "sig,bundle")
    sign(crossing, image, "--form", "sig,bundle", key="stranger")
    layers = sig_of(crossing, image, image.root).layers
    assert len(layers) == 2
    rule = signing.rule(RELEASE, STRANGER, scope="**", threshold=2)
    trust = write_trust(crossing.folder / "both", rules=[rule])
    for _ in range(2):
        verdict = run("verify", f"docker://{image.reference}", "--trust", trust, "--json")
        assert verdict.exit == 0
        assert {signer["form"] for signer in verdict.json["images"][0]["signers"]} == {"sig", "bundle"}


def test_the_same_key_signing_again_adds_nothing(crossing: Crossing) -> None:
    image = crossing.push(crossing.content.image())
    first = sign(crossing, image).json
    before = tags_of(crossing.here.repository(image.path))
    assert sign(crossing, image).json == first
    assert tags_of(crossing.here.repository(image.path)) == before


def test_annotations_are_said_in_what_is_signed(crossing: Crossing) -> None:
    image = crossing.push(crossing.content.image())
    assert sign(crossing, image, "--annotation", "build=42", "--annotation", "note=a=b").exit == 0
    [layer] = sig_of(crossing, image, image.root).layers
    payload = json.loads(b"".join(crossing.here.repository(image.path).chunks(layer)))
    assert payload["optional"] == {"build": "42", "note": "a=b"}
    assert payload["critical"]["identity"]["docker-reference"] == image.reference.rpartition(":")[0]


def test_an_image_is_signed_under_another_name(crossing: Crossing) -> None:
    image = crossing.push(crossing.content.image())
    assert sign(crossing, image, "--as", "registry.example/app:v1", "--form", "sig").exit == 0
    trust = write_trust(crossing.folder / "named", rules=[signing.rule(RELEASE, scope="**", name="signed")])
    where = f"docker://{image.reference}"
    assert run("verify", where, "--trust", trust, "--as", "registry.example/app:v1").exit == 0
    assert run("verify", where, "--trust", trust, "--json").json["images"][0]["reasons"][0] == "policy.name"


def test_a_layout_is_signed(crossing: Crossing) -> None:
    name = "registry.example/app:v1"
    folder = write_layout(crossing.folder / "layout", crossing.content, {name: crossing.content.index()})
    ran = run("sign", f"oci:{folder}:{name}", "--key", crossing.keys["release"], "--recursive", "--json")
    assert ran.exit == 0, ran.err
    trust = write_trust(crossing.folder / "both", rules=[signing.rule(RELEASE, scope="**", node="both")], seals=[signing.seal(EXPORTER)])
    assert run("verify", f"oci:{folder}:{name}", "--trust", trust).exit == 0
    assert run("export", f"oci:{folder}:{name}", "-o", crossing.folder / "b", "--key", crossing.keys["exporter"]).exit == 0
    assert run("verify", crossing.folder / "b", "--trust", trust).exit == 0


def test_an_archive_cannot_be_signed(crossing: Crossing) -> None:
    bundle = crossing.export(crossing.signed_image())
    assert run("sign", f"oci-archive:{bundle}", "--key", crossing.keys["release"], "--json").exit == 2


def test_an_image_that_is_not_there_is_missing(crossing: Crossing) -> None:
    ran = run("sign", f"{crossing.here.host}/none:v1", "--key", crossing.keys["release"], "--json")
    assert (ran.exit, ran.code) == (6, "image.missing")


def test_the_others_are_signed_where_one_cannot_be(crossing: Crossing) -> None:
    first, last = (crossing.push(crossing.content.image(words), f"team/{words}:v1") for words in ("first", "last"))
    none, nowhere = f"{crossing.here.host}/none:v1", "oci:/nowhere"
    words = (first.reference, none, nowhere, last.reference, "--key", crossing.keys["release"])
    ran = run("sign", *words, "--json")
    assert ran.exit == 2  # the lower one of 2, for the folder, and 6
    assert [one["reference"] for one in ran.json["signed"]] == [str(first.reference), str(last.reference)]
    assert [(one["reference"], one["code"], one["exit"]) for one in ran.json["failed"]] == [
        (none, "image.missing", 6),
        (nowhere, "usage.input", 2),
    ]
    for image in (first, last):
        sig_of(crossing, image, image.root)
    told = run("sign", *words)
    assert told.first.startswith("signed 2 manifests with ")
    assert told.first.endswith("; 2 images could not be signed")
    assert f"\n{none}: image.missing: " in told.out


def test_images_are_signed_by_a_list(crossing: Crossing) -> None:
    images = [crossing.push(crossing.content.image(words), f"team/{words}:v1") for words in ("one", "two")]
    (crossing.folder / "images.txt").write_text("".join(f"{image.reference}\n" for image in images))
    ran = run("sign", "--images", crossing.folder / "images.txt", "--key", crossing.keys["release"], "--json")
    assert (ran.exit, len(ran.json["signed"]), ran.json["failed"]) == (0, 2, [])
    assert run("sign", "--key", crossing.keys["release"], "--json").code == "usage"


def test_a_key_that_others_can_read_is_warned_of(crossing: Crossing) -> None:
    image, key = crossing.push(crossing.content.image()), crossing.keys["release"]
    key.chmod(0o640)
    assert f"others on this machine can read {key} (mode 0640); next: chmod 600 {key}" in sign(crossing, image).err
    key.chmod(0o600)
    assert "chmod" not in sign(crossing, image).err


@pytest.mark.parametrize("flags", [["--form", "x"], ["--form", ""], ["--form", "sig,,"], ["--annotation", "x"], ["--annotation", "=x"]])
def test_flags_that_cannot_be_are_refused(flags: list[str], crossing: Crossing) -> None:
    image = crossing.push(crossing.content.image())
    assert sign(crossing, image, *flags).exit == 2
    assert crossing.here.repository(image.path).tags() == ["v1"]


def test_a_name_for_several_images_is_refused(crossing: Crossing) -> None:
    words = ["sign", "registry.example/a", "registry.example/b", "--as", "registry.example/c:1", "--key", crossing.keys["release"]]
    assert run(*words).exit == 2


def test_something_else_in_the_place_of_signatures_is_said_and_left(crossing: Crossing) -> None:
    image = crossing.push(crossing.content.image())
    other = crossing.push(crossing.content.index("other"), f"team/app:{image.root.digest.tag}.sig", evidence=False)
    ran = sign(crossing, image, "--form", "sig")
    assert ran.exit == 0
    assert "was left as it is" in ran.err
    assert tags_of(crossing.here.repository(image.path))[f"{image.root.digest.tag}.sig"] == other.root.digest
