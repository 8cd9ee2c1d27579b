"""A station that has accepted nothing, at a registry that holds what it said: its folder may have been lost, and is not silently new.

The word of a registry decides nothing here. It is a reason to ask a person, before older bundles are let in again.
"""

from collections.abc import Iterable
from contextlib import suppress
from itertools import islice

from bundler import strictjson
from bundler.content.store import Sink
from bundler.errors import FormatError, IncompleteError, IntegrityError, TransportError, TrustError
from bundler.ledger.summary import MAX_SUMMARY
from bundler.oci.lookup import Form
from bundler.stations.attaching import in_list
from bundler.trust.dsse import Envelope
from bundler.trust.keys import PublicKey

MAX_REPOSITORIES = 8
MAX_LISTS = 8
"""Lists of attestations of one repository that are read: a request each, and one more for what it holds."""


def summary_by(verifier: str, key: PublicKey, sinks: Iterable[Sink]) -> str | None:
    """Where one of the repositories holds a summary that names ``verifier`` or that ``key`` has signed; None where none does.

    Few of each are looked at. What cannot be read there says nothing.
    """
    for sink in islice(sinks, MAX_REPOSITORIES):
        with suppress(TransportError, FormatError, IncompleteError, IntegrityError):
            for tag in _lists(sink):
                if any(_names(verifier, envelope) or _is_signed(envelope, key) for envelope in in_list(tag, sink)):
                    return f"{sink.title}:{tag}"
    return None


def _lists(sink: Sink) -> Iterable[str]:
    return islice((tag for tag in sink.tags() if tag.endswith(f".{Form.ATT}")), MAX_LISTS)


def _names(verifier: str, envelope: Envelope) -> bool:
    with suppress(FormatError):
        match strictjson.loads(envelope.payload, limit=MAX_SUMMARY):
            case {"predicate": {"verifier": {"id": who}}}:
                return bool(who == verifier)
    return False


def _is_signed(envelope: Envelope, key: PublicKey) -> bool:
    with suppress(TrustError, FormatError):
        key.verify(envelope.signature, envelope.signed)
        return True
    return False
