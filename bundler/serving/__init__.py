"""The embedded registry: distribution-spec 1.1 over a folder, for demos, tests and small stations.

It serves whoever reaches it. Beyond one machine, and wherever clients must prove who they are, use a registry that is
made for it; this one can be read from there (``read_only``) or stand behind it.
"""
