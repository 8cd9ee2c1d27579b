"""What a registry lists, page by page: the referrers of a manifest, the tags of a repository. Whole, or an error."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from bundler import strictjson
from bundler.content.registry.answers import next_page
from bundler.content.registry.auth import REDIRECTS, RequestedAccess
from bundler.content.registry.origin import Url, shown
from bundler.content.registry.session import Session
from bundler.content.registry.wire import Answer
from bundler.content.store import Referrers
from bundler.errors import Code, FormatError, TransportError, translated
from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import NAMES
from bundler.oci.reference import Reference

MAX_PAGE = 4 << 20
MAX_PAGES = 1_000
MAX_LIST = 64 << 20  # bytes of all pages together
MAX_REFERRERS = 50_000  # an image rebuilt and signed every hour for five years
MAX_TAGS = 500_000  # the busiest public repositories have some 100,000, most of them signatures
PAGE = 1_000  # tags that are asked for at once; more is refused by some registries

_NO_API = frozenset({400, 404, 405, 501})  # how most registries without the API answer
_NOT_THERE = frozenset({406, 410})  # how some do


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, its media type, where it came from, and where the next is."""

    body: bytes
    media_type: str
    at: Url
    next: Url | None


class Lists:
    """The lists of one repository. Raises TransportError, FormatError (``limit.answer``)."""

    def __init__(self, session: Session, reference: Reference, need: RequestedAccess) -> None:
        self._session = session
        self._reference = reference
        self._need = need
        self._habits = session.learnt.of(reference.path)

    def referrers(self, subject: Digest) -> Referrers:
        """As :meth:`bundler.content.store.Source.referrers`."""
        if self._habits.lists_referrers is False:
            return Referrers(api=False)
        listed: dict[Digest, Descriptor] = {}
        api = False
        for page in self._pages(f"referrers/{subject}", accept=mediatype.OCI_INDEX, absent=self._has_no_api, kept=f"referrers/{subject}"):
            if page.media_type != mediatype.OCI_INDEX and not _is_list(page):
                if self._habits.lists_referrers is True:  # a later page, or a later question
                    raise self._session.breach(f"referrers come as {ascii(page.media_type)[:100]}", wanted=mediatype.OCI_INDEX)
                self._say_no_api(f"200 with {page.media_type}")
                break
            api = True
            self._habits.lists_referrers = True
            for descriptor in self._descriptors(page.body):
                listed.setdefault(descriptor.digest, descriptor)
            _limit(len(listed), MAX_REFERRERS, "list of referrers")
        if not api and self._habits.lists_referrers is None:
            self._habits.lists_referrers = False
        return Referrers(api=api, listed=tuple(listed.values()))

    def _has_no_api(self, answer: Answer) -> bool:
        """Whether the answer to the first question for referrers says that the registry lacks that API.

        Registries without it answer in many ways: as if the path were unknown, with a page for people or a redirect to one, or
        that the path is not for us although the same login reads manifests. One that has listed referrers before is believed only
        the usual answers. What may pass, is cut or contradicts itself says nothing about it.
        """
        if answer.status in _NO_API:
            return True
        if self._habits.lists_referrers is True:
            return False
        without = answer.status in _NOT_THERE or answer.status in REDIRECTS
        refused = answer.status in {401, 403} and self._habits.reads
        other = answer.status == 200 and not _may_be_list(answer.head.media_type)
        if without or refused or other:
            self._say_no_api(_told(answer))
        return without or refused or other

    def _say_no_api(self, told: str) -> None:
        self._session.remark(
            f"{self._session.host} has no list of what refers to a manifest: it answers {told}. "
            "Signatures are looked for by their tags, and by the tag of such a list"
        )

    def tags(self) -> list[str]:
        """As :meth:`bundler.content.store.Sink.tags`."""
        tags: dict[str, None] = {}
        for page in self._pages(f"tags/list?n={PAGE}", accept="application/json", absent=lambda answer: answer.status == 404):
            tags |= dict.fromkeys(self._tags(page.body))
            _limit(len(tags), MAX_TAGS, "list of tags")
        return list(tags)

    def _pages(self, path: str, *, accept: str, absent: Callable[[Answer], bool], kept: str | None = None) -> Iterator[Page]:
        """The pages of a list; none if the list is not there, which the answer to the first question says where ``absent`` is true of it.

        With ``kept``, as :meth:`Session.attempt` has it, it may lie elsewhere.
        """
        seen, came = set[str | Url](), 0
        target: str | Url = f"/v2/{self._reference.path}/{path}"

        def page(answer: Answer) -> Page | None:
            if not seen and absent(answer):
                return None
            if answer.status != 200:
                raise self._session.refusal(answer, "GET", need=self._need)
            with self._session.protocol():
                link = next_page(answer.head.all("link"))
            following = None if link is None else self._session.linked(answer, link, "a next page")
            return Page(answer.whole(MAX_PAGE, what="a page of a list"), answer.head.media_type, answer.url, following)

        for _ in range(MAX_PAGES):
            got = self._session.ask(
                "GET", target, need=self._need, then=page, headers={"Accept": accept}, abroad=kept is not None, kept=kept
            )
            if got is None:
                return
            came += len(got.body)
            if came > MAX_LIST:
                break
            yield got
            if got.next is None:
                return
            seen |= {target, got.at}
            if got.next in seen:
                raise self._session.breach("a list whose pages go in a circle")
            target = got.next
        raise FormatError("a list is over its limit", code=Code.LIMIT_ANSWER, wanted=f"at most {MAX_PAGES} pages and {MAX_LIST} bytes")

    def _descriptors(self, body: bytes) -> list[Descriptor]:
        members = self._members(body)
        if members.get("schemaVersion") != 2 or members.get("mediaType") not in {None, mediatype.OCI_INDEX} or "layers" in members:
            raise self._session.breach("referrers that are not an OCI index")
        with self._translated():
            return [Descriptor.from_json(item) for item in self._list(members.get("manifests"))]

    def _tags(self, body: bytes) -> Iterator[str]:
        for tag in self._list(self._members(body).get("tags")):
            if not isinstance(tag, str):
                raise self._session.breach("a tag that is not a string")
            with self._translated():
                self._reference.tagged(tag)
            yield tag

    def _members(self, body: bytes) -> dict[str, object]:
        with self._translated():
            members = strictjson.loads_document(body, limit=MAX_PAGE)
        if not isinstance(members, dict):
            raise self._session.breach("a list that is not an object")
        with self._translated():
            strictjson.check_names(members, NAMES | {"tags"})
        return members

    def _list(self, value: object) -> list[object]:
        if not isinstance(value, list | None):
            raise self._session.breach("something that is not a list")
        return value or []  # null is how some write an empty one

    def _translated(self) -> AbstractContextManager[None]:
        return translated(FormatError, to=TransportError, what=f"{self._session.host} breaks the protocol")


def _may_be_list(media_type: str) -> bool:
    """Whether it is that of an index, or one under which registries give any JSON: a list is not lost for the name of its type."""
    return media_type == "application/json" or media_type.endswith("+json")


def _is_list(page: Page) -> bool:
    try:
        members = strictjson.loads_document(page.body, limit=MAX_PAGE) if _may_be_list(page.media_type) else None
    except FormatError:
        return False
    return isinstance(members, dict) and isinstance(members.get("manifests"), list)


def _told(answer: Answer) -> str:
    """An answer in words, without the query of a location, which may hold what is not for messages."""
    if answer.status in REDIRECTS:
        return f"{answer.status} to {shown((answer.head.one('location') or '').partition('?')[0])[1:-1] or 'no place'}"
    return f"{answer.status} with {shown(answer.head.media_type)[1:-1] or 'no media type'}" if answer.status == 200 else str(answer.status)


def _limit(count: int, limit: int, what: str) -> None:
    if count > limit:
        raise FormatError(f"a {what} is over its limit", code=Code.LIMIT_ANSWER, found=count, wanted=f"at most {limit}")
