"""The form of a new room. What it asks for is checked as over the API (hand_in.py)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from assessment.errors import RequestError
from assessment.fields import MAX_EMAIL_LENGTH, MAX_NAME_LENGTH, MAX_QUESTION_LENGTH
from assessment.forms import COUNTRIES
from rooms import hand_in

MIN_ROWS = 3
"""So many rows for questions are there to begin with, for those without JavaScript too."""


class UserChoice(forms.ModelMultipleChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        return obj.get_full_name() or obj.get_username()


class NewRoomForm(forms.Form):
    """Everything about a room but its questions, which stand beside it (see QuestionRows)."""

    title = forms.CharField(
        label=gettext_lazy("What the interview is about"),
        max_length=hand_in.MAX_TITLE_LENGTH,
        error_messages={"required": gettext_lazy("Write what the interview is about.")},
        help_text=gettext_lazy("The candidate reads this too, for instance “Backend engineer”."),
    )
    candidate_name = forms.CharField(
        label=gettext_lazy("Candidate's name"),
        max_length=MAX_NAME_LENGTH,
        error_messages={"required": gettext_lazy("Write the candidate's name.")},
    )
    candidate_email = forms.EmailField(
        label=gettext_lazy("E-mail"),
        max_length=MAX_EMAIL_LENGTH,
        required=False,
        help_text=gettext_lazy("Kept with the record. Nothing is sent to it: you send the link yourself."),
    )
    candidate_country = forms.ChoiceField(
        label=gettext_lazy("Country the candidate applies from"),
        choices=COUNTRIES,
        required=False,
        help_text=gettext_lazy(
            "Decides which measures the law allows. Without it, nothing about emotion is inferred."
        ),
    )
    language = forms.ChoiceField(
        label=gettext_lazy("Language spoken"),
        choices=[
            ("auto", gettext_lazy("Detect")),
            ("en", gettext_lazy("English")),
            ("id", gettext_lazy("Indonesian")),
        ],
        initial="auto",
        required=False,
    )
    planned_at = forms.DateTimeField(
        label=gettext_lazy("Planned for"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    recording = forms.BooleanField(
        label=gettext_lazy("Ask the candidate whether the interview may be recorded"),
        required=False,
        help_text=gettext_lazy(
            "With their yes, the answers are written down and scored afterwards. With their no, the interview goes on "
            "without a recording."
        ),
    )
    panel = UserChoice(
        label=gettext_lazy("Who else interviews"),
        queryset=User.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, owner: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner = owner
        self.fields["panel"].queryset = colleagues(owner)  # type: ignore[attr-defined]
        zone = _("In the time zone of this site, %(zone)s.") % {"zone": settings.TIME_ZONE}
        self.fields["planned_at"].help_text = zone

    def clean_planned_at(self) -> datetime | None:
        try:
            return hand_in.planned(self.cleaned_data["planned_at"])
        except RequestError as error:
            raise ValidationError(_("Choose a time from today on, at most a year ahead.")) from error

    def clean_panel(self) -> tuple[User, ...]:
        try:
            return hand_in.panel(list(self.cleaned_data["panel"]), self.owner)
        except RequestError as error:
            told = _("A call has room for %(most)s interviewers besides you.") % {"most": hand_in.MAX_PANEL}
            raise ValidationError(told) from error


def colleagues(owner: User) -> QuerySet[User]:
    """Whom `owner` may ask to sit on the panel."""
    return (
        User.objects.filter(is_active=True)
        .exclude(pk=owner.pk)
        .order_by("first_name", "last_name", "username")
    )


class QuestionRows:
    """The questions as rows; keeps what was written when something is refused."""

    def __init__(self, questions: list[str] | None = None, count: int = MIN_ROWS) -> None:
        self._questions = list(questions or [])
        self._questions += [""] * (count - len(self._questions))
        self.errors: dict[int, str] = {}
        self.error = ""

    def check(self) -> bool:
        for index, question in enumerate(self._questions):
            if len(question.strip()) > MAX_QUESTION_LENGTH:
                limit = _("A question has at most %(most)s characters.") % {"most": MAX_QUESTION_LENGTH}
                self.errors[index] = limit
        if sum(bool(question.strip()) for question in self._questions) > settings.MAX_ANSWERS:
            self.error = _("At most %(most)s questions.") % {"most": settings.MAX_ANSWERS}
        return not self.errors and not self.error

    def note(self, field: str, text: str) -> bool:
        """Put a refusal at its row, as in ``questions[2]``; False where it is about another field."""
        name, _bracket, rest = field.partition("[")
        if name != "questions":
            return False
        number = rest.partition("]")[0]
        if number.isdecimal():
            self.errors[int(number)] = text
        else:
            self.error = text
        return True

    def rows(self) -> list[dict[str, Any]]:
        return [
            {"index": index, "number": index + 1, "text": text, "error": self.errors.get(index, "")}
            for index, text in enumerate(self._questions)
        ]
