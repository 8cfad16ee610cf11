"""Laws of what tuning changed: it is small, exact enough, and belongs to one encoder."""

import pytest
import torch
from torch import nn

from rose_guard import ModelLoadError
from rose_guard.risk.encoder_delta import EncoderDelta


@pytest.fixture
def base():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.Linear(16, 4))


@pytest.fixture
def tuned(base):
    other = nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.Linear(16, 4))
    other.load_state_dict(base.state_dict())
    with torch.no_grad():
        for parameter in (*other[0].parameters(), *other[1].parameters()):
            parameter.add_(0.01 * torch.randn_like(parameter))
    return other


def test_applying_it_gives_the_tuned_encoder_to_a_fraction_of_the_change(base, tuned):
    delta = EncoderDelta.between(base.state_dict(), tuned.state_dict())
    before = base[0].weight.clone()
    delta.apply(base)
    change = (tuned[0].weight - before).abs().amax(dim=1, keepdim=True)
    assert ((base[0].weight - tuned[0].weight).abs() <= change / 127).all()
    torch.testing.assert_close(base[1].weight, tuned[1].weight)
    torch.testing.assert_close(base[2].weight, tuned[2].weight)


def test_what_did_not_change_is_not_kept_and_a_weight_takes_one_byte(base, tuned):
    delta = EncoderDelta.between(base.state_dict(), tuned.state_dict())
    assert not any(name.startswith("2.") for name in delta.tensors)
    assert delta.tensors["0.weight"].dtype == torch.int8


def test_it_survives_saving_and_the_same_delta_gives_the_same_bytes(base, tuned, tmp_path):
    delta = EncoderDelta.between(base.state_dict(), tuned.state_dict())
    delta.save(tmp_path / "one")
    again = EncoderDelta.load(tmp_path / "one")
    again.save(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert again.version == delta.version


def test_its_version_changes_with_it(base, tuned):
    delta = EncoderDelta.between(base.state_dict(), tuned.state_dict())
    other = dict(delta.tensors) | {"0.bias": delta.tensors["0.bias"] + 1}
    assert EncoderDelta(other).version != delta.version


def test_another_encoder_is_refused(base, tuned):
    delta = EncoderDelta.between(base.state_dict(), tuned.state_dict())
    for other in (nn.Sequential(nn.Linear(8, 17)), nn.Sequential(nn.Identity(), nn.Linear(8, 16))):
        with pytest.raises(ModelLoadError, match="another embedder"):
            delta.apply(other)


@pytest.mark.parametrize("content", [None, b"", b"not safetensors", b"\x80\x04pickle"])
def test_a_broken_file_is_a_load_error(tmp_path, content):
    path = tmp_path / "encoder.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelLoadError, match="encoder"):
        EncoderDelta.load(path)
