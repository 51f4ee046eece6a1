from pathlib import Path

import cv2
import numpy as np
import pytest

from mlcore.stress.evaluation import plots
from mlcore.stress.evaluation.figures import Figures, figures
from tests.mlcore.stress.judged import labelled

LARGEST_BYTES = 80_000


@pytest.fixture(scope="module")
def measured() -> Figures:
    return figures(labelled(1500).outcome(), draws=20)


def readable(path: Path) -> np.ndarray:
    """A light picture with something on it, of a size that a page can carry."""
    assert path.stat().st_size < LARGEST_BYTES
    picture = cv2.imread(str(path))
    assert picture is not None and picture.shape[0] >= 250
    assert (picture[:3] > 240).all()
    assert (picture < 128).any()
    return picture


def test_the_reliability_diagram(tmp_path: Path, measured: Figures) -> None:
    plots.reliability(tmp_path / "deep" / "one.png", measured.reliability, measured.ece, "Faces")
    readable(tmp_path / "deep" / "one.png")


def test_the_risk_coverage_curve(tmp_path: Path, measured: Figures) -> None:
    curves = {"faces": measured.risk_coverage}
    plots.risk_coverage(tmp_path / "one.png", curves, measured.unsure.coverage)
    readable(tmp_path / "one.png")


def test_the_confusion_of_levels_and_of_emotions(tmp_path: Path, measured: Figures) -> None:
    plots.confusion(tmp_path / "levels.png", measured.confusion, measured.labels)
    plots.confusion(tmp_path / "emotions.png", measured.emotions.confusion, measured.emotions.labels)
    levels, emotions = readable(tmp_path / "levels.png"), readable(tmp_path / "emotions.png")
    assert emotions.shape > levels.shape


def test_a_class_that_does_not_occur_can_be_drawn(tmp_path: Path) -> None:
    plots.confusion(tmp_path / "one.png", [[3, 1], [0, 0]], ["low", "high"])
    readable(tmp_path / "one.png")


def test_the_history_has_a_panel_for_each_measure(tmp_path: Path) -> None:
    falling = [1 / epoch for epoch in range(1, 40)]
    plots.history(tmp_path / "one.png", {"loss": {"train": falling}})
    plots.history(
        tmp_path / "two.png",
        {
            "loss": {"train": falling, "validation": [value + 0.1 for value in falling]},
            "accuracy": {"validation": [float("nan"), *(1 - value for value in falling[1:])]},
        },
        chosen=30,
    )
    assert readable(tmp_path / "two.png").shape[1] > 1.5 * readable(tmp_path / "one.png").shape[1]


def test_the_same_numbers_give_the_same_bytes(tmp_path: Path, measured: Figures) -> None:
    for name in ("a.png", "b.png"):
        plots.reliability(tmp_path / name, measured.reliability, measured.ece)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
