"""Rooms as HR sees them: who, when, what was agreed to, how much there is. What was measured and said stays on the
pages where reading leaves an audit line; people are erased as candidates, with everything of theirs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Count, Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from assessment.admin import ReadOnly
from assessment.errors import IntakeError
from assessment.models import AuditEntry
from rooms import messages, room_words
from rooms.hand_in import panel
from rooms.models import Alert, Chunk, Consent, Note, Participant, Reading, Recording, Room


class ParticipantInline(ReadOnly, admin.TabularInline):
    model = Participant
    fields = ("role", "name", "state", "created_at", "admitted_at", "seen_at")
    readonly_fields = fields
    extra = 0
    show_change_link = True


class RoomForm(ModelForm):
    def clean(self) -> dict[str, Any]:
        """The panel as `hand_in.panel` has it: without the owner, and not more than a call has room for."""
        found = super().clean() or {}
        owner, members = found.get("owner"), found.get("panel")
        if owner is not None and members is not None:
            try:
                found["panel"] = panel(list(members), owner)
            except IntakeError as error:
                self.add_error("panel", error.message)
        return found


@admin.register(Room)
class RoomAdmin(admin.ModelAdmin):
    """Owner and panel can be changed, when somebody leaves the house; the rest is as it was made."""

    form = RoomForm
    list_display = ("code", "candidate", "title", "owner", "status", "created_at", "page")
    list_filter = ("status", "language", "recording_wanted", "created_at")
    list_select_related = ("candidate", "owner")
    search_fields = ("code", "title", "candidate__name", "candidate__email")
    date_hierarchy = "created_at"
    autocomplete_fields = ("owner", "panel")
    readonly_fields = (
        *("code", "title", "candidate", "country", "language", "questions", "recording_wanted", "planned_at"),
        *("policy", "status", "link_expires_at", "link_revoked_at", "created_at", "admitted_at", "ended_at"),
        *("assessment", "erase_at", "holdings", "page"),
    )
    fields = ("owner", "panel", *readonly_fields)
    inlines = (ParticipantInline,)
    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Erased with the candidate, or when its time has come."""
        return False

    def save_model(self, request: HttpRequest, obj: Room, form: ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        AuditEntry.write(
            "admin.change", f"room:{obj.room_id}", request.user, fields=sorted(form.changed_data)
        )

    def save_related(self, request: HttpRequest, form: ModelForm, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        room: Room = form.instance
        transaction.on_commit(lambda: _hang_up_on_unseated(room))

    @admin.display(description=gettext_lazy("page"))
    def page(self, room: Room) -> str:
        return format_html('<a href="{}">{}</a>', reverse("room", args=[room.code]), room_words.status(room))

    @admin.display(description=gettext_lazy("holds"))
    def holdings(self, room: Room) -> str:
        """How much was noted, in numbers alone."""
        counts = {
            "readings": Reading.objects.filter(room=room).count(),
            "alerts": Alert.objects.filter(room=room).count(),
            "notes": Note.objects.filter(room=room).count(),
            "chunks": Chunk.objects.filter(segment__recording__room=room).count(),
        }
        told = _("%(readings)s readings, %(alerts)s alerts, %(notes)s notes, %(chunks)s pieces of recording")
        return told % counts


def _hang_up_on_unseated(room: Room) -> None:
    """Have the others hang up at once on interviewers who have no seat any more, sockets or not; sockets close by
    themselves (`rooms.consumers.records.look`)."""
    places = Participant.objects.filter(room=room, role=Participant.Role.INTERVIEWER)
    for place in places.exclude(user=room.owner_id).exclude(user__in=room.panel.all()):
        messages.to_everyone_now(room, messages.put_out(place.peer))


class ConsentInline(ReadOnly, admin.TabularInline):
    model = Consent
    fields = ("at", "scope", "granted", "text_version", "language", "text_hash")
    readonly_fields = fields
    extra = 0


@admin.register(Participant)
class ParticipantAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("room", "role", "name", "state", "created_at", "admitted_at", "seen_at")
    list_filter = ("role", "state", "created_at")
    list_select_related = ("room",)
    search_fields = ("name", "room__code")
    fields = ("room", "role", "name", "user", "state", "language", "created_at", "admitted_at", "seen_at")
    inlines = (ConsentInline,)
    list_per_page = 50
    show_full_result_count = False


@admin.register(Consent)
class ConsentAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("at", "room", "scope", "granted", "text_version", "language")
    list_filter = ("scope", "granted", "text_version", "at")
    list_select_related = ("participant__room",)
    search_fields = ("participant__name", "participant__room__code")
    fields = ("participant", "scope", "granted", "at", "text_version", "text_hash", "language")
    list_per_page = 100
    show_full_result_count = False

    @admin.display(description=gettext_lazy("room"), ordering="participant__room__code")
    def room(self, consent: Consent) -> str:
        return consent.participant.room.code


@admin.register(Recording)
class RecordingAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("room_code", "state", "chunks", "attempts", "stopped_at", "error_code", "created_at")
    list_filter = ("state", "created_at")
    list_select_related = ("room",)
    search_fields = ("room__code", "room__candidate__name")
    fields = ("room", "state", "attempts", "stopped_at", "error_code", "error_message", "created_at")
    list_per_page = 50
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Recording]:
        return super().get_queryset(request).annotate(chunks_kept=Count("segments__chunks"))

    @admin.display(description=gettext_lazy("room"), ordering="room__code")
    def room_code(self, recording: Recording) -> str:
        return recording.room.code

    @admin.display(description=gettext_lazy("pieces kept"), ordering="chunks_kept")
    def chunks(self, recording: Any) -> int:
        return recording.chunks_kept


@admin.register(Note)
class NoteAdmin(ReadOnly, admin.ModelAdmin):
    """Who noted something when. What it says is on the room's summary, where reading leaves an audit line."""

    list_display = ("room", "author", "t_s", "created_at")
    list_filter = ("created_at",)
    list_select_related = ("room", "author")
    search_fields = ("room__code", "author__username")
    fields = list_display
    list_per_page = 100
    show_full_result_count = False
