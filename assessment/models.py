"""Records of recorded assessments; see docs/architecture.md."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Candidate(models.Model):
    name = models.CharField(_("name"), max_length=200)
    email = models.EmailField(_("e-mail"), blank=True)
    external_id = models.CharField(_("external id"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("candidate")
        verbose_name_plural = _("candidates")

    def __str__(self) -> str:
        return self.name


class AssessmentQuerySet(models.QuerySet["Assessment"]):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> AssessmentQuerySet:
        """What `user` owns or sits on the panel of; everything for HR admins."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if user.has_perm("assessment.view_every_assessment"):  # type: ignore[attr-defined]
            return self
        panels = Assessment.panel.through.objects.filter(user_id=user.pk).values("assessment_id")
        return self.filter(Q(owner_id=user.pk) | Q(pk__in=panels))


class Assessment(models.Model):
    class Status(models.TextChoices):
        QUEUED = "queued", _("Queued")
        DOWNLOADING = "downloading", _("Downloading")
        PROCESSING = "processing", _("Processing")
        COMPLETED = "completed", _("Completed")
        ERROR = "error", _("Error")

    class Language(models.TextChoices):
        ENGLISH = "en", _("English")
        INDONESIAN = "id", _("Indonesian")
        AUTO = "auto", _("Detect")

    class Source(models.TextChoices):
        UPLOAD = "upload", _("Upload")
        JSON = "json", _("JSON")
        ROOM = "room", _("Room")
        COMMAND = "command", _("Command")

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    candidate = models.ForeignKey(
        Candidate, models.CASCADE, related_name="assessments", verbose_name=_("candidate")
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="assessments",
        verbose_name=_("owner"),
        null=True,
        blank=True,
    )
    panel = models.ManyToManyField(
        settings.AUTH_USER_MODEL, related_name="panel_assessments", blank=True, verbose_name=_("panel")
    )
    language = models.CharField(_("language"), max_length=4, choices=Language, default=Language.AUTO)
    source = models.CharField(_("source"), max_length=8, choices=Source, default=Source.UPLOAD)
    country = models.CharField(_("country of the candidate"), max_length=2, blank=True)
    policy = models.JSONField(_("policy"), default=dict, help_text=_("As decided at intake; see policy.py."))
    project_score = models.FloatField(
        _("project score"), null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(100)]
    )
    consent_reference = models.CharField(_("consent reference"), max_length=200, blank=True)
    status = models.CharField(_("status"), max_length=12, choices=Status, default=Status.QUEUED)
    run = models.PositiveIntegerField(_("run"), default=1)
    finalized_run = models.PositiveIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now, db_index=True)
    completed_at = models.DateTimeField(_("completed"), null=True, blank=True)
    erase_media_at = models.DateTimeField(_("media erased after"), null=True, blank=True, db_index=True)
    erase_record_at = models.DateTimeField(_("record erased after"), null=True, blank=True, db_index=True)

    objects = AssessmentQuerySet.as_manager()

    class Meta:
        verbose_name = _("assessment")
        verbose_name_plural = _("assessments")
        ordering: ClassVar = ["-created_at", "-pk"]
        indexes: ClassVar = [models.Index(fields=["owner", "-created_at"]), models.Index(fields=["status"])]
        permissions: ClassVar = [("view_every_assessment", "Can see the assessments of all users")]

    def __str__(self) -> str:
        return self.session_id

    @property
    def session_id(self) -> str:
        """The API's name for this assessment."""
        return self.uuid.hex


MEDIA_FOLDER = "answers"


def media_path(answer: Answer, filename: str) -> str:
    """Stored under our own name: nothing of the uploader's file name reaches the disk."""
    return f"{MEDIA_FOLDER}/{answer.assessment.session_id}/{uuid.uuid4().hex}"


class Answer(models.Model):
    class Status(models.TextChoices):
        QUEUED = "queued", _("Queued")
        DOWNLOADING = "downloading", _("Downloading")
        PROCESSING = "processing", _("Processing")
        COMPLETED = "completed", _("Completed")
        ERROR = "error", _("Error")

    TERMINAL = (Status.COMPLETED, Status.ERROR)
    ACTIVE = (Status.DOWNLOADING, Status.PROCESSING)

    assessment = models.ForeignKey(
        Assessment, models.CASCADE, related_name="answers", verbose_name=_("assessment")
    )
    position = models.IntegerField(_("position"), help_text=_("The answer's id in the API."))
    order = models.PositiveIntegerField(_("order"), default=0)
    question = models.TextField(_("question"))
    media = models.FileField(_("media"), upload_to=media_path, blank=True, max_length=200)
    media_info = models.JSONField(_("media information"), default=dict)
    source_url = models.TextField(_("source URL"), blank=True)
    status = models.CharField(_("status"), max_length=12, choices=Status, default=Status.QUEUED)
    warnings = models.JSONField(_("warnings"), default=list)
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    claimed_by = models.CharField(max_length=100, blank=True, editable=False)
    heartbeat_at = models.DateTimeField(null=True, blank=True, editable=False)
    enqueued_at = models.DateTimeField(null=True, blank=True, editable=False)
    not_before = models.DateTimeField(null=True, blank=True, editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("answer")
        verbose_name_plural = _("answers")
        ordering: ClassVar = ["order", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["assessment", "position"], name="one_answer_a_position")
        ]
        indexes: ClassVar = [models.Index(fields=["status", "heartbeat_at"])]

    def __str__(self) -> str:
        return f"{self.assessment_id}/{self.position}"


