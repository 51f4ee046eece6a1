"""The panel on a page of the tests' own, fed by a real socket that speaks the protocol of docs/protocol.md."""

from __future__ import annotations

import json
import math
from typing import Any

from django.template.loader import render_to_string
from django.utils import translation

from rooms import panel_page
from tests.browser.page_server import PageServer

Message = dict[str, Any]

QUESTIONS = [
    "What did you build last, and what was hard about it?",
    "Tell us about a disagreement in your team.",
    "How do you check that something works?",
    "What would you do in your first month?",
    "What would you like to ask us?",
]
PAGE = """<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>Panel</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,"><link rel="stylesheet" href="/static/css/site.css">
<link rel="stylesheet" href="/page.css">
<script type="module" src="/page.js"></script></head><body><div class="shell"><main class="video" tabindex="-1"></main>
{panel}</div><script type="application/json" id="panel-strings">{strings}</script></body></html>"""
STYLE = """.shell { position: relative; display: flex; height: 100dvh; overflow: hidden; }
.video { flex: 1; background: #141516; margin: 0; max-width: none; }"""
SCRIPT = """
import { Signalling } from "/static/js/rooms/signalling.js";
import { startPanel } from "/static/js/rooms/panel.js";
import { readJson } from "/static/js/rooms/words.js";
const signalling = new Signalling("%(socket)s");
const root = document.querySelector("[data-panel]");
window.panel = startPanel({ root, signalling, strings: readJson("panel-strings"), settings: %(settings)s });
window.signalling = signalling;
signalling.connect();
"""


def set_up(
    site: PageServer, language: str = "en", past: dict[str, Any] | None = None, **welcome: Any
) -> None:
    """`past`: what the server has of the interview; without it the panel knows what the socket tells."""
    with translation.override(language):
        panel = render_to_string("rooms/_panel.html")
        strings = json.dumps(panel_page.strings()).replace("<", "\\u003c")
    site.pages = {
        "/": PAGE.format(language=language, panel=panel, strings=strings),
        "/page.css": STYLE,
        "/page.js": SCRIPT
        % {"socket": site.socket_url, "settings": "{}" if past is None else '{ code: "abc" }'},
    }
    if past is not None:
        has_stored(site, past)
    site.socket_says = [greeting(**welcome)]


def has_stored(site: PageServer, past: dict[str, Any]) -> None:
    site.pages["/api/rooms/abc/summary"] = json.dumps(past)


def point(t: float, level: str = "low", **changes: Any) -> dict[str, Any]:
    """Of the summary's timeline."""
    read = {"low": 0.8, "medium": 0.1, "high": 0.1, "confidence": 70.0, "voice_confidence": 64.0}
    return {"t": t, **read, "level": level, "sources": ["face", "voice"], **changes}


def greeting(**changes: Any) -> Message:
    message: Message = {
        "type": "welcome", "you": "5b" * 16, "role": "interviewer", "name": "Interviewer", "state": "admitted",
        "status": "live", "t": 0.0, "ice_servers": [], "questions": QUESTIONS, "question": None,
        "analysis": status(), "recording": {"active": False, "wanted": False}, "waiting": [], "notes": [],
        "policy": {"emotion_inference": True, "reason": ""},
    }  # fmt: skip
    return {**message, **changes}


def status(state: str = "on", face: bool = True, voice: bool = True) -> Message:
    return {
        "type": "analysis-status", "state": state, "face": face, "voice": voice, "emotion": True, "dropped": 0,
        "latency_ms": 34,
    }  # fmt: skip


def reading(t: float, high: float = 0.07, medium: float = 0.12, **changes: Any) -> Message:
    low = round(1 - high - medium, 4)
    probabilities = {"low": low, "medium": medium, "high": high}
    level = max(probabilities, key=lambda name: probabilities[name])
    confidence = probabilities[level]
    message: Message = {
        "type": "stress_analysis", "t": t,
        "stress": {"level": level, "probabilities": probabilities, "model_confidence": confidence,
                   "unsure": confidence < 0.5},
        "confidence": 72.5, "confidence_parts": {"eye_contact": 0.8, "fluency": 0.7, "calm": 0.93},
        "voice_confidence": 64.0, "sources": ["face", "voice"],
        "face": {"detected": True, "count": 1, "quality": "ok", "eye_contact": True},
        "voice": {"speaking": True, "quality": "ok"}, "latency_ms": 214, "dropped": 0, "recommendation": None,
    }  # fmt: skip
    return {**message, **changes}


def metrics(t: float, **changes: Any) -> Message:
    message: Message = {
        "type": "speech_metrics", "t": t, "rate": 4.1, "rate_unit": "syllables/s", "rate_method": "syllable nuclei",
        "words_per_minute": 152, "speech_share": 0.71, "pauses": 2, "longest_pause_s": 1.4, "window_s": 30.0,
    }  # fmt: skip
    return {**message, **changes}


def alert(number: int, t: float, severity: str = "attention", **changes: Any) -> Message:
    message: Message = {
        "type": "real_time_alert", "id": number, "t": t, "kind": "no_face", "severity": severity, "value": 5.2,
        "message": "No face for 5 s", "advice": "Ask whether the camera still works.",
    }  # fmt: skip
    return {**message, **changes}


def course(seconds: int) -> list[Message]:
    """Readings of an interview that goes up and down, with a minute unread and question marks."""
    found: list[Message] = []
    for second in range(1, seconds + 1):
        wave = 0.5 + 0.5 * math.sin(second / 37) * math.cos(second / 11)
        high, medium = 0.75 * wave**3, 0.35 * wave + 0.05
        changes: Message = {"confidence": 70 + 14 * math.sin(second / 53)}
        if seconds * 0.4 < second < seconds * 0.4 + min(60, seconds / 6):
            changes = {"stress": None, "confidence": None, "confidence_parts": None, "sources": []}
        found.append(reading(float(second), high, medium, **changes))
    return found
