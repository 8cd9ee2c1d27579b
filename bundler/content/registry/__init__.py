"""The OCI distribution specification: a client, and the embedded server."""
