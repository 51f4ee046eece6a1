"""The HTTP API of recorded assessments (DESIGN §4.1). Who asks is settled before these functions are
called."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import get_language_from_request
from ninja import Router

from assessment import access, idempotency, intake, progress, schemas
from assessment.errors import RequestError
from assessment.hand_in import HandIn, from_form, from_json, parse_json
from assessment.models import Assessment
from assessment.results import ResultsDocument

router = Router(tags=["assessments"])

IDEMPOTENCY_HEADER: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key and body give the same assessment; with another body 409. Kept for 24 h.",
    "schema": {"type": "string", "maxLength": idempotency.MAX_KEY_LENGTH},
}


def error_responses(*statuses: int) -> dict[int, Any]:
    return dict.fromkeys(statuses, schemas.ErrorResponse)


def _request_body(content_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "parameters": [IDEMPOTENCY_HEADER],
        "requestBody": {"required": True, "content": {content_type: {"schema": schema}}},
    }


def _hand_in_schema() -> dict[str, Any]:
    shapes = [schemas.FlatHandIn.model_json_schema(), schemas.NestedHandIn.model_json_schema()]
    return {"anyOf": [_inlined(shape, shape.pop("$defs", {})) for shape in shapes]}


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    """A JSON schema without references: OpenAPI would look for them in another place."""
    if isinstance(node, list):
        return [_inlined(one, definitions) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(definitions[node["$ref"].rsplit("/", 1)[-1]], definitions)
    return {key: _inlined(value, definitions) for key, value in node.items()}


@router.post(
    "/upload",
    response={200: schemas.Uploaded, **error_responses(400, 401, 403, 408, 409, 413, 507)},
    openapi_extra=_request_body("multipart/form-data", schemas.UploadForm.model_json_schema()),
    summary="Hand in video files with their questions",
)
def upload(request: HttpRequest) -> dict[str, Any]:
    handed_in = from_form(request.POST, request.FILES)
    return _create_once(request, handed_in, Assessment.Source.UPLOAD, _form_content(request))


@router.post(
    "/upload_json",
    response={200: schemas.HandedIn, **error_responses(400, 401, 403, 408, 409, 413, 507)},
    openapi_extra=_request_body("application/json", _hand_in_schema()),
    summary="Hand in addresses of videos, in either of two shapes",
)
def upload_json(request: HttpRequest) -> dict[str, Any]:
    document = parse_json(request.body)
    return _create_once(request, from_json(document), Assessment.Source.JSON, document)


def _form_content(request: HttpRequest) -> dict[str, Any]:
    """What tells one upload from another: its fields, and its files by what is in them."""
    posted = {
        name: request.POST.getlist(name) for name in sorted(request.POST) if name != "csrfmiddlewaretoken"
    }
    files = [
        [name, [_digest(file) for file in request.FILES.getlist(name)]] for name in sorted(request.FILES)
    ]
    return {"fields": posted, "files": files}


def _digest(file: Any) -> str:
    return str(file.sha256)


def _create_once(
    request: HttpRequest, handed_in: HandIn, source: Assessment.Source, content: Any
) -> dict[str, Any]:
    user = _user(request)
    key = idempotency.checked_key(request.headers.get("Idempotency-Key"))

    def create(settle: idempotency.Settle) -> dict[str, Any]:
        def answered(assessment: Assessment) -> None:
            settle(_accepted(assessment, handed_in))

        assessment = intake.create(handed_in, owner=user, source=source, within=answered)
        return _accepted(assessment, handed_in)

    return idempotency.run_once(user, key, idempotency.fingerprint(source, content), create)


def _user(request: HttpRequest) -> User:
    user = request.user
    assert isinstance(user, User), "the API's authentication lets nobody else through"
    return user


def _accepted(assessment: Assessment, handed_in: HandIn) -> dict[str, Any]:
    total = len(handed_in.answers)
    body = {"success": True, "session_id": assessment.session_id, "uploaded_videos": total}
    if assessment.source == Assessment.Source.JSON:
        refused = sum(answer.refusal is not None for answer in handed_in.answers)
        message = "The videos are being downloaded and assessed in the background."
        if refused:
            message = f"{total - refused} of {total} videos are being assessed; the status tells why not all."
        body |= {"video_count": total, "message": message}
    return body


@router.get(
    "/status/{session_id}",
    response={200: schemas.StatusResponse, **error_responses(401, 404)},
    summary="How far an assessment is",
    exclude_unset=True,
)
def status(request: HttpRequest, session_id: str) -> dict[str, Any]:
    return progress.status_document(access.get_visible(_user(request), session_id))


# Before /results/{session_id}, which would take the suffix for a part of the id.
@router.get(
    "/results/{session_id}.json",
    response={200: ResultsDocument, **error_responses(401, 404, 409)},
    summary="The results document as a file",
)
def results_file(request: HttpRequest, session_id: str) -> HttpResponse:
    response = _results_response(request, session_id)
    response["Content-Disposition"] = f'attachment; filename="assessment-{session_id}.json"'
    return response


@router.get(
    "/results/{session_id}",
    response={200: ResultsDocument, **error_responses(401, 404, 409)},
    summary="The results document",
)
def results(request: HttpRequest, session_id: str) -> HttpResponse:
    return _results_response(request, session_id)


@router.get(
    "/results/{session_id}/report.pdf",
    response={200: None, **error_responses(401, 404, 409)},
    openapi_extra={"responses": {200: {"description": "The report", "content": {"application/pdf": {}}}}},
    summary="The report for people",
)
def report(request: HttpRequest, session_id: str) -> HttpResponse:
    from assessment.report import render_pdf

    assessment = access.get_visible(_user(request), session_id)
    document = finished_document(assessment)
    pdf = render_pdf(document, language=get_language_from_request(request))
    access.record("assessment.read_report", assessment, _user(request))
    response = HttpResponse(pdf, content_type="application/pdf")
    response["Content-Disposition"] = f'inline; filename="assessment-{assessment.session_id}.pdf"'
    return response


def _results_response(request: HttpRequest, session_id: str) -> HttpResponse:
    """The stored document word for word; it was validated when it was written."""
    assessment = access.get_visible(_user(request), session_id)
    document = finished_document(assessment)
    access.record("assessment.read_results", assessment, _user(request))
    return JsonResponse(document, json_dumps_params={"ensure_ascii": False})


def finished_document(assessment: Assessment) -> dict[str, Any]:
    """The results document of a finished assessment. Raises RequestError('not_ready', 409) before, and
    ('no_results', 409) in the rare case that it ended without one."""
    ended = assessment.status in (Assessment.Status.COMPLETED, Assessment.Status.ERROR)
    stored = getattr(assessment, "results", None) if ended else None
    if stored is not None and stored.run == assessment.run:
        return dict(stored.document)
    so_far = progress.status_document(assessment)
    details = {"status": so_far["status"], "progress": so_far["progress"], "percent": so_far["percent"]}
    if ended:
        raise RequestError(
            "no_results", "The assessment ended without results. Start it again.", 409, details
        )
    raise RequestError(
        "not_ready", "The assessment is not finished yet; ask /status for its progress.", 409, details
    )
