"""What ``trust add`` is asked for: which options go together, and what they come to."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundler.errors import UsageError
from bundler.stations import notationconfig, truststore
from bundler.stations.newanchors import NewRoot, NewStore
from bundler.stations.truststore import NewAnchor, NewRule, Trust
from bundler.trust.notation.store import StoreType

ATTESTATIONS = {
    # cosign's short names (cosign verify-attestation --type), written into trust.toml as the URI that is compared
    "slsaprovenance": "https://slsa.dev/provenance/v0.2",
    "slsaprovenance02": "https://slsa.dev/provenance/v0.2",
    "slsaprovenance1": "https://slsa.dev/provenance/v1",
    "link": "https://in-toto.io/Link/v1",
    "spdx": "https://spdx.dev/Document",
    "spdxjson": "https://spdx.dev/Document",
    "cyclonedx": "https://cyclonedx.org/bom",
    "vuln": "https://cosign.sigstore.dev/attestation/vuln/v1",
    "openvex": "https://openvex.dev/ns",
    "custom": "https://cosign.sigstore.dev/attestation/v1",
}

GITHUB = "https://token.actions.githubusercontent.com"
CHAINGUARD = "https://issuer.enforce.dev"
CHAINGUARD_IMAGES = "https://github.com/chainguard-images/images/.github/workflows/release.yaml@refs/heads/main"
PROVENANCE = "https://slsa.dev/provenance/v1"


@dataclass(frozen=True)
class AddRequest:
    """What ``trust add`` was asked for."""

    seal: str | None
    scopes: tuple[str, ...]
    image: str | None
    keys: tuple[Path, ...]
    issuer: str | None
    identities: tuple[str, ...]
    regexp: str | None
    claims: tuple[str, ...]
    root: Path | None
    root_name: str | None
    log: int | None
    timestamp: int | None
    sct: int | None
    store: str | None
    store_type: str | None
    certificates: tuple[Path, ...]
    crls: tuple[Path, ...]
    subject: str | None
    tsa: str | None
    threshold: int | None
    attestations: tuple[str, ...]
    annotations: tuple[str, ...]
    node: str | None
    named: str | None
    preset: str | None
    owner: str | None
    repository: str | None
    uidps: tuple[str, ...]
    notation: Path | None
    called: tuple[str, ...]
    order: str | None

    def add_notation(self, trust: Trust) -> tuple[Trust, tuple[str, ...]]:
        self._refuse_others(("notation",), "--notation")
        assert self.notation is not None
        return notationconfig.add(trust, self.notation)

    def add_seal(self, trust: Trust) -> Trust:
        self._refuse_others(("seal", "scopes", "keys", "threshold", "called", "order"), "--seal")
        assert self.seal is not None
        if not self.keys:
            raise UsageError("trust add wants a key", wanted="--key FILE")
        if not self.scopes:
            raise UsageError("a stream wants scopes", wanted="--scope PATTERN, '**' for everything")
        self._check_threshold(len(self.keys))
        self._check_called(len(self.keys))
        return truststore.add_seal(
            trust,
            stream=self.seal,
            scopes=self.scopes,
            keys=self.keys,
            threshold=self.threshold,
            called=self.called,
            order=self.order,
        )

    def parts(self) -> tuple[list[NewAnchor], NewRule | None]:
        """What is to be added. Raises UsageError for options that do not go together."""
        for option, given in (("--scope", self.scopes), ("--order", self.order)):
            if given:
                raise UsageError(f"{option} belongs to --seal", wanted="--image PATTERN alone")
        store = self._store()
        if self.image is None and self.preset is None:
            self._refuse_others((*_OF_ROOT, *_OF_STORE), "--root and --store without --image")
            root = self._root()
            if root is None and store is None:
                raise UsageError("trust add wants something to add", wanted="--seal, --image, --preset, --root, --store or --notation")
            return [anchor for anchor in (root, store) if anchor], None
        root, rule = self._root(), self._preset() if self.preset else self._rule()
        self._check_called(len(rule.keys) + len(rule.signers))
        return [anchor for anchor in (root, store) if anchor], rule

    def _refuse_others(self, names: Iterable[str], what: str) -> None:
        others = [_spelled(name) for name, value in vars(self).items() if name not in names and value not in (None, ())]
        if others:
            raise UsageError(f"{others[0]} does not belong to {what}", wanted=" ".join(map(_spelled, names)))

    def _root(self) -> NewRoot | None:
        if self.root is None and self.root_name is None:
            if self.issuer or self.preset or (self.log, self.timestamp, self.sct) != (None, None, None):
                raise UsageError("identities and logs count by a root", wanted="--root FILE, a trusted_root.json, or --root-name NAME")
            return None
        beside_key = bool(self.keys and self.root is None)  # then --log is of the key, and the root keeps its number
        return NewRoot(self._root_name(), self.root, None if beside_key else self.log, self.timestamp, self.sct)

    def _root_name(self) -> str:
        assert self.root_name or self.root
        return self.root_name or (self.root.stem if self.root else "")

    def _store(self) -> NewStore | None:
        if self.store_type is None:
            if self.certificates or self.crls:
                raise UsageError("certificates go into a new store", wanted="--store NAME --store-type ca|signingAuthority|tsa")
            return None
        if self.store is None or not self.certificates:
            raise UsageError("a store wants a name and certificates", wanted="--store NAME --store-type TYPE --certificate FILE")
        return NewStore(self.store, StoreType(self.store_type), self.certificates, self.crls)

    def _rule(self) -> NewRule:
        if self.owner or self.repository or self.uidps:
            raise UsageError("--owner, --repository and --uidp belong to --preset", wanted="--preset github or --preset chainguard")
        signers = [*self._identities(), *self._subjects()]
        if not self.keys and not signers:
            raise UsageError("a rule wants signers", wanted="--key FILE, --issuer URL with --identity NAME, or --store NAME with --subject")
        self._check_threshold(len(self.keys) + len(signers))
        logged = self.root is not None or self.root_name is not None
        own_log = {"log": self.log} if self.root is None and self.log is not None else {}
        assert self.image is not None
        return NewRule(
            self.image,
            self.keys,
            signers,
            self.threshold,
            tuple(ATTESTATIONS.get(kind, kind) for kind in self.attestations),
            dict(_pair("--annotation", text) for text in self.annotations),
            self.node,
            self.named,
            {"root": self._root_name()} | own_log if self.keys and logged else {},
            self.called,
        )

    def _check_called(self, signers: int) -> None:
        if self.called and len(self.called) != signers:
            wanted = f"one for each of {signers}, keys first" if signers > 1 else "one"
            raise UsageError("--as names each signer once", found=f"{len(self.called)} names", wanted=wanted)

    def _check_threshold(self, signers: int) -> None:
        if signers > 1 and self.threshold is None:
            wanted = f"--threshold N, 1 to {signers}"
            raise UsageError("of several signers it must be said how many are needed", found=f"{signers} signers", wanted=wanted)

    def _identities(self) -> list[dict[str, Any]]:
        if self.issuer is None:
            if self.identities or self.regexp or self.claims:
                raise UsageError("an identity is one of an issuer", wanted="--issuer URL")
            return []
        names: list[dict[str, Any]] = [{"identity": name} for name in self.identities]
        names += [{"identity_regexp": self.regexp}] if self.regexp else []
        if not names:
            raise UsageError("an issuer knows many", wanted="--identity NAME or --identity-regexp REGEXP")
        claims = dict(_pair("--claim", text) for text in self.claims)
        self._root()  # says that one is wanted
        more = {"root": self._root_name()} | ({"claims": claims} if claims else {})
        return [{"issuer": self.issuer} | name | more for name in names]

    def _subjects(self) -> list[dict[str, Any]]:
        if self.subject is None:
            if self.tsa or self.store:
                raise UsageError(
                    "a rule by a store says of which subjects", wanted="--subject SUBJECT, '*' for all that the store vouches for"
                )
            return []
        if self.store is None:
            raise UsageError("a subject is one that a store vouches for", wanted="--store NAME")
        return [{"store": self.store, "subject": self.subject} | ({"tsa": self.tsa} if self.tsa else {})]

    def _preset(self) -> NewRule:
        """A rule as these publishers' signatures need it; all names in it are compared with what the certificate says."""
        self._refuse_others(("preset", "image", *_OF_ROOT, "owner", "repository", "uidps", "node", "called"), "--preset")
        self._root()  # says that one is wanted
        return self._chainguard(self._root_name()) if self.preset == "chainguard" else self._github(self._root_name())

    def _chainguard(self, root: str) -> NewRule:
        if self.owner or self.repository:
            raise UsageError("--owner and --repository belong to --preset github", wanted="--uidp ID for images of your organization")
        if not self.uidps:
            signer = {"issuer": GITHUB, "identity": CHAINGUARD_IMAGES, "root": root}
            return NewRule(self.image or "cgr.dev/chainguard/**", signers=[signer], node=self.node, called=self.called)
        if self.image is None:
            raise UsageError("images of an organization lie in its own repositories", wanted="--image 'cgr.dev/ORGANIZATION/**'")
        signers = [{"issuer": CHAINGUARD, "identity": f"{CHAINGUARD}/{uidp}", "root": root} for uidp in self.uidps]
        return NewRule(self.image, signers=signers, threshold=1, node=self.node, called=self.called)

    def _github(self, root: str) -> NewRule:
        if self.uidps or self.image is None or (self.owner is None) == (self.repository is None):
            raise UsageError(
                "--preset github wants to know where images lie, and who has built them",
                wanted="--image PATTERN, and --owner NAME or --repository OWNER/NAME",
            )
        whose = self.owner or self.repository or ""
        if not re.fullmatch(r"[A-Za-z0-9-]+" if self.owner else r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+", whose, re.ASCII):
            raise UsageError("no such owner or repository can be at GitHub", found=ascii(whose)[:160], wanted="NAME, or OWNER/NAME")
        place = re.escape(whose) + ("/[^/@]{1,100}" if self.owner else "")  # GitHub: a repository's name has at most 100 characters
        claim = "source_repository_owner_uri" if self.owner else "source_repository_uri"
        signer = {
            "issuer": GITHUB,
            "identity_regexp": rf"https://github\.com/{place}/\.github/workflows/[^@]+@refs/(heads|tags)/.+",
            "root": root,
            "claims": {claim: f"https://github.com/{whose}"},
        }
        return NewRule(self.image, signers=[signer], threshold=0, attestations=[PROVENANCE], node=self.node, called=self.called)


_OF_ROOT = ("root", "root_name", "log", "timestamp", "sct")
_OF_STORE = ("store", "store_type", "certificates", "crls")
_SPELLINGS = {
    "scopes": "scope",
    "keys": "key",
    "identities": "identity",
    "regexp": "identity-regexp",
    "claims": "claim",
    "certificates": "certificate",
    "crls": "crl",
    "attestations": "attestation",
    "annotations": "annotation",
    "named": "name",
    "uidps": "uidp",
    "called": "as",
}


def _spelled(name: str) -> str:
    return f"--{_SPELLINGS.get(name, name).replace('_', '-')}"


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise UsageError(f"{option} wants a name and a value", found=ascii(text)[:160], wanted=f"{option} NAME=VALUE")
    return name, value
