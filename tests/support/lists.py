"""What a registry says of the documents that refer to one."""

import json
from typing import Any

from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from tests.support.hostile_registry import answer

SUBJECT = Digest.of(b"subject")
REFERRERS = f"/v2/app/referrers/{SUBJECT}"


def referrer(number: int) -> Descriptor:
    return Descriptor.of(str(number).encode(), mediatype.OCI_MANIFEST)


def index(*numbers: int, link: str | None = None, media_type: str = mediatype.OCI_INDEX, **members: Any) -> bytes:
    content = {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": [referrer(n).to_json() for n in numbers]} | members
    return listed(content, media_type=media_type, link=link)


def listed(content: Any, *, media_type: str = "application/json", link: str | None = None) -> bytes:
    return answer(200, json.dumps(content).encode(), {"Content-Type": media_type} | ({"Link": link} if link else {}))
