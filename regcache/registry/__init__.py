"""Registries: each turns a service's name into chunks of bytes, in the form of a Consul health answer."""

from __future__ import annotations

from .base import Answer, Consistency, Form, Registrar, Registry
from .consul import ConsulRegistry
from .file import FileRegistry
from .memory import MemoryRegistry
from .registration import Registration, RegistrationStatus
from .url import open_registry

__all__ = [
    "Answer",
    "Consistency",
    "ConsulRegistry",
    "FileRegistry",
    "Form",
    "MemoryRegistry",
    "Registrar",
    "Registration",
    "RegistrationStatus",
    "Registry",
    "open_registry",
]
