"""Where images lie: a registry, an OCI layout, an archive of one. The words are skopeo's (containers-transports(5))."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bundler.bundle.foreign import opened_archive
from bundler.content.layout import Layout
from bundler.content.registry.client import Access, Registry, Repository
from bundler.content.registry.credentials import Credentials
from bundler.content.store import Sink, Source
from bundler.errors import BundlerError, Code, IncompleteError, IntegrityError, UsageError
from bundler.oci.digest import Digest
from bundler.oci.manifest import Document
from bundler.oci.reference import Reference
