"""The HTTP API as a whole: who asks, the one shape of errors, and the calls that belong to no app."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from ninja.openapi.schema import OpenAPISchema
from ninja.security.base import AuthBase
from ninja.utils import check_csrf

from assessment import schemas
from assessment.access import bearer_token, caller
from assessment.api import error_responses
from assessment.api import router as assessment_router
from assessment.errors import RequestError, error_document, is_disk_full, storage_full
from interviewsite.errors import internal_error, refusal
from mlcore.stress import inventory
from mlcore.stress.inventory import ShippedModel
from rooms.api import router as rooms_router

logger = logging.getLogger(__name__)

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
LIBRARIES = ("mediapipe", "faster-whisper", "resemblyzer", "av")


class CallerAuth(AuthBase):
    """A bearer token, or a session together with a CSRF token for whatever changes something."""

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __call__(self, request: HttpRequest) -> User:
        user = caller(request)
        if user is None:
            raise _unauthenticated()
        by_session = bearer_token(request) is None
        if by_session and request.method not in SAFE_METHODS and check_csrf(request) is not None:
            raise RequestError(
                "csrf_failed",
                "Calls from a signed-in browser need the CSRF token, in the header X-CSRFToken.",
                403,
            )
        return user


def known_callers(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """For the description of the API, which is for those who may call it: people sign in first, programs get 401."""

    def wrapped(request: HttpRequest, *args: Any, **more: Any) -> HttpResponse:
        if caller(request) is not None:
            return view(request, *args, **more)
        if request.path_info == api.docs_url and bearer_token(request) is None:
            return redirect_to_login(request.get_full_path(), settings.LOGIN_URL)
        return refusal(request, _unauthenticated())

    return wrapped


def _unauthenticated() -> RequestError:
    return RequestError("unauthenticated", "Sign in, or send a valid API token as a bearer token.", 401)


class SiteAPI(NinjaAPI):
    """Its document tells both ways to say who asks, of which Ninja's own tells the bearer token alone."""

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        document = super().get_openapi_schema(**options)
        document["components"]["securitySchemes"] |= {
            "Session": {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME},
            "CsrfToken": {"type": "apiKey", "in": "header", "name": "X-CSRFToken"},
        }
        for calls in document["paths"].values():
            for method, call in calls.items():
                if call.get("security"):
                    csrf: dict[str, list[str]] = {} if method.upper() in SAFE_METHODS else {"CsrfToken": []}
                    call["security"] = [*call["security"], {"Session": [], **csrf}]
        return document


api = SiteAPI(
    title="Wawancara",
    version=settings.VERSION,
    description=(
        "Recorded interview answers in; transcripts, scores, indicators with evidence out. Live interview rooms: made, "
        "ended and read here, while the call itself goes over WebSockets (docs/protocol.md)."
    ),
    docs_url="/api/docs",
    openapi_url="/api/openapi.json",
    docs_decorator=known_callers,
    auth=CallerAuth(),
    urls_namespace="api",
)
api.add_router("", assessment_router)
api.add_router("", rooms_router)


@api.exception_handler(RequestError)
def _refused(request: HttpRequest, error: RequestError) -> HttpResponse:
    return refusal(request, error)


@api.exception_handler(RequestDataTooBig)
def _too_large(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0
    message = f"This is too large: the most is {limit / (1024 * 1024):.1f} MB."
    return refusal(request, RequestError("too_large", message, 413, {"limit_bytes": limit}))


@api.exception_handler(SuspiciousOperation)
def _suspicious(request: HttpRequest, error: SuspiciousOperation) -> HttpResponse:
    """Too many fields, and what else Django gives up over."""
    logger.warning("%s %s was refused: %s", request.method, request.path, type(error).__name__)
    return refusal(request, RequestError("invalid_request", "The request cannot be read.", 400))


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    problems = [
        {"path": ".".join(str(step) for step in one["loc"]), "message": one["msg"]} for one in error.errors
    ]
    message = (
        f"{problems[0]['path']}: {problems[0]['message']}." if problems else "The request is not as expected."
    )
    return JsonResponse(error_document("invalid_request", message, {"errors": problems}), status=400)


@api.exception_handler(Http404)
def _not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    return JsonResponse(error_document("not_found", "There is nothing at this address."), status=404)


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return JsonResponse(error_document(code, error.message), status=error.status_code)


@api.exception_handler(Exception)
def _failed(request: HttpRequest, error: Exception) -> HttpResponse:
    if is_disk_full(error):
        return refusal(request, storage_full())
    logger.exception("%s %s failed", request.method, request.path)
    return JsonResponse(internal_error(), status=500)


@api.get(
    "/health",
    auth=None,
    response={200: schemas.HealthResponse, 503: schemas.HealthResponse},
    tags=["site"],
    summary="Whether the site works; reasons for staff only",
)
def health(request: HttpRequest) -> HttpResponse:
    from interviewsite.health import report

    user = caller(request)
    document, status = report(bool(user is not None and user.is_staff))
    return JsonResponse(document, status=status)


def _weights_state(model: ShippedModel) -> dict[str, Any]:
    found = inventory.version(settings.STRESS_WEIGHTS_DIR, model)
    return {
        "name": f"stress-{model.name}",
        "version": found or "",
        "purpose": model.purpose,
        "licence": model.licence,
        "available": found is not None,
    }


@api.get(
    "/api/ai/test",
    response={200: schemas.ModelsResponse, **error_responses(401)},
    tags=["site"],
    summary="Which models are there, in which versions",
)
def models_state(request: HttpRequest) -> dict[str, Any]:
    from mlcore import assets

    absent = {name.split("/")[0] for name in assets.missing(settings.MODELS_DIR, settings.WHISPER_MODEL)}
    models = [
        {
            "name": asset.name,
            "version": asset.version,
            "purpose": asset.purpose,
            "licence": asset.licence,
            "available": asset.name not in absent,
        }
        for asset in assets.INVENTORY
    ]
    if settings.WHISPER_MODEL != "base":
        folder = assets.whisper_folder(settings.MODELS_DIR, settings.WHISPER_MODEL).name
        models.append(
            {
                "name": folder,
                "version": settings.WHISPER_MODEL,
                "purpose": "speech recognition",
                "licence": "see its model card",
                "available": folder not in absent,
            }
        )
    models += [_weights_state(model) for model in inventory.SHIPPED]
    return {"success": True, "models": models, "libraries": {name: version(name) for name in LIBRARIES}}
