"""The OCI distribution specification, as a client speaks it."""
