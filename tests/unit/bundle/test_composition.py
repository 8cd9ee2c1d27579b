"""docs/spec/bundle-v1.md, sections 8 and 9: what a bundle holds follows from its images."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from bundler.bundle.composition import check, compose, entry, walk
from bundler.bundle.needs import MAX_PAYLOAD
from bundler.bundle.seal import Kind, Outside, Seal
from bundler.errors import BundlerError, Code, FormatError, IntegrityError
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.graph import MAX_DEPTH
from bundler.oci.lookup import Form, Found, LeftOut, Lookup, looked_up
from bundler.oci.manifest import Document
from bundler.oci.reference import Reference
from tests.support.bundles import Bundle, configs_of, documents_of, lookups_in
from tests.support.layouts import FOREIGN_LAYER, PLAIN_LAYER, SBOM, Content

REPOSITORY = "registry.example/app"
APP = f"{REPOSITORY}:v1"


def kinds(bundle: Bundle) -> list[tuple[str, Digest]]:
    """Kind and digest of each member that is not derived."""
    return [(str(member.kind), member.digest) for member in bundle.seal.members[3:]]


def document(found: Document) -> tuple[str, Digest]:
    return ("document", found.digest)


def index_of(bundle: Bundle) -> list[dict[str, Any]]:
    value = json.loads(bundle.files["index.json"])
    assert (value["schemaVersion"], value["mediaType"]) == (2, mediatype.OCI_INDEX)
    manifests: list[dict[str, Any]] = value["manifests"]
    return manifests


def docker_of(bundle: Bundle) -> list[dict[str, Any]]:
    images: list[dict[str, Any]] = json.loads(bundle.files["manifest.json"])
    return images


# --- members, their kinds and their order ---


def test_documents_come_first_and_layers_last_image_by_image() -> None:
    content = Content()
    one, two = content.image("one"), content.image("two")
    sig = content.sig(one.digest, (b"payload", b"signature"))
    bundle = Bundle.of(content, {APP: one, "registry.example/b:v1": two})
    payload = Digest.of(b"payload")
    assert kinds(bundle) == [
        *(document(one), ("config", one.blobs[0].digest), document(sig), ("config", sig.blobs[0].digest), ("evidence", payload)),
        *(document(two), ("config", two.blobs[0].digest)),
        *(("blob", one.blobs[1].digest), ("blob", two.blobs[1].digest)),
    ]


def test_an_index_is_walked_depth_first_and_evidence_follows_the_image() -> None:
    content = Content()
    root = content.nested()
    inner = [content.documents[child.digest] for child in root.children]
    leaves = [[content.documents[child.digest] for child in index.children] for index in inner]
    on_leaf, on_root = content.sig(leaves[0][0].digest, (b"leaf", b"s")), content.sig(root.digest, (b"root", b"s"))
    on_sig = content.artifact(b"about the signature", subject=on_root)
    walked = [digest for kind, digest in kinds(Bundle.of(content, {APP: root})) if kind == "document"]
    assert walked == [d.digest for d in (root, inner[0], *leaves[0], inner[1], *leaves[1], on_root, on_leaf, on_sig)]


def test_one_digest_is_one_member_at_its_first_place() -> None:
    content = Content()
    shared = content.blob(b"shared", PLAIN_LAYER)
    one, two = content.image("one", layers=[shared]), content.image("two", layers=[shared])
    bundle = Bundle.of(content, {APP: one, f"{REPOSITORY}:v2": one, "registry.example/b:v1": two})
    assert [kind for kind, digest in kinds(bundle) if digest == shared.digest] == ["blob"]
    assert [kind for kind, digest in kinds(bundle) if digest == one.digest] == ["document"]
    assert len(bundle.seal.images) == 3


@pytest.mark.parametrize("first", ["config", "evidence", "blob"])
def test_a_digest_of_several_uses_is_of_the_first_kind_that_fits(first: str) -> None:
    content = Content()
    data = content.blob(b"{}", mediatype.OCI_CONFIG)
    images = {
        "config": content.manifest(data, [content.blob(b"other", PLAIN_LAYER)]),
        "evidence": content.image("evidence"),
        "blob": content.image("blob", layers=[data]),
    }
    content.sbom(images["evidence"].digest, b"{}")
    order = [first, *(name for name in images if name != first)]
    bundle = Bundle.of(content, {f"{REPOSITORY}:{name}": images[name] for name in order})
    assert [kind for kind, digest in kinds(bundle) if digest == data.digest] == ["config"]
    without = Bundle.of(content, {f"{REPOSITORY}:{name}": images[name] for name in order if name != "config"})
    assert [kind for kind, digest in kinds(without) if digest == data.digest] == ["evidence"]


def test_an_image_that_is_evidence_too_has_its_layers_judged() -> None:
    content = Content()
    image = content.image("image")
    referrer = content.manifest(content.blob(b"{}", mediatype.OCI_CONFIG), [content.blob(b"layer", PLAIN_LAYER)], subject=image)
    bundle = Bundle.of(content, {f"{REPOSITORY}:referrer": referrer, APP: image})
    assert ("evidence", Digest.of(b"layer")) in kinds(bundle)


def test_evidence_above_16_mib_lies_with_the_layers() -> None:
    content = Content()
    image = content.image()
    small, large = content.blob(bytes(MAX_PAYLOAD), SBOM), content.blob(bytes(MAX_PAYLOAD + 1), SBOM)
    content.manifest(content.blob(b"{}", mediatype.EMPTY), [small, large], subject=image)
    found = kinds(Bundle.of(content, {APP: image}))
    assert ("evidence", small.digest) in found
    assert found[-1] == ("blob", large.digest)


def test_an_empty_layer_is_a_member() -> None:
    content = Content()
    image = content.image(layers=[content.blob(b"", PLAIN_LAYER)])
    assert kinds(Bundle.of(content, {APP: image}))[-1] == ("blob", Digest.of(b""))


def test_files_of_trust_come_before_the_layers_by_name() -> None:
    content = Content()
    names = sorted(f"oci-bundler/evidence/{Digest.of(data).encoded}.pub" for data in (b"one", b"two", b"three"))
    bundle = Bundle.of(content, {APP: content.image()}, trust=[b"one", b"two", b"three"])
    assert [member.name for member in bundle.seal.members if member.kind is Kind.TRUST] == names
    assert [member.kind for member in bundle.seal.members[-2:]] == [Kind.TRUST, Kind.BLOB]


def test_only_sha256_is_carried() -> None:
    content = Content()
    image = content.image(layers=[content.blob(b"layer", PLAIN_LAYER, algorithm="sha512")])
    with pytest.raises(FormatError) as refused:
        Bundle.of(content, {APP: image})
    assert refused.value.code == Code.FORMAT_DIGEST
    assert refused.value.found == str(Digest.of(b"layer", algorithm="sha512"))


def test_a_child_that_sha256_does_not_name_is_not_fetched() -> None:
    content = Content()
    root = content.index(children=[content.image(algorithm="sha512")])

    def fetched(digest: Digest, _: str | None) -> Document:
        raise AssertionError(digest)

    with pytest.raises(FormatError) as refused:
        entry(Reference.parse(APP), root, fetched)
    assert refused.value.code == Code.FORMAT_DIGEST


@pytest.mark.parametrize("size", [-1, 1])
def test_two_sizes_of_one_digest_are_refused(size: int) -> None:  # MAN-006
    content = Content()
    layer = content.blob(b"layer", PLAIN_LAYER)
    image = content.image(layers=[layer, replace(layer, size=layer.size + size)])
    with pytest.raises(IntegrityError) as refused:
        Bundle.of(content, {APP: image})
    assert refused.value.code == Code.CONTENT_SIZE


@pytest.mark.parametrize(
    ("layers", "code"),
    [
        ([(Digest.of(b"base"), 4), (Digest.of(b"base"), 5)], Code.CONTENT_SIZE),  # MAN-006
        ([(Digest.of(b"base", algorithm="sha512"), 4)], Code.FORMAT_DIGEST),
    ],
)
def test_what_is_left_out_is_described_as_well_as_what_is_carried(layers: list[tuple[Digest, int]], code: Code) -> None:
    content = Content()
    image = content.image(layers=[Descriptor(FOREIGN_LAYER, digest, size) for digest, size in layers])
    with pytest.raises(BundlerError) as refused:
        Bundle.of(content, {APP: image}, absent=[layers[0][0]])
    assert refused.value.code == code


def test_a_child_of_another_size_than_its_index_says_is_refused() -> None:
    content = Content()
    listed = replace(content.image().descriptor, size=1).to_json()
    root = content.document({"mediaType": mediatype.OCI_INDEX, "manifests": [listed]})
    with pytest.raises(IntegrityError) as refused:
        Bundle.of(content, {APP: root})
    assert refused.value.code == Code.CONTENT_SIZE


@pytest.mark.parametrize(("more", "code"), [(0, Code.CONTENT_SIZE), (1, Code.LIMIT_DOCUMENT)])
def test_a_child_that_is_too_large_is_not_fetched(more: int, code: Code) -> None:
    content = Content()
    listed = replace(content.image().descriptor, size=(4 << 20) + more).to_json()
    root = content.document({"mediaType": mediatype.OCI_INDEX, "manifests": [listed]})
    with pytest.raises(BundlerError) as refused:
        Bundle.of(content, {APP: root})
    assert refused.value.code == code


def test_a_child_of_another_kind_than_its_index_says_is_refused() -> None:  # IDX-095, CVE-2021-41190
    content = Content()
    listed = replace(content.image().descriptor, media_type=mediatype.OCI_INDEX).to_json()
    root = content.document({"mediaType": mediatype.OCI_INDEX, "manifests": [listed]})
    with pytest.raises(FormatError) as refused:
        Bundle.of(content, {APP: root})
    assert refused.value.code == Code.FORMAT_MEDIA_TYPE


# --- depth and width ---


def deep_index(content: Content, depth: int) -> Document:
    root = content.image()
    for _ in range(depth):
        root = content.index(children=[root])
    return root


def deep_evidence(content: Content, depth: int) -> Document:
    image = about = content.image()
    for number in range(depth):
        about = content.artifact(b"%d" % number, subject=about)
    return image


@pytest.mark.parametrize("deep", [deep_index, deep_evidence])
def test_eight_levels_are_walked_and_nine_are_refused(deep: Callable[[Content, int], Document]) -> None:
    content = Content()
    Bundle.of(content, {APP: deep(content, MAX_DEPTH)})
    content = Content()
    with pytest.raises(FormatError) as refused:
        Bundle.of(content, {APP: deep(content, MAX_DEPTH + 1)})
    assert refused.value.code == Code.LIMIT_DEPTH


def test_a_thing_that_is_named_very_often_is_walked_once() -> None:  # IDX-037: 10^8 visits for a walk without memory
    content = Content()
    root = content.image()
    for _ in range(MAX_DEPTH):
        root = content.index(children=[root] * 10)
    asked: list[Digest] = []
    known = documents_of(content)

    def counted(digest: Digest, media_type: str | None) -> Document:
        asked.append(digest)
        return known(digest, media_type)

    listed = entry(Reference.parse(APP), root, counted)
    walk(listed, looked_up(lookups_in(content, REPOSITORY)), counted)
    assert len(asked) < 3 * len(content.documents)


def test_evidence_that_refers_to_itself_in_a_circle_ends() -> None:
    content = Content()
    image = content.image()
    one, two = content.artifact(b"one", subject=image), content.artifact(b"two", subject=image)
    lookups = [
        replace(lookup, found=(Found({one.digest: two, two.digest: one}[lookup.manifest].digest, Form.REFERRER),))
        if lookup.manifest in (one.digest, two.digest)
        else lookup
        for lookup in lookups_in(content, REPOSITORY)
    ]
    known = documents_of(content)
    made = compose([entry(Reference.parse(APP), image, known)], lookups, known)
    assert len([member for member in made.members if member.kind is Kind.DOCUMENT]) == 3


def test_what_is_there_already_can_be_found_at_the_last_level() -> None:
    content = Content()
    image = deep_evidence(content, MAX_DEPTH)
    last = list(content.documents)[-1]
    lookups = [
        replace(lookup, found=(Found(image.digest, Form.REFERRER),)) if lookup.manifest == last else lookup
        for lookup in lookups_in(content, REPOSITORY)
    ]
    known = documents_of(content)
    walked = walk(entry(Reference.parse(APP), image, known), looked_up(lookups), known)
    assert len(walked.evidence) == MAX_DEPTH


def test_evidence_that_leads_back_to_the_image_is_asked_about_once() -> None:
    content = Content()
    image = content.image()
    index = content.index(children=[image], artifact_type=SBOM, subject=image)
    known = documents_of(content)
    walked = walk(entry(Reference.parse(APP), image, known), looked_up(lookups_in(content, REPOSITORY)), known)
    assert [document.digest for document in walked.documents] == [image.digest, index.digest]
    assert [lookup.manifest for lookup in walked.lookups] == [image.digest, index.digest]


# --- images, platforms, what is left out ---


def test_what_is_left_out_of_an_index_is_listed_with_its_platform() -> None:
    content = Content()
    root = content.index()
    arm = root.children[1]
    bundle = Bundle.of(content, {APP: root}, left_out=[arm.digest])
    assert bundle.seal.images[0].left_out == (LeftOut(arm.digest, "linux/arm64"),)
    assert bundle.seal.images[0].platforms == ("linux/amd64",)
    assert arm.digest not in {member.digest for member in bundle.seal.members}


def test_evidence_that_is_left_out_is_listed_without_a_platform_and_only_where_it_was_found() -> None:
    content = Content()
    image = content.image()
    sbom = content.artifact(b"{}", SBOM, subject=image)
    other = content.artifact(b"[]", SBOM, subject=content.image("other"))
    lookups = looked_up(lookups_in(content, REPOSITORY))
    made = entry(Reference.parse(APP), image, documents_of(content), left_out=[sbom.digest, other.digest], lookups=lookups)
    assert made.left_out == (LeftOut(sbom.digest, None),)


@pytest.mark.parametrize(
    ("asked", "platforms"),
    [
        ((), ("linux/amd64", "linux/s390x", "linux/arm64")),
        (("linux/arm64", "linux/amd64"), ("linux/arm64", "linux/s390x", "linux/amd64")),
        (("linux/riscv64",), ("linux/amd64", "linux/s390x", "linux/arm64")),
    ],
)
def test_the_platform_asked_for_first_comes_first(asked: tuple[str, ...], platforms: tuple[str, ...]) -> None:
    content = Content()
    root = content.index(platforms=("linux/s390x", "linux/arm64", "linux/amd64"))
    known = documents_of(content)
    listed = entry(Reference.parse(APP), root, known, asked=asked)
    assert listed.platforms == platforms
    made = compose([listed], lookups_in(content, REPOSITORY), known)
    chosen = next(child for child in root.children if str(child.platform) == platforms[0])
    config = content.documents[chosen.digest].blobs[0].digest
    assert json.loads(made.derived["manifest.json"])[0]["Config"] == f"blobs/sha256/{config.encoded}"


def test_a_single_manifest_has_the_platforms_that_its_config_names() -> None:
    content = Content()
    listed = entry(Reference.parse(APP), content.image(), documents_of(content), platforms=("linux/arm64", "linux/arm64"))
    assert listed.platforms == ("linux/arm64",)


def test_an_image_is_carried_by_its_tag_or_else_by_its_digest() -> None:
    content = Content()
    image = content.image()
    for text, carried in ((f"{APP}@{image.digest}", APP), (f"{REPOSITORY}@{image.digest}", f"{REPOSITORY}@{image.digest}")):
        assert str(entry(Reference.parse(text), image, documents_of(content)).reference) == carried


def test_a_foreign_layer_that_is_not_served_is_left_out_and_one_that_is_travels() -> None:
    content = Content()
    image = content.image(foreign=True)
    foreign = image.blobs[-1]
    bundle = Bundle.of(content, {APP: image}, absent=[foreign.digest])
    assert [(f.digest, f.media_type, f.size) for f in bundle.seal.left_out] == [(foreign.digest, FOREIGN_LAYER, foreign.size)]
    content.blobs[foreign.digest] = b"base layer of words"
    assert kinds(Bundle.of(content, {APP: image}))[-1] == ("blob", foreign.digest)


# --- index.json and manifest.json ---


def test_the_layout_is_of_version_1() -> None:  # R1
    content = Content()
    assert Bundle.of(content, {APP: content.image()}).files["oci-layout"] == b'{"imageLayoutVersion":"1.0.0"}'


def test_each_image_is_listed_by_its_full_reference() -> None:  # R2
    content = Content()
    image = content.image()
    listed = index_of(Bundle.of(content, {APP: image, f"{REPOSITORY}:v2": image}))
    assert [each["annotations"] for each in listed] == [
        {"org.opencontainers.image.ref.name": name, "io.containerd.image.name": name} for name in (APP, f"{REPOSITORY}:v2")
    ]
    assert {each["digest"] for each in listed} == {str(image.digest)}


def test_referrers_are_listed_without_a_name_and_with_their_type() -> None:  # R3
    content = Content()
    image = content.image()
    named = {"org.opencontainers.image.ref.name": "registry.example/other:latest"}
    referrer = content.artifact(b"sbom", subject=image, annotations=named)
    plain = content.manifest(content.blob(b"{}", "application/vnd.example+json"), [content.blob(b"x", PLAIN_LAYER)], subject=image)
    nothing = content.index(children=[], subject=image)
    _, *listed = index_of(Bundle.of(content, {APP: image}))
    described = {"mediaType": mediatype.OCI_MANIFEST, "digest": str(referrer.digest), "size": len(referrer.raw)}
    assert listed == [
        described | {"artifactType": SBOM},
        described | {"artifactType": "application/vnd.example+json", "digest": str(plain.digest), "size": len(plain.raw)},
        {"mediaType": mediatype.OCI_INDEX, "digest": str(nothing.digest), "size": len(nothing.raw)},
    ]


def test_evidence_of_tags_is_listed_by_its_tag_in_full() -> None:  # R4
    content = Content()
    image = content.image()
    made = [content.sig(image.digest, (b"p", b"s")), content.att(image.digest, b"e"), content.sbom(image.digest, b"{}")]
    _, *listed = index_of(Bundle.of(content, {APP: image}))
    names = [f"{REPOSITORY}:{image.digest.tag}.{form}" for form in ("sig", "att", "sbom")]
    assert [(each["digest"], each["annotations"]) for each in listed] == [
        (str(document.digest), {"org.opencontainers.image.ref.name": name}) for document, name in zip(made, names, strict=True)
    ]


def test_nothing_is_listed_twice() -> None:  # R5
    content = Content()
    image = content.image()
    sig = content.sig(image.digest, (b"p", b"s"))
    both = [
        replace(each, found=(*each.found, Found(sig.digest, Form.REFERRER))) if each.found else each
        for each in lookups_in(content, REPOSITORY)
    ]
    both = [replace(each, asked={**each.asked, "referrers": "found"}) for each in both]
    known = documents_of(content)
    images = [entry(Reference.parse(text), image, known) for text in (APP, f"{REPOSITORY}:v2")]
    listed = json.loads(compose(images, both, known).derived["index.json"])["manifests"]
    assert [each["digest"] for each in listed] == [str(image.digest), str(image.digest), str(sig.digest)]


def test_one_name_for_two_manifests_is_refused() -> None:
    content = Content()
    image, other = content.image(), content.image("other")
    content.sig(image.digest, (b"p", b"s"))
    two = [
        replace(each, found=(*each.found, Found(other.digest, Form.SIG))) if each.found else each
        for each in lookups_in(content, REPOSITORY)
    ]
    known = documents_of(content)
    with pytest.raises(FormatError, match="to two manifests") as refused:
        compose([entry(Reference.parse(APP), image, known)], two, known)
    assert refused.value.code == Code.FORMAT_SEAL


def test_the_derived_documents_are_canonical_json() -> None:
    content = Content()
    bundle = Bundle.of(content, {APP: content.index()})
    for name in ("index.json", "manifest.json"):
        raw = bundle.files[name]
        assert json.dumps(json.loads(raw), sort_keys=True, separators=(",", ":")).encode() == raw


def test_manifest_json_lists_config_layers_and_tag() -> None:  # R6
    content = Content()
    image = content.image()
    config, layer = (f"blobs/sha256/{blob.digest.encoded}" for blob in image.blobs)
    bundle = Bundle.of(content, {APP: image, f"{REPOSITORY}@{image.digest}": image})
    assert docker_of(bundle) == [{"Config": config, "Layers": [layer], "RepoTags": tags} for tags in ([APP], [])]


@pytest.mark.parametrize("make", [Content.chart, Content.artifact], ids=["chart", "artifact"])
def test_what_is_no_image_is_not_in_manifest_json(make: Callable[[Content], Document]) -> None:
    content = Content()
    assert Bundle.of(content, {APP: make(content)}).files["manifest.json"] == b"[]"


def test_an_image_without_one_of_its_layers_is_not_in_manifest_json() -> None:
    content = Content()
    image = content.image(foreign=True)
    bundle = Bundle.of(content, {APP: image, f"{REPOSITORY}:whole": content.image("whole")}, absent=[image.blobs[-1].digest])
    assert [each["RepoTags"] for each in docker_of(bundle)] == [[f"{REPOSITORY}:whole"]]


def test_an_attestation_in_an_index_is_never_taken_for_the_image() -> None:
    content = Content()
    plain = json.loads(content.with_buildkit().raw)
    plain["manifests"].reverse()
    root = content.document(plain)
    bundle = Bundle.of(content, {APP: root})
    (listed,) = docker_of(bundle)
    amd64 = next(child for child in root.children if str(child.platform) == "linux/amd64")
    assert listed["Config"].endswith(content.documents[amd64.digest].blobs[0].digest.encoded)
    assert set(bundle.seal.images[0].platforms) == {"linux/amd64", "linux/arm64"}


def test_an_index_that_names_no_platform_shows_its_first_manifest() -> None:
    content = Content()
    one, two = content.image("one"), content.image("two")
    bundle = Bundle.of(content, {APP: content.index(children=[one, two])})
    assert bundle.seal.images[0].platforms == ()
    assert docker_of(bundle)[0]["Config"].endswith(one.blobs[0].digest.encoded)


def test_an_index_of_nothing_has_nothing_in_manifest_json() -> None:
    content = Content()
    assert docker_of(Bundle.of(content, {APP: content.index(children=[])})) == []


# --- lookups ---


def test_lookups_follow_the_walk_and_others_are_not_used() -> None:
    content = Content()
    image = content.image()
    content.image("not carried")
    sig = content.sig(image.digest, (b"p", b"s"))
    known = documents_of(content)
    made = compose([entry(Reference.parse(APP), image, known)], reversed(list(lookups_in(content, REPOSITORY))), known)
    assert [(lookup.repository, lookup.manifest) for lookup in made.lookups] == [(REPOSITORY, image.digest), (REPOSITORY, sig.digest)]


def test_evidence_belongs_to_the_repository_in_which_it_was_found() -> None:
    content = Content()
    image = content.image()
    sig = content.sig(image.digest, (b"p", b"s"))
    absent = dict.fromkeys(("sig", "att", "sbom", "referrers", "fallback"), "absent")
    lookups = [*lookups_in(content, REPOSITORY), Lookup("registry.example/copy", image.digest, absent)]
    known = documents_of(content)
    images = [entry(Reference.parse(name), image, known) for name in (APP, "registry.example/copy:v1")]
    made = compose(images, lookups, known)
    assert [walk(each, looked_up(made.lookups), known).evidence for each in images] == [(known(sig.digest, None),), ()]


def test_a_manifest_that_nobody_asked_about_is_refused() -> None:
    content = Content()
    image = content.image()
    with pytest.raises(FormatError) as refused:
        compose([entry(Reference.parse(APP), image, documents_of(content))], [], documents_of(content))
    assert refused.value.code == Code.FORMAT_SEAL


# --- checking a seal against its documents ---


def good() -> tuple[Content, Seal]:
    content = Content()
    root = content.index()
    content.sig(root.digest, (b"payload", b"signature"))
    content.artifact(b"sbom", subject=content.documents[root.children[0].digest])
    return content, Bundle.of(content, {APP: root}, left_out=[root.children[1].digest], trust=[b"key"]).seal


def refusal(content: Content, **told: Any) -> BundlerError:
    _, seal = good()
    with pytest.raises(BundlerError) as caught:
        check(replace(seal, **told), documents_of(content), configs_of(content))
    return caught.value


def test_a_seal_that_its_documents_make_is_taken() -> None:
    content, seal = good()
    check(seal, documents_of(content), configs_of(content))


def test_no_member_can_be_missing() -> None:  # BND-022, LAY-007 to -009
    content, seal = good()
    for number, member in enumerate(seal.members[3:], start=3):
        if member.digest in (image.digest for image in seal.images) or member.kind is Kind.TRUST:
            continue
        error = refusal(content, members=seal.members[:number] + seal.members[number + 1 :])
        assert (error.exit, error.code) == (4, Code.CONTENT_MISSING)


def test_no_member_can_be_of_another_size_or_kind_or_in_another_place() -> None:
    content, seal = good()
    for number, member in enumerate(seal.members[3:], start=3):
        others = seal.members[:number], seal.members[number + 1 :]
        if member.digest not in (image.digest for image in seal.images) and member.kind is not Kind.TRUST:
            assert refusal(content, members=(*others[0], replace(member, size=member.size + 1), *others[1])).code == Code.CONTENT_SIZE
        for kind in (Kind.CONFIG, Kind.EVIDENCE, Kind.BLOB):
            if kind is not member.kind and member.kind not in (Kind.TRUST, Kind.DOCUMENT):
                assert refusal(content, members=(*others[0], replace(member, kind=kind), *others[1])).code == Code.FORMAT_SEAL
        if number > 3:
            swapped = (*seal.members[: number - 1], member, seal.members[number - 1], *seal.members[number + 1 :])
            error = refusal(content, members=swapped)
            assert (error.exit, error.code) == (3, Code.FORMAT_SEAL)


def test_no_member_can_be_there_that_nothing_needs() -> None:  # LAY-017, SP-5
    content, seal = good()
    for kind in (Kind.DOCUMENT, Kind.CONFIG, Kind.EVIDENCE, Kind.BLOB):
        more = replace(seal.members[-1], kind=kind, digest=Digest.of(b"smuggled"))
        error = refusal(content, members=(*seal.members, more))
        assert (error.exit, error.code) == (3, Code.FORMAT_SEAL)
        assert "no image needs" in error.what


def test_derived_documents_cannot_be_others() -> None:
    content, seal = good()
    for number in range(3):
        other = replace(seal.members[number], digest=Digest.of(b"other"))
        error = refusal(content, members=(*seal.members[:number], other, *seal.members[number + 1 :]))
        assert (error.exit, error.code) == (3, Code.FORMAT_DERIVED)


def test_lookups_cannot_be_fewer_or_in_another_order() -> None:
    content, seal = good()
    assert refusal(content, lookups=seal.lookups[:-1]).code == Code.FORMAT_SEAL
    assert refusal(content, lookups=seal.lookups[::-1]).code == Code.FORMAT_SEAL


def test_lookups_cannot_be_about_what_no_image_leads_to() -> None:
    content, seal = good()
    other = content.image("other")
    more = next(lookup for lookup in lookups_in(content, REPOSITORY) if lookup.manifest == other.digest)
    assert refusal(content, lookups=(*seal.lookups, more)).code == Code.FORMAT_SEAL


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"platforms": ("linux/arm64",)}, Code.FORMAT_SEAL),
        ({"platforms": ()}, Code.FORMAT_SEAL),
        ({"platforms": ("linux/amd64", "linux/arm64")}, Code.FORMAT_SEAL),
        ({"left_out": ()}, Code.CONTENT_MISSING),
        ({"media_type": mediatype.OCI_MANIFEST}, Code.FORMAT_MEDIA_TYPE),
    ],
)
def test_an_image_cannot_be_said_to_be_another(told: Mapping[str, Any], code: Code) -> None:
    content, seal = good()
    del content.documents[seal.images[0].left_out[0].digest]

    def known(digest: Digest, media_type: str | None) -> Document:
        if digest not in content.documents:
            raise IntegrityError("missing", code=Code.CONTENT_MISSING)
        return documents_of(content)(digest, media_type)

    with pytest.raises(BundlerError) as caught:
        check(replace(seal, images=(replace(seal.images[0], **told),)), known, configs_of(content))
    assert caught.value.code == code


def test_what_is_left_out_cannot_be_of_another_platform_or_something_else() -> None:
    content, seal = good()
    (image,) = seal.images
    for left_out in (
        (replace(image.left_out[0], platform=None),),
        (*image.left_out, LeftOut(Digest.of(b"other"), None)),
    ):
        assert refusal(content, images=(replace(image, left_out=left_out),)).code == Code.FORMAT_SEAL


def test_only_foreign_layers_can_be_left_out() -> None:
    content = Content()
    image = content.image(foreign=True)
    layer, foreign = image.blobs[1:]
    seal = Bundle.of(content, {APP: image}, absent=[foreign.digest]).seal
    check(seal, documents_of(content), configs_of(content))
    ordinary = replace(seal.left_out[0], digest=layer.digest, media_type=layer.media_type, size=layer.size)
    for told, code in (
        ({"left_out": ()}, Code.FORMAT_SEAL),
        ({"left_out": (*seal.left_out, ordinary)}, Code.FORMAT_SEAL),
        ({"left_out": (*seal.left_out, ordinary), "members": seal.members[:-1]}, Code.CONTENT_MISSING),
        ({"left_out": (replace(seal.left_out[0], size=1),)}, Code.FORMAT_SEAL),
    ):
        with pytest.raises(BundlerError) as caught:
            check(replace(seal, **told), documents_of(content), configs_of(content))
        assert caught.value.code in (code, Code.FORMAT_DERIVED)


def test_a_foreign_layer_that_another_image_brings_is_not_left_out() -> None:
    content = Content()
    foreign = Descriptor(FOREIGN_LAYER, Digest.of(b"vendor"), 6)
    one, two = content.image(layers=[foreign]), content.image("two", layers=[replace(foreign, media_type=PLAIN_LAYER)])
    content.blobs[foreign.digest] = b"vendor"
    bundle = Bundle.of(content, {APP: one, f"{REPOSITORY}:two": two}, absent=[foreign.digest])
    check(bundle.seal, documents_of(content), configs_of(content))
    assert foreign.digest in {member.digest for member in bundle.seal.members}
    assert bundle.seal.left_out == ()
    assert len(docker_of(bundle)) == 2
    lying = replace(bundle.seal, left_out=(Outside(foreign.digest, FOREIGN_LAYER, 6),))
    with pytest.raises(FormatError):
        check(lying, documents_of(content), configs_of(content))


@pytest.mark.parametrize("said", [("linux/arm64",), ("linux/amd64", "linux/arm64"), ()])
def test_the_platform_of_a_single_manifest_is_that_of_its_config(said: tuple[str, ...]) -> None:
    content = Content()
    seal = Bundle.of(content, {APP: content.image()}).seal
    assert seal.images[0].platforms == ("linux/amd64",)
    with pytest.raises(FormatError) as refused:
        check(replace(seal, images=(replace(seal.images[0], platforms=said),)), documents_of(content), configs_of(content))
    assert refused.value.code == Code.FORMAT_SEAL
    assert (refused.value.found, refused.value.wanted) == (", ".join(said) or "none", "linux/amd64")


CONFIGS = {"opaque": b"\0\1", "of another form": b"[1]", "without a platform": b"{}", "too large to be read": b" " * ((4 << 20) + 1)}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_config_that_says_no_platform_gives_none(config: bytes) -> None:
    content = Content()
    image = content.manifest(content.blob(config, mediatype.OCI_CONFIG), [content.layer("words")])
    seal = Bundle.of(content, {APP: image}).seal
    assert seal.images[0].platforms == ()
    check(seal, documents_of(content), configs_of(content))
    with pytest.raises(FormatError):
        check(replace(seal, images=(replace(seal.images[0], platforms=("linux/amd64",)),)), documents_of(content), configs_of(content))


def test_what_is_not_an_image_has_no_platform() -> None:
    content = Content()
    seal = Bundle.of(content, {APP: content.chart()}).seal
    check(seal, documents_of(content), configs_of(content))
    with pytest.raises(FormatError):
        check(replace(seal, images=(replace(seal.images[0], platforms=("linux/amd64",)),)), documents_of(content), configs_of(content))


def test_a_layer_that_is_evidence_too_stands_where_the_evidence_does() -> None:
    content = Content()
    shared = content.blob(b"payload")
    one = content.image("one", layers=[shared, content.layer("one")])
    sig = content.sig(one.digest, (b"payload", b"signature"))
    assert kinds(Bundle.of(content, {APP: one})) == [
        *(document(one), ("config", one.blobs[0].digest), document(sig), ("config", sig.blobs[0].digest), ("evidence", shared.digest)),
        ("blob", one.blobs[2].digest),
    ]
