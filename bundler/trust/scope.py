"""Scopes: which repositories a seal or a rule is about. Whole components, no regular expressions."""

from dataclasses import dataclass

from bundler.errors import Code, FormatError, UsageError
from bundler.oci.reference import Reference

_ONE, _REST = "*", "**"
_RANKS = {_ONE: 1, _REST: 2}
_SAMPLES = {_ONE: "x", _REST: "x/x"}


@dataclass(frozen=True, slots=True)
class Scope:
    """A pattern of repositories, host first: ``*`` is one component, a final ``/**`` one or more, ``**`` alone everything."""

    components: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "Scope":
        """Raises UsageError (``trust.form``) for a pattern that matches no repository, or others than it seems to."""
        scope = cls(tuple(text.split("/")))
        if text != _REST and not scope._matches_something:
            raise UsageError(
                "a scope is not well-formed",
                code=Code.TRUST_FORM,
                found=ascii(text[:300]),
                wanted="HOST/PATH in lower case, * for a whole component, a final /** for all below, or ** alone",
                next="write the repository in full, as in docker.io/library/alpine",
            )
        return scope

    @property
    def _matches_something(self) -> bool:
        """Whether a repository made after it is what references to it are expanded to."""
        host, *path = self.components
        sample = "/".join(["x.x" if host == _ONE else host, *(_SAMPLES.get(component, component) for component in path)])
        try:
            return _REST not in self.components[:-1] and Reference.parse(sample).repository == sample
        except FormatError:
            return False

    def covers(self, repository: str) -> bool:
        """Whether ``repository``, expanded and without tag, lies in it."""
        found = repository.split("/")
        if self.components[-1] == _REST:
            fixed = self.components[:-1]
            return len(found) > len(fixed) and _fit(fixed, found)
        return len(found) == len(self.components) and _fit(self.components, found)

    @property
    def rank(self) -> tuple[int, ...]:
        """Sorts scopes that cover one repository, the most specific first: by component, a literal, then ``*``, then ``**``."""
        return tuple(_RANKS.get(component, 0) for component in self.components)

    def __str__(self) -> str:
        return "/".join(self.components)


def _fit(pattern: tuple[str, ...], found: list[str]) -> bool:
    return all(wanted in (_ONE, component) for wanted, component in zip(pattern, found, strict=False))
