"""The bundle's format, version 1, as ``docs/spec/bundle-v1.md`` says it."""
