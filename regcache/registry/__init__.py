"""Registries: each turns a service's name into chunks of bytes, in the form of a Consul health answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List

from .base import Answer, Consistency, Form, Registrar, Registry
from .file import FileRegistry
from .memory import MemoryRegistry
from .registration import Registration, RegistrationStatus
from .url import open_registry

if TYPE_CHECKING:
    from .consul import ConsulRegistry

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


def __getattr__(name: str) -> Any:
    """Whoever does not ask for Consul does not wait for urllib3, half of the time that importing regcache took."""
    if name != "ConsulRegistry":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .consul import ConsulRegistry

    globals()[name] = ConsulRegistry
    return ConsulRegistry


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})
