from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from mlcore.errors import AnalysisError
from mlcore.stress import weights


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(96, 64), nn.BatchNorm1d(64), nn.Linear(64, 7))


@pytest.fixture
def folder(tmp_path: Path, network: nn.Module) -> Path:
    weights.save(tmp_path, "face", network.state_dict(), {"seed": 3})
    return tmp_path


def refused(folder: Path, name: str = "face") -> str:
    with pytest.raises(AnalysisError) as caught:
        weights.load(folder, name)
    assert caught.value.code == "weights_unreadable"
    assert f"{name}.safetensors" in caught.value.message
    assert "manage.py train_models" in caught.value.message
    return caught.value.message


def rewritten(folder: Path, header: str, **changed: torch.Tensor) -> None:
    path = folder / "face.safetensors"
    save_file(load_file(path) | changed, path, {weights.HEADER: header})


def header(folder: Path) -> dict:
    with weights.safe_open(folder / "face.safetensors", framework="pt") as file:
        return json.loads(file.metadata()[weights.HEADER])


def test_what_was_saved_comes_back(folder: Path, network: nn.Module):
    tensors, meta = weights.load(folder, "face")
    assert meta == {"seed": 3}
    for key, tensor in network.state_dict().items():
        assert tensors[key].shape == tensor.shape
        assert torch.allclose(tensors[key].double(), tensor.double(), rtol=2**-10, atol=1e-6)


def test_large_tensors_take_half_the_room_and_small_ones_stay_exact(folder: Path, network: nn.Module):
    stored = load_file(folder / "face.safetensors")
    assert stored["0.weight"].dtype == torch.float16
    assert torch.equal(stored["0.bias"], network.state_dict()["0.bias"])


def test_numbers_too_large_for_float16_are_kept(tmp_path: Path):
    large = {"x": torch.full((weights.HALF_FROM,), 1e6)}
    weights.save(tmp_path, "face", large, {})
    assert torch.equal(weights.load(tmp_path, "face")[0]["x"], large["x"])


def test_the_same_weights_give_the_same_bytes(folder: Path, tmp_path: Path, network: nn.Module):
    again = weights.save(tmp_path / "again", "face", network.state_dict(), {"seed": 3})
    assert again.read_bytes() == (folder / "face.safetensors").read_bytes()


def test_others_than_the_owner_may_read_them(folder: Path):
    assert (folder / "face.safetensors").stat().st_mode & 0o777 == 0o644


def test_nothing_unfinished_is_left_behind(tmp_path: Path):
    with pytest.raises(ValueError, match="x holds values that are not finite"):
        weights.save(tmp_path, "face", {"x": torch.tensor([float("nan")])}, {})
    assert list(tmp_path.iterdir()) == []


def test_absent_weights_are_named_with_the_command_that_mends_it(tmp_path: Path):
    assert "is not there" in refused(tmp_path)


def test_the_shipped_weights_can_be_had_back_from_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(weights, "WEIGHTS", tmp_path)
    assert "git checkout -- mlcore/weights" in refused(tmp_path)


@pytest.mark.parametrize("kept", [0, 5, 200, -1])
def test_a_truncated_file_is_refused(folder: Path, kept: int):
    path = folder / "face.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    assert "damaged or incomplete" in refused(folder)


def test_a_file_that_is_no_safetensors_is_refused(folder: Path):
    (folder / "face.safetensors").write_bytes(b"<html>not found</html>" * 100)
    refused(folder)


def test_a_changed_value_is_noticed(folder: Path):
    path = folder / "face.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 0x10
    path.write_bytes(bytes(data))
    assert "changed" in refused(folder)


def test_values_that_are_not_finite_are_refused(folder: Path):
    rewritten(folder, json.dumps(header(folder)), **{"2.bias": torch.full((7,), float("nan"))})
    assert "not finite (2.bias)" in refused(folder)


def test_another_format_version_is_refused(folder: Path):
    rewritten(folder, json.dumps(header(folder) | {"format": weights.FORMAT + 1}))
    assert f"format version {weights.FORMAT + 1}" in refused(folder)


def test_another_model_s_weights_are_refused(folder: Path):
    (folder / "face.safetensors").rename(folder / "voice.safetensors")
    assert "holds the model face" in refused(folder, "voice")


@pytest.mark.parametrize("text", ["", "[]", "{}", "no json"])
def test_a_file_that_does_not_say_what_it_holds_is_refused(folder: Path, text: str):
    rewritten(folder, text)
    refused(folder)


def test_weights_of_another_shape_do_not_get_into_a_network(folder: Path):
    other = nn.Sequential(nn.Linear(96, 64), nn.BatchNorm1d(64), nn.Linear(64, 8))
    with pytest.raises(AnalysisError, match=r"2\.weight is \(7, 64\), not \(8, 64\)"):
        weights.fill(other, weights.load(folder, "face")[0], folder, "face")


def test_weights_with_other_names_do_not_get_into_a_network(folder: Path):
    with pytest.raises(AnalysisError, match="another network"):
        weights.fill(nn.Linear(96, 64), weights.load(folder, "face")[0], folder, "face")


def test_a_filled_network_answers_as_the_one_that_was_saved(folder: Path, network: nn.Module):
    copy = nn.Sequential(nn.Linear(96, 64), nn.BatchNorm1d(64), nn.Linear(64, 7))
    weights.fill(copy, weights.load(folder, "face")[0], folder, "face")
    x = torch.randn(5, 96)
    assert torch.allclose(copy.eval()(x), network.eval()(x), atol=5e-3)
