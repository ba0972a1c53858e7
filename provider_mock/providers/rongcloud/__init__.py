"""RongCloud."""

from im_callback.provider_mock.contract import Credentials, Provider
from im_callback.provider_mock.providers.rongcloud.audit_result import AuditResult
from im_callback.provider_mock.providers.rongcloud.chatroom_kv import ChatroomKv
from im_callback.provider_mock.providers.rongcloud.messages import MessageRoute, PreMessage
from im_callback.provider_mock.providers.rongcloud.others import (
    Bot,
    Friend,
    GroupInfo,
    GroupOperation,
    HostedInfoModeration,
    MessageOperation,
    UserDeactivation,
    UserProfile,
)
from im_callback.provider_mock.providers.rongcloud.server_api import RongCloudApi
from im_callback.provider_mock.providers.rongcloud.states import ChatroomStatus, OnlineStatus


class RongCloud(Provider):
    """RongCloud."""

    name = "rongcloud"
    title = "RongCloud"
    defaults = Credentials("test-key", "test-secret")
    api = RongCloudApi()


PROVIDER = RongCloud(
    ChatroomKv(),
    MessageRoute(),
    OnlineStatus(),
    ChatroomStatus(),
    PreMessage(),
    AuditResult(),
    MessageOperation(),
    UserDeactivation(),
    UserProfile(),
    Friend(),
    GroupOperation(),
    GroupInfo(),
    HostedInfoModeration(),
    Bot(),
)
