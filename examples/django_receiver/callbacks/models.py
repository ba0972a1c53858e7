from django.db import models


class Message(models.Model):
    """A message from one user to another, once: one MsgKey alone may belong to several receivers."""

    sender = models.CharField(max_length=255)
    receiver = models.CharField(max_length=255)
    key = models.CharField(max_length=255)
    time = models.BigIntegerField()
    seq = models.BigIntegerField()
    payload = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["sender", "receiver", "key"], name="one_message")]
        ordering = ["time", "seq"]


class Presence(models.Model):
    """The newest known state of an account."""

    account = models.CharField(max_length=255, primary_key=True)
    time = models.BigIntegerField()
    payload = models.TextField()


class Question(models.Model):
    """What was asked before a message, and what was answered."""

    sender = models.CharField(max_length=255)
    receiver = models.CharField(max_length=255)
    key = models.CharField(max_length=255)
    time = models.BigIntegerField()
    seq = models.BigIntegerField()
    refused = models.BooleanField()
    payload = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["sender", "receiver", "key"], name="one_question")]
        ordering = ["time", "seq"]
