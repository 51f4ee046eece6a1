import socket
import time

import pytest
from huggingface_hub.inference import _providers

from assessment.services.errors import LlmUnavailable
from assessment.services.llm import LlmClient, LlmSettings, _retry_after_s, from_settings
from tests.assessment.services.servers import Reply, chat, llm_error, llm_server

SCHEMA = {"type": "object", "properties": {"quality": {"type": "integer"}}, "required": ["quality"]}
ASKED = [{"role": "system", "content": "You grade."}, {"role": "user", "content": "Grade this."}]


def ask(client: LlmClient, schema=SCHEMA):
    return client.complete(ASKED, schema=schema, max_tokens=600, until_s=client.deadline())


def test_the_request_asks_for_the_schema_and_for_log_probabilities(llm_client):
    with llm_server(chat("{}")) as server:
        assert ask(llm_client(server.url + "/v1")).text == "{}"
    (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.body["model"] == "served-model"
    assert request.body["messages"] == ASKED
    assert (request.body["temperature"], request.body["max_tokens"]) == (0.1, 600)
    assert (request.body["logprobs"], request.body["top_logprobs"]) == (True, 5)
    assert request.body["response_format"]["type"] == "json_schema"
    assert request.body["response_format"]["json_schema"]["schema"] == SCHEMA


def test_tokens_come_with_their_alternatives(llm_client):
    with llm_server(chat("85", [("85", -0.1, [("85", -0.1), ("80", -2.5)])])) as server:
        (token,) = ask(llm_client(server.url)).tokens
    assert (token.text, token.logprob) == ("85", -0.1)
    assert token.alternatives == (("85", -0.1), ("80", -2.5))


@pytest.mark.parametrize(
    "logprobs", [None, {}, {"tokens": ["8"], "token_logprobs": [-1]}, {"content": None}, "x"]
)
def test_log_probabilities_in_no_known_shape_are_none(llm_client, logprobs):
    reply = chat("85")
    reply.body["choices"][0]["logprobs"] = logprobs
    with llm_server(reply) as server:
        completion = ask(llm_client(server.url))
    assert (completion.text, completion.tokens) == ("85", ())


@pytest.mark.parametrize(
    ("reply", "reason", "requests"),
    [
        (llm_error(401), "unauthorized", 1),
        (llm_error(403), "unauthorized", 1),
        (llm_error(402), "quota_exceeded", 1),
        (llm_error(404), "rejected", 1),
        (llm_error(400, "context too long"), "rejected", 2),
        (llm_error(429), "rate_limited", 3),
        (llm_error(500), "server_error", 3),
        (llm_error(503), "server_error", 3),
        (llm_error(302, headers={"Location": "http://127.0.0.1:9/"}), "rejected", 1),
        (Reply(hang_up=True), "unreachable", 3),
        (Reply(b"<html>busy</html>"), "malformed", 1),
        (Reply(b"\xff\xfe"), "malformed", 1),
        (Reply({"choices": []}), "malformed", 1),
        (Reply({"choices": [7]}), "malformed", 1),
        (Reply({"choices": "none"}), "malformed", 1),
        (Reply({"error": "overloaded"}), "malformed", 1),
        (Reply([1]), "malformed", 1),
        (chat({"not": "text"}), "malformed", 1),
    ],
)
def test_every_failure_has_a_reason(llm_client, reply, reason, requests):
    with llm_server(reply) as server, pytest.raises(LlmUnavailable) as caught:
        ask(llm_client(server.url))
    assert caught.value.reason == reason
    assert caught.value.message
    assert len(server.requests) == requests


def test_two_failures_are_tried_again_with_growing_pauses(llm_client):
    with llm_server(llm_error(429), llm_error(500), chat("fine")) as server:
        assert ask(llm_client(server.url, backoff_s=0.1)).text == "fine"
    first, second, third = (request.at_s for request in server.requests)
    assert second - first >= 0.05
    assert third - second >= 0.1


def test_retry_after_is_honoured(llm_client):
    with llm_server(llm_error(429, headers={"Retry-After": "1"}), chat("fine")) as server:
        assert ask(llm_client(server.url)).text == "fine"
    assert server.requests[1].at_s - server.requests[0].at_s >= 1.0


def test_a_retry_after_beyond_the_deadline_ends_it_at_once(llm_client):
    with llm_server(llm_error(429, headers={"Retry-After": "3600"})) as server:
        started_s = time.monotonic()
        with pytest.raises(LlmUnavailable):
            ask(llm_client(server.url))
    assert len(server.requests) == 1
    assert time.monotonic() - started_s < 20


def test_retry_after_is_read_as_seconds_or_date():
    assert _retry_after_s("7") == 7.0
    assert _retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
    assert _retry_after_s("Sat, 01 Jan 2180 00:00:00 GMT") > 3600
    assert _retry_after_s("soon") == 0.0


@pytest.mark.parametrize("reply", [Reply(delay_s=30), Reply(b" " * 1000, drip_s=0.05)])
def test_a_slow_server_costs_at_most_three_timeouts(llm_client, reply):
    with llm_server(reply) as server:
        started_s = time.monotonic()
        with pytest.raises(LlmUnavailable) as caught:
            ask(llm_client(server.url, timeout_s=0.2))
        took_s = time.monotonic() - started_s
    assert caught.value.reason == "timeout"
    assert took_s < 20


def test_nobody_listening_is_unreachable(llm_client):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(LlmUnavailable) as caught:
            ask(llm_client(f"http://127.0.0.1:{unused.getsockname()[1]}"))
    assert caught.value.reason == "unreachable"


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_without_schemas_is_asked_once_in_plain_words(llm_client, status):
    with llm_server(
        llm_error(status, "response_format is not supported"), chat("plain"), chat("again")
    ) as server:
        client = llm_client(server.url)
        assert ask(client).text == "plain"
        assert ask(client).text == "again"
    _, plain, later = (request.body for request in server.requests)
    assert "response_format" not in plain
    assert '"required": ["quality"]' in plain["messages"][-1]["content"]
    assert plain["logprobs"] is True
    assert "response_format" not in later


def test_a_server_without_log_probabilities_keeps_the_schema(llm_client):
    with llm_server(llm_error(400, "`logprobs` is not supported with this model"), chat("fine")) as server:
        assert ask(llm_client(server.url)).text == "fine"
    second = server.requests[1].body
    assert "logprobs" not in second
    assert "top_logprobs" not in second
    assert second["response_format"]["type"] == "json_schema"


def test_the_hosted_token_never_reaches_another_server(llm_client, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_from_environment")
    with llm_server(chat("{}")) as server:
        ask(llm_client(server.url, hf_token="hf_from_settings"))
        ask(llm_client(server.url, hf_token="hf_from_settings", api_key=""))
    with_key, without_key = server.requests
    assert with_key.authorization == "Bearer own-key"
    assert without_key.authorization is None
    assert "hf_from" not in str([request.headers for request in server.requests])


@pytest.mark.parametrize("address", ["localhost:8000/v1", "ftp://127.0.0.1/", "http://[bad"])
def test_an_unusable_address_does_not_fall_back_to_the_hosted_service(llm_client, address):
    with llm_server(chat("{}")) as hosted, pytest.MonkeyPatch.context() as patch:
        patch.setattr(_providers.CONVERSATIONAL_AUTO_ROUTER, "base_url", hosted.url)
        with pytest.raises(LlmUnavailable):
            ask(llm_client(address, hf_token="hf_given", api_key="hf_own"))
    assert hosted.requests == []


def test_the_hosted_service_gets_the_token_and_the_schema(monkeypatch):
    settings = LlmSettings(model="meta-llama/Llama-3.1-8B-Instruct", hf_token="hf_given", api_key="own-key")
    with llm_server(chat("{}")) as server:
        monkeypatch.setattr(_providers.CONVERSATIONAL_AUTO_ROUTER, "base_url", server.url)
        ask(LlmClient(settings))
    (request,) = server.requests
    assert request.authorization == "Bearer hf_given"
    assert request.body["model"] == "meta-llama/Llama-3.1-8B-Instruct"
    assert request.body["response_format"]["json_schema"]["schema"] == SCHEMA


def test_a_token_of_another_kind_is_not_sent(monkeypatch):
    with llm_server(chat("{}")) as server:
        monkeypatch.setattr(_providers.CONVERSATIONAL_AUTO_ROUTER, "base_url", server.url)
        with pytest.raises(LlmUnavailable) as caught:
            ask(LlmClient(LlmSettings(model="m", hf_token="sk-other")))
    assert caught.value.reason == "misconfigured"
    assert server.requests == []


def test_no_server_and_no_token_give_no_client(settings):
    settings.LLM_BASE_URL = settings.HF_TOKEN = ""
    assert from_settings() is None


def test_the_site_settings_keep_the_keys_apart(settings):
    settings.LLM_BASE_URL, settings.LLM_API_KEY, settings.HF_TOKEN = "http://llm.test/v1", "own", "hf_x"
    own = from_settings()
    assert own is not None
    assert (own.settings.base_url, own.settings.api_key, own.settings.hf_token) == (
        "http://llm.test/v1",
        "own",
        "",
    )
    settings.LLM_BASE_URL = ""
    hosted = from_settings()
    assert hosted is not None
    assert (hosted.settings.base_url, hosted.settings.hf_token) == ("", "hf_x")
