"""The forms of the pages. What is handed in is checked as over the API (hand_in.py, intake.py)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_lazy as _

from assessment.countries import ISO_ALPHA2
from assessment.fields import MAX_EMAIL_LENGTH, MAX_NAME_LENGTH, MAX_QUESTION_LENGTH
from assessment.models import Assessment, Review

CRITERIA = {"quality": _("Quality"), "relevance": _("Relevance"), "coherence": _("Coherence")}
COUNTRIES = [("", _("Not known")), *((code, code) for code in sorted(ISO_ALPHA2))]


class HandInForm(forms.Form):
    """A candidate and the circumstances; the videos and their questions stand beside it (see AnswerRows)."""

    candidate_name = forms.CharField(label=_("Candidate's name"), max_length=MAX_NAME_LENGTH)
    language = forms.ChoiceField(
        label=_("Language spoken"),
        choices=[("auto", _("Detect")), ("en", _("English")), ("id", _("Indonesian"))],
        initial="auto",
        required=False,
    )
    candidate_country = forms.ChoiceField(
        label=_("Country the candidate applies from"),
        choices=COUNTRIES,
        required=False,
        help_text=_("Decides which measures the law allows. Without it, nothing about emotion is inferred."),
    )
    candidate_email = forms.EmailField(label=_("E-mail"), max_length=MAX_EMAIL_LENGTH, required=False)
    project_score = forms.FloatField(
        label=_("Project score"),
        min_value=0,
        max_value=100,
        required=False,
        help_text=_(
            "0 to 100, from elsewhere. It makes up seven tenths of the final score where it is given."
        ),
    )
    consent_reference = forms.CharField(
        label=_("Consent reference"),
        max_length=MAX_NAME_LENGTH,
        required=False,
        help_text=_("Where the candidate's consent to this assessment is recorded."),
    )


class AnswerRows:
    """The videos and questions of a hand-in as rows; keeps the questions when something is refused."""

    def __init__(
        self, questions: list[str] | None = None, files: MultiValueDict[str, Any] | None = None
    ) -> None:
        self.questions = questions if questions is not None else [""]
        self.videos: list[UploadedFile] = files.getlist("videos") if files else []
        self.errors: dict[str, str] = {}

    def check(self) -> bool:
        """Every video has a question and the reverse. Errors are kept by `videos-0`, `questions-1`, …"""
        for index in range(max(len(self.questions), len(self.videos), 1)):
            question = self.questions[index] if index < len(self.questions) else ""
            if index >= len(self.videos):
                self.errors[f"videos-{index}"] = str(_("Choose the recording of this answer."))
            if not question.strip():
                self.errors[f"questions-{index}"] = str(_("Write the question that is answered here."))
            elif len(question.strip()) > MAX_QUESTION_LENGTH:
                limit = str(_("A question has at most %(most)s characters.")) % {"most": MAX_QUESTION_LENGTH}
                self.errors[f"questions-{index}"] = limit
        if len(self.videos) > settings.MAX_ANSWERS:
            self.errors["videos"] = str(_("At most %(most)s answers at a time.")) % {
                "most": settings.MAX_ANSWERS
            }
        return not self.errors

    def rows(self) -> list[dict[str, Any]]:
        """At least one row, each with its question and what is wrong with it."""
        return [
            {
                "number": index + 1,
                "index": index,
                "question": question,
                "video_error": self.errors.get(f"videos-{index}", ""),
                "question_error": self.errors.get(f"questions-{index}", ""),
            }
            for index, question in enumerate(self.questions or [""])
        ]


class JsonHandInForm(forms.Form):
    """A hand-in as JSON, pasted or as a file."""

    document_file = forms.FileField(label=_("JSON file"), required=False)
    document = forms.CharField(label=_("or its text"), widget=forms.Textarea, required=False, strip=False)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        file = cleaned.get("document_file")
        if file is not None and file.size > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            self.add_error("document_file", _("This file is too large for a JSON hand-in."))
        elif file is None and not (cleaned.get("document") or "").strip() and not self.errors:
            self.add_error("document", _("Choose a JSON file or paste its text."))
        return cleaned

    def body(self) -> bytes:
        file = self.cleaned_data.get("document_file")
        return file.read() if file is not None else self.cleaned_data["document"].encode()


class ReviewForm(forms.ModelForm):
    """A reviewer's own scores, decision and reason."""

    quality = forms.IntegerField(label=CRITERIA["quality"], min_value=0, max_value=100, required=False)
    relevance = forms.IntegerField(label=CRITERIA["relevance"], min_value=0, max_value=100, required=False)
    coherence = forms.IntegerField(label=CRITERIA["coherence"], min_value=0, max_value=100, required=False)

    class Meta:
        model = Review
        fields = ("decision", "reason")
        widgets = {"reason": forms.Textarea(attrs={"rows": 4})}

    field_order = ("quality", "relevance", "coherence", "decision", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["decision"].required = True
        self.fields["decision"].choices = [("", _("Choose")), *Review.Decision.choices]  # type: ignore[attr-defined]
        self.fields["reason"].required = True
        self.fields["reason"].max_length = 5000  # type: ignore[attr-defined]

    def save_for(self, assessment: Assessment, reviewer: Any) -> Review:
        review: Review = self.save(commit=False)
        review.assessment = assessment
        review.reviewer = reviewer
        given = {name: self.cleaned_data.get(name) for name in CRITERIA}
        review.scores = {name: score for name, score in given.items() if score is not None}
        review.save()
        return review
