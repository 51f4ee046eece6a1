"""The pages: list, hand-in, status, results, review."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from assessment import access, hand_in, idempotency, intake, progress, story, words
from assessment.errors import RequestError
from assessment.forms import CRITERIA, AnswerRows, HandInForm, JsonHandInForm, ReviewForm
from assessment.models import Answer, Assessment, ResultsDocument, Review
from mlcore.media_types import READABLE

PAGE_SIZE = 25
ENDED = (Assessment.Status.COMPLETED, Assessment.Status.ERROR)


def _visible(request: HttpRequest, session_id: str) -> Assessment:
    try:
        return access.get_visible(request.user, session_id)
    except RequestError as error:
        raise Http404 from error


# -- List -------------------------------------------------------------------------------------


def _listed(request: HttpRequest) -> QuerySet[Assessment]:
    answers = Prefetch(
        "answers", Answer.objects.only("assessment_id", "status", "order"), to_attr="listed_answers"
    )
    reviews = Prefetch("reviews", Review.objects.only("assessment_id"), to_attr="listed_reviews")
    rows = (
        Assessment.objects.visible_to(request.user)
        .select_related("candidate", "owner")
        .prefetch_related(answers, reviews)
        .defer("policy")
    )
    wanted = request.GET.get("q", "").strip()
    return rows.filter(candidate__name__icontains=wanted) if wanted else rows


@login_required
@require_GET
def assessments(request: HttpRequest) -> HttpResponse:
    page = Paginator(_listed(request), PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "assessment/list.html", {"page": page, "q": request.GET.get("q", "").strip()})


# -- Hand-in ----------------------------------------------------------------------------------


def _place(error: RequestError) -> str:
    """The field of the page that an intake error is about: `videos-0`, `questions-1`, a form field, or ""."""
    field = str(error.details.get("field", ""))
    name, bracket, rest = field.partition("[")
    if bracket and name in ("videos", "questions"):
        return f"{name}-{rest.partition(']')[0]}"
    return field


@method_decorator(never_cache, name="dispatch")
class HandInView(LoginRequiredMixin, View):
    """Takes videos with questions, or JSON. Answers forms with a page, scripts (Accept: JSON) with JSON."""

    def get(self, request: HttpRequest) -> HttpResponse:
        count = request.GET.get("answers", "1")
        number = min(max(int(count), 1), 20) if count.isdecimal() and len(count) < 4 else 1
        return self._page(request, HandInForm(), AnswerRows([""] * number), JsonHandInForm())

    def post(self, request: HttpRequest) -> HttpResponse:
        if request.POST.get("kind") == "json":
            return self._take_json(request)
        return self._take_videos(request)

    def _take_videos(self, request: HttpRequest) -> HttpResponse:
        form = HandInForm(request.POST)
        rows = AnswerRows([str(question) for question in request.POST.getlist("questions")], request.FILES)
        if form.is_valid() & rows.check():
            try:
                return self._done(
                    request, self._create(request, hand_in.from_form(request.POST, request.FILES), "upload")
                )
            except RequestError as error:
                self._note(form, rows, error)
        return self._refused(request, form, rows, JsonHandInForm())

    def _take_json(self, request: HttpRequest) -> HttpResponse:
        form = JsonHandInForm(request.POST, request.FILES)
        if form.is_valid():
            try:
                handed_in = hand_in.from_json(hand_in.parse_json(form.body()))
                return self._done(request, self._create(request, handed_in, "json"))
            except RequestError as error:
                form.add_error("document", words.refusal(error.code, error.message))
        return self._refused(request, HandInForm(), AnswerRows(), form)

    def _create(self, request: HttpRequest, handed_in: hand_in.HandIn, source: str) -> str:
        """The session id; sent twice with the same `submission`, a hand-in is stored once."""
        key = idempotency.checked_key(request.POST.get("submission") or None)
        files = [(file.name, file.size) for name in request.FILES for file in request.FILES.getlist(name)]
        fields = {name: values for name, values in request.POST.lists() if name != "csrfmiddlewaretoken"}
        digest = idempotency.fingerprint("page", [fields, files])

        def work(settle: idempotency.Settle) -> idempotency.Response:
            made = intake.create(
                handed_in,
                owner=request.user,  # type: ignore[arg-type]
                source=source,
                within=lambda row: settle({"session_id": row.session_id}),
            )
            return {"session_id": made.session_id}

        return str(idempotency.run_once(request.user, key, digest, work)["session_id"])  # type: ignore[arg-type]

    def _note(self, form: HandInForm, rows: AnswerRows, error: RequestError) -> None:
        place, text = _place(error), words.refusal(error.code, error.message)
        if place in form.fields:
            form.add_error(place, text)
        elif place.partition("-")[0] in ("videos", "questions"):
            rows.errors[place] = text
        else:
            form.add_error(None, text)

    def _done(self, request: HttpRequest, session_id: str) -> HttpResponse:
        place = reverse("assessment", args=[session_id])
        if request.accepts("text/html"):
            return HttpResponseRedirect(place)
        return JsonResponse({"redirect": place})

    def _refused(
        self, request: HttpRequest, form: HandInForm, rows: AnswerRows, json_form: JsonHandInForm
    ) -> HttpResponse:
        if request.accepts("text/html"):
            return self._page(request, form, rows, json_form, status=400)
        errors = {
            name or "": [str(text) for text in texts]
            for name, texts in (form.errors | json_form.errors).items()
        }
        errors |= {place: [text] for place, text in rows.errors.items()}
        return JsonResponse({"errors": errors}, status=400)

    def _page(
        self,
        request: HttpRequest,
        form: HandInForm,
        rows: AnswerRows,
        json_form: JsonHandInForm,
        status: int = 200,
    ) -> HttpResponse:
        context = {
            "form": form,
            "rows": rows,
            "json_form": json_form,
            "submission": uuid.uuid4().hex,
            "readable": READABLE,
            "limit_mb": words.upload_limit_mb(),
        }
        return render(request, "assessment/hand_in.html", context, status=status)


# -- One assessment ---------------------------------------------------------------------------


def _document(row: Assessment) -> dict[str, Any] | None:
    """The results of the present run, or None while there are none."""
    if row.status not in ENDED:
        return None
    found = (
        ResultsDocument.objects.filter(assessment=row, run=row.run).values_list("document", flat=True).first()
    )
    return found if isinstance(found, dict) else None


@login_required
@never_cache
@require_GET
def assessment(request: HttpRequest, session_id: str) -> HttpResponse:
    """Status while in work, then the results."""
    row = _visible(request, session_id)
    document = _document(row)
    if document is None:
        return _status_page(request, row)
    access.record("assessment.read_results", row, request.user)
    context = {"assessment": row, "story": story.tell(document), "reviews": _reviews(row)}
    return render(request, "assessment/results.html", context)


def _status_page(request: HttpRequest, row: Assessment) -> HttpResponse:
    status = progress.status_document(row)
    questions = dict(row.answers.values_list("position", "question"))
    answers = [
        {
            **answer,
            "question": questions.get(answer["id"], ""),
            "word": words.STATUSES[answer["status"]],
            "tone": words.status_tone(answer["status"]),
            "stages": [{**stage, "label": words.stage(stage["name"])} for stage in answer["stages"]],
            "failure": words.failure(answer["error"]["code"]) if answer["error"] else "",
        }
        for answer in status["answers"]
    ]
    context = {
        "assessment": row,
        "status": status,
        "answers": answers,
        "eta": words.eta(status["eta_seconds"]),
    }
    return render(request, "assessment/status.html", context)


def _reviews(row: Assessment) -> list[dict[str, Any]]:
    found = Review.objects.filter(assessment=row).select_related("reviewer").order_by("-created_at", "-pk")
    return [
        {
            "row": review,
            "scores": [(CRITERIA[name], review.scores[name]) for name in CRITERIA if name in review.scores],
        }
        for review in found
    ]


@method_decorator(never_cache, name="dispatch")
class ReviewView(LoginRequiredMixin, View):
    """A reviewer's own judgement; the system's scores stay hidden until asked for (`?scores=shown`)."""

    def _load(self, request: HttpRequest, session_id: str) -> tuple[Assessment, dict[str, Any]]:
        row = _visible(request, session_id)
        document = _document(row)
        if document is None:
            raise Http404
        return row, document

    def get(self, request: HttpRequest, session_id: str) -> HttpResponse:
        row, document = self._load(request, session_id)
        return self._page(request, row, document, ReviewForm())

    def post(self, request: HttpRequest, session_id: str) -> HttpResponse:
        row, document = self._load(request, session_id)
        form = ReviewForm(request.POST)
        if not form.is_valid():
            return self._page(request, row, document, form, status=400)
        with transaction.atomic():
            form.save_for(row, request.user)
            access.record("assessment.review", row, request.user, scores_shown=self._shown(request))
        messages.success(request, _("Your review is saved."))
        return redirect("assessment", session_id=row.session_id)

    def _shown(self, request: HttpRequest) -> bool:
        return request.GET.get("scores") == "shown"

    def _page(
        self,
        request: HttpRequest,
        row: Assessment,
        document: dict[str, Any],
        form: ReviewForm,
        status: int = 200,
    ) -> HttpResponse:
        access.record("assessment.read_transcripts", row, request.user, scores_shown=self._shown(request))
        context = {
            "assessment": row,
            "story": story.tell(document),
            "form": form,
            "shown": self._shown(request),
        }
        return render(request, "assessment/review.html", context, status=status)
