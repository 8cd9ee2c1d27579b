"""Digests become paths, tags and URLs: nothing else may be one (docs/hostile-cases.md, IDX-070 to -087)."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundler.errors import Code, FormatError
from bundler.oci.digest import Digest
from tests.support.cases import each

HEX = "799d3e0915905f3d63115fcaf3d7eba2901f7bfe1d7e2cb1b5a6b1b6b6f6a6e0"


@pytest.mark.parametrize("text", [f"sha256:{HEX}", f"sha512:{HEX}{HEX}"])
def test_a_digest_is_its_text(text: str) -> None:
    digest = Digest.parse(text)
    assert str(digest) == text
    assert digest.tag == text.replace(":", "-")


@each(
    "text",
    [
        pytest.param("", id="IDX-070"),
        pytest.param("sha256:", id="IDX-071"),
        pytest.param(HEX, id="IDX-072"),
        pytest.param(f"sha256:{HEX.upper()}", id="IDX-073"),
        pytest.param(f"sha256:{HEX[:-1]}", id="IDX-074"),
        pytest.param(f"sha256:{HEX}0", id="IDX-075"),
        pytest.param(f"sha256:{HEX}\n", id="IDX-076"),
        pytest.param("sha256:../../../../etc/passwd", id="IDX-077, MAN-035, CVE-2024-3727"),
        pytest.param(f"SHA256:{HEX}", id="IDX-078"),
        pytest.param("md5:8c15fd63ec90354bf70ded40afbc6dd2", id="IDX-079, MAN-036"),
        pytest.param("sha1:7af9b844e0dcb8d09d12d6d71867f1c7f4300000", id="IDX-080"),
        pytest.param("sha256+b64:AAAA", id="IDX-081"),
        pytest.param("sha256:" + "\uff10" * 64, id="IDX-082"),
        pytest.param(f"sha512:{HEX}", id="IDX-083"),
        pytest.param(f" sha256:{HEX}", id="IDX-084"),
        pytest.param(f"sha256:{HEX[:-3]}%00", id="IDX-085"),
        pytest.param(f"sha256:{HEX}?x=1", id="IDX-086"),
        pytest.param(f"sha256:{HEX}:{HEX}", id="two"),
        pytest.param(f"sha256-{HEX}", id="a tag"),
        pytest.param(f"sha384:{HEX}{HEX[:32]}", id="sha384"),
        pytest.param(f"blake3:{HEX}", id="blake3"),
    ],
)
def test_nothing_else_is_a_digest(text: str) -> None:
    with pytest.raises(FormatError) as raised:
        Digest.parse(text)
    assert raised.value.code is Code.FORMAT_DIGEST
    assert raised.value.found is not None
    assert raised.value.found.isascii()


def test_the_constructor_is_as_strict_as_the_parser() -> None:
    with pytest.raises(FormatError):
        Digest("sha256", "../x")


def test_a_refused_digest_is_not_shown_whole() -> None:
    with pytest.raises(FormatError) as raised:
        Digest.parse("sha256:" + "a" * 1_000_000)
    assert len(str(raised.value)) < 400


@given(st.binary())
def test_the_digest_of_bytes_is_what_hashlib_says(data: bytes) -> None:
    assert str(Digest.of(data)) == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert str(Digest.of(data, algorithm="sha512")) == f"sha512:{hashlib.sha512(data).hexdigest()}"
    assert Digest.parse(str(Digest.of(data))) == Digest.of(data)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_bytes_are_compared_in_the_algorithm_that_they_were_named_by(algorithm: str) -> None:
    digest = Digest.of(b"a", algorithm=algorithm)
    assert digest.same_kind_of(b"a") == digest
    assert digest.same_kind_of(b"b") != digest
