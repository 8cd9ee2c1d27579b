"""A manifest and a blob that are asked for, and the beginning of an answer in chunks."""

import pytest

from bundler.content.registry.client import Repository
from bundler.errors import BundlerError
from bundler.oci.descriptor import Descriptor

BLOB = Descriptor.of(b"x" * 100_000, "application/octet-stream")
AT = f"/v2/app/blobs/{BLOB.digest}"
LATEST = "/v2/app/manifests/latest"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def fails(repository: Repository) -> BundlerError:
    """How asking for a manifest and for a blob ends: in the same way."""
    errors = []
    with pytest.raises(BundlerError) as caught:
        repository.document("latest")
    errors.append(caught.value)
    with pytest.raises(BundlerError) as caught:
        list(repository.chunks(BLOB))
    errors.append(caught.value)
    assert errors[0].code == errors[1].code
    return errors[0]
