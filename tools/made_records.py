"""Records as go-micro services register them, made up from a seed: what the compact form's dictionaries learn from.

The shapes follow go-micro's endpoint extractor (three levels of fields, pointers and slices by their element's name,
protobuf's own fields) and the metadata keys that its servers and gateways set. The words are those that APIs are
mostly made of. Nothing here comes from the tests or the recorded data.
"""

from __future__ import annotations

import random
from typing import Dict, Iterator, List, Optional, Set, Tuple

from regcache.model import Endpoint, Record, Value

__all__ = ["records"]

NOUNS = """account address admin alert article asset audience auth balance banner basket billing blog board booking
branch budget cart catalog category channel chat checkout client comment company config contact content contract
coupon course credit currency customer dashboard delivery device discount document domain driver email employee event
export feed feedback file flight form gateway geo group health history hotel identity image import index ingest
inventory invoice item job key ledger license like link location log mail media member menu merchant message metric
money monitor network news note notification order org page partner password payment payout permission photo plan
player policy post price product profile project promotion proxy push quota rate rating receipt refund region report
reservation resource review role room route rule schedule score search seat secret service session settings shipment
shipping shop sms social status stock storage store stream subscription supplier support survey tag task tax team
template tenant ticket token topic tracking trade transaction transfer translation trip upload user vehicle vendor
video visit voucher wallet warehouse webhook wishlist workflow workspace""".split()

VERBS = """Create Read Get List Update Delete Search Find Query Add Remove Set Save Send Watch Stream Count Check
Validate Verify Login Logout Register Cancel Confirm Approve Reject Start Stop Pause Resume Import Export Upload
Download Publish Subscribe Unsubscribe Enable Disable Lock Unlock Archive Restore Batch BatchGet Notify Resolve Assign
Call Ping PingPong Hello Health Info Status Sync Refresh Reset Move Copy Merge Split Render Quote Price Reserve Release
Charge Refund Pay Track Ship Rate Rank Score Summarize Describe Lookup Exists Process Execute Run""".split()

#: Field names with the types they mostly have.
FIELDS: Dict[str, Tuple[str, ...]] = {
    "string": tuple(
        """id name title description type status state kind code message msg error reason email phone url uri path host
        token access_token refresh_token user_id account_id customer_id order_id product_id item_id parent_id owner_id
        tenant_id project_id group_id session_id request_id trace_id transaction_id payment_id invoice_id device_id
        category_id service_id external_id reference currency country country_code city region state postal_code zip
        street address line1 line2 language locale timezone first_name last_name full_name display_name username
        password hash checksum signature key value label tag query filter sort sort_by order_by cursor page_token
        next_page_token version etag user_agent ip method action resource role scope note notes comment content body
        text subject sender recipient author owner parent source target destination provider image avatar icon
        thumbnail mime_type content_type file_name color size sku slug domain channel topic unit detail level""".split()
    ),
    "int64": tuple(
        """id timestamp created updated created_at updated_at deleted_at expires_at started_at finished_at start_time
        end_time time date total count amount price quantity size offset limit version revision balance duration ttl
        timeout user_id order_id sequence number""".split()
    ),
    "int32": tuple(
        """page page_size limit offset count total quantity code status priority rank position index level retries
        port width height age attempts number weight page_number total_pages""".split()
    ),
    "uint64": ("id", "size", "offset", "sequence", "height", "revision", "total"),
    "uint32": ("port", "count", "flags", "version", "limit", "page", "size", "code"),
    "bool": tuple(
        """active enabled success ok deleted verified is_active is_admin is_default found exists valid available
        public private read required locked archived has_more recursive force dry_run done""".split()
    ),
    "float64": tuple(
        """price amount total subtotal tax tax_rate discount rate score rating latitude longitude lat lng lon distance
        weight balance percentage fee average min max value""".split()
    ),
    "float32": ("score", "rating", "weight", "ratio", "lat", "lng"),
    "uint8": ("data", "payload", "body", "content", "raw", "image"),
    "[]string": ("ids", "tags", "roles", "permissions", "fields", "labels", "names", "emails", "errors", "scopes"),
    "[]uint8": ("data", "payload", "body", "content", "raw", "file", "chunk"),
    "": ("metadata", "labels", "attributes", "headers", "params", "properties", "options", "extra"),
}
WEIGHTS = {"string": 44, "int64": 14, "int32": 10, "uint64": 3, "uint32": 5, "bool": 9, "float64": 6, "float32": 1,
           "uint8": 0, "[]string": 4, "[]uint8": 2, "": 2}  # fmt: skip
