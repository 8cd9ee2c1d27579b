"""The embedded registry: distribution-spec 1.1 over a folder, for demos, tests and small stations."""
