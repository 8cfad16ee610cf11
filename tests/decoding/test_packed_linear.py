"""Packed weights change where a weight lies in memory, and nothing that anybody can read or compute."""

import copy

import pytest
import torch
from torch import nn

from rose_guard.decoding import packed_linear
from rose_guard.decoding.batch_settings import BatchSettings
from rose_guard.decoding.packed_linear import PackedLinear, pack_linears
from rose_guard.engines.transformers import TransformersEngine
from tests.tiny import tiny_model

pytestmark = pytest.mark.skipif(not packed_linear._has_kernels(), reason="this CPU has no bfloat16 kernels")


@pytest.fixture
def model(tokenizer):
    return tiny_model(len(tokenizer)).to(torch.bfloat16)


def _linears(model, kind):
    return [module for module in model.modules() if type(module) is kind]


@pytest.mark.parametrize("rows", [1, 2, 5, 33])
@pytest.mark.parametrize("bias", [True, False])
def test_the_product_is_the_linear_layers(rows, bias):
    torch.manual_seed(0)
    linear = nn.Linear(48, 80, bias=bias, dtype=torch.bfloat16)
    rows = torch.randn(2, rows, 48, dtype=torch.bfloat16)
    torch.testing.assert_close(PackedLinear(linear)(rows), linear(rows))


def test_weights_and_state_dict_are_given_back_as_they_were(model):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    pack_linears(model)
    assert _linears(model, PackedLinear)
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_packed_model_is_saved_and_loaded_like_any_other(model, tmp_path):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    pack_linears(model)
    model.save_pretrained(tmp_path)
    after = type(model).from_pretrained(tmp_path, dtype=torch.bfloat16).state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_copy_computes_the_same_in_modules_of_its_own(model):
    pack_linears(model)
    twin = copy.deepcopy(model)
    ids = torch.tensor([[3, 5, 7]])
    assert torch.equal(twin(ids).logits, model(ids).logits)
    assert not {id(m) for m in _linears(twin, PackedLinear)} & {id(m) for m in _linears(model, PackedLinear)}


def test_a_tied_weight_is_not_held_twice(tokenizer):
    model = tiny_model(len(tokenizer)).to(torch.bfloat16)
    model.lm_head.weight = model.model.embed_tokens.weight
    pack_linears(model)
    assert [type(m) for m in (model.lm_head, model.model.layers[0].mlp.up_proj)] == [nn.Linear, PackedLinear]


def test_other_precisions_and_layers_whose_forward_was_replaced_stay(tokenizer):
    single = tiny_model(len(tokenizer))
    pack_linears(single)
    assert not _linears(single, PackedLinear)
    hooked = nn.Sequential(nn.Linear(8, 8, dtype=torch.bfloat16))
    hooked[0].forward = hooked[0].forward
    pack_linears(hooked)
    assert type(hooked[0]) is nn.Linear


def test_only_models_that_the_engine_loaded_are_packed_unasked(model, tokenizer, tmp_path):
    def packed(engine):
        return bool(_linears(engine.hf_model, PackedLinear))

    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert packed(TransformersEngine.from_pretrained(tmp_path, dtype=torch.bfloat16))
    unpacked = BatchSettings(pack_weights=False)
    assert not packed(TransformersEngine.from_pretrained(tmp_path, dtype=torch.bfloat16, settings=unpacked))
    assert not packed(TransformersEngine(model, tokenizer))
    assert packed(TransformersEngine(model, tokenizer, settings=BatchSettings(pack_weights=True)))
