"""Where HR works: people, assessments, tokens, the audit log. What the system found is read-only here."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from assessment import jobs, retention, words
from assessment.models import Answer, ApiToken, Assessment, AuditEntry, Candidate, Review, StageRun

admin.site.site_header = admin.site.site_title = "Wawancara"
admin.site.index_title = gettext_lazy("Administration")


class ReadOnly:
    """Neither added, changed nor deleted by hand."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def _audit_change(request: HttpRequest, subject: str, form: ModelForm, change: bool) -> None:
    """Which fields were changed, never to what: values may name people."""
    action = "admin.change" if change else "admin.add"
    AuditEntry.write(action, subject, request.user, fields=sorted(form.changed_data))


@admin.register(Candidate)
class CandidateAdmin(admin.ModelAdmin):
    list_display = ("name", "email", "external_id", "created_at", "assessments_made")
    search_fields = ("name", "email", "external_id")
    list_filter = ("created_at",)
    date_hierarchy = "created_at"
    readonly_fields = ("created_at",)
    actions = ["erase"]
    list_per_page = 50
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Candidate]:
        return super().get_queryset(request).annotate(assessments_made=Count("assessments"))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """People are erased with everything derived from them, by the action below."""
        return False

    def has_erase_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("assessment.delete_candidate")

    @admin.display(description=gettext_lazy("assessments"), ordering="assessments_made")
    def assessments_made(self, candidate: Any) -> int:
        return candidate.assessments_made

    def save_model(self, request: HttpRequest, obj: Candidate, form: ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        _audit_change(request, f"candidate:{obj.pk}", form, change)

    @admin.action(description=gettext_lazy("Erase with everything derived"), permissions=["erase"])
    def erase(self, request: HttpRequest, chosen: QuerySet[Candidate]) -> HttpResponse | None:
        candidates = list(chosen)
        if request.POST.get("confirmed") != "yes":
            context = {
                **self.admin_site.each_context(request),
                "title": _("Erase for good?"),
                "candidates": candidates,
                "names": words.listing([candidate.name for candidate in candidates]),
                "opts": self.model._meta,
            }
            return TemplateResponse(request, "admin/erase_candidates.html", context)
        erased = 0
        for candidate in candidates:
            try:
                retention.erase_candidate(candidate, request.user)
                erased += 1
            except retention.ErasureRefused as refused:
                messages.error(request, f"{candidate.name}: {refused}")
        if erased:
            told = ngettext("%(count)d person was erased.", "%(count)d people were erased.", erased)
            messages.success(request, told % {"count": erased})
        return None


class AnswerInline(ReadOnly, admin.TabularInline):
    model = Answer
    fields = ("position", "question", "status", "attempts", "error_code", "error_message", "finished_at")
    readonly_fields = fields
    extra = 0
    show_change_link = True


class ReviewInline(ReadOnly, admin.TabularInline):
    model = Review
    fields = ("reviewer", "decision", "reason", "scores", "created_at")
    readonly_fields = fields
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Review]:
        return super().get_queryset(request).select_related("reviewer")


