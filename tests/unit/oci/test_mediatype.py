"""What compresses and what does not: this decides how a layer is stored."""

import pytest

from bundler.oci import mediatype


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
        "application/x.files.tar.gz",
    ],
)
def test_what_says_that_it_is_compressed_is_not_compressed_again(media_type: str) -> None:
    assert not mediatype.compresses(media_type)


@pytest.mark.parametrize(
    "media_type",
    ["application/vnd.oci.image.layer.v1.tar", "application/vnd.dsse.envelope.v1+json", "text/spdx+json", "application/gzipped"],
)
def test_everything_else_is_tried(media_type: str) -> None:
    assert mediatype.compresses(media_type)


def test_no_media_type_is_both_a_manifest_and_an_index() -> None:
    assert not mediatype.MANIFESTS & mediatype.INDEXES
    assert not mediatype.DOCUMENTS & (mediatype.SCHEMA1 | mediatype.IMAGE_CONFIGS)
