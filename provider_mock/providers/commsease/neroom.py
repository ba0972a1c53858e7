"""NetEase CommsEase's NERoom and MeetingKit events: signed as Data Sync, with an id in every event.

Deadline and acknowledgement are documented for the request that tries an address: 200 within 5 s. That 500 counts as it
does at Data Sync, and that nothing is sent again, is inferred.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from im_callback.provider_mock.providers.commsease.signing import Copied

if TYPE_CHECKING:
    from im_callback.provider_mock.traffic.stage import Delivery, Stage

PAGE: Final = "CommsEase, NERoom events, Chinese page (2024-08-15)"


class NeRoom(Copied):
    """What happens in rooms and meetings."""

    name = "neroom"
    title = "NERoom and MeetingKit events"
    unknown_type: Mapping[str, Any] = {"eventType": "NOT_YET_DOCUMENTED"}
    sources: Mapping[str, str] = {
        "transport": f"{PAGE}: request",
        "signature": f"{PAGE}: request headers",
        "application": f"{PAGE}: request headers",
        "freshness": f"{PAGE}: request headers",
        "ack": f"{PAGE}: check of the address",
        "answer": f"{PAGE}: check of the address",
        "deadline": f"{PAGE}: check of the address",
        "retry": f"{PAGE}: request",
        "duplicates": f"{PAGE}: requestId",
        "order": f"{PAGE}: timestamp",
        "payload": f"{PAGE}: event types",
    }

    def story(self, stage: Stage) -> Iterator[Delivery]:
        """Return rooms that are created, entered and closed, and seats that are taken and left."""
        from im_callback.provider_mock.providers.commsease.rooms_story import neroom_story

        return neroom_story(stage)
