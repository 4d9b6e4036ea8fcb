"""Every form in which a loss may come, and what is said where it is none."""

import pytest
import torch

from gonio import losses
from gonio.base.errors import ConfigError
from gonio.contract import POINTS, Sizes, examine, imported, of_loss

FORMS = """
import torch
import torch.nn.functional as F
from torch import nn

import gonio

def cosine_softmax(x, w, labels, scale):
    return F.cross_entropy(scale * F.normalize(x) @ F.normalize(w).T, labels, reduction="none")

def rows(embeddings, weight, labels, scale=8.0):
    return cosine_softmax(embeddings, weight, labels, scale)

def columns(features, targets, kernel, scale=8.0):
    return cosine_softmax(features, kernel.T, targets, scale).sum()

def of_ours(scale=8.0):
    return gonio.losses.normface(scale=scale)

def maker(out_features, in_features, scale=8.0):
    return Columns(in_features, out_features, scale)

def closure(scale=8.0):
    return lambda embeddings, weight, labels: rows(embeddings, weight, labels, scale)

class Rows(nn.Module):
    def __init__(self, num_classes, embedding_size, scale=8.0):
        super().__init__()
        self.weight, self.scale = nn.Parameter(torch.randn(num_classes, embedding_size)), scale

    def forward(self, x, y):
        return cosine_softmax(x, self.weight, y, self.scale).mean()

class Columns(nn.Module):
    def __init__(self, in_features, out_features, scale=8.0):
        super().__init__()
        self.kernel, self.scale = nn.Parameter(torch.randn(in_features, out_features)), scale

    def forward(self, x, y):
        return cosine_softmax(x, self.kernel.T, y, self.scale).mean()

class Inherits(Rows):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)

def ends():
    raise SystemExit(0)

ready = Rows(3, 4)
number = 3

def one(x):
    return x

def needs(num_classes, embedding_dim, secret):
    return Rows(num_classes, embedding_dim)

class Needs(Rows):
    def __init__(self, secret, **kwargs):
        super().__init__(**kwargs)

class Logits(Rows):
    def forward(self, x, y):
        return x @ self.weight.T

class Fails(Rows):
    def forward(self, x, y):
        raise KeyError("no")
"""


@pytest.fixture(autouse=True)
def _forms(tmp_path, monkeypatch):
    (tmp_path / "forms_of_losses.py").write_text(FORMS)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize(
    "form", ["rows", "columns", "of_ours", "maker", "closure", "Rows", "Columns", "Inherits"]
)
@pytest.mark.parametrize("scale", [8.0, 20.0])
def test_is_called_as_it_wants(form, scale):
    claim = of_loss("normface", losses.normface(scale=scale))
    subject = imported(f"forms_of_losses:{form}", {"scale": scale}).claims(claim)
    for check in ("value is the formula's", "gradient is the derivative", "numbers of classes"):
        verdict = examine(subject, POINTS[check], Sizes(5, 5))
        assert verdict.status == "pass", verdict


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_package:X", "No module named 'no_such_package'"),
        ("os:abort", "it is a builtin_function_or_method; name a class"),
        ("forms_of_losses:ends", "it cannot be made: SystemExit: 0"),
        ("forms_of_losses:Rosw", "has no attribute 'Rosw'"),
        ("forms_of_losses:ready", "it is a Rows; name a class"),
        ("forms_of_losses:number", "it is a int; name a class"),
        ("forms_of_losses:one", "it takes x; a loss takes embeddings and labels"),
        ("forms_of_losses:Needs", "it needs secret; give it by --set secret=VALUE"),
        ("forms_of_losses:Logits", "it returns float32[26, 13]; a loss returns one number"),
        ("forms_of_losses:Fails", "it fails on embeddings float32[26, 11] and labels int64[26]"),
    ],
)
def test_what_is_no_loss_is_named(name, said):
    with pytest.raises(ConfigError) as raised:
        imported(name, {})
    assert said in str(raised.value)
    assert str(raised.value).startswith(name)


def test_a_setting_that_there_is_not_is_named():
    with pytest.raises(
        ConfigError, match=r"--set scael: .* it has num_classes, embedding_size, scale"
    ):
        imported("forms_of_losses:Rows", {"scael": 1})


def test_weights_of_another_form_cannot_be_compared():
    claim = of_loss("sub-center", losses.get("sub-center-arcface").loss(centers=3))
    with pytest.raises(ConfigError, match=r"3 weights for each class, .*Rows has 1"):
        imported("forms_of_losses:Rows", {}).claims(claim)


def test_torchs_own_generator_is_left_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    subject = imported("forms_of_losses:Rows", {})
    for check in POINTS.values():
        examine(subject, check, Sizes(3, 4))
    assert torch.equal(torch.get_rng_state(), before)
