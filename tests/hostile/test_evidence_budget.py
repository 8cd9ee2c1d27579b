"""What judging an image costs at most, where one payload lies in many places: bytes that are verified again are counted."""

import json

import pytest

from bundler.oci import mediatype
from bundler.oci.descriptor import Descriptor
from bundler.trust.judge import MAX_REPEATED
from bundler.trust.policy import Policy
from tests.support.signing import P256, SPDX, Key, Scene, codes, envelope, policy, rule, statement


def test_a_payload_that_lies_in_many_places_is_judged_wherever_it_lies() -> None:
    scene, asked = repeated(40, P256)
    verdict = scene.judge(asked)
    assert verdict.passed
    assert len([check for check in verdict.checks if check.name == "attestation" and check.subject != scene.root.digest]) == 40


KEYS = [Key.of("p256", number) for number in range(10, 14)]
LARGE = json.dumps(envelope(statement(Scene.of_image().root, predicate="x" * (11 << 20)), P256)).encode()


def repeated(times: int, *keys: Key) -> tuple[Scene, Policy]:
    """An image with one large attestation in many layers, each with an annotation of its own."""
    scene = Scene.of_image()
    blob = scene.content.blob(LARGE, mediatype.DSSE)
    layers = [Descriptor(blob.media_type, blob.digest, blob.size, annotations={"n": str(number)}) for number in range(times)]
    carrier = scene.content.manifest(scene.content.blob(b"{}"), layers)
    scene.content.tags[f"{scene.root.digest.tag}.att"] = carrier
    return scene, policy(rule(*keys, threshold=0, attestations=[SPDX]))


@pytest.mark.parametrize("keys", [1, 5])
def test_bytes_that_are_verified_again_are_counted_and_the_first_time_is_not(keys: int) -> None:
    fit = (MAX_REPEATED // len(LARGE)) // keys
    scene, asked = repeated(fit, P256, *KEYS[: keys - 1])
    assert codes(scene.judge(asked)) == set()
    scene, asked = repeated(fit + 2, P256, *KEYS[: keys - 1])
    verdict = scene.judge(asked)
    assert [str(code) for code in verdict.reasons] == ["policy.attestation", "limit.evidence"]
    assert any("1073741824 bytes" in check.detail for check in verdict.checks)
