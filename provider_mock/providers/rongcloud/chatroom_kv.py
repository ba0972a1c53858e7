"""RongCloud's chat room attributes: an array of changes, signed in the query.

Rules without a note are from "Chatroom Attribute Synchronization (KV)".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from im_callback.provider_mock.contract import Level
from im_callback.provider_mock.providers.rongcloud.signing import LEVELS, OlderNamed, sources

if TYPE_CHECKING:
    from im_callback.provider_mock.traffic.stage import Delivery, Stage

PAGE = "Chatroom Attribute Synchronization (KV)"


class ChatroomKv(OlderNamed):
    """Changes of chat room attributes."""

    name = "chatroom-kv"
    title = PAGE
    encoding = "array"
    unknown_type: Mapping[str, Any] = {"optType": 99}
    sources: Mapping[str, str] = {
        **sources(PAGE, body="Body Parameters"),
        "order": f"RongCloud, {PAGE}: Body Parameters, version",
    }
    levels: Mapping[str, Level] = LEVELS

    def story(self, stage: Stage) -> Iterator[Delivery]:
        """Return rooms whose attributes are set, changed, deleted and cleared."""
        from im_callback.provider_mock.providers.rongcloud.story import story

        return story(stage)
