"""The station: the machine at which bundles arrive, as one value."""

from collections.abc import Iterator
from dataclasses import dataclass

from bundler.bundle.seal import Seal
from bundler.errors import Code
from bundler.stations.truststore import Trust


@dataclass(frozen=True, slots=True)
class Station:
    """Whom a station trusts, what it is called, and what it keeps of earlier bundles: nothing, in this version."""

    trust: Trust
    name: None = None
    state: None = None
    """The last bundle of each stream, and what bundles may build on."""
    journal: None = None
    receipts: None = None

    def lacks(self, seal: Seal) -> Iterator[tuple[Code, str]]:
        """What a seal asks of the station and the station does not have, with what was found."""
        if seal.station is not None and seal.station != self.name:
            yield Code.SEAL_STATION, f"for the station {seal.station}; this one has no name yet"
        if seal.requires_trust is not None:
            yield Code.TRUST_SERIAL, f"it asks for trust of serial {seal.requires_trust} or later, which is not compared yet"
