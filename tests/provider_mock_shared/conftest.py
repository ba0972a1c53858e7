"""Servers that share a real PostgreSQL."""

from __future__ import annotations

from tests.provider_mock_ledger.conftest import postgres

__all__ = ["postgres"]
