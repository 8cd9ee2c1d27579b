"""A receipt for people, to print and to file: lines of at most 80 columns in ASCII (docs/spec/receipt-v1.md, section 1)."""

from collections.abc import Iterator

from bundler.bundle.seal import time
from bundler.ledger.receipt import ImageRecord, Outcome, Receipt
from bundler.oci.digest import Digest

COLUMNS = 80
_LABEL = 9  # columns: a digest of SHA-256 has 71 characters, and stands on one line

_ANSWERS = {
    Outcome.ACCEPTED: "ACCEPTED: every image was let in",
    Outcome.REPEAT: "REPEAT: the bundle had been accepted before",
    Outcome.PARTLY: "PARTLY: some images were let in, others were not",
    Outcome.REFUSED: "REFUSED: nothing was let in",
}
_GAPS = {True: ", after a gap", False: "", None: ", unlinked"}


def text(receipt: Receipt, digest: Digest) -> str:
    """The whole of it; ``digest`` is that of the receipt, and its last line. Foreign text is escaped."""
    return "".join(f"{line}\n" for line in (*lines(receipt), *_told("receipt", str(digest))))


def lines(receipt: Receipt) -> Iterator[str]:
    """The same without the digest."""
    yield _ANSWERS[receipt.outcome]
    yield from _told("station", receipt.station)
    yield from _told("time", time(receipt.time))
    if receipt.floor is not None:
        yield from _told("floor", time(receipt.floor))
    for reason in receipt.reasons:
        yield from _told("reason", reason)
    yield from _bundle(receipt)
    for name, digest in receipt.subjects.items():
        yield from _told("of", f"{name}")
        yield from _told("", str(digest))
    yield from _told("trust", str(receipt.trust))
    yield from _told("", f"serial {receipt.serial}")
    if receipt.registry is not None:
        yield from _told("to", receipt.registry)
        blobs = receipt.blobs
        yield from _told("blobs", f"{blobs.sent} sent, {blobs.bytes} bytes; {blobs.there} were there")
    for left in receipt.blobs.left:
        yield from _told("left", str(left))
    for image in receipt.images:
        yield ""
        yield from _image(image)
    yield ""
    for repository, held in receipt.held.items():
        yield from _told("holds", f"{repository}")
        yield from _told("", f"blobs: {len(held)}; {sum(blob.size for blob in held)} bytes")
    yield from _told("by", f"oci-bundler {receipt.version}")
    yield from _told("after", "none" if receipt.previous is None else str(receipt.previous))


def _bundle(receipt: Receipt) -> Iterator[str]:
    bundle = receipt.bundle
    if bundle is None:
        yield from _told("bundle", "sealed by nobody that is trusted here")
        return
    yield from _told("bundle", str(bundle.identity))
    yield from _told("stream", f"{bundle.stream}, number {bundle.sequence}{_GAPS[bundle.gap]}")
    yield from _told("made", time(bundle.created))
    yield from _told("expires", "never" if bundle.expires is None else time(bundle.expires))
    if bundle.previous is not None:
        yield from _told("follows", str(bundle.previous))


def _image(image: ImageRecord) -> Iterator[str]:
    yield from _told("image", str(image.reference))
    yield from _told("digest", str(image.digest))
    if image.destination is not None:
        yield from _told("now at", f"{image.destination} ({image.state})")
    elif image.passed:
        yield from _told("", "passed; not let in, as nothing of this bundle was")
    for reason in image.reasons:
        yield from _told("refused", reason)
    yield from _told("rule", "none covers it" if image.rule is None else image.rule)
    for signer in image.signers:
        yield from _told("signed", f"{signer.id}")
        yield from _told("", f"{f'{signer.name}, ' if signer.name else ''}{signer.kind}, {signer.form}")
    for at in image.times:
        yield from _told("proved", time(at))


def _told(label: str, what: str) -> Iterator[str]:
    """A line, and as many below it as it needs."""
    safe, room = ascii(what)[1:-1], COLUMNS - _LABEL
    for start in range(0, max(len(safe), 1), room):
        yield f"{label if not start else '':{_LABEL}}{safe[start : start + room]}".rstrip()
