import pytest

ORIGIN = "http://localhost:5500"
ASKS = {"HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST", "HTTP_ORIGIN": ORIGIN}


@pytest.fixture
def listed(settings):
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]


def test_a_listed_origin_may_ask_and_read(client, listed):
    asked = client.options("/upload", **ASKS)
    assert asked.status_code == 204
    assert asked["Access-Control-Allow-Origin"] == ORIGIN
    assert asked["Access-Control-Allow-Credentials"] == "true"
    for name in ("Authorization", "Idempotency-Key", "X-CSRFToken", "Content-Type"):
        assert name in asked["Access-Control-Allow-Headers"]
    assert "POST" in asked["Access-Control-Allow-Methods"]
    assert "Origin" in asked["Vary"]


@pytest.mark.django_db
def test_a_refusal_can_be_read_too(client, listed):
    response = client.post("/upload", HTTP_ORIGIN=ORIGIN)
    assert response.status_code == 401
    assert response["Access-Control-Allow-Origin"] == ORIGIN


@pytest.mark.parametrize("origin", ["http://localhost:5501", "https://localhost:5500", "null", "*", ""])
def test_other_origins_get_nothing(client, listed, origin):
    asked = client.options("/upload", **(ASKS | {"HTTP_ORIGIN": origin}))
    assert "Access-Control-Allow-Origin" not in asked
    assert "Access-Control-Allow-Headers" not in asked


def test_a_star_never_comes_with_credentials(client, settings):
    settings.CORS_ALLOWED_ORIGINS = ["*"]
    asked = client.options("/upload", **ASKS)
    assert asked["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in asked


@pytest.mark.django_db
def test_pages_are_not_opened(client, listed):
    assert "Access-Control-Allow-Origin" not in client.get("/login/", HTTP_ORIGIN=ORIGIN)


@pytest.mark.django_db
def test_nothing_is_opened_by_default(client, settings):
    assert settings.CORS_ALLOWED_ORIGINS == []
    assert "Access-Control-Allow-Origin" not in client.options("/upload", **ASKS)
