"""A backbone is trained only if its saved weights are all of it."""

import pytest
import torch

from gonio.base.errors import ConfigError
from gonio.models import prove_saving

SHAPE = {"embedding_dim": 4, "image_size": 8, "channels": 1}

NETWORK = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, dim):
        super().__init__()
        {init}

    def forward(self, images):
        x = images.flatten(1)
        {forward}
{more}

def make(*, embedding_dim, image_size, channels):
    return Net(embedding_dim)
"""

LINEAR = "self.a = nn.Linear(64, dim)"
STATE = """
    def get_extra_state(self):
        return {state}

    def set_extra_state(self, state):
        self.k = {back}
"""
COUNTS = ("self.k += self.training; return self.a(x) + self.k",)

WHOLE = {
    "tied weights": (
        "self.a, self.b = nn.Linear(64, dim), nn.Linear(64, dim); self.b.weight = self.a.weight",
        "return self.a(x) + self.b(x)",
    ),
    "no parameter": ("self.dim = dim", "return x[:, : self.dim]"),
    "a view that is a buffer": (
        f"{LINEAR}; self.register_buffer('m', torch.rand(dim, 2).t()[0])",
        "return self.a(x) * self.m",
    ),
    "a tensor as extra state": (
        f"{LINEAR}; self.k = 1.0",
        *COUNTS,
        STATE.format(state="torch.tensor(self.k)", back="float(state)"),
    ),
    "noise while it trains": (LINEAR, "return self.a(x) + self.training * torch.rand(1)"),
}

PART = {
    "a buffer of one number, expanded": (
        f"{LINEAR}; self.register_buffer('m', torch.ones(1).expand(dim))",
        "return self.a(x) * self.m",
    ),
    "extra state that is no tensor": (
        f"{LINEAR}; self.k = 1.0",
        *COUNTS,
        STATE.format(state="dict(k=self.k)", back="state['k']"),
    ),
    "a count that is kept nowhere": (f"{LINEAR}; self.k = 1.0", *COUNTS),
    "a random tensor that is no buffer": (
        f"{LINEAR}; self.m = torch.randn(64)",
        "return self.a(x * self.m)",
    ),
    "a buffer that is not kept": (
        f"{LINEAR}; self.register_buffer('m', torch.randn(64), persistent=False)",
        "return self.a(x * self.m)",
    ),
    "layers in a list": (
        f"{LINEAR}; self.layers = [nn.Linear(64, 64)]",
        "return self.a(self.layers[0](x))",
    ),
    "noise at all times": (LINEAR, "return self.a(x) + torch.rand(1)"),
    "no forward pass in training": (LINEAR, "assert not self.training; return self.a(x)"),
}


def prove(tmp_path, monkeypatch, init, forward, more=""):
    name = f"net_{abs(hash((init, forward, more)))}"
    (tmp_path / f"{name}.py").write_text(NETWORK.format(init=init, forward=forward, more=more))
    monkeypatch.chdir(tmp_path)
    prove_saving(f"{name}:make", **SHAPE)


@pytest.mark.parametrize("network", WHOLE.values(), ids=WHOLE)
def test_what_its_weights_make_whole_is_taken(tmp_path, monkeypatch, network):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    prove(tmp_path, monkeypatch, *network)
    assert torch.equal(torch.rand(2), expected), "the generator of the run has moved"


@pytest.mark.parametrize("network", PART.values(), ids=PART)
def test_what_would_be_another_after_loading_is_refused(tmp_path, monkeypatch, network):
    with pytest.raises(ConfigError, match=r"backbone 'net_\d+:make' (gives other|cannot be)"):
        prove(tmp_path, monkeypatch, *network)
