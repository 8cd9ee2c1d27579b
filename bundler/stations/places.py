"""Where images lie: a registry, an OCI layout, an archive of one. The words are skopeo's (containers-transports(5))."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self, TypeVar

from bundler.bundle.foreignarchive import open_archive
from bundler.content.files import read_small
from bundler.content.layout import Layout
from bundler.content.registry.client import Registry
from bundler.content.registry.credentials import Credentials
from bundler.content.registry.http import Access
from bundler.content.registry.origin import MalformedError, Origin, Url
from bundler.content.registry.proxies import Proxies
from bundler.content.registry.tls import certs_folders
from bundler.content.store import Sink, Source
from bundler.content.stream import Turns, side_by_side
from bundler.errors import BundlerError, Code, FormatError, IncompleteError, IntegrityError, UsageError, translated
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from bundler.oci.reference import Reference
from bundler.stations.registryflags import RegistryFlags

LAYOUT, ARCHIVE, REGISTRY = "oci:", "oci-archive:", "docker://"
_REMARK = re.compile(r"(?:^|(?<=\s))#.*")
_SILENT = frozenset({Code.REGISTRY_UNREACHABLE, Code.REGISTRY_TLS})  # what may be a matter of the registry, and not of one image
MAX_LIST = 16 << 20  # a reference takes 100 bytes, so this is more images than a seal can hold

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class ImageArgument:
    """An image as a person wrote it, and the name to carry it under if that is another."""

    text: str
    name: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether it lies in a file or folder of this machine."""
        return self.text.startswith((LAYOUT, ARCHIVE))

    @property
    def reference(self) -> Reference:
        """Where it lies at a registry. Raises UsageError (``usage.reference``)."""
        return reference_of(self.text.removeprefix(REGISTRY))

    @property
    def is_renamed(self) -> bool:
        """Whether it goes under another name than it has where it lies; what lies at no registry has none that counts before that."""
        return self.name is not None and (self.is_local or reference_of(self.name) != self.reference)

    def check(self) -> None:
        """Raises UsageError (``usage.reference``) for what is neither a place nor a name."""
        if not self.is_local:
            _ = self.reference
        elif self.text.startswith(f"{LAYOUT}//"):
            raise UsageError(
                f"{self.text!a} names a folder, and looks like a registry",
                code=Code.USAGE_REFERENCE,
                wanted="docker://HOST/REPOSITORY:TAG for a registry, oci:DIR[:REF] for a folder",
                next=f"for an image at a registry: {REGISTRY}{self.text.removeprefix(f'{LAYOUT}//')}",
            )
        elif not self.text.partition(":")[2].partition(":")[0]:
            raise UsageError(f"{self.text!a} names no file or folder", code=Code.USAGE_REFERENCE, wanted="oci:DIR[:REF]")
        if self.name is not None:
            reference_of(self.name)


@dataclass(frozen=True, slots=True)
class Located:
    """An image that was found: its root, where its content is, and the reference that it goes under."""

    reference: Reference
    root: Document
    source: Source
    sink: Sink | None
    """Where it can be signed; None where nothing can be written."""
    listed: str | None = None
    """The full reference that a layout lists it under."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An image, as a person wrote it, and why what was asked for cannot be done with it."""

    image: str
    error: BundlerError


def image_arguments(images: Sequence[str], *, list_file: str | None, as_name: str | None, stdin: BinaryIO) -> tuple[ImageArgument, ...]:
    """All images that a command names, each once. Raises UsageError for none, for a bad line (with its number), for ``--as``
    beside several."""
    listed = [ImageArgument(text) for text in images]
    if list_file is not None:
        listed += _lines(_list(list_file, stdin), "stdin" if list_file == "-" else list_file)
    if as_name is not None:
        if len(listed) != 1:
            raise UsageError("--as names one image", found=f"{len(listed)} images")
        listed = [ImageArgument(listed[0].text, as_name)]
    if not listed:
        raise UsageError("no image is named", wanted="IMAGE, or --images FILE with a reference in it")
    for image in listed:
        image.check()
    return tuple(dict.fromkeys(listed))


def refuse_name_of_evidence(image: ImageArgument) -> None:
    """Raises UsageError (``usage.reference``) for an image whose name :func:`refuse_evidence` refuses."""
    if image.name is not None or not image.is_local:
        refuse_evidence(reference_of(image.name) if image.name else image.reference)


def refuse_evidence(reference: Reference) -> None:
    """Raises UsageError (``usage.reference``) for a name that readers look for evidence about another manifest under."""
    if reference.names_evidence:
        raise UsageError(
            f"{reference} is not the name of an image",
            code=Code.USAGE_REFERENCE,
            found="a tag of the form ALGORITHM-HEX, under which evidence about another manifest is looked for",
            wanted="another tag",
            next="export the image that it is about, and its evidence goes with it; or name this one otherwise with --as",
        )


