"""Records of live interviews; see docs/architecture.md."""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime
from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from assessment.models import Assessment, Candidate

CODE_LETTERS = "bcdfghjkmnpqrstvwxz"
"""No vowels, so that no words come about, and nothing that is taken for another letter."""


def new_code() -> str:
    """Three, four and three letters: short enough to be read out on the phone, and no secret."""
    letters = "".join(secrets.choice(CODE_LETTERS) for _ in range(10))
    return f"{letters[:3]}-{letters[3:7]}-{letters[7:]}"


class RoomQuerySet(models.QuerySet["Room"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> RoomQuerySet:
        """What `user` owns or sits on the panel of; everything for HR admins."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if user.has_perm("rooms.view_every_room"):  # type: ignore[attr-defined]
            return self
        panels = Room.panel.through.objects.filter(user_id=user.pk).values("room_id")
        return self.filter(Q(owner_id=user.pk) | Q(pk__in=panels))


class Room(models.Model):
    class Status(models.TextChoices):
        SCHEDULED = "scheduled", _("Scheduled")
        LOBBY = "lobby", _("In the lobby")
        LIVE = "live", _("Live")
        ENDED = "ended", _("Ended")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    code = models.CharField(_("code"), max_length=12, unique=True, default=new_code, editable=False)
    title = models.CharField(_("title"), max_length=200)
    candidate = models.ForeignKey(
        Candidate, models.CASCADE, related_name="rooms", verbose_name=_("candidate")
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="rooms", verbose_name=_("owner")
    )
    panel = models.ManyToManyField(
        settings.AUTH_USER_MODEL, related_name="panel_rooms", blank=True, verbose_name=_("panel")
    )
    country = models.CharField(_("country of the candidate"), max_length=2, blank=True)
    language = models.CharField(
        _("language"), max_length=4, choices=Assessment.Language, default=Assessment.Language.AUTO
    )
    questions = models.JSONField(_("questions"), default=list, blank=True)
    recording_wanted = models.BooleanField(_("recording"), default=False)
    planned_at = models.DateTimeField(_("planned for"), null=True, blank=True)
    policy = models.JSONField(_("policy"), default=dict, help_text=_("As decided at creation."))
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.SCHEDULED)
    link_serial = models.PositiveIntegerField(default=1, editable=False)
    link_expires_at = models.DateTimeField(_("link expires"))
    link_revoked_at = models.DateTimeField(_("link revoked"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now, db_index=True)
    admitted_at = models.DateTimeField(
        _("candidate let in"), null=True, blank=True, help_text=_("Where the times of the room begin.")
    )
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    assessment = models.OneToOneField(
        Assessment,
        models.SET_NULL,
        related_name="room",
        null=True,
        blank=True,
        verbose_name=_("assessment"),
    )
    erase_at = models.DateTimeField(_("erased after"), null=True, blank=True, db_index=True)

    objects = RoomQuerySet.as_manager()

    class Meta:
        verbose_name = _("room")
        verbose_name_plural = _("rooms")
        ordering: ClassVar = ["-created_at", "-pk"]
        indexes: ClassVar = [models.Index(fields=["owner", "-created_at"]), models.Index(fields=["status"])]
        permissions: ClassVar = [("view_every_room", "Can see the rooms of all users")]

    def __str__(self) -> str:
        return self.code

    @property
    def room_id(self) -> str:
        """The API's name for this room."""
        return self.uuid.hex

    @property
    def ended(self) -> bool:
        return self.status == self.Status.ENDED

    def seconds_at(self, when: datetime | None = None) -> float:
        """Seconds from the first admission to `when` (now), never negative; 0.0 before it."""
        if self.admitted_at is None:
            return 0.0
        return max(0.0, ((when or timezone.now()) - self.admitted_at).total_seconds())


class Participant(models.Model):
    """Somebody in a room: a user of the site, or the candidate in one browser."""

    class Role(models.TextChoices):
        INTERVIEWER = "interviewer", _("Interviewer")
        CANDIDATE = "candidate", _("Candidate")

    class State(models.TextChoices):
        INVITED = "invited", _("Has not knocked yet")
        WAITING = "waiting", _("Waits to be let in")
        ADMITTED = "admitted", _("Let in")
        LEFT = "left", _("Left")
        PUT_OUT = "put_out", _("Another browser took the place")
        REFUSED = "refused", _("Not let in")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    room = models.ForeignKey(Room, models.CASCADE, related_name="participants", verbose_name=_("room"))
    role = models.CharField(_("role"), max_length=12, choices=Role)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.INVITED)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, verbose_name=_("user")
    )
    name = models.CharField(_("name"), max_length=200)
    key_digest = models.CharField(max_length=64, blank=True, editable=False, db_index=True)
    link_serial = models.PositiveIntegerField(default=0, editable=False)
    language = models.CharField(_("language of the pages"), max_length=4, default="en")
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    admitted_at = models.DateTimeField(_("let in"), null=True, blank=True)
    seen_at = models.DateTimeField(_("last seen"), null=True, blank=True)

    class Meta:
        verbose_name = _("participant")
        verbose_name_plural = _("participants")
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["room", "user"], condition=Q(user__isnull=False), name="one_place_a_user"
            ),
            models.UniqueConstraint(
                fields=["room"],
                condition=Q(role="candidate", state="admitted"),
                name="one_candidate_in_a_room",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.room_id}/{self.role}/{self.pk}"

    @property
    def peer(self) -> str:
        """The name of this participant in signalling messages."""
        return self.uuid.hex


