"""The voice networks as they are run: all members of the ensemble, and both directions of each, in one pass.

Five networks of two small LSTMs are ten loops over the frames in a row, and most of their time goes by between the
products of matrices. Here one loop goes through the ten side by side; what follows is likewise one product for all.
The sums are those of `voice_network`, in float32 and another order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mlcore.stress.voice.network import (
    LEAST_VARIANCE,
    MASKED,
    VoiceEnsemble,
    VoiceNetwork,
    VoiceOutput,
    mirror_of,
)

Run = Callable[[Tensor, Tensor], VoiceOutput]


def for_inference(ensemble: VoiceEnsemble) -> Run:
    """`ensemble` as trained -> what gives the same as it, of frames and lengths as `voice_network.padded` gives them.

    The weights are copied; what is given back is not written to: thread-safe."""
    members = [member for member in ensemble.members if isinstance(member, VoiceNetwork)]
    with torch.no_grad():
        return _Joined(members)


class _Joined:
    """Shapes: m members, n clips, t frames, h the width of one direction."""

    def __init__(self, members: Sequence[VoiceNetwork]) -> None:
        weights, biases = zip(*(_of_raw_frames(one) for one in members), strict=True)
        self._weights, self._biases = torch.cat(weights), torch.cat(biases)
        self._width = members[0].projection.out_features
        self._norm_weight, self._norm_bias = _stacked([(one.norm.weight, one.norm.bias) for one in members])
        self._read = _Recurrence([way for one in members for way in (one.onwards, one.backwards)])
        first, last = zip(*((one.attention[0], one.attention[2]) for one in members), strict=True)
        self._attend, self._heads = _Linears(first), _Linears(last)
        self._embed = _Linears([one.embedding for one in members])
        self._classifier = members[0].classifier.T.contiguous()

    def __call__(self, frames: Tensor, lengths: Tensor) -> VoiceOutput:
        """As `VoiceNetwork.forward`."""
        both_ways = self._both_ways(frames, lengths)
        inside = torch.arange(frames.shape[1])[None, :, None] < lengths[:, None, None]
        embeddings = self._embed(self._pooled(both_ways, inside)).mean(dim=0)
        return VoiceOutput(embeddings @ self._classifier, embeddings)

    def _both_ways(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """(m, n, t, 2h)."""
        projected = functional.linear(frames, self._weights, self._biases).unflatten(2, (-1, self._width))
        normed = functional.layer_norm(projected, (self._width,)) * self._norm_weight + self._norm_bias
        onwards = functional.gelu(normed).permute(2, 0, 1, 3)
        mirror = mirror_of(lengths, frames.shape[1])[None, :, :, None].expand(len(onwards), -1, -1, -1)
        backwards = onwards.gather(2, mirror.expand(-1, -1, -1, onwards.shape[3]))
        read = self._read(torch.stack([onwards, backwards], dim=1).flatten(0, 1)).unflatten(0, (-1, 2))
        turned = read[:, 1].gather(2, mirror.expand(-1, -1, -1, read.shape[4]))
        return torch.cat([read[:, 0], turned], dim=3)

    def _pooled(self, read: Tensor, inside: Tensor) -> Tensor:
        """(m, n, features), as `VoiceNetwork` pools."""
        flat = read.flatten(1, 2)
        scores = self._heads(self._attend(flat).tanh()).unflatten(1, read.shape[1:3])
        weights = scores.masked_fill(~inside, MASKED).softmax(dim=2)
        attended = torch.einsum("mnth,mnta->mnah", read, weights).flatten(2)
        count = inside.sum(dim=1)
        mean = (read * inside).sum(dim=2) / count
        variance = ((read - mean[:, :, None]).square() * inside).sum(dim=2) / count
        return torch.cat([attended, mean, (variance + LEAST_VARIANCE).sqrt()], dim=2)


def _of_raw_frames(member: VoiceNetwork) -> tuple[Tensor, Tensor]:
    """Weight and bias of the projection, with the standardisation of the frames before it taken in."""
    weight = member.projection.weight / member.deviation
    return weight.detach(), (member.projection.bias - weight @ member.mean).detach()


class _Linears:
    """As many linear layers of one shape, each for its own rows."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        weights, biases = _stacked([(layer.weight.T, layer.bias) for layer in layers])
        self._weights, self._biases = weights, biases[:, None]

    def __call__(self, rows: Tensor) -> Tensor:
        """(m, rows, inputs) -> (m, rows, outputs)."""
        return torch.baddbmm(self._biases, rows, self._weights)


class _Recurrence:
    """As many LSTMs of one shape, each over its own frames."""

    def __init__(self, layers: Sequence[nn.LSTM]) -> None:
        self._hidden = layers[0].hidden_size
        inputs, states, biases = _stacked([self._of(one.state_dict()) for one in layers])
        self._inputs, self._states, self._biases = inputs, states, biases[:, None]

    def _of(self, state: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        biases = state["bias_ih_l0"] + state["bias_hh_l0"]
        return self._gates(state["weight_ih_l0"]).T, self._gates(state["weight_hh_l0"]).T, self._gates(biases)

    def _gates(self, rows: Tensor) -> Tensor:
        """Torch's order is input, forget, cell, output; here the cell is last, beside the three sigmoids."""
        entrance, forget, cell, out = rows.split(self._hidden)
        return torch.cat([entrance, forget, out, cell])

    def __call__(self, frames: Tensor) -> Tensor:
        """(layers, n, t, inputs) -> (layers, n, t, h)."""
        layers, clips, count = frames.shape[:3]
        of_inputs = torch.baddbmm(self._biases, frames.flatten(1, 2), self._inputs)
        steps = of_inputs.unflatten(1, (clips, count)).permute(2, 0, 1, 3).contiguous()
        read = torch.empty(count, layers, clips, self._hidden)
        state = torch.zeros(layers, clips, self._hidden)
        kept = torch.zeros_like(state)
        for step, out in zip(steps.unbind(), read.unbind(), strict=True):
            gates = torch.baddbmm(step, state, self._states)
            entrance, forget, shown = gates[..., : 3 * self._hidden].sigmoid_().chunk(3, dim=2)
            kept = torch.addcmul(forget * kept, entrance, gates[..., 3 * self._hidden :].tanh_())
            state = torch.mul(shown, kept.tanh(), out=out)
        return read.permute(1, 2, 0, 3)


def _stacked(parts: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """The first of each, the second of each, and so on."""
    return [torch.stack([part.detach() for part in column]) for column in zip(*parts, strict=True)]