def reference_of(text: str) -> Reference:
    """A reference that a person wrote. Raises UsageError (``usage.reference``)."""
    with translated(FormatError, to=UsageError, what=f"{text!a} is not a reference", code=Code.USAGE_REFERENCE):
        return Reference.parse(text)


def _check_digest(name: str, root: Document) -> None:
    """A name that says a digest is the name of those bytes and of no others, wherever they lie."""
    _, at, text = name.rpartition("@")
    if not at or text.isdecimal():  # oci:DIR:@N is a number
        return
    with translated(FormatError, to=UsageError, what=f"{name!a} is not a reference", code=Code.USAGE_REFERENCE):
        digest = Digest.parse(text)
    if digest.same_kind_of(root.raw) != digest:
        raise IntegrityError(f"{name} is another digest now", code=Code.IMAGE_MOVED, found=root.digest, wanted=digest)


def _host(text: str, option: str) -> str:
    """``HOST[:PORT]`` as a person wrote it, in one spelling. Raises UsageError."""
    with translated(MalformedError, to=UsageError, what=f"{option} {text!a} is not a host", code=Code.USAGE):
        origin = Origin.of("https", text)
    if Url(origin, "/") != Url.parse(f"https://{text}/"):
        raise UsageError(f"{option} {text!a} is not a host", wanted="HOST or HOST:PORT")
    return origin.authority


def _list(file: str, stdin: BinaryIO) -> bytes:
    if file != "-":
        return read_small(Path(file), limit=MAX_LIST, what="the list of images")
    raw = stdin.read(MAX_LIST + 1)
    if len(raw) > MAX_LIST:
        raise UsageError("the list of images is too large", code=Code.USAGE_INPUT, wanted=f"at most {MAX_LIST} bytes")
    return raw


def _lines(raw: bytes, file: str) -> list[ImageArgument]:
    """One reference a line, and in a second column the name to carry; a word that begins with ``#`` begins a remark."""
    listed = []
    for number, line in enumerate(raw.split(b"\n"), start=1):
        try:
            image = _line(line)
        except (UnicodeDecodeError, UsageError) as error:
            raise UsageError(
                f"line {number} of {file} is not a reference",
                code=Code.USAGE_REFERENCE,
                found=ascii(line[:200])[1:],
                wanted="REFERENCE [NAME], in UTF-8",
            ) from error
        listed += [image] if image else []
    return listed


def _line(line: bytes) -> ImageArgument | None:
    words = _REMARK.sub("", line.decode("utf-8", "strict")).split()
    if not words:
        return None
    image = ImageArgument(*words[:2])
    image.check()
    if len(words) > 2 or not "".join(words).isprintable():
        raise UsageError("there is more in it")
    return image


