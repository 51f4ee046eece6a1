import socket
import time

import pytest

from assessment.services.deepl_client import CHUNK_CHARACTERS, DeepLSettings, from_settings, translate
from tests.assessment.services.servers import TRANSLATED, Reply, deepl_error, deepl_server


def _same(request):
    return {
        "translations": [{"detected_source_language": "ID", "text": text} for text in request.body["text"]]
    }


def test_question_and_answer_travel_in_one_request_with_the_question_as_context(deepl_settings):
    with deepl_server() as server:
        result = translate(["Jelaskan HTML.", "HTML itu struktur."], "id", "en", deepl_settings(server.url))
    assert result.texts == ("[EN-US] Jelaskan HTML.", "[EN-US] HTML itu struktur.")
    assert (result.engine, result.reason) == ("deepl", None)
    assert result.characters == len("Jelaskan HTML.") + len("HTML itu struktur.")
    (request,) = server.requests
    assert request.path == "/v2/translate"
    assert request.authorization == "DeepL-Auth-Key deepl-key:fx"
    assert request.body["source_lang"] == "ID"
    assert request.body["context"] == "Jelaskan HTML."


def test_english_goes_to_indonesian(deepl_settings):
    with deepl_server() as server:
        result = translate(["Good morning."], "en", "id", deepl_settings(server.url))
    assert result.texts == ("[ID] Good morning.",)
    assert server.requests[0].body["source_lang"] == "EN"


def test_a_path_in_the_server_url_is_kept(deepl_settings):
    with deepl_server() as server:
        translate(["Good morning."], "en", "id", deepl_settings(server.url + "/proxy"))
    assert server.requests[0].path == "/proxy/v2/translate"


def test_blank_texts_are_not_sent_and_come_back_as_they_are(deepl_settings):
    with deepl_server() as server:
        result = translate(["", "Good morning."], "en", "id", deepl_settings(server.url))
    assert result.texts == ("", "[ID] Good morning.")
    assert server.requests[0].body["text"] == ["Good morning."]


def test_a_long_text_is_cut_at_sentence_borders_and_joined_again(deepl_settings):
    sentence = "Saya bekerja di Bandung selama sepuluh tahun."
    text = " ".join([sentence] * 300)
    with deepl_server(Reply(_same)) as server:
        result = translate(["Ceritakan.", text], "id", "en", deepl_settings(server.url))
    assert result.texts == ("Ceritakan.", text)
    sent = server.requests[0].body["text"][1:]
    assert len(sent) == 3
    assert all(len(chunk) <= CHUNK_CHARACTERS and chunk.endswith("tahun.") for chunk in sent)


def test_an_hour_of_words_outside_ascii_stays_under_the_request_limit(deepl_settings):
    text = "é" * 200_000  # no sentence border at all, six bytes a character in JSON
    with deepl_server(Reply(_same)) as server:
        result = translate([text], "id", "en", deepl_settings(server.url))
    assert result.texts is not None
    assert result.texts[0].replace(" ", "") == text
    assert len(server.requests) > 5
    assert max(request.size_bytes for request in server.requests) < 128 * 1024


@pytest.mark.parametrize(
    ("reply", "reason", "requests"),
    [
        (deepl_error(403, "Invalid key"), "forbidden", 1),
        (deepl_error(401), "forbidden", 1),
        (deepl_error(429, "Too many requests"), "rate_limited", 3),
        (deepl_error(456, "Quota exceeded"), "quota_exceeded", 1),
        (deepl_error(400, "Value for 'target_lang' not supported."), "unsupported_pair", 1),
        (deepl_error(400, "Bad request"), "rejected", 1),
        (deepl_error(413), "rejected", 1),
        (deepl_error(503), "server_error", 3),
        (deepl_error(302, headers={"Location": "http://127.0.0.1:9/"}), "malformed", 1),
        (Reply(hang_up=True), "unreachable", 3),
        (Reply(b"<html>not JSON</html>"), "malformed", 1),
        (Reply({"translations": "none"}), "malformed", 1),
        (Reply({"translations": [None]}), "malformed", 1),
        (Reply({"translations": []}), "malformed", 1),
        (Reply({"translations": [{"text": "a"}, {"text": "b"}]}), "malformed", 1),
        (Reply({"translations": [{"text": "   "}]}), "malformed", 1),
        (Reply({"translations": [{"text": 7}]}), "malformed", 1),
        (Reply([1, 2]), "malformed", 1),
    ],
)
def test_every_failure_is_a_reason_and_no_text(deepl_settings, reply, reason, requests):
    with deepl_server(reply) as server:
        result = translate(["Selamat pagi."], "id", "en", deepl_settings(server.url))
    assert (result.texts, result.engine, result.reason) == (None, None, reason)
    assert result.message
    assert len(server.requests) == requests


def test_a_short_rate_limit_is_waited_out(deepl_settings):
    with deepl_server(deepl_error(429), deepl_error(500), TRANSLATED) as server:
        result = translate(["Good morning."], "en", "id", deepl_settings(server.url))
    assert result.texts == ("[ID] Good morning.",)
    assert len(server.requests) == 3


def test_a_long_retry_after_is_not_waited_for(deepl_settings):
    with deepl_server(deepl_error(429, headers={"Retry-After": "3600"})) as server:
        started_s = time.monotonic()
        result = translate(["Good morning."], "en", "id", deepl_settings(server.url))
    assert result.reason == "rate_limited"
    assert len(server.requests) == 1
    assert time.monotonic() - started_s < 20


@pytest.mark.parametrize("reply", [Reply(delay_s=30), Reply(b" " * 1000, drip_s=0.05)])
def test_a_slow_server_costs_at_most_three_timeouts(deepl_settings, reply):
    with deepl_server(reply) as server:
        started_s = time.monotonic()
        result = translate(["Good morning."], "en", "id", deepl_settings(server.url, timeout_s=0.2))
        took_s = time.monotonic() - started_s
    assert result.reason == "timeout"
    assert took_s < 20


def test_nobody_listening_is_unreachable(deepl_settings):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        result = translate(["Good morning."], "en", "id", deepl_settings(url))
    assert result.reason == "unreachable"


def test_without_a_key_nothing_is_sent():
    with deepl_server() as server:
        result = translate(["Good morning."], "en", "id", DeepLSettings(api_key="", server_url=server.url))
    assert (result.texts, result.reason) == (None, "no_key")
    assert server.requests == []


@pytest.mark.parametrize("pair", [("en", "en"), ("id", "id"), ("en", "de"), ("ms", "en")])
def test_other_pairs_are_not_sent(deepl_settings, pair):
    with deepl_server() as server:
        result = translate(["Good morning."], *pair, deepl_settings(server.url))
    assert result.reason == "unsupported_pair"
    assert server.requests == []


def test_a_key_that_cannot_stand_in_a_header_is_not_repeated_in_the_message(deepl_settings):
    with deepl_server() as server:
        result = translate(["Hi."], "en", "id", deepl_settings(server.url, api_key="secret\nkey"))
    assert result.texts is None
    assert "secret" not in result.message


def test_the_site_settings_are_taken_over(settings):
    settings.DEEPL_API_KEY, settings.DEEPL_SERVER_URL = "k", "http://127.0.0.1:1"
    settings.SERVICE_TIMEOUT_S, settings.SERVICE_BACKOFF_S = 2.0, 0.5
    assert from_settings() == DeepLSettings("k", "http://127.0.0.1:1", 2.0, 0.5)