#: Messages inside messages: the fields that hold them, and their own names.
NESTED = """Address Account Item User Order Product Customer Profile Status Error Timestamp Money Location Point
GeoPoint Person Payment Line LineItem Window Range Page Pagination Filter Option Options Metadata Pair Attachment
Contact Company Device Event Header Image Invoice Job Key Link Message Node Permission Price Rule Session Shipment Tag
Task Team Token Transaction Value Category Comment Entry File Group Record Resource Result Role Service Settings
Duration Any Struct Date Cursor Rating Review Variant Detail Config Context Meta""".split()
#: Messages that mean the same everywhere.
KNOWN: Dict[str, Tuple[Tuple[str, str], ...]] = {
    "Timestamp": (("seconds", "int64"), ("nanos", "int32")),
    "Duration": (("seconds", "int64"), ("nanos", "int32")),
    "Money": (("currency", "string"), ("amount", "int64")),
    "Any": (("type_url", "string"), ("value", "[]uint8")),
    "Pair": (("key", "string"), ("values", "[]string")),
    "Point": (("latitude", "float64"), ("longitude", "float64")),
    "Location": (("latitude", "float64"), ("longitude", "float64")),
    "Error": (("code", "int32"), ("message", "string"), ("detail", "string")),
    "Page": (("page", "int32"), ("size", "int32")),
}
#: What protoc-gen-go has put into structs over the years, where it bears no JSON tag that hides it.
PROTOBUF = (
    (),
    (("MessageState", "MessageState"), ("int32", "int32"), ("unknownFields", "[]uint8")),
    (("state", "MessageState"), ("sizeCache", "int32"), ("unknownFields", "[]uint8")),
)
STATE = (("NoUnkeyedLiterals", "NoUnkeyedLiterals"), ("DoNotCompare", "DoNotCompare"), ("DoNotCopy", "DoNotCopy"),
         ("MessageInfo", "MessageInfo"))  # fmt: skip

#: What the servers put into a node's metadata: server/rpc_server.go and the server plugins of the releases.
SERVERS = (
    {"broker": "http", "protocol": "mucp", "registry": "consul", "server": "rpc", "transport": "http"},
    {"broker": "http", "protocol": "mucp", "registry": "consul", "server": "mucp", "transport": "http"},
    {"broker": "http", "protocol": "mucp", "registry": "mdns", "server": "mucp", "transport": "http"},
    {"broker": "eats", "protocol": "grpc", "registry": "consul", "server": "grpc", "transport": "grpc"},
    {"broker": "http", "protocol": "grpc", "registry": "consul", "server": "grpc", "transport": "grpc"},
    {"broker": "nats", "protocol": "mucp", "registry": "consul", "server": "mucp", "transport": "tcp"},
    {"broker": "rabbitmq", "protocol": "grpc", "registry": "consul", "server": "grpc", "transport": "grpc"},
    {"broker": "kafka", "protocol": "grpc", "registry": "consul", "server": "grpc", "transport": "grpc"},
    {"broker": "memory", "protocol": "http", "registry": "memory", "server": "http", "transport": "memory"},
    {"broker": "http", "registry": "consul", "server": "http", "transport": "http"},
    {"broker": "nats", "protocol": "mucp", "registry": "consul", "server": "rpc", "transport": "nats"},
)
#: What operators add.
OPERATORS: Dict[str, Tuple[str, ...]] = {
    "zone": ("eu-west-1a", "eu-west-1b", "eu-central-1a", "us-east-1a", "us-east-1b", "us-west-2a", "ap-southeast-1a"),
    "region": ("eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-southeast-1"),
    "env": ("production", "staging", "development", "prod", "dev", "test"),
    "datacenter": ("dc1", "dc2"),
    "weight": ("1", "10", "50", "100"),
    "canary": ("true", "false"),
    "version": ("latest", "v1", "v2"),
    "hostname": ("localhost", "worker-1", "node-1"),
    "stream": ("false", "true"),
    "domain": ("micro", "go.micro"),
}
HTTP_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")


