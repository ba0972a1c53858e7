"""NetEase CommsEase (YunXin) Data Sync: signed headers over the raw body, 200 or 500 is an ack.

Rules without a note are from "Data Sync Overview" (2022-12-08).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from im_callback.provider_mock.contract import Credentials, Request, Stamp
from im_callback.provider_mock.providers.commsease.signing import Copied

if TYPE_CHECKING:
    from im_callback.provider_mock.traffic.stage import Delivery, Stage


class DataSync(Copied):
    """Copies of messages and events, after the fact."""

    name = "data-sync"
    title = "Data Sync"
    unknown_type: Mapping[str, Any] = {"eventType": "9999"}
    sources: Mapping[str, str] = {
        "transport": "CommsEase, Data Sync Overview (2022-12-08): Request format",
        "signature": "CommsEase, Data Sync Overview (2022-12-08): Request header settings",
        "application": "CommsEase, Data Sync Overview (2022-12-08): Request header settings",
        "ack": "CommsEase, Data Sync Overview (2022-12-08): Asynchronous mechanism",
        "deadline": "CommsEase, Data Sync Overview (2022-12-08): Asynchronous mechanism",
        "retry": "CommsEase, Data Sync Overview (2022-12-08): Asynchronous mechanism",
        "duplicates": "CommsEase, Data Sync Overview (2022-12-08): Deduplication mechanism",
        "order": "CommsEase, Other IM Message Delivery (2021-12-03): Login event",
        "payload": "CommsEase, Other IM Message Delivery (2021-12-03)",
        "probe": "CommsEase, Activate and configure Data Sync (2024-07-17)",
        "freshness": "CommsEase, Data Sync Overview (2022-12-08): Request header settings",
        "answer": "CommsEase, Data Sync Overview (2022-12-08): Asynchronous mechanism",
    }

    def probe(self, endpoint: str, credentials: Credentials, stamp: Stamp) -> Request | None:
        """Return the signed `{}` with a `charset` header that the console sends."""
        signed = self.sign(b"{}", "", endpoint, credentials, stamp)
        return Request(endpoint, (*signed.headers[:1], ("charset", "utf-8"), *signed.headers[1:]), signed.body)

    def story(self, stage: Stage) -> Iterator[Delivery]:
        """Return people who log in, talk, recall, enter rooms and log out."""
        from im_callback.provider_mock.providers.commsease.story import story

        return story(stage)
