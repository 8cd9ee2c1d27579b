"""A seal read from the payload of an envelope (docs/spec/bundle-v1.md, section 7), item by item, so that it takes little memory."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

from bundler import strictjson
from bundler.bundle.seal import (
    FORMAT,
    MAX_ENTRY,
    MAX_PLATFORMS,
    PREDICATE_TYPE,
    TIME,
    ImageEntry,
    Kind,
    Member,
    Outside,
    Seal,
    refuse,
    too_many_platforms,
)
from bundler.bundle.sealenvelope import MAX_SEAL
from bundler.errors import Code, FormatError, naming
from bundler.oci.descriptor import MAX_SIZE
from bundler.oci.digest import Digest
from bundler.oci.lookup import ASKED, Form, Found, LeftOut, Lookup
from bundler.oci.reference import Reference

_PREDICATE_TYPES = re.compile(r"urn:oci-bundler:bundle:v[0-9]{1,9}", re.ASCII)

T = TypeVar("T")


def seal_of(payload: bytes) -> Seal:
    """What the payload of an envelope says whose signatures were checked.

    Raises FormatError (``format.seal``, ``format.version``, ``format.json``, ``format.digest``, ``format.reference``,
    ``limit.seal``), IntegrityError (``content.digest``, ``content.size``) where what it says of content cannot be true.
    """
    seal = Seal(**_predicate(payload))
    if not seal.is_spelt(payload):
        raise refuse("the payload is not the one spelling of a statement about index.json")
    return seal


def _predicate(payload: bytes) -> dict[str, Any]:
    """What a Seal is made of: read item by item, for as values of JSON the lists would take eleven times their size."""
    items = _Items()
    readers = {"images": items.image, "members": items.member, "lookups": items.lookup, "left_out": items.outside}
    readers |= {"base": items.identity, "elsewhere": items.outside}
    try:
        members = _statement(payload, readers)
    except FormatError:
        _statement(payload, dict.fromkeys(readers, lambda _: None))  # of another version: its items need not be known here
        raise
    return _fields(members, items.digest)


def _statement(payload: bytes, readers: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    """The predicate's members, once the statement around it is as it must be."""
    lists: dict[tuple[str, ...], Callable[[Any], Any]] = {("predicate", name): read for name, read in readers.items()}
    match _value(payload, lists):
        case {"predicateType": str(kind), "predicate": dict(predicate)}:
            pass
        case _:
            raise refuse("the payload is not an in-toto statement")
    if kind != PREDICATE_TYPE:
        raise (
            _newer(kind, PREDICATE_TYPE)
            if _PREDICATE_TYPES.fullmatch(kind)
            else refuse("it is about something else", found=ascii(kind)[:80])
        )
    if type(predicate.get("format")) is int and predicate["format"] != FORMAT:
        raise _newer(predicate["format"], FORMAT)
    return predicate


def _value(payload: bytes, lists: Mapping[tuple[str, ...], Callable[[Any], Any]]) -> Any:
    try:
        with naming("the seal"):
            return strictjson.loads_by_items(payload, limit=MAX_SEAL, longest=MAX_ENTRY, lists=lists)
    except FormatError as error:
        if error.code != Code.LIMIT_DOCUMENT:
            raise
        raise FormatError("the seal lists too much for its size, or for one image", code=Code.LIMIT_SEAL, found=error) from error


def _newer(found: object, wanted: object) -> FormatError:
    return FormatError(
        "the bundle is of a version that is not known here",
        code=Code.FORMAT_VERSION,
        found=found,
        wanted=wanted,
        next="bring a newer oci-bundler to this station",
    )


def _fields(members: dict[str, Any], digest: Callable[[str], Digest]) -> dict[str, Any]:
    got = _Object(members, "the predicate")
    got.take("format")  # compared with ours when the whole is spelt again
    fields = {
        "stream": got.text("stream"),
        "sequence": got.number("sequence"),
        "previous": got.optional("previous", digest),
        "station": got.optional("station", str),
        "base": got.listed_or_null("base"),
        "requires_trust": got.optional("requires_trust", int),
        "created": _time(got.text("created"), "created"),
        "expires": got.optional("expires", lambda text: _time(text, "expires")),
        "checked_with": got.optional("checked_with", digest),
        "images": got.listed("images"),
        "members": got.listed("members"),
        "lookups": got.listed("lookups"),
        "left_out": got.listed("left_out"),
        "elsewhere": got.listed("elsewhere") if "elsewhere" in got.members else (),
    }
    got.end()
    return fields


