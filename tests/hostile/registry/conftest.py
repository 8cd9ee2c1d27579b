"""A server that answers as a test wants, and the client of it, as the unit tests of the client have them."""

from tests.unit.content.registry.conftest import hostile, reach, server, waits

__all__ = ["hostile", "reach", "server", "waits"]
