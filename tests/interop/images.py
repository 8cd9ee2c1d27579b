"""Small OCI image layouts, made by the tests themselves, for real peers to push.

What a layout holds follows from the words given to it alone: the same words give the same digests.
"""

import gzip
import io
import json
import tarfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"
HELM_CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
PLATFORMS = ("linux/amd64", "linux/arm64")

Descriptor = dict[str, Any]


@dataclass(frozen=True)
class Layout:
    """An OCI image layout in a folder; each thing put into it gives its descriptor."""

    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "blobs/sha256").mkdir(parents=True, exist_ok=True)
        (self.folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        if not self._index.exists():
            self._index.write_text(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}))

    def blob(self, data: bytes, media_type: str) -> Descriptor:
        """Any bytes, as what they are said to be."""
        encoded = sha256(data).hexdigest()
        (self.folder / "blobs/sha256" / encoded).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{encoded}", "size": len(data)}

    def document(self, members: dict[str, Any]) -> Descriptor:
        """A manifest or an index, under the media type that it names itself."""
        return self.blob(json.dumps({"schemaVersion": 2} | members).encode(), members["mediaType"])

    def image(self, words: str, platform: str = "linux/amd64") -> Descriptor:
        """An image of one layer, in which the file ``words`` holds these words and the platform."""
        operating_system, architecture = platform.split("/")
        tar = _tar({"words": f"{words} for {platform}\n"})
        config = {
            "architecture": architecture,
            "os": operating_system,
            "config": {"Cmd": ["/words"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(tar).hexdigest()}"]},
        }
        return self.document(
            {
                "mediaType": MANIFEST,
                "config": self.blob(json.dumps(config).encode(), CONFIG),
                "layers": [self.blob(gzip.compress(tar, mtime=0), LAYER)],
            }
        )

    def index(self, words: str, platforms: tuple[str, ...] = PLATFORMS) -> Descriptor:
        """An index over one image for each platform."""
        children = [self.image(words, platform) | {"platform": _platform(platform)} for platform in platforms]
        return self.document({"mediaType": INDEX, "manifests": children})

    def chart(self, name: str, version: str = "0.1.0") -> Descriptor:
        """A Helm chart as ``helm push`` stores it: a manifest whose config is the chart's metadata."""
        metadata = {"apiVersion": "v2", "name": name, "version": version, "type": "application"}
        files = {f"{name}/Chart.yaml": json.dumps(metadata), f"{name}/values.yaml": "replicas: 1\n"}
        return self.document(
            {
                "mediaType": MANIFEST,
                "config": self.blob(json.dumps(metadata).encode(), HELM_CONFIG),
                "layers": [self.blob(gzip.compress(_tar(files), mtime=0), HELM_CHART)],
                "annotations": {"org.opencontainers.image.title": name, "org.opencontainers.image.version": version},
            }
        )

    def named(self, name: str, descriptor: Descriptor) -> Descriptor:
        """The same thing, listed in the layout's index under this name."""
        index = json.loads(self._index.read_text())
        index["manifests"].append(descriptor | {"annotations": {"org.opencontainers.image.ref.name": name}})
        self._index.write_text(json.dumps(index))
        return descriptor

    @property
    def _index(self) -> Path:
        return self.folder / "index.json"


def _platform(platform: str) -> dict[str, str]:
    operating_system, architecture = platform.split("/")
    return {"os": operating_system, "architecture": architecture}


def _tar(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()
