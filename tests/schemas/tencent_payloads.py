"""Hand-written payloads of Tencent's webhooks for what no documented sample shows."""

from __future__ import annotations

from typing import Any

from im_callback.schemas import catalogue

TYPES = catalogue("tencent")
WITH_BODIES = (
    "c2c-before-send",
    "c2c-after-modify",
    "group-before-send",
    "group-after-send",
    "group-send-exception",
    "group-after-modify",
    "bot-c2c-message",
    "bot-group-message",
    "official-account-before-send",
    "official-account-after-send",
)


def sample(kind: str, **change: Any) -> dict[str, Any]:
    """Return the first documented sample of a kind with some fields changed."""
    return {**TYPES[f"tencent.{kind}"].examples[0], **change}


def with_bodies(bodies: list[Any]) -> dict[str, list[dict[str, Any]]]:
    """Return, for every event type that carries a message, its sample with each of these bodies."""
    return {f"tencent.{kind}": [sample(kind, MsgBody=body) for body in bodies] for kind in WITH_BODIES}


TENCENT: dict[str, list[dict[str, Any]]] = {
    "tencent.c2c-before-send": [
        sample("c2c-before-send", MsgId="144115233406643804-1727580296-4026038328", EventTime="1670574414123")
    ],
    "tencent.group-before-send": [sample("group-before-send", Type="Public", TopicId="")],
    "tencent.group-after-send": [
        sample("group-after-send", Type="Community", TopicId="@TGS#_@TGS#cQVLVHIM62CJ@TOPIC#_TestTopic"),
        sample("group-after-send", TopicId="", EventTime=1670574414123),
    ],
    "tencent.group-after-recall": [sample("group-after-recall", Type="Public", TopicId="")],
    "tencent.group-after-delete-topic": [sample("group-after-delete-topic", TopicIdList="@TGS#_x@TOPIC#_y")],
    "tencent.c2c-after-extension": [sample("c2c-after-extension", OperateType=3, ExtensionList=[])],
    "tencent.group-after-attribute-change": [
        sample("group-after-attribute-change", OptionType="clear", GroupAttr=[]),
        sample("group-after-attribute-change", OptionType="delete", GroupAttr=[{"key": "key1"}]),
    ],
    "tencent.group-member-state": [
        sample("group-member-state", EventType="Online", EventCause="HeartbeatRecover"),
        sample("group-member-state", EventType="Online", EventCause="Join"),
    ],
    "tencent.group-after-info-change": [
        sample("group-after-info-change", Name="a", Introduction="b", FaceUrl="http://example.com/c")
    ],
}
