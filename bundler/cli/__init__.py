"""Flags in; text, JSON and an exit code out."""
