"""The RSA keys of the tests, made once: to make one takes up to a second, to read it takes nothing.

They lie beside this file, and guard nothing: whoever has the tests has them. A test that wants one more makes it, of its size:
``openssl genrsa -traditional -out tests/support/rsakeys/NAME-2048.test-key 2048``.
"""

import functools
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key


@functools.cache
def rsa_key(name: str, size: int) -> rsa.RSAPrivateKey:
    """The one of this name with a modulus of ``size`` bits: the same in each run."""
    raw = (Path(__file__).with_name(f"{name}-{size}.test-key")).read_bytes()
    key = load_pem_private_key(raw, password=None, unsafe_skip_rsa_key_validation=True)  # which takes longer than all else
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == size
    return key
