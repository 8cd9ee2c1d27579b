"""Any byte of a bundle that is changed, lost, added or cut off is noticed, or changes nothing (design 8; F-030, ZST-044 to -050)."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bundler.bundle.archive import opened
from bundler.bundle.seal import Seal
from bundler.errors import BundlerError
from tests.support.bundles import Bundle, checked
from tests.support.layouts import PLAIN_LAYER, Content
from tests.support.signing import EXPORTER

PARTS = 8  # so that the work is shared out


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    content = Content()
    image = content.image(layers=[content.blob(bytes(range(256)), PLAIN_LAYER), content.blob(b"", PLAIN_LAYER)])
    content.sig(image.digest, (b"payload", b"signature"))
    return Bundle.of(content, {"registry.example/app:v1": image}, trust=[EXPORTER.pem])


@pytest.fixture(scope="module")
def raw(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "app.oci.tar.zst"
    bundle.write(path)
    return path.read_bytes()


def judged(path: Path) -> tuple[Seal, dict[str, bytes]]:
    """What a station would take. Raises what it would refuse it with."""
    with opened(path) as archive:
        content = checked(archive, EXPORTER)
        found = content.verify(jobs=1)
        if found.faults:
            raise found.faults[0]
        content.check_derived()
        return content.seal, {member.path: content.read(member.name or member.digest) for member in content.seal.members}


def flipped(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1 << at % 8]) + raw[at + 1 :]


def inverted(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 0xFF]) + raw[at + 1 :]


def lost(raw: bytes, at: int) -> bytes:
    return raw[:at] + raw[at + 1 :]


def doubled(raw: bytes, at: int) -> bytes:
    return raw[:at] + raw[at : at + 1] + raw[at:]


def cut(raw: bytes, at: int) -> bytes:
    return raw[:at]


def zeroed(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes(len(raw) - at)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("spoil", [flipped, inverted, lost, doubled, cut, zeroed])
def test_every_byte_counts(bundle: Bundle, raw: bytes, tmp_path: Path, spoil: Callable[[bytes, int], bytes], part: int) -> None:
    path = tmp_path / "spoilt.oci.tar.zst"
    ends = []
    for at in range(part, len(raw), PARTS):
        path.write_bytes(spoil(raw, at))
        try:
            assert judged(path) == (bundle.seal, {member.path: bundle.files[member.path] for member in bundle.seal.members})
        except BundlerError as error:
            ends.append(error.exit)
    assert set(ends) <= {3, 4, 5}
    assert len(ends) > len(raw) // PARTS * 0.95  # the rest are bits of a frame that mean nothing


def test_an_untouched_bundle_is_taken(bundle: Bundle, raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "good.oci.tar.zst"
    path.write_bytes(raw)
    assert judged(path)[0] == bundle.seal
