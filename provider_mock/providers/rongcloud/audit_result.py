"""RongCloud's audit results: one object, signed in headers.

Rules without a note are from "Audit Result Callback".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from im_callback.provider_mock.contract import Parameter
from im_callback.provider_mock.providers.rongcloud.signing import COMMON, QuerySigned, sources
from im_callback.provider_mock.wire import PLAIN_NAMES, NamedWire, Wire

PLAIN = {"key": "appKey", "time": "timestamp", "nonce": "nonce", "signature": "signature"}


class AuditResult(QuerySigned):
    """Results of auditing messages.

    The page says that the signature is in the headers, and not what these are called. The names here
    are those that the vendor's own receiver reads.
    """

    name = "audit-result"
    title = "Audit Result Callback"
    parameters = (
        Parameter("RC-App-Key", "header", "key"),
        Parameter("RC-Timestamp", "header", "time"),
        Parameter("RC-Nonce", "header", "nonce"),
        Parameter("RC-Signature", "header", "signature"),
    )
    unknown_type: Mapping[str, Any] = {"result": 10099}
    documented_wires: ClassVar[Mapping[str, NamedWire]] = {"plain-headers": PLAIN_NAMES}
    sources: Mapping[str, str] = sources(title, rules=COMMON)

    def parameters_in(self, wire: Wire) -> tuple[Parameter, ...]:
        """Return the parameters; with `wire.plain_names` under the names that "Server Callback Signature" gives."""
        if not wire.plain_names:
            return self.parameters
        return tuple(replace(p, name=PLAIN[p.role]) for p in self.parameters)
