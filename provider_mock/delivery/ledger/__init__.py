"""The ledger: what was accepted for delivery, what was attempted, and what is still to do, on disk."""

from provider_mock.delivery.ledger.errors import (
    LedgerClosed,
    LedgerError,
    LedgerInUse,
    LedgerMissing,
    LedgerOutdated,
    LedgerTooNew,
    LedgerUnavailable,
    NotALedger,
)
from provider_mock.delivery.ledger.ledger import Ledger
from provider_mock.delivery.ledger.reader import LedgerReader
from provider_mock.delivery.ledger.records import (
    STATES,
    AttemptRecord,
    DeliveryRecord,
    Done,
    Health,
    NewDelivery,
    Query,
    StoredApp,
    Waiting,
)

__all__ = [
    "STATES",
    "AttemptRecord",
    "DeliveryRecord",
    "Done",
    "Health",
    "Ledger",
    "LedgerClosed",
    "LedgerError",
    "LedgerInUse",
    "LedgerMissing",
    "LedgerOutdated",
    "LedgerReader",
    "LedgerTooNew",
    "LedgerUnavailable",
    "NewDelivery",
    "NotALedger",
    "Query",
    "StoredApp",
    "Waiting",
]
