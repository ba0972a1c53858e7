"""RongCloud's arrays of states: who is online, and who is in which chat room.

Rules without a note are from the page that each is titled by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from im_callback.provider_mock.providers.rongcloud.signing import OlderNamed, sources

if TYPE_CHECKING:
    from im_callback.provider_mock.traffic.stage import Delivery, Stage


class OnlineStatus(OlderNamed):
    """Connections of users that come up and go down. The page calls the body an object; receivers read an array."""

    name = "online-status"
    title = "User Online Status Callback"
    encoding = "array"
    unknown_type: Mapping[str, Any] = {"status": "99"}
    sources: Mapping[str, str] = sources(title)

    def story(self, stage: Stage) -> Iterator[Delivery]:
        """Return people who come and go, on several devices."""
        from im_callback.provider_mock.providers.rongcloud.presence import online

        return online(stage)


class ChatroomStatus(OlderNamed):
    """Chat rooms that are created and destroyed, and users who join and leave them."""

    name = "chatroom-status"
    title = "Chatroom Status Callback"
    encoding = "array"
    unknown_type: Mapping[str, Any] = {"type": 99}
    sources: Mapping[str, str] = sources(title)

    def story(self, stage: Stage) -> Iterator[Delivery]:
        """Return rooms that fill and empty."""
        from im_callback.provider_mock.providers.rongcloud.presence import rooms

        return rooms(stage)
