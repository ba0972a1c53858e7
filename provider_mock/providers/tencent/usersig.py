"""Tencent's UserSig (TLSSigAPIv2): what an SDK signs its calls of the server API with."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import zlib
from typing import Any

from im_callback.provider_mock.contract import octets, same

LONGEST = 8192
"""Bytes that are unpacked of one."""
_SPELLED = str.maketrans("*-_", "+/=")


def usersig(secret: str, identifier: str, app: int, time: int, expire: int, userbuf: str | None = None) -> str:
    """Return TLS.sig: HMAC-SHA256 over these lines with the application's secret key, in base64."""
    lines = f"TLS.identifier:{identifier}\nTLS.sdkappid:{app}\nTLS.time:{time}\nTLS.expire:{expire}\n"
    if userbuf is not None:
        lines += f"TLS.userbuf:{userbuf}\n"
    return base64.b64encode(hmac.new(octets(secret), octets(lines), hashlib.sha256).digest()).decode()


def problem(text: str, secret: str, identifier: str, app: str, now_seconds: int) -> str | None:
    """Return what is wrong with a UserSig for this identifier and SDKAppID, or None. Never contains the secret."""
    found = _unpacked(text)
    if found is None:
        return "the usersig is no UserSig"
    try:
        given = str(found["TLS.identifier"])
        named, time, expire = (int(found[f"TLS.{name}"]) for name in ("sdkappid", "time", "expire"))
    except (KeyError, TypeError, ValueError, OverflowError):
        return "the usersig lacks TLS.identifier, TLS.sdkappid, TLS.time or TLS.expire"
    if given != identifier or str(named) != app:
        return "the usersig is of another identifier or sdkappid"
    userbuf = found.get("TLS.userbuf")
    due = usersig(secret, given, named, time, expire, None if userbuf is None else str(userbuf))
    if not same(str(found.get("TLS.sig")), due):
        return "the usersig is not signed with the secret key"
    if time + expire < now_seconds:
        return "the usersig has expired"
    return None


def _unpacked(text: str) -> dict[str, Any] | None:
    try:
        packed = base64.b64decode(text.translate(_SPELLED), validate=True)
        found = json.loads(zlib.decompressobj().decompress(packed, LONGEST))
    except (binascii.Error, ValueError, zlib.error, RecursionError):
        return None
    return found if isinstance(found, dict) else None
