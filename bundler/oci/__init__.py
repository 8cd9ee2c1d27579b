"""The nouns of the OCI specifications, as values. Nothing here reads, writes or asks the time."""