class Consent(models.Model):
    """One answer to one scope at one time. Rows are only added; the last of a scope counts."""

    class Scope(models.TextChoices):
        CALL = "call", _("Call")
        RECORDING = "recording", _("Recording")
        FACE = "face", pgettext_lazy("consent", "Face analysis")
        VOICE = "voice", pgettext_lazy("consent", "Voice analysis")

    participant = models.ForeignKey(
        Participant, models.CASCADE, related_name="consents", verbose_name=_("participant")
    )
    scope = models.CharField(_("scope"), max_length=10, choices=Scope)
    granted = models.BooleanField(_("granted"))
    text_version = models.CharField(_("version of the text"), max_length=20)
    text_hash = models.CharField(_("SHA-256 of the text"), max_length=64)
    language = models.CharField(_("language"), max_length=4)
    at = models.DateTimeField(_("time"), default=timezone.now)

    class Meta:
        verbose_name = _("consent")
        verbose_name_plural = _("consents")
        ordering: ClassVar = ["pk"]
        indexes: ClassVar = [models.Index(fields=["participant", "scope", "-id"])]

    def __str__(self) -> str:
        return f"{self.participant_id}/{self.scope}/{'granted' if self.granted else 'withdrawn'}"


class Reading(models.Model):
    """What the analysis made of one second. Numbers are None where they were not measured.

    `t_s` counts from the room's first admission. `level` to `high` are the smoothed expression indicator, `confidence`
    the candidate-confidence index 0-100, `voice_confidence` 0-100 of the voice alone; `parts` holds the rest of the
    message to the panel (see docs/protocol.md), `speech` the speech metrics that came out at this time.
    """

    room = models.ForeignKey(Room, models.CASCADE, related_name="readings", verbose_name=_("room"))
    t_s = models.FloatField(_("second"))
    level = models.CharField(max_length=6, blank=True)
    low = models.FloatField(null=True)
    medium = models.FloatField(null=True)
    high = models.FloatField(null=True)
    model_confidence = models.FloatField(null=True)
    confidence = models.FloatField(null=True)
    voice_confidence = models.FloatField(null=True)
    from_face = models.BooleanField(default=False)
    from_voice = models.BooleanField(default=False)
    parts = models.JSONField(default=dict)
    speech = models.JSONField(null=True)

    class Meta:
        verbose_name = _("reading")
        verbose_name_plural = _("readings")
        ordering: ClassVar = ["t_s", "pk"]
        indexes: ClassVar = [models.Index(fields=["room", "t_s"])]

    def __str__(self) -> str:
        return f"{self.room_id}/{self.t_s:.1f}"


class Alert(models.Model):
    class Severity(models.TextChoices):
        INFO = "info", pgettext_lazy("severity", "Hint")
        ATTENTION = "attention", pgettext_lazy("severity", "Worth a look")
        IMPORTANT = "important", pgettext_lazy("severity", "Look now")

    room = models.ForeignKey(Room, models.CASCADE, related_name="alerts", verbose_name=_("room"))
    t_s = models.FloatField(_("second"))
    kind = models.CharField(_("kind"), max_length=24)
    severity = models.CharField(_("severity"), max_length=10, choices=Severity)
    value = models.FloatField(null=True)
    from_face = models.BooleanField(default=False)
    from_voice = models.BooleanField(default=False)
    created_at = models.DateTimeField(_("time"), default=timezone.now)

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        ordering: ClassVar = ["t_s", "pk"]

    def __str__(self) -> str:
        return f"{self.room_id}/{self.kind}/{self.t_s:.1f}"


