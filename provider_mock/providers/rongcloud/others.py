"""RongCloud's other callback services: one object, form or array, signed in the query; they differ in data only.

Rules without a note are from the page that each is titled by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from im_callback.provider_mock.providers.rongcloud.messages import CHARSETS, FORM
from im_callback.provider_mock.providers.rongcloud.signing import COMMON, QuerySigned, sources

if TYPE_CHECKING:
    from im_callback.provider_mock.traffic.stage import Delivery, Stage


class MessageOperation(QuerySigned):
    """Messages that have been recalled or deleted. Seen in a public receiver only; the page was not to be found."""

    name = "message-operation"
    title = "Message operations"
    unknown_type: Mapping[str, Any] = {"eventType": 99}
    sources: Mapping[str, str] = {
        **sources(title, rules=COMMON),
        "transport": "feymanlee/rongcloud-go, a receiver: callback",
        "payload": "feymanlee/rongcloud-go, a receiver: callback/types.go",
    }


class UserDeactivation(QuerySigned):
    """Accounts that have been deactivated and reactivated."""

    name = "user-deactivation"
    title = "User Deactivation and Activation Status Callback"
    encoding = "form"
    content_type = FORM
    content_types = CHARSETS
    unknown_type: Mapping[str, Any] = {"type": "99"}
    sources: Mapping[str, str] = sources(title, rules=COMMON)


class UserProfile(QuerySigned):
    """Profiles of users that have been changed or cleared."""

    name = "user-profile"
    title = "User Profile Sync Callback"
    unknown_type: Mapping[str, Any] = {"type": 99}
    sources: Mapping[str, str] = sources(title)


class Friend(QuerySigned):
    """Friendships that are asked for, made and ended."""

    name = "friend"
    title = "Friendship Sync Callback"
    unknown_type: Mapping[str, Any] = {"eventType": 99}
    sources: Mapping[str, str] = sources(title, rules=COMMON)

    def story(self, stage: Stage) -> Iterator[Delivery]:
        """Return people who become friends, and do not stay so."""
        from im_callback.provider_mock.providers.rongcloud.relations import friends

        return friends(stage)


class GroupOperation(QuerySigned):
    """What is done to hosted groups and their members. The table wraps the array in `profiles`; the sample does not."""

    name = "group-operation"
    title = "Synchronize Group Operation Status"
    encoding = "array"
    unknown_type: Mapping[str, Any] = {"eventType": 99}
    sources: Mapping[str, str] = sources(
        title, body="Body Parameters", rules=f"RongCloud, {title}: Respond to Callback Request"
    )

    def story(self, stage: Stage) -> Iterator[Delivery]:
        """Return groups that people join, leave and dismiss."""
        from im_callback.provider_mock.providers.rongcloud.relations import groups

        return groups(stage)


class GroupInfo(QuerySigned):
    """Profiles of hosted groups that have been changed."""

    name = "group-info"
    title = "Sync Group Profile Updates"
    sources: Mapping[str, str] = sources(title, body="Request Body Parameters", rules=COMMON)


class HostedInfoModeration(QuerySigned):
    """Hosted profiles that have been checked."""

    name = "hosted-info-moderation"
    title = "Hosted Information Moderation Result Callback"
    unknown_type: Mapping[str, Any] = {"eventType": 99}
    sources: Mapping[str, str] = sources(title, body="Body Parameters", rules=COMMON)


class Bot(QuerySigned):
    """What happens to a bot. Of eleven types one is described."""

    name = "bot"
    title = "Webhooks of bots"
    unknown_type: Mapping[str, Any] = {"type": "message:not_yet_documented"}
    sources: Mapping[str, str] = sources(
        "Receive notifications by webhook (bots)", body="Callback parameters", rules=COMMON
    )
