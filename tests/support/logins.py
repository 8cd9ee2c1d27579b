"""A login of Alice, and how registries ask for it: in the open, or by a token."""

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from bundler.content.registry.credentials import Credentials
from tests.support.hostile_registry import Exchange, HostileRegistry, answer

BASIC = "Basic " + b64encode(b"alice:t0psecret").decode()


def alice(host: HostileRegistry | str) -> dict[str, Any]:
    name = host if isinstance(host, str) else host.host
    return {"credentials": Credentials.load(environ={}, username="alice", password="t0psecret", hosts=[name])}


def challenge(realm: str, *, scope: str = "repository:app:pull", service: str = "registry.test") -> bytes:
    said = f'Bearer realm="{realm}",service="{service}",scope="{scope}"'
    body = b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
    return answer(401, body, {"WWW-Authenticate": said})


def token(text: str = "t0ken", **members: Any) -> bytes:
    return answer(200, json.dumps({"token": text} | members).encode(), {"Content-Type": "application/json"})


def only_with(authorization: str, otherwise: bytes, then: bytes = answer(404)) -> Callable[[Exchange], bytes]:
    return lambda exchange: then if exchange.headers.get("authorization") == authorization else otherwise
