"""What can be wrong with an input: one number for each (the compiled code's ``enum rc_code``) and one sentence."""

from __future__ import annotations

from typing import Dict, Optional, Tuple

from ..errors import DecodeError, LimitExceeded

# A body that is not JSON, or not a list: no snapshot.
TRUNCATED = 1
BAD_VALUE = 2
BAD_KEY = 3
BAD_COLON = 4
BAD_COMMA = 5
BAD_CONTROL = 6
BAD_ESCAPE = 7
BAD_UTF8 = 8
BAD_NUMBER = 9
BAD_LITERAL = 10
TRAILING = 11
NOT_A_LIST = 12
# A limit on the whole body: no snapshot.
LIMIT_BODY = 20
LIMIT_NODES = 21
LIMIT_NESTING = 22
LIMIT_DECOMPRESSED = 23
# A part that cannot be used: a warning.
NOT_AN_OBJECT = 30
NO_SERVICE = 31
NO_ADDRESS = 32
WANT_STRING = 33
WANT_INTEGER = 34
WANT_OBJECT = 35
WANT_LIST = 36
LIMIT_STRING = 37
ODD_HEX = 40
BAD_HEX = 41
ZLIB_CORRUPT = 42
ZLIB_TRUNCATED = 43
RECORD_NOT_JSON = 44
RECORD_SHAPE = 45
RECORD_NESTING = 46
LIMIT_TAGS = 47
LIMIT_TAG = 48
LIMIT_RECORD = 49
LIMIT_RATIO = 50
COMPACT_FORM = 51
COMPACT_DICTIONARY = 52
BAD_BASE64 = 53
ZSTD_CORRUPT = 54
RECORD_NOT_MSGPACK = 55

#: code -> (sentence, the limit's name or None)
REASONS: Dict[int, Tuple[str, Optional[str]]] = {
    TRUNCATED: ("the body ends before the list does", None),
    BAD_VALUE: ("a JSON value was expected", None),
    BAD_KEY: ("a key in double quotes was expected", None),
    BAD_COLON: ("':' was expected after the key", None),
    BAD_COMMA: ("',' or the end of the list or object was expected", None),
    BAD_CONTROL: ("a control character in a string", None),
    BAD_ESCAPE: ("a bad escape in a string", None),
    BAD_UTF8: ("invalid UTF-8", None),
    BAD_NUMBER: ("a malformed number", None),
    BAD_LITERAL: ("true, false or null was expected", None),
    TRAILING: ("data after the end of the list", None),
    NOT_A_LIST: ("the body is not a list", None),
    LIMIT_BODY: ("the body is larger than Limits.body_bytes allows", "body_bytes"),
    LIMIT_NODES: ("there are more nodes than Limits.nodes allows", "nodes"),
    LIMIT_NESTING: ("nested deeper than Limits.nesting allows", "nesting"),
    LIMIT_DECOMPRESSED: ("the tags decompress to more than Limits.decompressed_bytes allows", "decompressed_bytes"),
    NOT_AN_OBJECT: ("the entry is not an object", None),
    NO_SERVICE: ("the entry has no Service", None),
    NO_ADDRESS: ("the entry has neither a Node nor a Service.Address", None),
    WANT_STRING: ("a string was expected", None),
    WANT_INTEGER: ("an integer was expected", None),
    WANT_OBJECT: ("an object was expected", None),
    WANT_LIST: ("a list was expected", None),
    LIMIT_STRING: ("longer than Limits.string_bytes allows", "string_bytes"),
    ODD_HEX: ("an odd number of hex digits", None),
    BAD_HEX: ("not a hex digit", None),
    ZLIB_CORRUPT: ("the zlib stream is corrupt", None),
    ZLIB_TRUNCATED: ("the zlib stream is cut short", None),
    RECORD_NOT_JSON: ("the record is not JSON", None),
    RECORD_SHAPE: ("the record has another shape than go-micro's", None),
    RECORD_NESTING: ("the record is nested deeper than Limits.nesting allows", "nesting"),
    LIMIT_TAGS: ("there are more tags than Limits.tags allows; the rest was not read", "tags"),
    LIMIT_TAG: ("longer than Limits.tag_bytes allows", "tag_bytes"),
    LIMIT_RECORD: ("larger than Limits.record_bytes allows", "record_bytes"),
    COMPACT_FORM: ("a version of the compact form that is not known here", None),
    COMPACT_DICTIONARY: ("a dictionary of the compact form that is not known here", None),
    BAD_BASE64: ("malformed base64url", None),
    ZSTD_CORRUPT: ("the zstd frame is corrupt", None),
    RECORD_NOT_MSGPACK: ("the record is not msgpack", None),
    LIMIT_RATIO: ("decompresses to more than Limits.ratio times its size", "ratio"),
}


def error(code: int, offset: int, path: str, node: Optional[str] = None) -> DecodeError:
    """The exception for a code: :class:`LimitExceeded` where a limit is named, else :class:`DecodeError`."""
    reason, limit = REASONS[code]
    if limit is not None:
        return LimitExceeded(reason, offset, path, node, limit)
    return DecodeError(reason, offset, path, node)
