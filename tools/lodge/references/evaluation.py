"""Outputs of a model by transformers, in float64 where it does not fix float32 itself."""

import copy
import math

import numpy
import torch
import transformers
from lodge.references.weights import randomise


def build(case, config=None, attention=None):
    """The model of `case`, its weights not yet drawn."""
    architecture = getattr(transformers, case.architecture)
    settings = architecture.config_class(**{**case.config, **(config or {})})
    from transformers.modeling_utils import no_init_weights  # not where 5 has it

    # Some classes cannot draw their own weights where norms have none.
    with no_init_weights():
        model = architecture._from_config(
            settings, attn_implementation=attention or case.attention, dtype=torch.float32)
    model.tie_weights()
    return model.eval()


def original(case, seed):
    model = build(case)
    randomise(model, case, seed)
    return model


def restored(case, folder):
    """The model that transformers reads from a folder that was saved."""
    architecture = getattr(transformers, case.architecture)
    return architecture.from_pretrained(
        folder, attn_implementation=case.attention, dtype=torch.float32).eval()


def changed(case, model, change):
    """A model with the weights of `model` and one setting turned off."""
    result = build(case, change.config)
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    if change.weights:
        # A tied matrix is one tensor under two names: both get the changed values.
        change.weights(arrays)
    own = result.state_dict()
    arrays = {
        name: torch.from_numpy(numpy.ascontiguousarray(value))
        for name, value in arrays.items() if name in own
    }
    assert not own.keys() - arrays.keys(), f"{case.name}: a change must not add tensors"
    result.load_state_dict(arrays)
    if change.patch:
        change.patch(result)
    return result


def outputs(case, model, texts, dtype=torch.float64):
    """Rows of all texts in turn: of each token, or one of each text where the head pools."""
    # In place of the model itself, whose weights are to be stored as they are.
    model = copy.deepcopy(model).to(dtype)
    with torch.no_grad():
        rows = [rows_of(case, model, torch.tensor([text])) for text in texts]
    return numpy.concatenate([part.double().numpy() for part in rows])


def rows_of(case, model, tokens):
    result = model(input_ids=tokens, attention_mask=torch.ones_like(tokens))
    if case.head in ("states", "embedding"):
        states = result.last_hidden_state[0]
        return states if case.head == "states" else pooled(case, states)
    return result.logits if case.head == "classes" else result.logits[0]


def pooled(case, states):
    """One vector of a text, as sentence-transformers pools: [1, width]."""
    vector = states[:1] if case.pooling == "cls" else states.mean(dim=0, keepdim=True)
    return torch.nn.functional.normalize(vector, dim=1) if case.normalises else vector


def entropies(case, model, texts):
    """Mean entropy of attention by layer, as a part of its largest: 0 one-hot, 1 uniform."""
    tokens = torch.tensor([texts[-1]])
    more = {}
    if case.attention != "eager":
        eager = build(case, attention="eager")
        eager.load_state_dict(model.state_dict())
        model = eager
        # With a mask of heads Falcon adds the linear biases once in eager attention, too.
        more["head_mask"] = torch.ones(
            model.config.num_hidden_layers, model.config.num_attention_heads)
    with torch.no_grad():
        attentions = model(
            input_ids=tokens, attention_mask=torch.ones_like(tokens), output_attentions=True, **more
        ).attentions
    result = []
    for attention in attentions:
        rows = attention[0].double()
        visible = (rows > 0).sum(dim=-1)
        entropy = -(rows * torch.log(rows.clamp_min(1e-300))).sum(dim=-1)
        wide = visible >= 4
        result.append(float((entropy / visible.clamp_min(2).log())[wide].mean()))
    assert all(math.isfinite(value) for value in result), case.name
    return result
