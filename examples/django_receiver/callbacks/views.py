"""Two callback services of Tencent Cloud Chat: after an event, and before one, where the answer decides."""

import functools
import logging

from callbacks.models import Message, Presence, Question
from callbacks.tencent import Event, NotFromTencentError, NotUnderstoodError, verify
from django.conf import settings
from django.db import Error, transaction
from django.http import JsonResponse
from django.views.decorators.http import require_POST

log = logging.getLogger(__name__)


def answer(status=200, code=0, info=""):
    said = {"ActionStatus": "FAIL" if code else "OK", "ErrorInfo": info, "ErrorCode": code}
    return JsonResponse(said, status=status)


def callback(view):
    """Verify a request before anything else, and say by the status what has become of it: only 200 acknowledges."""

    @require_POST
    @functools.wraps(view)
    def wrapped(request):
        try:
            verify(request.GET)
            return view(Event(request.body, request.GET))
        except NotFromTencentError:
            return answer(401, 1, "not signed by Tencent")
        except NotUnderstoodError as error:
            return answer(400, 1, str(error))
        except Error:
            log.exception("not acknowledged")
            return answer(503, 1, "try again")

    return wrapped


@callback
def after(event):
    match event.command:
        case "C2C.CallbackAfterSendMsg" if event.text("SendMsgResult") in {"", "0"}:  # it also reports what failed
            # ON CONFLICT DO NOTHING: the unique key decides what is new, however many requests ask at once.
            Message.objects.bulk_create(
                [
                    Message(
                        sender=event.text("From_Account"),
                        receiver=event.text("To_Account"),
                        key=event.text("MsgKey"),
                        time=event.number("MsgTime"),
                        seq=event.number("MsgSeq"),
                        payload=event.payload,
                    )
                ],
                ignore_conflicts=True,
            )
        case "State.StateChange":
            newest(event.text("Info", "To_Account"), event.number("EventTime"), event.payload)
        # What else there is is nothing to us, and acknowledged.
    return answer()


@transaction.atomic
def newest(account, time, payload):
    """Let a state take the place of an older one, by one conditional UPDATE: read first, the older one could win."""
    Presence.objects.bulk_create([Presence(account=account, time=time, payload=payload)], ignore_conflicts=True)
    Presence.objects.filter(account=account, time__lt=time).update(time=time, payload=payload)


@callback
def before(event):
    """What is asked is answered by the text alone: the same question has the same answer, with the database or without."""
    if event.command != "C2C.CallbackBeforeSendMsg":
        return answer()
    words = event.words()
    refused = any(word in words for word in settings.BLOCKED_WORDS)
    asked = Question(
        sender=event.text("From_Account"),
        receiver=event.text("To_Account"),
        key=event.text("MsgKey"),
        time=event.number("MsgTime"),
        seq=event.number("MsgSeq"),
        refused=refused,
        payload=event.payload,
    )
    try:
        Question.objects.bulk_create([asked], ignore_conflicts=True)
    except Error:
        log.exception("answered, but not noted")
    return answer(code=1, info="blocked word") if refused else answer()
