"""The compiled backend: C for the bytes (without the GIL), Cython for the objects."""

from .codec import Decoder, Node, Snapshot, Unzstd, decode, decode_mdns, decode_tags

__all__ = ["Decoder", "Node", "Snapshot", "Unzstd", "decode", "decode_mdns", "decode_tags"]
