"""Scopes: which repositories a rule is about (docs/reference/trust-toml.md)."""

import itertools

import pytest

from bundler.errors import Code, UsageError
from bundler.trust.scope import Scope
from tests.support.cases import each


@each(
    ("scope", "inside", "outside"),
    [
        ("a.b/c", ["a.b/c"], ["a.b/c/d", "a.b/cd", "a.b/b", "b.a/c", "a.b:5000/c"]),
        ("a.b/*", ["a.b/c", "a.b/c-evil"], ["a.b/c/d", "b.a/c"]),
        ("a.b/**", ["a.b/c", "a.b/c/d/e"], ["a.b.c/d", "b.a/c"]),
        ("a.b/c/**", ["a.b/c/d", "a.b/c/d/e"], ["a.b/c", "a.b/c-evil/d"]),
        ("a.b/*/c", ["a.b/x/c"], ["a.b/c", "a.b/x/y/c", "a.b/x/d"]),
        ("a.b/*/**", ["a.b/x/c", "a.b/x/y/c"], ["a.b/c"]),
        ("*/c", ["a.b/c", "localhost:5000/c"], ["a.b/x/c"]),
        ("localhost:5000/c", ["localhost:5000/c"], ["localhost/c"]),
        ("**", ["a.b/c", "docker.io/library/alpine"], []),
        ("docker.io/**", ["docker.io/library/alpine"], ["docker.io.evil/library/alpine"]),
    ],
)
def test_a_scope_covers_whole_components(scope: str, inside: list[str], outside: list[str]) -> None:
    """POL-010: registry.example/app is not registry.example/app-evil."""
    assert all(Scope.parse(scope).covers(repository) for repository in inside)
    assert not any(Scope.parse(scope).covers(repository) for repository in outside)


@each(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("a.b", id="a host alone"),
        pytest.param("*", id="a component where two are the least"),
        pytest.param("a.b/C", id="POL-011 upper case"),
        pytest.param("A.b/c", id="POL-011 upper case in the host"),
        pytest.param("a.b/c/", id="POL-011 a slash at the end"),
        pytest.param("a.b//c", id="an empty component"),
        pytest.param("a.b/c-*", id="a star in a component"),
        pytest.param("a.b/**/c", id="** in the middle"),
        pytest.param("**/c", id="** in front"),
        pytest.param("a.b/***", id="three stars"),
        pytest.param("a.b/(a+)+$", id="POL-012 a regular expression"),
        pytest.param("a.b/c:v1", id="a tag"),
        pytest.param("a.b/c@sha256:" + "0" * 64, id="a digest"),
        pytest.param("alpine", id="no host"),
        pytest.param("library/alpine", id="a host that is none"),
        pytest.param("docker.io/alpine", id="a name that is expanded"),
        pytest.param("docker.io/*", id="names that are expanded"),
        pytest.param("index.docker.io/library/alpine", id="a host that is written otherwise"),
        pytest.param("a.b/c\n", id="a line end"),
        pytest.param("a.b/ç", id="no ASCII"),
        pytest.param("a.b/" + "c" * 300, id="longer than a repository can be"),
        pytest.param("https://a.b/c", id="an address"),
    ],
)
def test_a_scope_that_covers_nothing_or_seems_to_cover_more_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Scope.parse(text)
    assert caught.value.code is Code.TRUST_FORM


def test_the_most_specific_comes_first_whatever_the_order() -> None:
    """Component by component, a literal before *, * before **."""
    wanted = ["a.b/c/d", "a.b/c/*", "a.b/c/**", "a.b/*/d", "a.b/*/*", "a.b/*/**", "a.b/**", "*/c/d", "*/**", "**"]
    scopes = [Scope.parse(text) for text in wanted]
    assert all(scope.covers("a.b/c/d") for scope in scopes)
    for shuffled in itertools.islice(itertools.permutations(scopes), 0, 3628800, 90001):
        assert [str(scope) for scope in sorted(shuffled, key=lambda scope: scope.rank)] == wanted
