"""The pure-Python backend: the same names and the same results as the compiled one, for other Pythons and for tests."""

from .decoder import Decoder, decode
from .records import decode_mdns, decode_tags
from .snapshot import Node, Snapshot
from .unzstd import Unzstd

__all__ = ["Decoder", "Node", "Snapshot", "Unzstd", "decode", "decode_mdns", "decode_tags"]
