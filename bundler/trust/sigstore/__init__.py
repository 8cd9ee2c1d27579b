"""Sigstore: signatures by short-lived certificates, logged and timestamped (docs.sigstore.dev; protobuf-specs)."""
