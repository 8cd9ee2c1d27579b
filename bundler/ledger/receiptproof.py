"""That the journal of a station holds a receipt: its entry follows from it, and its proof lies beside it (receipt-v1.md, section 1)."""

from bundler.errors import FormatError, TrustError
from bundler.ledger.journal.entry import Entry, Kind
from bundler.ledger.journal.notes import Proof, verify_proof
from bundler.ledger.receipt import Outcome, Receipt
from bundler.oci.digest import Digest
from bundler.trust.keys import PublicKey


def entry_of(receipt: Receipt, digest: Digest) -> bytes:
    """The entry of the receipt that has this digest."""
    kind = Kind.REFUSAL if receipt.outcome is Outcome.REFUSED else Kind.IMPORT
    return Entry(kind, digest, receipt.time).to_bytes()


def proved(receipt: Receipt, digest: Digest, proof: str, *, key: PublicKey) -> Proof:
    """Where the journal that ``key`` signs holds it, by the text of a ``.tlog-proof``.

    Raises TrustError (``tlog.proof``, ``checkpoint.…``) with the file that lies there for a hint.
    """
    try:
        origin = Proof.parse(proof).checkpoint.origin  # whose journal it is, its key says
        return verify_proof(proof, entry_of(receipt, digest), key=key, origin=origin)
    except (TrustError, FormatError) as error:
        raise TrustError(
            f"the .tlog-proof beside the receipt does not prove it: {error.what}",
            code=error.code,
            found=error.found,
            wanted=error.wanted,
            next="take the one that the station has; or move it away, to verify the receipt alone",
        ) from error
