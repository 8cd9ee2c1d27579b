"""``python -m bundler`` is the command ``oci-bundler``."""

from bundler.cli.main import main

main()