class Note(models.Model):
    room = models.ForeignKey(Room, models.CASCADE, related_name="notes", verbose_name=_("room"))
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, verbose_name=_("author"))
    t_s = models.FloatField(_("second"))
    text = models.TextField(_("text"), max_length=2000)
    created_at = models.DateTimeField(_("time"), default=timezone.now)

    class Meta:
        verbose_name = _("note")
        verbose_name_plural = _("notes")
        ordering: ClassVar = ["t_s", "pk"]

    def __str__(self) -> str:
        return f"{self.room_id}/{self.t_s:.1f}"


class QuestionMark(models.Model):
    """The moment at which the interviewer went to question `number`, from 0."""

    room = models.ForeignKey(Room, models.CASCADE, related_name="marks", verbose_name=_("room"))
    number = models.PositiveIntegerField(_("question"))
    t_s = models.FloatField(_("second"))
    created_at = models.DateTimeField(_("time"), default=timezone.now)

    class Meta:
        verbose_name = _("question mark")
        verbose_name_plural = _("question marks")
        ordering: ClassVar = ["t_s", "pk"]

    def __str__(self) -> str:
        return f"{self.room_id}/{self.number}/{self.t_s:.1f}"


class Recording(models.Model):
    """The candidate's own stream. One a room; each start of the browser's recorder is a segment of it."""

    class State(models.TextChoices):
        INITIATED = "initiated", _("Not started")
        ACTIVE = "active", _("Runs")
        STOPPED = "stopped", _("Ended, waits for its work")
        PROCESSING = "processing", _("Is being prepared")
        HANDED_OVER = "handed_over", _("Handed over to the assessment")
        FAILED = "failed", _("Failed")
        ERASED = "erased", _("Erased")

    room = models.OneToOneField(Room, models.CASCADE, related_name="recording", verbose_name=_("room"))
    state = models.CharField(_("state"), max_length=12, choices=State, default=State.INITIATED)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    claimed_at = models.DateTimeField(null=True, blank=True, editable=False)
    stopped_at = models.DateTimeField(_("ended"), null=True, blank=True)
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    class Meta:
        verbose_name = _("recording")
        verbose_name_plural = _("recordings")

    def __str__(self) -> str:
        return f"{self.room_id}/{self.state}"


class Segment(models.Model):
    """From one start of the browser's recorder to its end. `started_s` counts from the room's first admission."""

    recording = models.ForeignKey(Recording, models.CASCADE, related_name="segments")
    key = models.UUIDField(help_text="Chosen by the browser, so that a repeated start is the same segment.")
    content_type = models.CharField(max_length=100)
    started_s = models.FloatField()
    ended = models.BooleanField(default=False)

    class Meta:
        ordering: ClassVar = ["started_s", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["recording", "key"], name="one_segment_a_key")
        ]

    def __str__(self) -> str:
        return f"{self.recording_id}/{self.pk}"


CHUNK_FOLDER = "recordings"


def chunk_name(room_id: str, key: uuid.UUID, sequence: int) -> str:
    """Where a chunk's bytes go in the media store: never the same twice, so that it can be written before it is known
    whether it is kept."""
    return f"{CHUNK_FOLDER}/{room_id}/{key.hex}/{sequence:06d}-{secrets.token_hex(8)}"


def chunk_path(chunk: Chunk, filename: str) -> str:
    return chunk_name(chunk.segment.recording.room.room_id, chunk.segment.key, chunk.sequence)


class Chunk(models.Model):
    """One piece of a segment, in the order of `sequence` from 0."""

    segment = models.ForeignKey(Segment, models.CASCADE, related_name="chunks")
    sequence = models.PositiveIntegerField()
    size_bytes = models.PositiveIntegerField()
    file = models.FileField(upload_to=chunk_path, max_length=200)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["sequence"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["segment", "sequence"], name="one_chunk_a_place")
        ]

    def __str__(self) -> str:
        return f"{self.segment_id}/{self.sequence}"
