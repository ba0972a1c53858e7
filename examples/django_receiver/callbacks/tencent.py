"""What Tencent sends: whether it is from Tencent, and what it says. Knows nothing of HTTP beyond the query."""

import hashlib
import hmac
import json
import time

from django.conf import settings

FRESH = 60  # seconds ("Webhook Configuration")


class NotFromTencentError(Exception):
    pass


class NotUnderstoodError(Exception):
    pass


def verify(query):
    """Raise unless Sign is sha256(token + RequestTime), a minute old at most; the body is not covered."""

    def once(name):
        values = query.getlist(name)
        return values[0] if len(values) == 1 else ""

    def same(given, expected):
        return hmac.compare_digest(given.encode(), expected.encode())

    stamp = once("RequestTime")
    sign = hashlib.sha256((settings.TENCENT_TOKEN + stamp).encode()).hexdigest()
    fresh = stamp.isascii() and stamp.isdigit() and abs(int(stamp) - time.time()) <= FRESH
    if not (same(once("Sign"), sign) and same(once("SdkAppid"), settings.TENCENT_SDK_APPID) and fresh):
        raise NotFromTencentError


class Event:
    """A payload, read without trust: any field may be missing, and numbers come as texts too."""

    def __init__(self, body, query):
        try:
            self.payload = body.decode()
            self.fields = json.loads(self.payload, parse_constant=_refused, object_pairs_hook=_unique)
        except (ValueError, RecursionError):
            raise NotUnderstoodError("not JSON") from None
        if not isinstance(self.fields, dict):
            raise NotUnderstoodError("no object")
        self.command = self.text("CallbackCommand")
        # Neither URL nor body is signed; they must at least agree.
        if any(command != self.command for command in query.getlist("CallbackCommand")):
            raise NotUnderstoodError("URL and body name different commands")

    def text(self, *names):
        """The value of a field within others as text, empty where there is none."""
        value = self.fields
        for name in names:
            if value is None:
                return ""
            if not isinstance(value, dict):
                raise NotUnderstoodError(f"{names}: no object")
            value = value.get(name)
        if isinstance(value, (dict, list)):
            raise NotUnderstoodError(f"{names}: no text")
        text = "" if value is None else str(value)
        if "\0" in text or any("\ud800" <= one <= "\udfff" for one in text):
            raise NotUnderstoodError(f"{names}: not what PostgreSQL can keep")
        return text

    def number(self, *names):
        try:
            found = int(self.text(*names))
        except ValueError:
            raise NotUnderstoodError(f"{names}: no number") from None
        if abs(found) >= 2**63:
            raise NotUnderstoodError(f"{names}: too large")
        return found

    def words(self):
        """The text of a message, of all its elements."""
        elements = self.fields.get("MsgBody") or []
        if not isinstance(elements, list) or not all(isinstance(one, dict) for one in elements):
            raise NotUnderstoodError("MsgBody: no list of elements")
        contents = [one.get("MsgContent") for one in elements]
        return " ".join(str(one.get("Text", "")) for one in contents if isinstance(one, dict))


def _refused(what):
    raise ValueError(what)


def _unique(pairs):
    if len(found := dict(pairs)) < len(pairs):
        raise ValueError("a key appears twice")
    return found
