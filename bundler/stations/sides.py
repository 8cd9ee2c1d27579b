"""A file read for what a side has: a bundle says what was sent, a receipt or a return file what a station found and holds."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from bundler.bundle.archive import opened
from bundler.bundle.seal import time
from bundler.content.files import read_small
from bundler.ledger import reading, receipt, returnfile
from bundler.ledger.receipt import ImageRecord, Receipt
from bundler.ledger.returnfile import Return
from bundler.oci.digest import Digest
from bundler.stations.bases import begins
from bundler.stations.holdings import Details, FileKind, Held, Holdings, Sealed, Told, bundle_holdings
from bundler.stations.truststore import Trust
from bundler.stations.vouching import Maker
from bundler.trust.keys import PublicKey


@contextmanager
def opened_side(path: Path, trust: Trust | None, key: PublicKey | None, *, at: datetime) -> Iterator[Holdings]:
    """What a file says, while it is open. With a station's ``key`` a receipt or a return file must be signed by it.

    Raises TrustError (``receipt.signature``), FormatError (``format.receipt``, ``format.return``), and as
    :func:`bundler.bundle.archive.opened` and :func:`bundle_holdings`.
    """
    if not begins(path).startswith(b"{"):
        with opened(path) as archive:
            yield bundle_holdings(archive, trust, at=at)
        return
    raw = read_small(path, limit=receipt.MAX_RECEIPT, what="the file")
    sealed = Sealed(verified=False) if key is None else Sealed(verified=True, by=(Maker("key", key.fingerprint, proved=True),))
    if returnfile.is_return_file(raw):
        yield _return_holdings(returnfile.unverified(raw) if key is None else returnfile.opened(raw, [key]), sealed)
    else:
        yield _receipt_holdings(receipt.unverified(raw) if key is None else receipt.opened(raw, key), sealed)


def _receipt_holdings(told: Receipt, sealed: Sealed) -> Holdings:
    """The images that were let in, and of their signers those who counted."""
    bundle = told.bundle
    return Holdings(
        kind=FileKind.RECEIPT,
        station=told.station,
        identity=bundle.identity if bundle else None,
        stream=bundle.stream if bundle else None,
        sequence=bundle.sequence if bundle else None,
        created=time(told.time),
        sealed=sealed,
        images={image.reference: _held(image) for image in told.images if image.destination is not None},
        blobs=_blobs(told.held),
        others={},
    )


def _return_holdings(told: Return, sealed: Sealed) -> Holdings:
    blobs = _blobs(told.held)
    return Holdings(FileKind.RETURN, told.station, None, None, None, time(told.time), sealed, images=None, blobs=blobs, others={})


def _held(image: ImageRecord) -> Held:
    signers = frozenset(Maker(signer.kind, signer.id, proved=True, name=signer.name) for signer in image.signers)
    return Held(image.reference, image.digest, partial(Details, signers, Told.COUNTED), lambda: None)


def _blobs(held: Mapping[str, Iterable[reading.Held]]) -> dict[Digest, int]:
    """Whatever any repository has."""
    return {blob.digest: blob.size for blobs in held.values() for blob in blobs}
