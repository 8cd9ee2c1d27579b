"""Who vouches for what: bytes and a time in, a verdict out. Nothing here reads, writes or asks the time."""
