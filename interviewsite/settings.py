"""All settings, read from the environment (`.env` supported); see docs/configuration.md."""

import os
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from interviewsite import env, media_store, state
from interviewsite.logs import without_traceback

BASE_DIR = state.BASE_DIR
VERSION = "0.1.0"
env.read_dotenv(BASE_DIR / ".env")
VAR_DIR = state.var_dir()

# -- Security ---------------------------------------------------------------------------------
DEBUG = env.flag("DEBUG", False)
SECRET_KEY = env.text("SECRET_KEY") or state.read_private(state.secret_key_file()) or ""
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "SECRET_KEY: not set, and there is none in var/. Set it, or run any manage.py command once."
    )
PUBLIC_URL = env.origin("PUBLIC_URL")
_public_host = (urlsplit(PUBLIC_URL).hostname,) if PUBLIC_URL else ()
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", (*_public_host, "localhost", "127.0.0.1", "[::1]"))
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES", ("127.0.0.1", "::1"))
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS", (PUBLIC_URL,) if PUBLIC_URL else ())
CORS_ALLOWED_ORIGINS = env.origins("CORS_ALLOWED_ORIGINS", wildcard=True)
_https = PUBLIC_URL.startswith("https://")
if _https:  # that a request came by it, serving/web.py is told by TRUSTED_PROXIES alone
    SECURE_HSTS_SECONDS = env.integer("HSTS_SECONDS", 3600)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# -- Django -----------------------------------------------------------------------------------