class StageRun(models.Model):
    class Status(models.TextChoices):
        RUNNING = "running", _("Running")
        COMPLETED = "completed", _("Completed")
        ERROR = "error", _("Error")

    answer = models.ForeignKey(Answer, models.CASCADE, related_name="stage_runs", verbose_name=_("answer"))
    run = models.PositiveIntegerField(_("run"), default=1)
    stage = models.CharField(_("stage"), max_length=20)
    attempt = models.PositiveIntegerField(_("attempt"), default=1)
    status = models.CharField(_("status"), max_length=12, choices=Status, default=Status.RUNNING)
    percent = models.PositiveSmallIntegerField(_("percent"), default=0)
    started_at = models.DateTimeField(_("started"), default=timezone.now)
    heartbeat_at = models.DateTimeField(_("heartbeat"), default=timezone.now)
    seconds = models.FloatField(_("seconds"), null=True, blank=True)
    output = models.JSONField(_("output"), default=dict)
    versions = models.JSONField(_("versions"), default=dict)
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.TextField(blank=True)

    class Meta:
        verbose_name = _("stage run")
        verbose_name_plural = _("stage runs")
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["answer", "run", "stage", "attempt"], name="one_run_an_attempt")
        ]

    def __str__(self) -> str:
        return f"{self.answer_id}/{self.stage}/{self.attempt}"


class ResultsDocument(models.Model):
    """The finished results document, apart from its assessment so that lists stay light."""

    assessment = models.OneToOneField(Assessment, models.CASCADE, related_name="results", primary_key=True)
    run = models.PositiveIntegerField()
    document = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"results of {self.assessment_id}"


class Review(models.Model):
    """A person's judgement; the system never writes one."""

    class Decision(models.TextChoices):
        ADVANCE = "advance", _("Advance")
        HOLD = "hold", _("Hold")
        DECLINE = "decline", _("Decline")

    assessment = models.ForeignKey(
        Assessment, models.CASCADE, related_name="reviews", verbose_name=_("assessment")
    )
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, verbose_name=_("reviewer"))
    scores = models.JSONField(_("scores per criterion"), default=dict)
    decision = models.CharField(_("decision"), max_length=10, choices=Decision, blank=True)
    reason = models.TextField(_("reason"), blank=True)
    created_at = models.DateTimeField(_("time"), auto_now_add=True)

    class Meta:
        verbose_name = _("review")
        verbose_name_plural = _("reviews")

    def __str__(self) -> str:
        return f"{self.assessment_id} by {self.reviewer_id}"


def hash_token(token: str) -> str:
    """Tokens are long and random, so one round of SHA-256 suffices (no dictionary to fear)."""
    return hashlib.sha256(token.encode()).hexdigest()


class ApiToken(models.Model):
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens", verbose_name=_("user")
    )
    name = models.CharField(_("what it is for"), max_length=100, blank=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    prefix = models.CharField(_("begins with"), max_length=8, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")

    def __str__(self) -> str:
        return f"{self.prefix}…"

    @classmethod
    def issue(cls, user: Any, name: str = "") -> tuple[ApiToken, str]:
        """A new token of `user`; the second value is the secret, which is stored nowhere."""
        secret = secrets.token_urlsafe(32)
        row = cls.objects.create(user=user, name=name, digest=hash_token(secret), prefix=secret[:8])
        return row, secret


class IdempotencyKey(models.Model):
    """What a user's earlier request with this key was, and what it was answered."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)
    status_code = models.PositiveSmallIntegerField(null=True)
    response = models.JSONField(null=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "key"], name="one_key_a_user")]

    def __str__(self) -> str:
        return f"{self.user_id}/{self.pk}"


class AuditEntry(models.Model):
    """Who did or read what, when. Holds ids, never names, transcripts or e-mail addresses."""

    at = models.DateTimeField(_("time"), default=timezone.now, db_index=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, verbose_name=_("actor")
    )
    action = models.CharField(_("action"), max_length=60)
    subject = models.CharField(_("subject"), max_length=100, db_index=True)
    details = models.JSONField(_("details"), default=dict)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        ordering: ClassVar = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.action} {self.subject}"

    @classmethod
    def write(cls, action: str, subject: str, actor: Any = None, **details: Any) -> None:
        known = actor if actor is not None and getattr(actor, "is_authenticated", False) else None
        cls.objects.create(action=action, subject=subject, actor=known, details=details)
