"""Under which conditions a request is for something, and for which part of it (RFC 9110, sections 13 and 14)."""

import re
from collections.abc import Callable

from bundler.oci.digest import Digest
from bundler.serving.exchange import RefusedError, Request


def named(digest: Digest) -> dict[str, str]:
    return {"Docker-Content-Digest": str(digest), "ETag": f'"{digest}"'}


def range_of(told: str | None, size: int) -> tuple[int, int | None]:
    """First byte and how many, for a ``Range`` of one part; (0, None) for the whole (RFC 9110, section 14.2)."""
    found = re.fullmatch(r"bytes=([0-9]{0,18})-([0-9]{0,18})", (told or "").replace(" ", ""), re.ASCII)
    if found is None or found[0] == "bytes=-":
        return 0, None
    if found[1]:
        first, last = int(found[1]), min(int(found[2] or size), size - 1)
    else:
        first, last = max(0, size - int(found[2])), size - 1
    if first > last:
        raise RefusedError(416, "SIZE_INVALID", f"the blob has {size} bytes", headers={"Content-Range": f"bytes */{size}"})
    return first, last - first + 1


def continues(request: Request, digest: Digest) -> bool:
    """Whether a part may be given: what a client has the beginning of is what it asks for (RFC 9110, section 13.1.5)."""
    return request.headers.get("if-range") in (None, named(digest)["ETag"])


def may_put(request: Request, current: Callable[[], Digest | None]) -> bool:
    """Whether ``If-Match`` and ``If-None-Match`` let a manifest be put over ``current`` (RFC 9110, sections 13.1.1 and 13.1.2)."""
    match, none = request.headers.get("if-match"), request.headers.get("if-none-match")
    digest = current() if match is not None or none is not None else None
    own = None if digest is None else named(digest)["ETag"]
    if match is not None and (own is None or (match.strip() != "*" and own not in _tags_of(match))):
        return False
    return none is None or own is None or (none.strip() != "*" and own not in {tag.removeprefix("W/") for tag in _tags_of(none)})


def _tags_of(header: str) -> set[str]:
    return {tag.strip() for tag in header.split(",")}  # no digest holds a comma
