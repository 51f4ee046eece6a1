"""What the candidate reads before agreeing, in versions. A change of a sentence is a new version."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from assessment.policy import Policy
from rooms.models import Room

VERSION = "2026-11-22"


@dataclass(frozen=True)
class ScopeText:
    scope: str
    title: str
    text: str


@dataclass(frozen=True)
class ConsentText:
    """`sentences`: what happens. `scopes`: one switch each. `rights`: how long data is kept, and what one may do."""

    version: str
    language: str
    sentences: tuple[str, ...]
    scopes: tuple[ScopeText, ...]
    rights: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of every word that was shown."""
        words = [self.version, self.language, *self.sentences]
        words += [f"{scope.scope}\n{scope.title}\n{scope.text}" for scope in self.scopes] + [*self.rights]
        return hashlib.sha256("\n\n".join(words).encode()).hexdigest()


_SENTENCES = {
    "en": (
        "This is a video call with {owner}. It runs from your browser straight to theirs.",
        "If you agree below, a computer also looks at your picture or listens to your voice and shows the interviewer "
        "indicators during the call. You do not see them; you may ask for them afterwards.",
        "No computer decides about you: people do. Saying no to any of this has no effect on the interview itself.",
    ),
    "id": (
        "Ini adalah panggilan video dengan {owner}. Sambungannya langsung dari peramban Anda ke peramban mereka.",
        "Jika Anda setuju di bawah, komputer juga melihat gambar Anda atau mendengarkan suara Anda dan menampilkan "
        "indikator kepada pewawancara selama panggilan. Anda tidak melihatnya; Anda boleh memintanya setelah itu.",
        "Tidak ada komputer yang memutuskan tentang Anda: manusialah yang memutuskan. Menolak bagian mana pun tidak "
        "berpengaruh pada wawancara itu sendiri.",
    ),
}
_SCOPES = {
    "en": {
        "call": (
            "Video call",
            "Your picture and voice go to the people in the interview, and to nobody else.",
        ),
        "recording": (
            "Recording",
            "Your picture and voice are recorded. What you say is written down and scored against the questions; "
            "pace, pauses and a second voice are noted. {recording_kept}",
        ),
        "face": ("Face analysis", "One picture a second is looked at and thrown away at once. {face}"),
        "voice": (
            "Voice analysis",
            "Your voice is listened to, a few seconds at a time, and thrown away. {voice}",
        ),
    },
    "id": {
        "call": (
            "Panggilan video",
            "Gambar dan suara Anda sampai kepada orang-orang dalam wawancara ini, dan tidak kepada yang lain.",
        ),
        "recording": (
            "Rekaman",
            "Gambar dan suara Anda direkam. Ucapan Anda ditranskripsikan dan dinilai menurut pertanyaannya; "
            "kecepatan bicara, jeda, dan suara kedua dicatat. {recording_kept}",
        ),
        "face": ("Analisis wajah", "Satu gambar per detik dilihat lalu langsung dibuang. {face}"),
        "voice": (
            "Analisis suara",
            "Suara Anda didengarkan beberapa detik sekaligus, lalu dibuang. {voice}",
        ),
    },
}
_MEASURED = {
    "en": {
        "face": "What is kept: where you look, how many faces are seen{emotion}.",
        "voice": "What is kept: how fast you speak, pauses, whether a second voice is heard{emotion}.",
        "emotion": ", and which of three groups of expressions it resembles: a guess, not what you feel",
        "recording_now": "The recording is erased once that is done.",
        "recording_days": "The recording is kept for {days} days.",
    },
    "id": {
        "face": "Yang disimpan: ke mana Anda memandang, berapa wajah yang terlihat{emotion}.",
        "voice": "Yang disimpan: kecepatan bicara, jeda, apakah ada suara kedua{emotion}.",
        "emotion": ", dan kelompok ekspresi mana dari tiga yang paling mirip: sebuah dugaan, bukan perasaan Anda",
        "recording_now": "Rekaman dihapus setelah itu selesai.",
        "recording_days": "Rekaman disimpan selama {days} hari.",
    },
}
_RIGHTS = {
    "en": (
        "{kept} Ask {owner} to see it, to correct it or to have it erased earlier.",
        "You can take back each of these during the call: its analysis stops within a second, and what it found is "
        "deleted.",
    ),
    "id": (
        "{kept} Mintalah kepada {owner} untuk melihat, memperbaiki, atau menghapusnya lebih awal.",
        "Anda dapat menarik kembali masing-masing persetujuan ini selama panggilan: analisisnya berhenti dalam satu "
        "detik, dan hasilnya dihapus.",
    ),
}
_KEPT = {
    "en": {True: "What is noted about the interview is erased after {days} days.", False: "What is noted about the "
           "interview is kept until somebody erases it."},
    "id": {True: "Catatan tentang wawancara ini dihapus setelah {days} hari.", False: "Catatan tentang wawancara ini "
           "disimpan sampai ada yang menghapusnya."},
}  # fmt: skip


def owner_name(room: Room) -> str:
    return room.owner.get_full_name() or room.owner.get_username()


def current(room: Room, language: str) -> ConsentText:
    """The text for `room` in "en" or "id" (any other: English)."""
    code = "id" if language.startswith("id") else "en"
    emotion = Policy.from_snapshot(room.policy).emotion_inference
    measured, days = _MEASURED[code], settings.RECORD_RETENTION_DAYS
    keeps = settings.RETENTION_DAYS > 0
    kept_recording = measured["recording_days" if keeps else "recording_now"].format(
        days=settings.RETENTION_DAYS
    )
    kind = measured["emotion"] if emotion else ""
    words: dict[str, Any] = {
        "owner": owner_name(room),
        "recording_kept": kept_recording,
        "face": measured["face"].format(emotion=kind),
        "voice": measured["voice"].format(emotion=kind),
        "kept": _KEPT[code][bool(days)].format(days=days),
    }
    scopes = tuple(
        ScopeText(scope, title, text.format(**words))
        for scope, (title, text) in _SCOPES[code].items()
        if scope != "recording" or room.recording_wanted
    )
    return ConsentText(
        VERSION,
        code,
        tuple(one.format(**words) for one in _SENTENCES[code]),
        scopes,
        tuple(one.format(**words) for one in _RIGHTS[code]),
    )