class Places:
    """The registries, layouts and archives of one run, each opened once. A context: leaving it closes them."""

    def __init__(self, reach: RegistryFlags, *, hosts: Iterable[str], say: Callable[[str], None]) -> None:
        """``hosts`` are all registries of the run: a login given by hand is for one. ``say`` is told why one is asked again, and in
        the end how they answered."""
        self._say = say
        self._access = Access(
            credentials=Credentials.load(
                environ=os.environ, authfile=reach.authfile, username=reach.username, password=reach.password, hosts=hosts
            ),
            plain_http=reach.plain_http,
            insecure_skip_tls_verify=reach.insecure_skip_tls_verify,
            ca_file=reach.ca_file,
            jobs=reach.jobs,
            proxies=Proxies.from_environ(os.environ),
            certs_folders=certs_folders(os.environ),
            token_hosts=frozenset(_host(text, "--token-host") for text in reach.token_hosts),
            absent_is_403=frozenset(_host(text, "--absent-is-403") for text in reach.absent_is_403),
        )
        self._registries: dict[str, Registry] = {}
        self._layouts: dict[tuple[str, str], Layout] = {}
        self._asking = Turns()
        self._silent: dict[str, dict[str | None, BundlerError]] = {}
        """For each registry its repositories whose images were asked for without an answer; None is for a connection that broke later."""
        self._answering: set[str] | None = None
        """Registries that do; None while one that does not ends the run, so that nobody has to ask before the others."""
        self._closing = ExitStack()

    @classmethod
    def of(cls, reach: RegistryFlags, images: Iterable[ImageArgument], *, say: Callable[[str], None]) -> Self:
        """For images wherever they lie."""
        return cls(reach, hosts={image.reference.registry for image in images if not image.is_local}, say=say)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for registry in self._registries.values():
            for remark in registry.remarks:
                self._say(f"note: {remark}")
        self._closing.close()

    def each(
        self,
        images: Sequence[ImageArgument],
        work: Callable[[ImageArgument], R],
        *,
        jobs: int,
        ends: Callable[[ImageArgument, BundlerError], bool] = lambda *_: False,
    ) -> tuple[list[R], list[Failure]]:
        """What ``work`` gives for each image, and those that it cannot be done with; both in their order.

        A registry that does not answer for two of its repositories is not asked for its other images, which fail with these. What
        is not a matter of one of several images (``ends``) is raised.
        """

        answering = self._answering = set()

        def one(image: ImageArgument) -> R | Failure:
            try:
                return work(image)
            except BundlerError as error:
                if len(images) == 1 or ends(image, error):
                    raise
                if not image.is_local and error.code in _SILENT:
                    self._doubt(image.reference.registry, error, answering)
                return Failure(image.text, error)

        done = list(side_by_side(one, images, jobs=jobs))
        return [each for each in done if not isinstance(each, Failure)], [each for each in done if isinstance(each, Failure)]

    def locate(self, image: ImageArgument, *, write: bool = False) -> Located:
        """Find an image; ``write`` where it will be signed.

        Raises IncompleteError (``image.missing``), IntegrityError (``image.moved``) where it was asked for, is listed or shall
        go under a name with another digest, UsageError, and what the place raises.
        """
        located = self._in_layout(image) if image.is_local else self._at_registry(image, write=write)
        for name in dict.fromkeys((image.text, *filter(None, (image.name, located.listed)), str(located.reference))):
            _check_digest(name, located.root)
        return located

    def repository(self, reference: Reference) -> Sink:
        """A repository at a registry, to write to."""
        return self._registry(reference.registry).repository(reference.path, push=True)

    def greet(self, host: str, path: str) -> None:
        """Ask whether a registry answers, and takes our login for what is below ``path``. Raises as :meth:`Registry.greet`."""
        self._registry(host).greet(path)

    def _at_registry(self, image: ImageArgument, *, write: bool) -> Located:
        reference = image.reference
        repository = self._registry(reference.registry).repository(reference.path, push=write)
        root = self._asked(reference, lambda: repository.document(reference.tag or reference.digest or "latest"))
        if root is None:
            raise IncompleteError(f"{reference} is not there", code=Code.IMAGE_MISSING, next="look for it with its registry's own tools")
        name = reference_of(image.name) if image.name else reference
        return Located(name, root, repository, repository)

    def _asked(self, reference: Reference, ask: Callable[[], R]) -> R:
        """Until a registry has answered, one question at a time, so that one that does not is not asked by every thread."""
        answering = self._answering
        if answering is not None and reference.registry not in answering:
            with self._asking.of(reference.registry):
                if reference.registry not in answering:
                    return self._asked_alone(reference, ask, answering)
        return ask()

    def _asked_alone(self, reference: Reference, ask: Callable[[], R], answering: set[str]) -> R:
        silent = self._silent.setdefault(reference.registry, {})
        if reference.path in silent or len(silent) > 1:
            raise silent.get(reference.path) or next(iter(silent.values()))
        try:
            got = ask()
        except BundlerError as error:
            if error.code in _SILENT:
                silent[reference.path] = error
                raise
            answering.add(reference.registry)
            raise
        silent.clear()
        answering.add(reference.registry)
        return got

    def _doubt(self, host: str, error: BundlerError, answering: set[str]) -> None:
        """After a connection that broke, whoever is next asks alone whether that is a matter of the whole registry."""
        with self._asking.of(host):
            if host in answering:
                answering.discard(host)
                self._silent.setdefault(host, {}).setdefault(None, error)

    def _in_layout(self, image: ImageArgument) -> Located:
        kind, _, rest = image.text.partition(":")
        path, _, asked = rest.partition(":")
        layout = self._layout(kind, path)
        entry = layout.image(asked or None)
        root = layout.document(entry.descriptor.digest)
        if root is None:
            raise IncompleteError(f"{image.text} is listed, and not there", code=Code.BLOB_MISSING, wanted=entry.descriptor.digest)
        if image.name is None and entry.reference is None:
            raise UsageError(
                f"{image.text} has no name that is a full reference",
                code=Code.USAGE_REFERENCE,
                found=ascii(entry.name),
                wanted="HOST/PATH:TAG",
                next="give it the name to go under with --as NAME",
            )
        reference = reference_of(image.name) if image.name else entry.reference
        assert reference is not None
        repository = layout.repository(entry.reference)
        listed = str(entry.reference) if entry.reference else None
        return Located(reference, root, repository, repository if layout.writable else None, listed)

    def _layout(self, kind: str, path: str) -> Layout:
        if (kind, path) not in self._layouts:
            layout = Layout.at(Path(path)) if kind == "oci" else open_archive(Path(path))
            self._layouts[kind, path] = self._closing.enter_context(layout)
        return self._layouts[kind, path]

    def _registry(self, host: str) -> Registry:
        if host not in self._registries:
            registry = self._closing.enter_context(Registry(host, self._access, say=self._say))
            self._registries.setdefault(host, registry)  # atomic, so threads agree
        return self._registries[host]