class _Items:
    """The items of a seal's lists. What many of them have in common, digests, repositories, answers, is kept once."""

    def __init__(self) -> None:
        self._digests: dict[str, Digest] = {}
        self._texts: dict[str, str] = {}
        self._platforms: dict[str, str] = {}
        self._answers: dict[tuple[str, ...], Mapping[str, str]] = {}

    def digest(self, text: str) -> Digest:
        algorithm, _, encoded = text.partition(":")
        known = self._digests.get(encoded)
        if known is not None and algorithm == known.algorithm:
            return known
        digest = Digest.parse(text)
        if digest.algorithm != "sha256":
            raise refuse("a digest is not SHA-256", found=text[:80])
        self._digests[digest.encoded] = digest
        return digest

    def image(self, item: Any) -> ImageEntry:
        got = _Object(item, "images")
        text = got.text("reference")
        reference = Reference.parse(text)
        if str(reference) != text:
            raise refuse("a reference is not in full", found=ascii(text)[:300], wanted=reference)
        image = ImageEntry(
            reference=reference,
            digest=self.digest(got.text("digest")),
            media_type=self._once(got.text("mediaType")),
            size=got.number("size"),
            platforms=got.each("platforms", self._platform),
            left_out=got.each("left_out", self._left_out),
        )
        got.end()
        return image

    def member(self, item: Any) -> Member:
        got = _Object(item, "members")
        name = got.text("name") if "name" in got.members else None
        member = Member(_kind(got.text("kind")), got.number("size"), self.digest(f"sha256:{got.text('sha256')}"), name)
        got.end()
        return member

    def lookup(self, item: Any) -> Lookup:
        got = _Object(item, "lookups")
        repository, asked = got.text("repository"), _Object(got.take("asked"), "asked")
        answers = {way: asked.text(way) for way in ASKED}
        asked.end()
        lookup = Lookup(
            repository=self._once(repository),
            manifest=self.digest(got.text("manifest")),
            asked=self._answers.setdefault(tuple(answers.values()), MappingProxyType(answers)),
            found=got.each("found", self._found),
        )
        got.end()
        return lookup

    def identity(self, item: Any) -> Digest:
        if not isinstance(item, str):
            raise refuse("base has something that is not a digest", found=ascii(item)[:80])
        return self.digest(item)

    def outside(self, item: Any) -> Outside:
        got = _Object(item, "left_out or elsewhere")
        outside = Outside(self.digest(got.text("digest")), self._once(got.text("mediaType")), got.number("size"))
        got.end()
        return outside

    def _found(self, item: Any) -> Found:
        got = _Object(item, "found")
        found = Found(self.digest(got.text("digest")), _form(got.text("form")))
        got.end()
        return found

    def _left_out(self, item: Any) -> LeftOut:
        got = _Object(item, "left_out")
        child = LeftOut(self.digest(got.text("digest")), got.optional("platform", self._platform))
        got.end()
        return child

    def _platform(self, item: Any) -> str:
        if not isinstance(item, str) or not item:
            raise refuse("a platform is not text", found=ascii(item)[:80])
        if item not in self._platforms and len(self._platforms) == MAX_PLATFORMS:  # now, so that they take no memory
            raise too_many_platforms()
        return self._platforms.setdefault(item, item)

    def _once(self, text: str) -> str:
        return self._texts.setdefault(text, text)


def _kind(text: str) -> Kind:
    try:
        return Kind(text)
    except ValueError:
        raise refuse("members has a kind that is not known", found=ascii(text)[:80], wanted=", ".join(Kind)) from None


def _form(text: str) -> Form:
    try:
        return Form(text)
    except ValueError:
        raise refuse("a lookup found something in a form that is not known", found=ascii(text)[:80], wanted=", ".join(Form)) from None


def _time(text: str, what: str) -> datetime:
    try:
        if TIME.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError:
        pass
    raise refuse(f"{what} is not a time", found=ascii(text)[:80], wanted="YYYY-MM-DDTHH:MM:SSZ")


class _Object:
    """A JSON object of a closed schema: each member is asked for once, and in the end none is left."""

    __slots__ = ("_where", "members")

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise refuse(f"{where} is not an object", found=ascii(value)[:80])
        self.members: dict[str, Any] = value
        self._where = where

    def take(self, name: str) -> Any:
        try:
            return self.members.pop(name)
        except KeyError:
            raise refuse(f"{self._where} lacks {name}") from None

    def text(self, name: str) -> str:
        value = self.members.get(name)
        if not isinstance(value, str) or not value:
            raise refuse(f"{name} in {self._where} is not text", found=ascii(value)[:80])
        return str(self.take(name))

    def number(self, name: str) -> int:
        value = self.take(name)
        if type(value) is not int or not 0 <= value <= MAX_SIZE:
            raise refuse(f"{name} in {self._where} is not a number from 0 to 2^53 - 1", found=ascii(value)[:80])
        return value

    def optional(self, name: str, read: Callable[[Any], T]) -> T | None:
        value = self.take(name)
        if value is None:
            return None
        if type(value) is not (int if read is int else str):
            raise refuse(f"{name} in {self._where} is of another type", found=ascii(value)[:80])
        return read(value)

    def each(self, name: str, read: Callable[[Any], T]) -> tuple[T, ...]:
        values = self.take(name)
        if not isinstance(values, list):
            raise refuse(f"{name} in {self._where} is not a list", found=ascii(values)[:80])
        return tuple(map(read, values))

    def listed(self, name: str) -> tuple[Any, ...]:
        """A list whose items are read already."""
        values = self.take(name)
        if not isinstance(values, tuple):
            raise refuse(f"{name} in {self._where} is not a list", found=ascii(values)[:80])
        return values

    def listed_or_null(self, name: str) -> tuple[Any, ...]:
        """As :meth:`listed`; null is a list of nothing, and which of the two it must be is seen when the whole is spelt again."""
        if self.members.get(name, ()) is None:
            self.take(name)
            return ()
        return self.listed(name)

    def end(self) -> None:
        if self.members:
            raise refuse(f"{self._where} has members that are not known", found=ascii(sorted(self.members))[:200])
