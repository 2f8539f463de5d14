"""Certificates for the servers of tests, of an authority of their own."""

from __future__ import annotations

import ssl
from typing import Any, Tuple

import pytest

trustme: Any = pytest.importorskip("trustme")


def papers(*names: str) -> "Tuple[Any, ssl.SSLContext, Any]":
    """The authority, a server's context with a certificate for these names, and that certificate."""
    authority = trustme.CA()
    certificate = authority.issue_cert(*names)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(server)
    return authority, server, certificate


def trusting(authority: Any) -> ssl.SSLContext:
    """A client's context."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context
