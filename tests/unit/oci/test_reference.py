"""References, expanded as Docker's grammar expands them (docs/hostile-cases.md, IDX-040 to -053)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.errors import Code, FormatError
from bundler.oci.digest import Digest
from bundler.oci.reference import MAX_NAME, Reference
from tests.support.cases import each

DIGEST = Digest.of(b"")


@each(
    ("text", "expanded"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1"),
        (f"busybox@{DIGEST}", f"docker.io/library/busybox@{DIGEST}"),
        (f"busybox:1@{DIGEST}", f"docker.io/library/busybox:1@{DIGEST}"),
        ("user/app", "docker.io/user/app:latest"),
        ("a/b/c:1", "docker.io/a/b/c:1"),
        ("docker.io/busybox", "docker.io/library/busybox:latest"),
        ("index.docker.io/busybox", "docker.io/library/busybox:latest"),
        ("Index.Docker.IO/user/app", "docker.io/user/app:latest"),
        ("library/busybox", "docker.io/library/busybox:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000", "docker.io/library/localhost:5000"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("localhost:5000/app:1", "localhost:5000/app:1"),
        ("registry:5000/app", "registry:5000/app:latest"),
        ("registry.example/app", "registry.example/app:latest"),
        ("REGISTRY.example:443/app", "registry.example:443/app:latest"),
        ("10.0.0.1/app", "10.0.0.1/app:latest"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        ("[2001:DB8::1]/a/b:1", "[2001:db8::1]/a/b:1"),
        ("cgr.dev/chainguard/python:latest-dev", "cgr.dev/chainguard/python:latest-dev"),
        ("r.example/a.b/c_d/e__f/g---h/1", "r.example/a.b/c_d/e__f/g---h/1:latest"),
        ("r.example/app:_.-A", "r.example/app:_.-A"),
        (f"r.example/app:{'t' * 128}", f"r.example/app:{'t' * 128}"),
    ],
)
def test_a_reference_is_expanded_as_docker_expands_it(text: str, expanded: str) -> None:
    assert str(Reference.parse(text)) == expanded
    assert Reference.parse(expanded) == Reference.parse(text)


@each(
    "text",
    [
        pytest.param("", id="IDX-045 nothing"),
        pytest.param("../../../etc/x:1.0", id="IDX-040"),
        pytest.param("registry.example/APP:1.0", id="IDX-042"),
        pytest.param("registry.example/app:1.0\nregistry.example/root:1.0", id="IDX-043"),
        pytest.param("registry.example/app:1.0\n", id="a line end behind the tag"),
        pytest.param("registry.example/app\n", id="a line end behind the path"),
        pytest.param("registry.example\n/app", id="a line end behind the host"),
        pytest.param("registry.example:5000\n/app", id="a line end behind the port"),
        pytest.param("registry.example/app:\x1b[31mred", id="IDX-044"),
        pytest.param("registry.example/app:" + "a" * 10_000, id="IDX-046"),
        pytest.param("registry.example/app?x=1#y:1.0", id="IDX-048"),
        pytest.param("user:pass@registry.example/app:1.0", id="IDX-049"),
        pytest.param("registry.example/app%2f..%2fadmin:1.0", id="IDX-050"),
        pytest.param("registry.example/./app:1.0", id="IDX-051"),
        pytest.param("registry.ex\u0430mple/app:1.0", id="IDX-052"),
        pytest.param("\u212a8s.example/app", id="a Kelvin sign, whose lower case is k"),
        pytest.param("-registry.example/app:1.0", id="IDX-053"),
        pytest.param("registry.example/app:-v", id="an option as tag"),
        pytest.param("registry.example/\u0661pp", id="a digit of another script"),
        pytest.param("registry.example/app:\u0661", id="a digit of another script as tag"),
        pytest.param("registry.example:\uff15/app", id="a digit of another script as port"),
        pytest.param("registry.example/", id="no path"),
        pytest.param("/app", id="no host"),
        pytest.param("docker.io/", id="no path at docker.io"),
        pytest.param("registry.example//app", id="an empty component"),
        pytest.param("registry.example/app/", id="a slash at the end"),
        pytest.param("registry.example/app:", id="an empty tag"),
        pytest.param("registry.example/app:a:b", id="two tags"),
        pytest.param("registry.example/app:a/b", id="a slash in the tag"),
        pytest.param("registry.example/.app", id="a dot first"),
        pytest.param("registry.example/app.", id="a dot last"),
        pytest.param("registry.example/a..b", id="two dots"),
        pytest.param("registry.example/a___b", id="three underscores"),
        pytest.param("registry.example/a.-b", id="two separators"),
        pytest.param("registry.example:/app", id="an empty port"),
        pytest.param("registry.example:0/app", id="port 0"),
        pytest.param("registry.example:05000/app", id="a port with a zero before it"),
        pytest.param("registry.example:65536/app", id="a port that there is not"),
        pytest.param("registry.example:123456/app", id="a long port"),
        pytest.param("registry.example:http/app", id="a service as port"),
        pytest.param("registry..example/app", id="an empty label"),
        pytest.param("registry.example./app", id="a dot behind the host"),
        pytest.param(".registry/app", id="a dot before the host"),
        pytest.param("registry-.example/app", id="a dash at the end of a label"),
        pytest.param("my_registry.example/app", id="an underscore in the host"),
        pytest.param(f"{'a' * 64}.example/app", id="a label longer than names have"),
        pytest.param("[::1/app", id="half a bracket"),
        pytest.param("[::1]5000/app", id="a port without its colon"),
        pytest.param("[fe80::1%eth0]/app", id="a zone"),
        pytest.param("https://registry.example/app", id="a URL"),
        pytest.param("docker://registry.example/app", id="a transport"),
        pytest.param(f"registry.example/{'a' * 239}", id="256 characters"),
    ],
)
def test_what_is_no_reference_is_refused_and_shown_harmless(text: str) -> None:
    with pytest.raises(FormatError) as raised:
        Reference.parse(text)
    assert raised.value.code in {Code.FORMAT_REFERENCE, Code.FORMAT_DIGEST}
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 500


@each("digest", ["", "sha256:0", "latest", f"{DIGEST}@{DIGEST}", f"{DIGEST}\n", f"{DIGEST}:1", "md5:8c15fd63ec90354bf70ded40afbc6dd2"])
def test_what_stands_behind_an_at_is_a_digest(digest: str) -> None:
    with pytest.raises(FormatError) as raised:
        Reference.parse(f"registry.example/app@{digest}")
    assert raised.value.code is Code.FORMAT_DIGEST  # IDX-047


def test_host_and_path_are_at_most_255_characters() -> None:
    """distribution-spec, "Pulling manifests"."""
    longest = f"registry.example/{'a' * 238}"
    assert len(Reference.parse(f"{longest}:{'t' * 128}@{DIGEST}").repository) == MAX_NAME


def test_ports_reach_to_65535() -> None:
    assert Reference.parse("registry.example:65535/app").registry == "registry.example:65535"


@pytest.mark.parametrize(
    ("registry", "path"),
    [
        pytest.param("docker.io", "busybox", id="without library"),
        pytest.param("index.docker.io", "library/busybox", id="by its other name"),
        pytest.param("registry", "app", id="a host that would be read as a path"),
        pytest.param("Registry.example", "app", id="in upper case"),
        pytest.param("registry.example", "app:1", id="with a tag in its path"),
    ],
)
def test_a_reference_that_is_not_expanded_cannot_be_made(registry: str, path: str) -> None:
    with pytest.raises(FormatError):
        Reference(registry, path)


LABEL = st.from_regex(r"[a-z0-9]{1,4}(-[a-z0-9]{1,3})?", fullmatch=True)
REFERENCES = st.builds(
    Reference,
    registry=st.builds("{}.{}{}".format, LABEL, LABEL, st.sampled_from(["", ":1", ":5000"])) | st.just("localhost") | st.just("[::1]:80"),
    path=st.lists(st.from_regex(r"[a-z0-9]{1,3}((\.|_|__|-{1,3})[a-z0-9]{1,3})?", fullmatch=True), min_size=1, max_size=4).map("/".join),
    tag=st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,9}", fullmatch=True),
    digest=st.sampled_from([None, DIGEST, Digest.of(b"", algorithm="sha512")]),
).filter(lambda reference: reference.tag or reference.digest)


@given(REFERENCES)
def test_a_reference_is_its_text(reference: Reference) -> None:
    assert Reference.parse(str(reference)) == reference


@given(st.text() | st.text("aA0./:@-_[]%\n \u0661sha256"))
def test_any_text_is_a_reference_of_one_spelling_or_none(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except FormatError:
        return
    assert Reference.parse(str(reference)) == reference
    assert str(reference).isascii()
    assert str(reference).isprintable()


def test_a_bundle_names_an_image_by_its_tag_if_it_has_one() -> None:
    tagged = Reference.parse(f"r.example/app:1@{DIGEST}")
    assert str(tagged.carried) == "r.example/app:1"
    assert str(Reference.parse(f"r.example/app@{DIGEST}").carried) == f"r.example/app@{DIGEST}"
    assert str(tagged.tagged("2")) == "r.example/app:2"
    assert tagged.repository == "r.example/app"


def test_a_tag_that_is_none_cannot_be_given() -> None:
    with pytest.raises(FormatError):
        Reference.parse("r.example/app").tagged("a b")


SHA256, SHA512 = Digest.of(b"").tag, Digest.of(b"", algorithm="sha512").tag


@each(
    "tag",
    [
        pytest.param(SHA256, id="the list of referrers"),
        *(pytest.param(f"{SHA256}.{form}", id=form) for form in ("sig", "att", "sbom", "anything.at-all_", "")),
        pytest.param(SHA256.upper(), id="upper case"),
        pytest.param(f"{SHA256.title()}.SIG", id="both cases"),
        pytest.param(SHA512[: len("sha512-") + 64], id="sha512, cut as the referrers tag schema cuts it"),
        pytest.param(f"{SHA512[:120]}.sig", id="sha512, cut elsewhere"),
        pytest.param(f"sha384-{'a' * 96}", id="sha384"),
    ],
)
def test_a_tag_of_the_shape_of_a_digest_names_evidence(tag: str) -> None:
    reference = Reference(registry="registry.example", path="app", tag=tag)
    assert reference.names_evidence
    assert replace(reference, digest=DIGEST).names_evidence


@each(
    "tag",
    [
        "v1",
        SHA256[:-1],
        f"{SHA256}0",
        f"{SHA256}-debug",
        f"v1-{SHA256}",
        SHA256.replace("-", "_"),
        SHA256.replace("sha256", "sha1"),
        f"sha256-{'g' * 64}",
        SHA512[: len("sha512-") + 63],
    ],
)
def test_any_other_tag_may_be_an_images(tag: str) -> None:
    assert not Reference(registry="registry.example", path="app", tag=tag).names_evidence


def test_a_digest_alone_names_no_evidence() -> None:
    assert not Reference.parse(f"registry.example/app@{DIGEST}").names_evidence
