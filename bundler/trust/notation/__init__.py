"""Notary Project: signatures by certificates of one's own stores (notaryproject/specifications)."""
