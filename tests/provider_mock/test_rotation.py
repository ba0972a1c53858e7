"""While a secret is changed: several secrets, several signatures in one parameter."""

from __future__ import annotations

from im_callback.provider_mock.contract import MASK, Credentials, Parameter
from im_callback.provider_mock.delivery.shown import Mask
from im_callback.provider_mock.delivery.sockets.message import MASK as STARS

SEVERAL = Credentials("key", "secret-of-today", ("secret-of-old",))


class TestCredentials:
    """Secrets of before, beside the one of today."""

    def test_all(self) -> None:
        """They are signed with after the one of today, and shown to nobody."""
        assert ("secret-of-today", "secret-of-old") == SEVERAL.secrets
        assert ("secret-of-today",) == Credentials("key", "secret-of-today").secrets
        assert () == Credentials("key", None).secrets
        assert "secret-of" not in repr(SEVERAL)

    def test_masked(self) -> None:
        """Each is taken out of what somebody else wrote, also where it is cut off."""
        assert f"{MASK} and {MASK}" == SEVERAL.masked("secret-of-old and secret-of-today")
        assert f"{MASK}…" == SEVERAL.masked("secret-of-o…")
        assert f"{STARS}, {STARS}" == Mask(SEVERAL.secrets, ())("secret-of-today, secret-of-old")


class TestEach:
    """Several signatures, each changed."""

    def test_separated(self) -> None:
        """Every one of them is changed; without a separator the value is one."""
        several = Parameter("signature", "header", "signature", separator=" ")
        assert "ab! c!" == several.each("ab c", lambda one: f"{one}!")
        assert "ab c!" == Parameter("signature", "header", "signature").each("ab c", lambda one: f"{one}!")
