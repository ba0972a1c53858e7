"""The ledger: what was accepted for delivery, what was attempted, and what is still to do, on disk."""

from im_callback.provider_mock.delivery.ledger.errors import (
    LedgerClosed,
    LedgerError,
    LedgerInUse,
    LedgerMissing,
    LedgerOutdated,
    LedgerTooNew,
    LedgerUnavailable,
    NotALedger,
)
from im_callback.provider_mock.delivery.ledger.ledger import Ledger
from im_callback.provider_mock.delivery.ledger.reader import LedgerReader
from im_callback.provider_mock.delivery.ledger.records import (
    STATES,
    AttemptRecord,
    Call,
    DeliveryRecord,
    Done,
    Health,
    Kept,
    NewDelivery,
    Query,
    StoredApp,
    Waiting,
)

__all__ = [
    "STATES",
    "AttemptRecord",
    "Call",
    "DeliveryRecord",
    "Done",
    "Health",
    "Kept",
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