class _Maker:
    """One service's words: its own messages come again in several of its endpoints."""

    def __init__(self, random: random.Random) -> None:
        self._random = random
        self._protobuf = random.choices(PROTOBUF, (12, 1, 2))[0]
        self._request_style = random.choices(("service", "verb", "noun", "bare"), (40, 35, 15, 10))[0]
        #: Fields of the messages that this service has inside its messages.
        self._known: Dict[Tuple[str, int], Optional[Tuple[Value, ...]]] = {}
        self._nested = random.sample(NESTED, random.randint(2, 8))
        self._camel = random.random() < 0.15

    def record(self, endpoints: int) -> Record:
        found = tuple(self.endpoint(name, stream) for name, stream in self._names(endpoints))
        return Record(self._version(), True, self._metadata(), found)

    def _names(self, count: int) -> Iterator[Tuple[str, bool]]:
        seen: Set[str] = set()
        service = self._random.choice(NOUNS).capitalize()
        while len(seen) < count:
            if seen and self._random.random() < 0.06:
                service = self._random.choice(NOUNS).capitalize()
            verb = self._random.choice(VERBS)
            if self._random.random() < 0.2:
                verb += self._random.choice(NOUNS).capitalize()
            name = f"{service}.{verb}"
            if name not in seen:
                seen.add(name)
                yield name, self._random.random() < 0.08

    def endpoint(self, name: str, stream: bool) -> Endpoint:
        service, _, verb = name.partition(".")
        prefix = {"service": service + verb, "verb": verb, "noun": verb + service, "bare": ""}[self._request_style]
        suffix = self._random.choice(("Response", "Response", "Response", "Reply", "Rsp"))
        request, response = self._message(prefix + "Request"), self._message(prefix + suffix)
        metadata = {"stream": "true" if stream else "false"}
        if stream:
            request = Value("Context", "Context") if self._random.random() < 0.3 else request
        elif self._random.random() < 0.04:
            path = f"/{service.lower()}/{verb.lower()}"
            metadata = {"endpoint": name, "handler": self._random.choice(("rpc", "api", "http")),
                        "method": self._random.choice(HTTP_METHODS), "path": path, "stream": "false"}  # fmt: skip
        return Endpoint(name, request, response, metadata)

    def _message(self, type_name: str) -> Value:
        return Value(type_name, type_name, self._fields(0, self._random.choice((0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 10))))

    def _fields(self, depth: int, count: int) -> Optional[Tuple[Value, ...]]:
        """go-micro has a nil slice where there are no fields, and looks three levels deep."""
        found: List[Value] = []
        names: Set[str] = set()
        for _ in range(count):
            field = self._nested_field(depth) if self._random.random() < (0.3, 0.15)[depth] else self._plain_field()
            if field.name not in names:
                names.add(field.name)
                found.append(field)
        for name, type_name in self._protobuf if count else ():
            below = tuple(Value(*pair) for pair in STATE) if type_name == "MessageState" and depth == 0 else None
            found.append(Value(name, type_name, below))
        return tuple(found) or None

    def _plain_field(self) -> Value:
        (type_name,) = self._random.choices(list(WEIGHTS), list(WEIGHTS.values()))
        name = self._random.choice(FIELDS[type_name])
        if self._random.random() < 0.12:
            # What another service calls a string is a number here.
            (type_name,) = self._random.choices(list(WEIGHTS), list(WEIGHTS.values()))
        return Value(self._cased(name), type_name)

    def _nested_field(self, depth: int) -> Value:
        type_name = self._random.choice(self._nested)
        name = type_name.lower()
        if self._random.random() < 0.5:
            name = self._random.choice(
                ("items", "data", "result", "results", "owner", "parent", "created_at", "updated_at", "user", "order",
                 "details", "info", "errors", "metadata", "filter", "page", "location", "line_items", "price", "from",
                 "to", "billing_address", "shipping_address", "attributes", "entries", "children", "status", "payload")
            )  # fmt: skip
        repeated = name.endswith("s") and self._random.random() < 0.4
        key = (type_name, depth)
        if key not in self._known:
            if type_name in KNOWN:
                self._known[key] = tuple(Value(*pair) for pair in KNOWN[type_name])
            elif depth == 0:
                self._known[key] = self._fields(1, self._random.randint(1, 8))
            else:
                self._known[key] = None
        # The extractor looks at a slice's element by its name alone.
        if repeated:
            return Value(self._cased(name), "[]" + type_name)
        return Value(self._cased(name), type_name, self._known[key])

    def _cased(self, name: str) -> str:
        if not self._camel:
            return name
        first, *rest = name.split("_")
        return first + "".join(word.capitalize() for word in rest)

    def _version(self) -> str:
        r = self._random
        date = f"{r.randint(2017, 2026)}.{r.randint(1, 12):02}.{r.randint(1, 28):02}"
        number = f"{r.randint(0, 9)}.{r.randint(0, 30)}.{r.randint(0, 30)}"
        minute = f"{date}.{r.randint(0, 23):02}{r.randint(0, 59):02}"
        commit = f"{r.getrandbits(28):07x}"
        return r.choice(("latest", "1.0.0", "0.1.0", number, f"v{number}", date, minute, commit, f"{date}-{commit}"))

    def _metadata(self) -> Dict[str, str]:
        pairs = dict(self._random.choice(SERVERS))
        for key in self._random.sample(list(OPERATORS), self._random.choice((0, 0, 1, 1, 2, 3))):
            pairs[key] = self._random.choice(OPERATORS[key])
        order = list(pairs.items())
        self._random.shuffle(order)  # Go walks through maps in random order
        return dict(order)


def records(count: int, seed: int = 1) -> Iterator[Record]:
    """``count`` records of 1 to 60 endpoints, mostly few. The same for the same seed, on every machine."""
    source = random.Random(seed)
    for _ in range(count):
        endpoints = min(60, 1 + int(source.expovariate(1 / 7)))
        yield _Maker(source).record(endpoints)
