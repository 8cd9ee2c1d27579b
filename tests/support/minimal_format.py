"""A signature format and a kind of signer that the product does not have, to show what one more of either takes.

A layer of such a signature is bytes: BEGINS, an Ed25519 key, and the signature by it over the bytes of the manifest. Who may
sign stands in a file of public keys in hex, a ring, which ``[[ring]]`` in ``trust.toml`` names and ``{ ring = NAME }`` in a rule refers to.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bundler.errors import Code
from bundler.trust.foreign import foreign, verifies
from bundler.trust.keys import Signed
from bundler.trust.kind import Files, Kind, Known, Section, called, file
from bundler.trust.need import need
from bundler.trust.signer import SignerProof
from bundler.trust.table import Table
from bundler.trust.unverified import Binary, Claim, Format, Layer, Material, UnverifiedSignature

MEDIA_TYPE = "application/vnd.example.minimal.v1"
BEGINS, SIZE = b"\xffMIN", 4 + 32 + 64


@dataclass(frozen=True, slots=True)
class MinimalSignature:
    signed: Signed
    signature: bytes
    material: Material
    form: str = "minimal"

    @classmethod
    def read(cls, layer: Layer) -> "MinimalSignature":
        whole = len(layer.payload) == SIZE and layer.payload.startswith(BEGINS)
        need(whole, Code.SIGNATURE_MALFORMED, "not a minimal signature", wanted=f"{SIZE} bytes")
        key, signature = layer.payload[4:36].hex(), layer.payload[36:]
        return cls(Signed(layer.subject.raw), signature, Material(by_key=False, hint=key))

    def claim(self) -> Claim:
        return Claim()


@dataclass(frozen=True, slots=True)
class Ring:
    name: str
    file: str
    keys: tuple[str, ...]
    table: str = "ring"

    @classmethod
    def parse(cls, table: Table, files: Files) -> "Ring":
        table.check_names({"name", "file"})
        path = table.text("file")
        return cls(table.label("name"), path, tuple(file(files, path).decode().split()))

    def to_json(self, files: Files) -> dict[str, Any]:
        return {"name": self.name, "keys": list(self.keys)}

    def lines(self, files: Files) -> Iterator[str]:
        yield f"ring   {self.name}: {len(self.keys)} keys"


@dataclass(frozen=True, slots=True)
class RingMember:
    ring: Ring
    kind: str = "ring"
    key: None = None
    name: str | None = field(default=None, compare=False)

    def prove(self, offer: UnverifiedSignature, *, at: datetime) -> SignerProof:
        need(isinstance(offer, MinimalSignature), Code.BUNDLE_MATERIAL, "a signature of another form, where a ring is pinned")
        key = offer.material.hint or ""
        need(key in self.ring.keys, Code.KEY_UNKNOWN, "a key that is not in the ring", found=key, wanted=self.ring.name)
        with foreign("a key of a ring is not one", code=Code.SIGNATURE_MALFORMED):
            public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        good = verifies(lambda: public.verify(offer.signature, offer.signed.whole))
        need(good, Code.SIGNATURE_INVALID, "a signature that is not by its key", found=key)
        return SignerProof(key, f"Ed25519 by {key}", under=f"under the ring {self.ring.name}")

    def is_named_by(self, hint: str) -> bool:
        return hint in self.ring.keys

    def behind(self, files: Files) -> Iterator[bytes]:
        yield files[self.ring.file]

    def __str__(self) -> str:
        return f"a key of the ring {self.ring.name}"


def _parse(table: Table, known: Known) -> RingMember:
    table.check_names({"ring", "name"})
    return RingMember(known.anchor(table, "ring", RINGS), name=called(table))


BINARY = Binary("minimal", BEGINS, lambda pieces: sum(map(len, pieces)) == SIZE)
FORMAT = Format(MEDIA_TYPE, MinimalSignature.read, "example, minimal", binary=BINARY, kind="ring")
RINGS = Section("ring", lambda table: iter([table.text("file")]), Ring.parse)
KIND = Kind("ring", "ring", _parse, unnamed="signed by a key outside the rings of the rule, or altered since", section=RINGS)
