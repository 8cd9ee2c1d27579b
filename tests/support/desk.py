"""A desk at which an operator makes up a trust: files to pin, and a folder of trust."""

from pathlib import Path
from typing import Any

from tests.support import notary, signing, station
from tests.support.station import Ran
from tests.support.world import IDENTITY, ISSUER, World, canonical

WORLD = World()

ROOT = canonical(WORLD.root_json())

WHO = ("--image", "**", "--issuer", ISSUER, "--identity", IDENTITY)


class Desk:
    """A folder with files to pin, and a trust."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.trust = folder, folder / "trust"
        self.root, self.ca, self.key = folder / "root.json", folder / "ca.pem", folder / "a.pub"
        folder.mkdir()
        self.root.write_bytes(ROOT)
        self.ca.write_bytes(notary.ROOT.pem)
        self.key.write_bytes(signing.P256.pem)
        assert station.run("trust", "init", self.trust).exit == 0

    def add(self, *words: object) -> Ran:
        return station.run("trust", "add", self.trust, *words)

    def toml(self) -> str:
        return (self.trust / "trust.toml").read_text()

    def list(self) -> Any:
        return station.run("trust", "list", self.trust, "--json").json
