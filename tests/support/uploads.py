"""What a registry says while a blob is put to it, and the blob."""

import os
from collections.abc import Callable, Iterator

from bundler.oci.descriptor import Descriptor
from tests.support.hostile_registry import answer, head_only, refusal

UPLOADS = "/v2/app/blobs/uploads/"
SESSION = "/v2/app/blobs/uploads/1"
DATA = os.urandom(1_000_000)
BLOB = Descriptor.of(DATA, "application/octet-stream")
AT = f"/v2/app/blobs/{BLOB.digest}"
PUT = f"{SESSION}?digest=sha256%3A{BLOB.digest.encoded}"
STORED = answer(201, headers={"Location": AT})
GONE = refusal(404, "BLOB_UPLOAD_UNKNOWN")


def began(location: str = SESSION, **headers: str) -> bytes:
    return answer(202, headers={"Location": location} | headers)


def there(size: int | None) -> bytes:
    return head_only(404) if size is None else head_only(200, {"Content-Length": str(size)})


def chunks(data: bytes = DATA, *, size: int = 300_000) -> Callable[[], Iterator[bytes]]:
    return lambda: iter([data[at : at + size] for at in range(0, len(data), size)])
