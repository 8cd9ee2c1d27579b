"""A server that answers as a test wants, and the client of it."""

from tests.support.reach import hostile, reach, server, waits

__all__ = ["hostile", "reach", "server", "waits"]