INSTALLED_APPS = [
    "daphne",  # makes `runserver` speak ASGI; `serve` runs uvicorn, which does not queue bodies
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "django_rq",
    "ninja",
    "interviewsite",
    "rooms",
    "assessment",
    "mlcore",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "interviewsite.security.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "interviewsite.cors.CorsMiddleware",
    "interviewsite.errors.ApiErrorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "interviewsite.gate.UploadGateMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "interviewsite.urls"
ASGI_APPLICATION = "interviewsite.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
# Failed sign-ins (interviewsite/sign_in.py). Assumptions: a person who has not got it right in five tries needs a new
# password; fifty are an office behind one address on a bad morning.
SIGN_IN_FAILURES = env.integer("SIGN_IN_FAILURES", 5)
SIGN_IN_FAILURES_ADDRESS = env.integer("SIGN_IN_FAILURES_ADDRESS", 50)
SIGN_IN_FAILURES_NAME = env.integer("SIGN_IN_FAILURES_NAME", 50)
SIGN_IN_WAIT_S = env.integer("SIGN_IN_WAIT_S", 600, low=1)
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login/"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("id", "Bahasa Indonesia")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = USE_TZ = True
TIME_ZONE = env.time_zone("TIME_ZONE", "UTC")

# -- Database ---------------------------------------------------------------------------------
DATABASES = {"default": env.database("DATABASE_URL", f"sqlite:///{VAR_DIR / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = 60
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

# -- Queue ------------------------------------------------------------------------------------
# Without REDIS_URL, `serve` starts a Valkey of its own and leaves its address in this file, which is read again at
# each use (assessment/work_queue.py): a command that runs for long outlives several of them.
QUEUE_URL_FILE = state.queue_url_file()
REDIS_URL = env.url("REDIS_URL", ("redis", "rediss", "unix"))
QUEUE_NAME = "default"
RQ_QUEUES = {  # for the queue's pages in the admin; our own code goes through assessment/work_queue.py
    QUEUE_NAME: {
        "URL": REDIS_URL or state.read_private(QUEUE_URL_FILE) or "redis://127.0.0.1:1/0",
        "SERIALIZER": "rq.serializers.JSONSerializer",
    }
}
# Signals of live rooms. Without a Redis (tests, runserver) they stay within the process.
CHANNEL_LAYERS: dict[str, dict[str, object]] = {
    "default": {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 200}}
}
if REDIS_URL:
    CHANNEL_LAYERS["default"] = {
        "BACKEND": "rooms.relay.Relay",
        "CONFIG": {"hosts": [REDIS_URL], "capacity": 200, "prefix": "wawancara"},
    }
HEARTBEAT_S = env.number("HEARTBEAT_S", 3.0, low=0.1)
STALLED_AFTER_S = env.number("STALLED_AFTER_S", 30.0, low=0.5)
if STALLED_AFTER_S <= HEARTBEAT_S:
    raise ImproperlyConfigured("STALLED_AFTER_S: must be longer than HEARTBEAT_S, or all work looks dead.")
SWEEP_EVERY_S = env.number("SWEEP_EVERY_S", 30.0, low=0.5)
MAX_ATTEMPTS = env.integer("MAX_ATTEMPTS", 3, low=1)

# -- Files ------------------------------------------------------------------------------------
MEDIA_ROOT = VAR_DIR / "media"
MEDIA_STORAGE = env.text("MEDIA_STORAGE", "")  # "" for var/media; file:///folder; or s3://bucket/prefix
if MEDIA_STORAGE.startswith("file:///"):
    MEDIA_ROOT, MEDIA_STORAGE = state.Path(MEDIA_STORAGE.removeprefix("file://")), ""
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS: list[object] = [BASE_DIR / "static"]
CHART_JS_DIR = BASE_DIR / "node_modules" / "chart.js" / "dist"
if CHART_JS_DIR.is_dir():  # `make setup` brings it
    STATICFILES_DIRS.append(("vendor/chart.js", CHART_JS_DIR))
_media: dict[str, object] = {
    "BACKEND": "django.core.files.storage.FileSystemStorage",
    "OPTIONS": {
        "location": str(MEDIA_ROOT),
        "base_url": None,
        "file_permissions_mode": 0o600,  # recordings of people: for the site's own user alone
        "directory_permissions_mode": 0o700,
    },
}
if MEDIA_STORAGE:
    if not MEDIA_STORAGE.startswith("s3://"):
        raise ImproperlyConfigured(
            f"MEDIA_STORAGE: {MEDIA_STORAGE!r} is not s3://bucket/prefix or file:///folder."
        )
    _media = media_store.bucket(MEDIA_STORAGE)
STORAGES = {
    "default": _media,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
FILE_UPLOAD_TEMP_DIR = str(VAR_DIR / "uploads")  # on the same disk as var/media: stored by a rename
FILE_UPLOAD_HANDLERS = ["interviewsite.gate.DigestUploadHandler"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024  # of everything but files
DATA_UPLOAD_MAX_NUMBER_FILES = 50

# -- Intake -----------------------------------------------------------------------------------
MAX_UPLOAD_MB = env.integer("MAX_UPLOAD_MB", 500, low=1)
MAX_ANSWERS = env.integer("MAX_ANSWERS", 50, low=1)
MAX_DURATION_S = env.number("MAX_DURATION_S", 3600.0, low=1.0)
MAX_VIDEO_PIXELS = env.integer("MAX_VIDEO_PIXELS", 4096 * 2304, low=1)
MIN_VIDEO_SIDE_PX = env.integer("MIN_VIDEO_SIDE_PX", 16, low=2)
DOWNLOAD_ALLOW_HOSTS = env.hosts("DOWNLOAD_ALLOW_HOSTS")
DOWNLOAD_TIMEOUT_S = env.number("DOWNLOAD_TIMEOUT_S", 600.0, low=1.0)

# -- Models -----------------------------------------------------------------------------------
MODELS_DIR = state.Path(env.text("MODELS_DIR") or VAR_DIR / "models")
WHISPER_MODEL = env.text("WHISPER_MODEL", "base")
# Speech and faces run side by side: half of the cores each.
SPEECH_THREADS = env.integer("SPEECH_THREADS", max(1, (os.cpu_count() or 2) // 2), low=1)
DEVICE = env.choice("DEVICE", "auto", ("auto", "cpu", "cuda"))
ANALYSED_FRAMES_PER_S = env.number("ANALYSED_FRAMES_PER_S", 15.0, low=15.0, high=60.0)
STRESS_WEIGHTS_DIR = state.Path(env.text("STRESS_WEIGHTS_DIR") or BASE_DIR / "mlcore" / "weights")
# Assumptions: expressions last for about a second or more (Ekman 2003 gives 0.5 to 4 s), and a shorter stretch at level
# high is not worth a person's look.
STRESS_FACES_PER_S = env.number("STRESS_FACES_PER_S", 2.0, low=0.1, high=15.0)
STRESS_HIGH_MIN_S = env.number("STRESS_HIGH_MIN_S", 5.0, low=1.0)

# -- Live rooms -------------------------------------------------------------------------------
LINK_DAYS = env.integer("LINK_DAYS", 14, low=1)
TURN_URLS = env.words("TURN_URLS")
TURN_SECRET = env.text("TURN_SECRET")
TURN_HOURS = env.integer("TURN_HOURS", 12, low=1)
STUN_URLS = env.words("STUN_URLS")
if TURN_URLS and not TURN_SECRET:
    raise ImproperlyConfigured("TURN_SECRET: not set, but TURN_URLS is; it is coturn's static-auth-secret.")
INFERENCE_SOCKET = state.Path(env.text("INFERENCE_SOCKET") or VAR_DIR / "run" / "inference.sock")

# -- Services ---------------------------------------------------------------------------------
DEEPL_API_KEY = env.text("DEEPL_API_KEY")
DEEPL_SERVER_URL = env.url("DEEPL_SERVER_URL")
HF_TOKEN = env.text("HF_TOKEN")
LLM_MODEL = env.text("LLM_MODEL", "meta-llama/Llama-3.1-8B-Instruct")
LLM_BASE_URL = env.url("LLM_BASE_URL")
LLM_API_KEY = env.text("LLM_API_KEY")
SERVICE_TIMEOUT_S = env.number("SERVICE_TIMEOUT_S", 30.0, low=0.1)
SERVICE_BACKOFF_S = env.number("SERVICE_BACKOFF_S", 1.0, low=0.0)

# -- People -----------------------------------------------------------------------------------
EMPLOYER_COUNTRY = env.country("EMPLOYER_COUNTRY", "ID")
RETENTION_DAYS = env.integer("RETENTION_DAYS", 0)  # media after success; 0: at once
FAILED_RETENTION_DAYS = env.integer("FAILED_RETENTION_DAYS", 7)
RECORD_RETENTION_DAYS = env.integer("RECORD_RETENTION_DAYS", 365)  # results and the candidate
INITIAL_PASSWORD = env.text("INITIAL_PASSWORD")

# -- Logs -------------------------------------------------------------------------------------
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"one_line": {"()": lambda: without_traceback}},
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        name: {"level": "WARNING"}
        for name in ("httpx", "httpx2", "httpcore", "deepl", "fontTools", "weasyprint", "faster_whisper")
    }
    | {"django.security.DisallowedHost": {"filters": ["one_line"]}},
}
