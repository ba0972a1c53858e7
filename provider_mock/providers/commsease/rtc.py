"""NetEase CommsEase's RTC 2.0 room events: signed and acknowledged as Data Sync, in an envelope of their own.

The page about them refers to the overview of Data Sync; that its deadline, acknowledgement and retries hold here too is
inferred.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from im_callback.provider_mock.contract import DOCUMENTED, Credentials, Parameter, Request, Stamp
from im_callback.provider_mock.providers.commsease.signing import Copied
from im_callback.provider_mock.wire import Wire

if TYPE_CHECKING:
    from im_callback.provider_mock.traffic.stage import Delivery, Stage

PAGE: Final = "CommsEase, RTC room management events, Chinese page (2025-09-17)"
OVERVIEW: Final = "CommsEase, Data Sync Overview (2022-12-08), to which the page of the RTC events refers"
MARK: Final = Parameter("type", "header", "context", known=("G2",))
"""What a demo server of the vendor (netease-kit/nemo) tells these requests by, at an address shared with Data Sync."""


class Rtc(Copied):
    """What happens in rooms of audio and video calls."""

    name = "rtc"
    title = "RTC room events"
    context = (MARK,)
    unknown_type: Mapping[str, Any] = {"eventType": 9999}
    sources: Mapping[str, str] = {
        "transport": f"{PAGE}: introduction",
        "signature": f"{PAGE}: introduction",
        "application": f"{OVERVIEW}: Request header settings",
        "freshness": f"{OVERVIEW}: Request header settings",
        "ack": f"{OVERVIEW}: Asynchronous mechanism",
        "answer": f"{OVERVIEW}: Asynchronous mechanism",
        "deadline": f"{OVERVIEW}: Asynchronous mechanism",
        "retry": f"{OVERVIEW}: Asynchronous mechanism",
        "duplicates": f"{OVERVIEW}: Deduplication mechanism",
        "order": "CommsEase, RTC room management events (copy of the vendor's text of 2021): timestamp",
        "payload": f"{PAGE}: event types",
    }

    def sign(
        self, body: bytes, code: str, endpoint: str, credentials: Credentials, stamp: Stamp, wire: Wire = DOCUMENTED
    ) -> Request:
        """Return the signed POST of a body with the header that marks RTC events."""
        signed = super().sign(body, code, endpoint, credentials, stamp, wire)
        return signed._replace(headers=(*signed.headers, (wire.header(MARK.name), MARK.known[0])))

    def story(self, stage: Stage) -> Iterator[Delivery]:
        """Return rooms that start, fill, are recorded, empty and end."""
        from im_callback.provider_mock.providers.commsease.rooms_story import rtc_story

        return rtc_story(stage)
