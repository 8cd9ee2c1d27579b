"""The journal: an entry for each thing that a station did, in a tree that nobody can change unnoticed (docs/spec/journal-v1.md)."""
