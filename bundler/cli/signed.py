"""What ``sign`` says in the end: each manifest that was signed, and each image that could not be."""

from collections.abc import Iterator, Sequence
from typing import Any

from bundler.cli import failures
from bundler.cli.terminal import counted
from bundler.stations.imagesigner import Signed
from bundler.stations.places import Failure


def value(signed: Sequence[Signed], failed: Sequence[Failure]) -> dict[str, Any]:
    return {"signed": [one.to_json() for one in signed], "failed": failures.value(failed)}


def lines(signed: Sequence[Signed], failed: Sequence[Failure], fingerprint: str) -> Iterator[str]:
    lost = f"; {counted(len(failed), 'image')} could not be signed" if failed else ""
    yield f"signed {counted(len(signed), 'manifest')} with {fingerprint}{lost}"
    yield from (f"  {one.reference.repository}@{one.digest}" for one in signed)
    yield from failures.lines(failed)
