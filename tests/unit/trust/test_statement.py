"""In-toto statements (CVE-2026-39395)."""

import hashlib
import json
from typing import Any

import pytest

from bundler.errors import BundlerError, Code, TrustError
from bundler.oci.manifest import Document
from bundler.trust.statement import MAX_DIGESTS, MAX_SUBJECTS, Statement
from tests.support.cases import each
from tests.support.layouts import Content
from tests.support.signing import SPDX, statement

IMAGE = Content().image()
SHA = {name: hashlib.new(name, IMAGE.raw).hexdigest() for name in ("sha256", "sha384", "sha512")}
ELSEWHERE = hashlib.sha256(b"elsewhere").hexdigest()


def code(payload: bytes, about: Document = IMAGE) -> Code | None:
    try:
        Statement.parse(payload).check_about(about)
    except BundlerError as error:
        return error.code
    return None


def made(**members: Any) -> bytes:
    value = json.loads(statement(IMAGE)) | members
    return json.dumps({name: member for name, member in value.items() if member is not ...}).encode()


def about(*digests: dict[str, Any]) -> bytes:
    return made(subject=[{"name": "app", "digest": each} for each in digests])


def test_a_statement_gives_its_predicate_type() -> None:
    assert Statement.parse(statement(IMAGE)).predicate_type == SPDX


@pytest.mark.parametrize("kind", ["https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1"])
def test_e_5_both_versions_are_read(kind: str) -> None:
    assert code(made(_type=kind)) is None


@pytest.mark.parametrize(
    "members",
    [{"predicate": ...}, {"predicate": None}, {"predicate": [1.5, "\x07", {"a": 1, "A": 2}]}, {"more": 1}, {"subject": [{"digest": SHA}]}],
    ids=["no predicate", "a null one", "one that only SBOM tools write", "another member", "a subject without a name"],
)
def test_what_statements_may_have_or_lack(members: dict[str, Any]) -> None:
    assert code(made(**members)) is None


@each(
    "payload",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not json", id="no JSON"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="a list"),
        pytest.param(made(_type="https://in-toto.io/Statement/v2"), id="another version"),
        pytest.param(made(_type=...), id="no version"),
        pytest.param(made(_type=1), id="a version that is no string"),
        pytest.param(made(predicateType=...), id="no predicate type"),
        pytest.param(made(predicateType=""), id="an empty predicate type"),
        pytest.param(made(predicateType=["a"]), id="a predicate type that is no string"),
        pytest.param(made(subject=...), id="no subject"),
        pytest.param(made(subject=[]), id="an empty list of subjects"),
        pytest.param(made(subject={"digest": SHA}), id="subjects that are no list"),
        pytest.param(made(subject=["app"]), id="a subject that is no object"),
        pytest.param(made(subject=[{"name": "app"}]), id="a subject without digests"),
        pytest.param(about({}), id="no digest"),
        pytest.param(about({"sha256": ""}), id="an empty digest"),
        pytest.param(about({"sha256": SHA["sha256"].upper()}), id="a digest in upper case"),
        pytest.param(about({"sha256": f"sha256:{SHA['sha256']}"}), id="a digest with its algorithm"),
        pytest.param(about({"sha256": 1}), id="a digest that is no string"),
        pytest.param(about(SHA, {"sha256": "x"}), id="one bad subject among good ones"),
        pytest.param(about(*[SHA] * (MAX_SUBJECTS + 1)), id="1025 subjects"),
        pytest.param(about(SHA | {f"a{n}": "aa" for n in range(MAX_DIGESTS)}), id="more than 32 digests"),
        pytest.param(statement(IMAGE).replace(b'{"_type"', b'{"subject":[],"_type"'), id="subject twice"),
        pytest.param(made(Subject=[]), id="subject in another case"),
        pytest.param(made(predicatetype="other"), id="predicateType in another case"),
        pytest.param(made(predicate=..., Predicate={}), id="predicate in another case"),
        pytest.param(statement(IMAGE) + b" {}", id="something behind it"),
        pytest.param(statement(IMAGE)[:-1], id="cut"),
    ],
)
def test_e_5_what_is_no_statement(payload: bytes) -> None:
    assert code(payload) is Code.INTOTO_STATEMENT


@each(
    "digests",
    [
        pytest.param([{"sha256": SHA["sha256"]}], id="sha256"),
        pytest.param([{"sha384": SHA["sha384"]}], id="sha384 alone"),
        pytest.param([{"sha512": SHA["sha512"]}], id="sha512 alone, as npm writes"),
        pytest.param([SHA], id="all of them"),
        pytest.param([SHA | {"gitCommit": "0a" * 20, "dirHash": "h1:"}], id="others beside it, which nobody can compare"),
        pytest.param([{"sha256": ELSEWHERE}, SHA], id="the second subject"),
        pytest.param([SHA] * MAX_SUBJECTS, id="1024 subjects"),
    ],
)
def test_e_6_a_statement_about_the_image(digests: list[dict[str, str]]) -> None:
    assert code(about(*digests)) is None


@each(
    "digests",
    [
        pytest.param([{"sha256": ELSEWHERE}], id="another digest"),
        pytest.param([{"sha256": SHA["sha256"][:-2]}], id="a shorter digest"),
        pytest.param([{"sha512": SHA["sha256"]}], id="the digest under another algorithm"),
        pytest.param([{"gitCommit": SHA["sha256"]}], id="only what nobody can compare"),
        pytest.param([SHA | {"sha512": ELSEWHERE}], id="right in sha256, contradicted in sha512"),
        pytest.param([SHA | {"sha256": ELSEWHERE}], id="right in sha512, contradicted in sha256"),
        pytest.param([{"sha256": ELSEWHERE}, {"sha512": ELSEWHERE}], id="two others"),
    ],
)
def test_e_6_a_statement_about_something_else(digests: list[dict[str, str]]) -> None:
    assert code(about(*digests)) is Code.INTOTO_SUBJECT


@pytest.mark.parametrize(("others", "told"), [(1, ""), (3, " and 2 more")])
def test_of_something_else_the_first_is_told_and_how_many_there_are(others: int, told: str) -> None:
    with pytest.raises(TrustError) as refused:
        Statement.parse(about(*[{"sha256": ELSEWHERE}] * others)).check_about(IMAGE)
    assert refused.value.found == f"sha256:{ELSEWHERE}{told}"


def test_a_subject_is_known_by_its_digest_and_never_by_its_name() -> None:
    assert code(made(subject=[{"name": str(IMAGE.digest), "digest": {"sha256": ELSEWHERE}}])) is Code.INTOTO_SUBJECT