@admin.register(Assessment)
class AssessmentAdmin(admin.ModelAdmin):
    list_display = (
        "session_id",
        "candidate",
        "owner",
        "status",
        "source",
        "country",
        "run",
        "created_at",
        "page",
    )
    list_filter = ("status", "source", "language", "created_at")
    list_select_related = ("candidate", "owner")
    search_fields = ("uuid", "candidate__name", "candidate__email", "consent_reference")
    date_hierarchy = "created_at"
    autocomplete_fields = ("owner", "panel")
    readonly_fields = (
        *(
            "session_id",
            "candidate",
            "language",
            "source",
            "country",
            "policy",
            "project_score",
            "status",
            "run",
        ),
        *("created_at", "completed_at", "erase_media_at", "erase_record_at", "page"),
    )
    fields = ("owner", "panel", "consent_reference", *readonly_fields)
    inlines = (AnswerInline, ReviewInline)
    actions = ["run_failed_again", "run_all_again"]
    list_per_page = 25
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        """Session ids are stored as UUIDs: taken whole, in either spelling."""
        bare = search_term.strip().replace("-", "").lower()
        if len(bare) == 32 and all(digit in "0123456789abcdef" for digit in bare):
            return queryset.filter(uuid=bare), False
        return super().get_search_results(request, queryset, search_term)

    def save_model(self, request: HttpRequest, obj: Assessment, form: ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        _audit_change(request, f"assessment:{obj.session_id}", form, change)

    @admin.display(description=gettext_lazy("session id"))
    def session_id(self, assessment: Assessment) -> str:
        return assessment.session_id

    @admin.display(description=gettext_lazy("page"))
    def page(self, assessment: Assessment) -> str:
        place = reverse("assessment", args=[assessment.session_id])
        return format_html('<a href="{}">{}</a>', place, _("open"))

    def _run_again(self, request: HttpRequest, chosen: QuerySet[Assessment], *, every: bool) -> None:
        for assessment in chosen:
            queued = jobs.rerun(assessment, every=every)
            if not queued:
                told = _("%(session)s: not finished yet, or no recording is left to run again.")
                messages.warning(request, told % {"session": assessment.session_id})
                continue
            subject = f"assessment:{assessment.session_id}"
            AuditEntry.write("assessment.rerun", subject, request.user, answers=queued)
            told = ngettext("%(count)d answer is run again.", "%(count)d answers are run again.", queued)
            messages.success(request, told % {"count": queued})

    @admin.action(description=gettext_lazy("Run failed answers again"), permissions=["change"])
    def run_failed_again(self, request: HttpRequest, chosen: QuerySet[Assessment]) -> None:
        self._run_again(request, chosen, every=False)

    @admin.action(
        description=gettext_lazy("Run all answers again whose recording is kept"), permissions=["change"]
    )
    def run_all_again(self, request: HttpRequest, chosen: QuerySet[Assessment]) -> None:
        self._run_again(request, chosen, every=True)


class StageRunInline(ReadOnly, admin.TabularInline):
    """Without the stages' output: that is the results page's, where reading leaves an audit line."""

    model = StageRun
    fields = (
        "run",
        "stage",
        "attempt",
        "status",
        "percent",
        "seconds",
        "versions",
        "error_code",
        "error_message",
    )
    readonly_fields = fields
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[StageRun]:
        return super().get_queryset(request).defer("output")


@admin.register(Answer)
class AnswerAdmin(ReadOnly, admin.ModelAdmin):
    list_display = (
        "assessment_session",
        "position",
        "status",
        "attempts",
        "error_code",
        "started_at",
        "finished_at",
    )
    list_filter = ("status", "error_code")
    list_select_related = ("assessment",)
    search_fields = ("assessment__candidate__name", "error_code")
    fields = (
        *(
            "assessment",
            "position",
            "question",
            "status",
            "attempts",
            "error_code",
            "error_message",
            "warnings",
        ),
        *("media_info", "source_url", "claimed_by", "heartbeat_at", "started_at", "finished_at"),
    )
    inlines = (StageRunInline,)
    list_per_page = 50
    show_full_result_count = False

    @admin.display(description=gettext_lazy("session id"))
    def assessment_session(self, answer: Answer) -> str:
        return answer.assessment.session_id


@admin.register(Review)
class ReviewAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("assessment", "reviewer", "decision", "created_at")
    list_filter = ("decision", "created_at")
    list_select_related = ("assessment", "reviewer")
    search_fields = ("assessment__candidate__name", "reviewer__username")
    show_full_result_count = False


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):
    list_display = ("prefix", "user", "name", "created_at", "last_used_at", "revoked_at")
    list_filter = ("revoked_at",)
    list_select_related = ("user",)
    search_fields = ("name", "user__username")
    autocomplete_fields = ("user",)
    fields = ("user", "name", "prefix", "created_at", "last_used_at", "revoked_at")
    readonly_fields = ("prefix", "created_at", "last_used_at", "revoked_at")
    actions = ["revoke"]

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return self.fields if obj else ("user", "name")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "user") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Revoked rather than deleted, so that the log stays readable."""
        return False

    def save_model(self, request: HttpRequest, obj: ApiToken, form: ModelForm, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        issued, secret = ApiToken.issue(obj.user, obj.name)
        obj.pk, obj.digest, obj.prefix, obj.created_at = (
            issued.pk,
            issued.digest,
            issued.prefix,
            issued.created_at,
        )
        AuditEntry.write("token.issue", f"token:{issued.pk}", request.user, user=obj.user_id)
        told = _("The token, shown this once and stored nowhere: {secret}")
        messages.warning(request, format_html(told.replace("{secret}", "<code>{}</code>"), secret))

    @admin.action(description=gettext_lazy("Revoke"), permissions=["change"])
    def revoke(self, request: HttpRequest, chosen: QuerySet[ApiToken]) -> None:
        now = timezone.now()
        for token in chosen.filter(revoked_at=None):
            ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now)
            AuditEntry.write("token.revoke", f"token:{token.pk}", request.user, user=token.user_id)
        messages.success(request, _("Revoked: programs that use them are refused from now on."))


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("at", "actor", "action", "subject", "details")
    list_filter = ("action", "at")
    list_select_related = ("actor",)
    search_fields = ("subject", "action", "actor__username")
    date_hierarchy = "at"
    list_per_page = 100
    show_full_result_count = False
