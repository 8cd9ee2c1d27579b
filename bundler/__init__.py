"""Signed container images across an air gap: export, verify, import."""

__version__ = "0.1.0"
