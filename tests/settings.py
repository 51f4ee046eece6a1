"""The site's settings on a state folder of the test run's own."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_root = Path(__file__).resolve().parent.parent
for _name in ("DEEPL_API_KEY", "HF_TOKEN", "LLM_API_KEY", "LLM_BASE_URL", "REDIS_URL"):
    os.environ[_name] = ""
os.environ.setdefault("SECRET_KEY", "only-for-tests")
os.environ.setdefault("MODELS_DIR", str(_root / "var" / "models"))
if "WAWANCARA_TEST_VAR" not in os.environ:
    os.environ["WAWANCARA_TEST_VAR"] = tempfile.mkdtemp(prefix="wawancara-tests-")
    atexit.register(shutil.rmtree, os.environ["WAWANCARA_TEST_VAR"], ignore_errors=True)
# Test processes that run side by side (pytest-xdist) have a folder each.
os.environ["VAR_DIR"] = str(Path(os.environ["WAWANCARA_TEST_VAR"], os.environ.get("PYTEST_XDIST_WORKER", "")))

from interviewsite.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":  # noqa: F405
    # A file, not memory: worker processes and threads of the tests share it.
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / "test.sqlite3")}  # noqa: F405
for _folder in ("uploads", "static"):
    (VAR_DIR / _folder).mkdir(parents=True, exist_ok=True)  # noqa: F405
