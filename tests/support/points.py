"""Points of Ed25519 (RFC 8032) that a key must not be."""

# All points of order 1, 2, 4 and 8 (8 of them), and the ways to write some of them that are not the one way.
SMALL_ORDER = {
    "order 1": "0100000000000000000000000000000000000000000000000000000000000000",
    "order 2": "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "order 4, even x": "0000000000000000000000000000000000000000000000000000000000000000",
    "order 4, odd x": "0000000000000000000000000000000000000000000000000000000000000080",
    "order 8, first": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "order 8, second": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "order 8, third": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "order 8, fourth": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
}
NOT_CANONICAL = {
    "order 1, y as p + 1": "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "order 4, y as p": "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "order 1, x as -0": "0100000000000000000000000000000000000000000000000000000000000080",
    "order 2, x as -0": "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "y as p + 3, of a large order": "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}
