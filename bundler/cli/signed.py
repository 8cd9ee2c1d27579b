"""What ``sign`` says in the end: each manifest that was signed, and each image that could not be."""

from collections.abc import Iterator, Sequence
from typing import Any

from bundler.cli.terminal import counted, error_lines, error_value
from bundler.errors import BundlerError
from bundler.stations.imagesigner import Signed

Failed = Sequence[tuple[str, BundlerError]]
"""The images, as they were typed, and why."""


def value(signed: Sequence[Signed], failed: Failed) -> dict[str, Any]:
    return {"signed": [one.to_json() for one in signed], "failed": [{"reference": text} | error_value(error) for text, error in failed]}


def lines(signed: Sequence[Signed], failed: Failed, fingerprint: str) -> Iterator[str]:
    lost = f"; {counted(len(failed), 'image')} could not be signed" if failed else ""
    yield f"signed {counted(len(signed), 'manifest')} with {fingerprint}{lost}"
    yield from (f"  {one.reference.repository}@{one.digest}" for one in signed)
    for text, error in failed:
        yield from error_lines(text, error)
