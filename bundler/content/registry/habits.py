"""What one run learns about how a registry and its repositories answer, so that it does not ask the same again.

Only what holds for every name is kept: that there is no such API, that a way of asking works. What is absent is never kept.
"""

from dataclasses import dataclass, field

from bundler.content.stream import Turns


@dataclass(slots=True)
class Habits:
    """Of one repository. Threads share it; who reads an old value asks once too often, and no more."""

    lists_referrers: bool | None = None
    """Whether it has the referrers API; None while nobody has asked. True stays: a later 404 is then about one manifest."""
    head_tells: bool | None = None
    """Whether HEAD finds a manifest that GET finds; None while that was not seen. False stays."""
    reads: bool = False
    """Whether a manifest of it was read: then what is shown to the registry suffices to read it."""

    def head_told(self, *, found: bool) -> None:
        """HEAD of what GET finds was answered: with 200, or as if it were not there."""
        if self.head_tells is not False:
            self.head_tells = found


@dataclass(slots=True)
class Learnt:
    """Of one registry."""

    takes_blobs_at_once: bool = True
    """Whether a blob may come with the POST that begins its upload; it is until the registry does otherwise."""
    turns: Turns = field(default_factory=Turns)
    """For what only one thread shall find out."""
    remarks: dict[str, None] = field(default_factory=dict)
    """What a person should know of how it answers, each once, in the order in which it was met."""
    _repositories: dict[str, Habits] = field(default_factory=dict)

    def of(self, path: str) -> Habits:
        """What is known of the repository ``path``, to be added to."""
        return self._repositories.setdefault(path, Habits())  # atomic, so threads agree
