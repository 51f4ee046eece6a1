"""What the model cards say in words; every figure in them comes from the evaluation (`cards`)."""

from __future__ import annotations

from dataclasses import dataclass

FER_LIMITS = (
    "FER-2013 (Goodfellow et al. 2013, ICML challenge): pictures found by search engines, cut to 48×48 "
    "grey pixels, labelled with one of seven emotions. Given out for **research use**; rights in the "
    "pictures are not stated, the people in them were not asked. Its labels agree with the majority of ten "
    "people (FER+, Barsoum et al. 2016) for 63 % of the images; ages, skin colours and sexes are not "
    "recorded, so that no figure by group can be given."
)
RAVDESS_LIMITS = (
    "RAVDESS speech (Livingstone & Russo 2018), **CC BY-NC-SA 4.0: no commercial use**: 24 professional "
    "actors, North American English, two sentences, acted emotions at two strengths, studio sound."
)
LEVELS = (
    "Low = happy, neutral, calm; medium = surprise, disgust; high = angry, fear, sad. The mapping is that "
    "of the system that this one replaces; no study says that these expressions mean these levels of "
    "stress."
)
INTENDED = (
    "A hint for the interviewer in a live interview, or for a reviewer of a recorded one, to look or "
    "listen again, next to the recording itself, where the candidate has agreed and the law allows it.",
    "Research on such hints, and teaching, within the licences of the data.",
)
FORBIDDEN = (
    "**Deciding about a person**, alone or as a part of a score: no code path here does, and none may.",
    "**Recruitment or work in the EU/EEA**: inferring emotions there is prohibited (Regulation (EU) "
    "2024/1689, Artificial Intelligence Act, Article 5(1)(f)); `assessment/policy.py` switches the models "
    "off.",
    "Use without the person's knowledge and consent, on children, or to tell lies from truth, health or "
    "character.",
    "Commercial use: the licences of the data sets forbid or do not grant it.",
)
PROXY = (
    "It reads an **expression**, not a feeling: people show stress in different ways, hide it, or look "
    "tense when they think. What it says of a level is how likely raters (or actors) would have given the "
    "expression such a label."
)


@dataclass(frozen=True)
class Prose:
    """The parts of one card; items of lists are sentences."""

    title: str
    what: str
    data: tuple[str, ...]
    split: str
    known_failures: tuple[str, ...]


FACE = Prose(
    "Face model",
    "A small residual network with channel attention (`mlcore/stress/face/network.py`) on one 48×48 grey "
    "picture of a face. It gives probabilities of seven emotions, of three levels (sums of these, "
    "calibrated), and an embedding of 64 numbers.",
    (FER_LIMITS,),
    "Trained on the training images without exact copies of others and of any held-out image. Of the "
    "validation images (Kaggle's PublicTest) one half, drawn by the hash of the pixels, chose the epoch "
    "and fits the calibration; the other half gives the figures below and was used for nothing else. The "
    "private test set was not at hand.",
    (
        "Disgust is rare in the data (1.5 % of the images) and often taken for anger, fear for sadness, "
        "sadness for a neutral face: see the second table of figures.",
        "Labels of the data are noisy: part of the errors, and of the apparent doubt, are disagreements of "
        "people.",
        "The data are posed or press pictures. A candidate who listens or speaks is neither; a mouth "
        "opened to speak can look like surprise.",
        "Faces that are turned away, dark, blurred or small are left out by `mlcore/stress/quality.py`; "
        "near its limits the model is worse than the figures say.",
        "Some faces at rest look tense to it: one man of the shared clips, neutral at a webcam, reads as high (0.57) "
        "throughout. It knows nobody's own baseline; a level that never changes says little.",
        "How it does by age, sex, skin colour or on people with facial differences is **not known**: "
        "nothing at hand tells.",
    ),
)
VOICE = Prose(
    "Voice model",
    "A bidirectional LSTM with attention over frames of a frozen speech recogniser's encoder (Whisper "
    "base) and of prosody (`mlcore/stress/voice/network.py`), for 2 to 10 s of speech. It gives "
    "probabilities of seven emotions (calm counts as neutral), of three levels, and an embedding of 32 "
    "numbers.",
    (RAVDESS_LIMITS, "Whisper base (OpenAI, MIT licence) is used as it is and was not trained further."),
    "By actors: whoever is tested was heard neither in training nor in choosing the epoch nor in "
    "calibrating. What ships are five networks, each trained on all actors but two, who chose its epoch; measured "
    "are three networks for each fold of actors, which know nobody in it. Actors 21–24 were not at hand.",
    (
        "Acted emotion is clearer than what people let hear in an interview: expect less than the figures "
        "say.",
        "Two sentences, one accent of English, studio microphones. Other languages, Indonesian among them, "
        "were not measured, nor were telephone-like or noisy recordings beyond the augmentation of the "
        "training.",
        "24 actors are few: the intervals below are wide, and they cover no one but young adult North "
        "American actors.",
        "It judges whoever speaks: the interviewer's voice in the candidate's microphone is read as the "
        "candidate's.",
    ),
)
FUSION = Prose(
    "Fusion of face and voice",
    "What the face model and the voice model say of the emotions is multiplied, and corrected by a small "
    "network that sees both embeddings and how good face and voice are (`mlcore/stress/fusion/model.py`). With "
    "one of them missing it reads the other alone, with a calibration of its own; it was trained with either "
    "left out of every seventh pair.",
    (FER_LIMITS, RAVDESS_LIMITS),
    "No data set at hand has face and voice of the same person with these emotions: **the pairs are "
    "strangers put together by label**, a face of FER-2013 and a clip of RAVDESS of the same emotion. Real "
    "faces and voices err together, so that less is gained on real people than the figures say. Trained on the "
    "faces that chose the face model's epoch and on voices as networks heard them that did not know the "
    "actor; tested on the face model's reporting half with the actors of one fold, by a fusion and a calibration "
    "made without that fold.",
    (
        "What it gains is measured on pairs of strangers only. Where these share the level but not the emotion, the "
        "plain mean of the two logits decides as well or a little better (see the second table), though with "
        "probabilities that are far too careful.",
        "Where face and voice disagree, as with a smile in a tense voice, nothing tells which is right; no "
        "pair of the training disagrees by label.",
        "It inherits the failures of both models: see their cards.",
    ),
)
PROSE = {"face": FACE, "voice": VOICE, "fusion": FUSION}
