import copy
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from mlcore.errors import AnalysisError
from mlcore.stress import weights
from mlcore.stress.evaluation import cards, evaluate
from mlcore.stress.evaluation.pairs import whoever
from mlcore.stress.labels import Floats
from mlcore.stress.predictions import Predictions
from tests.mlcore.stress.judged import labelled
from tests.mlcore.stress.networks import small_face_network

pytestmark = pytest.mark.slow

META = {"seed": 7, "recipe": {"epochs": 3, "batch": 16, "rates": [0.1, 2e-5]}}


def product(face: Predictions, voice: Predictions) -> Floats:
    both = face.probabilities * voice.probabilities
    return both / both.sum(axis=1, keepdims=True)


def data(name: str) -> dict[str, Any]:
    return {
        "path": "data", "description": f"inputs of {name}", "notes": ["these are made up"],
        "command": f"python manage.py evaluate_models --{name}",
        "skipped": {"n": 2, "counts": {"blank": 2}, "names": {"blank": ["a", "b"]}},
    }  # fmt: skip


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    face, voice = labelled(210, seed=1), labelled(105, seed=2, persons=6, certainty=1.5)
    document = evaluate.document_of(face, voice, whoever(product), draws=10)
    return {name: block | {"data": data(name)} for name, block in document.items()}


def card(folder: Path, name: str, block: dict[str, Any]) -> str:
    return cards.write(folder / "weights", folder / "docs", name, block, META).read_text()


@pytest.mark.parametrize("name", ["face", "voice", "fusion"])
def test_a_card_has_every_part(tmp_path: Path, measured: dict[str, Any], name: str) -> None:
    text = card(tmp_path, name, measured[name])
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    for title in (
        "Data, and what their licences allow", "Split", "Figures", "Calibration", "When it is unsure", "Groups",
        "Known failures", "Intended use", "Forbidden use", "Training",
    ):  # fmt: skip
        assert title in titles
    assert "Article 5(1)(f)" in text and "Deciding about a person" in text and "not a feeling" in text
    assert "- seed: 7" in text and "epochs 3; batch 16; rates [0.1, 2e-05]" in text


@pytest.mark.parametrize("name", ["face", "voice", "fusion"])
def test_its_figures_are_those_that_were_measured_with_the_command(
    tmp_path: Path, measured: dict[str, Any], name: str
) -> None:
    block = measured[name]
    text = card(tmp_path, name, block)
    low, high = block["intervals"]["uar"]
    assert f"| UAR (mean recall) | {block['uar']:.3f} | {low:.3f} to {high:.3f} |" in text
    assert block["data"]["command"] in text and "**Note:** these are made up." in text
    first = " | ".join(map(str, block["confusion"][0]))
    assert f"| true low | {first} |" in text
    assert "Files left out: 2 (blank: 2)." in text


def test_pictures_lie_where_the_card_points_to(tmp_path: Path, measured: dict[str, Any]) -> None:
    text = card(tmp_path, "face", measured["face"])
    links = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert len(links) == 3
    for link in links:
        assert (tmp_path / "weights" / link).resolve().is_file()


def test_groups_are_shown_with_their_gap_where_the_data_name_them(
    tmp_path: Path, measured: dict[str, Any]
) -> None:
    assert "The data name no groups." in card(tmp_path, "face", measured["face"])
    voice = card(tmp_path, "voice", measured["voice"])
    assert "| female |" in voice and "Gap, " in voice


def test_fusion_is_set_against_its_opponents(tmp_path: Path, measured: dict[str, Any]) -> None:
    text = card(tmp_path, "fusion", measured["fusion"])
    assert "strangers put together by label" in text
    for way in ("face alone", "voice alone", "mean of the two calibrated logits"):
        assert text.count(f"| {way} |") == 2
    gain = measured["fusion"]["pairs"]["gain_over_mean_of_logits"]["uar"]
    assert f"Gain over the mean of the logits: UAR {gain:+.3f}" in text
    assert "What fusion gains" not in card(tmp_path, "face", measured["face"])


