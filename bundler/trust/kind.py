"""What a kind of signer says of itself, and a kind of table by which signers are known: what ``kinds.KINDS`` lists."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from bundler.errors import Code, FormatError, UsageError
from bundler.trust.keyfiles import KeyFiles
from bundler.trust.signer import SignerEntry
from bundler.trust.table import Table

Files = Mapping[str, bytes]
"""Files of the trust folder, by their paths in it."""


class Anchor(Protocol):
    """Who vouches for signers, as a table of its own in ``trust.toml`` pins it: a root, a store."""

    @property
    def table(self) -> str:
        """The name of that table."""
        ...

    @property
    def name(self) -> str:
        """What signers name it by."""
        ...

    def to_json(self, files: Files) -> dict[str, Any]:
        """What ``trust list --json`` says of it."""
        ...

    def lines(self, files: Files) -> Iterator[str]:
        """What ``trust list`` says of it. Foreign text in it is escaped by who prints it."""
        ...


A = TypeVar("A", bound=Anchor)


@dataclass(frozen=True, slots=True)
class Section(Generic[A]):
    """A table of ``trust.toml`` that signers refer to by its ``name``. All raise UsageError (``trust.form``, ``trust.store``)."""

    table: str
    """Its name there; in JSON with an s behind it."""
    files: Callable[[Table], Iterator[str]]
    """The files that such a table names."""
    parse: Callable[[Table, Files], A]


@dataclass(frozen=True, slots=True)
class Known:
    """What a table of a signer may refer to."""

    keys: KeyFiles
    anchors: Mapping[str, Mapping[str, Anchor]]
    """By the names of their sections' tables, then by their own."""

    def anchor(self, table: Table, member: str, section: Section[A]) -> A:
        """The one that ``member`` of a signer's table names."""
        among, wanted = self.anchors[section.table], table.text(member)
        if wanted not in among:
            raise table.error(member, found=wanted, wanted=f"the name of a [[{section.table}]]")
        found: A = among[wanted]  # type: ignore[assignment]  # what a section has parsed is filed under it
        return found


Introduced = tuple[str, str | None]
"""What a signer is known by, as ``str`` of its entry gives it, and what people may call it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of signer: how its table in a rule is recognised and read, and what people are told of such signers."""

    name: str
    """As results call it."""
    mark: str | None
    """The member that only its tables have. None for one kind: that of all tables without another's mark."""
    parse: Callable[[Table, Known], SignerEntry]
    """Raises UsageError (``trust.form``, ``trust.key``, ``trust.store``, ``key.unsupported``)."""
    unnamed: str
    """What is said of a signature by such a signer where nobody knows whose it is."""
    tells_who: bool = True
    """Whether a person learns from what such a signer is known by who it is."""
    keys: tuple[str, ...] = ()
    """The members that name a public key of the folder."""
    section: Section[Any] | None = None
    """The table of ``trust.toml`` that only came with this kind."""
    introduce: Callable[[Mapping[str, Any]], Introduced | None] = lambda _: None
    """Who the signer of a table to be added is, where the table itself has something that people may call it by.
    Raises FormatError where it is not well-formed."""


def called(table: Table) -> str | None:
    """What people call the signer of this table."""
    return table.called("name") if "name" in table.members else None


def file(files: Files, name: str) -> bytes:
    """A file that ``trust.toml`` names. Raises UsageError (``trust.form``) where it is not there."""
    if name not in files:
        raise UsageError(
            "a file that trust names is not there", code=Code.TRUST_FORM, found=ascii(name[:160]), wanted="it in the trust folder"
        )
    return files[name]


@contextmanager
def usable(what: str) -> Iterator[None]:
    """What is wrong with a file of a root or a store is wrong with trust."""
    try:
        yield
    except FormatError as error:
        code = error.code if error.code is Code.TRUST_STORE else Code.TRUST_FORM
        raise UsageError(f"{what} cannot be used: {error}", code=code, next=error.next) from error
