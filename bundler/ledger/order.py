"""Whether a bundle may follow those of its stream that were accepted (docs/spec/station-v1.md, section 4)."""

from dataclasses import dataclass
from enum import StrEnum

from bundler.bundle.seal import time
from bundler.errors import Code
from bundler.ledger.state import Link, Stream
from bundler.trust.policy import Order


class Outcome(StrEnum):
    """What comes of a bundle's place in its stream."""

    ACCEPTED = "accepted"
    REPEAT = "repeat"
    """It was accepted before."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Standing:
    """What comes of a bundle's place, and how a person is told."""

    outcome: Outcome
    detail: str
    code: Code | None = None
    """Why it is refused."""
    gap: bool | None = False
    """Whether it follows another bundle than the last one; None where it does not say which it follows."""


def judge(order: Order, stream: Stream | None, link: Link) -> Standing:
    """What comes of the bundle at ``link`` under ``order``, after what is known of its ``stream``; None is nothing."""
    if stream is None:
        return Standing(Outcome.ACCEPTED, "the first of its stream")
    last, known = stream.last, stream.numbered(link.sequence)
    if known is not None and known.identity != link.identity:
        both = f"number {link.sequence} was accepted as {known.identity}, and this one is {link.identity}"
        return _refused(Code.STREAM_EQUIVOCATION, f"its sealer has sealed two bundles with one number: {both}")
    if known is not None and (known == last or order is Order.ANY):
        return Standing(Outcome.REPEAT, f"number {link.sequence} was accepted before")
    if link.sequence < last.sequence:  # mutant-equivalent past limit 1: the last number is known
        before = "was accepted before, and since then" if known is not None else "is older:"
        since = f"number {last.sequence} of {time(stream.created)} was accepted on {time(stream.accepted)}"
        told = f"number {link.sequence} {before} {since}"
        return Standing(Outcome.ACCEPTED, told) if order is Order.ANY else _refused(Code.STREAM_ROLLBACK, told)
    if link.previous == last.identity:
        return Standing(Outcome.ACCEPTED, f"it follows number {last.sequence}")
    if link.previous is None:
        told, gap = f"number {last.sequence} was accepted last, and it does not say which one it follows", None
    else:
        told, gap = f"number {last.sequence} was accepted last, {last.identity}, and it follows {link.previous}", True
    return _refused(Code.STREAM_GAP, told, gap=gap) if order is Order.CHAIN else Standing(Outcome.ACCEPTED, told, gap=gap)


def _refused(code: Code, detail: str, *, gap: bool | None = False) -> Standing:
    return Standing(Outcome.REFUSED, detail, code, gap)