def test_a_table_of_another_measurement_is_shown(tmp_path: Path, measured: dict[str, Any]) -> None:
    table = {
        "title": "The crop gap", "note": "By our detector.", "command": "python -m tests.bench.crop_gap",
        "columns": ["crop", "accuracy"], "rows": [["given", 0.5], ["ours", 0.4]],
    }  # fmt: skip
    text = card(tmp_path, "face", measured["face"] | {"tables": [table]})
    assert "## The crop gap" in text and "| ours | 0.4 |" in text and "tests.bench.crop_gap" in text


def test_the_same_evaluation_gives_the_same_card(tmp_path: Path, measured: dict[str, Any]) -> None:
    assert card(tmp_path / "a", "voice", measured["voice"]) == card(
        tmp_path / "b", "voice", measured["voice"]
    )


def test_an_evaluation_that_lacks_figures_is_refused(tmp_path: Path, measured: dict[str, Any]) -> None:
    block = copy.deepcopy(measured["face"])
    del block["intervals"]["uar"]
    with pytest.raises(AnalysisError, match="evaluate_models") as refused:
        card(tmp_path, "face", block)
    assert refused.value.code == "evaluation_unreadable"
    assert not (tmp_path / "weights" / "face.md").exists()


def written(folder: Path, *files: Path, **options: str) -> str:
    places = {"weights": str(folder), "pictures": str(folder)}
    call_command("write_model_cards", *map(str, files), **places, **options, stderr=io.StringIO())
    return (folder / "face.md").read_text()


def test_the_command_joins_what_several_files_measured(tmp_path: Path, measured: dict[str, Any]) -> None:
    weights.save(tmp_path, "face", small_face_network().state_dict(), META)
    first, second = tmp_path / "one.json", tmp_path / "two.json"
    first.write_text(json.dumps({"face": measured["face"]}))
    table = {"title": "More", "columns": ["a"], "rows": [[1]]}
    second.write_text(json.dumps({"face": {"tables": [table]}, "seconds": 3}))
    text = written(tmp_path, first, second)
    assert "## More" in text and f"| accuracy | {measured['face']['accuracy']:.3f} |" in text


CROP_GAP = {
    "fer": {
        "images": 9,
        "found": 0.8,
        "given": {"accuracy": 0.81},
        "ours": {"accuracy": 0.79, "agreement": 0.9},
    },
    "videos": {
        "frames": 20,
        "faces": 18,
        "emotions": [1.0],
        "looser": {"n": 18, "agreement": 0.9, "distance": 0.1},
    },
}


def test_the_command_shows_the_crop_gap(tmp_path: Path, measured: dict[str, Any]) -> None:
    weights.save(tmp_path, "face", small_face_network().state_dict(), META)
    evaluation, report = tmp_path / "one.json", tmp_path / "gap.json"
    evaluation.write_text(json.dumps({"face": measured["face"]}))
    report.write_text(json.dumps(CROP_GAP))
    text = written(tmp_path, evaluation, crop_gap=str(report))
    assert "9 held-out images" in text and "found a face in 80.0%" in text
    assert "| ours | 0.790 | — | — | — | 0.900 | — |" in text
    assert "| looser | 18 | 0.900 | 0.100 |" in text and "Bad pictures" not in text
    report.write_text('{"fer": 3}')
    with pytest.raises(CommandError, match="no report of the crop gap"):
        written(tmp_path, evaluation, crop_gap=str(report))


@pytest.mark.parametrize("content", ["no json", "[]", "{}", '{"face": 3}'])
def test_the_command_refuses_what_is_no_evaluation(tmp_path: Path, content: str) -> None:
    file = tmp_path / "one.json"
    file.write_text(content)
    with pytest.raises(CommandError) as refused:
        written(tmp_path, file)
    assert refused.value.returncode == 2


def test_the_command_needs_the_weights_that_were_measured(tmp_path: Path, measured: dict[str, Any]) -> None:
    file = tmp_path / "one.json"
    file.write_text(json.dumps({"face": measured["face"]}))
    with pytest.raises(CommandError, match="train_models"):
        written(tmp_path, file)
