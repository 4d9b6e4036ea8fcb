"""A printed rule, run with torch in the place of Triton's words, is the rule and its derivative."""

import copy
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch

from contract.cases import CASES
from gonio.base.geometry import angle_of
from gonio.engines import tile
from gonio.engines.triton.printed import ARGUMENTS, FORMS, NotPrintedError, printed
from gonio.rules import AsIs, Boost, Curriculum, Excess, NarrowAngle
from gonio.rules.facts import Sample

WORDS = SimpleNamespace(
    abs=torch.abs,
    cos=torch.cos,
    exp=torch.exp,
    floor=torch.floor,
    log=torch.log,
    maximum=lambda a, b: torch.maximum(*both(a, b)),
    minimum=lambda a, b: torch.minimum(*both(a, b)),
    sin=torch.sin,
    sqrt=torch.sqrt,
    where=lambda condition, a, b: torch.where(condition, *both(a, b)),
)


def both(a, b):
    like = a if isinstance(a, torch.Tensor) else b
    if not isinstance(like, torch.Tensor):
        like = torch.zeros((), dtype=torch.float64)
    return torch.as_tensor(a, dtype=like.dtype), torch.as_tensor(b, dtype=like.dtype)


def facts():
    torch.manual_seed(0)
    score = torch.rand(6, 40, dtype=torch.float64) * 1.98 - 0.99
    rest = [torch.rand(6, 1, dtype=torch.float64) * 0.8 + 0.15 for _ in Sample.NAMES]
    return score, rest


def run(rule, score, sample):
    found = printed(rule)
    names = {"tl": WORDS, "arccos": torch.acos, "log1p": torch.log1p, "float": float}
    exec(found.source, names)
    settings = [setting.to(score) for setting in found.settings]
    settings += [torch.zeros(1, 1)] * (len(ARGUMENTS) - 1 - len(sample) - len(settings))
    value, of_score, *given = (
        torch.as_tensor(one).expand_as(score) for one in names["rule"](score, *sample, *settings)
    )
    of_sample = [torch.zeros_like(score) for _ in sample]
    for field, slope in zip(found.slopes, given, strict=True):
        of_sample[field] = slope
    return value, of_score, *of_sample


def given(rule, **settings):
    """The rule with tensors in the place of quantities, as `margin_loss` puts them there."""
    changed = copy.copy(rule)
    for name, value in settings.items():
        object.__setattr__(changed, name, value)
    return changed


BORDERS = torch.linspace(-0.5, 0.5, 6)[:, None].double()
TENSORS = [
    given(Boost(1.3), add=torch.tensor(0.2), above=BORDERS),
    given(Curriculum(0.0), level=torch.tensor(0.3)),
    given(NarrowAngle(0.0, 0.0), margin=torch.full((6, 1), 0.2), above=torch.tensor(0.1)),
]
RULES = {str(case.loss.typical().negative): case.loss.typical().negative for case in CASES}


@pytest.mark.parametrize("rule", [*RULES.values(), *TENSORS], ids=lambda rule: str(rule)[:60])
def test_value_and_slopes_are_those_of_the_rule(rule):
    score, sample = facts()
    value, of_score, *of_sample = run(rule, score, sample)
    leaves = [
        score.requires_grad_(),
        *(fact.expand_as(score).clone().requires_grad_() for fact in sample),
    ]

    class Given(Sample):
        def column(self):
            return self

    expected = tile.modulated(leaves[0], None, Given(*leaves[1:]), rule)
    torch.testing.assert_close(value, expected.detach(), rtol=1e-10, atol=1e-10)
    slopes = torch.autograd.grad(expected.sum(), leaves, allow_unused=True, materialize_grads=True)
    for found, slope in zip([of_score, *of_sample], slopes, strict=True):
        torch.testing.assert_close(found, slope, rtol=1e-9, atol=1e-9)


def test_every_form_is_used_by_a_rule_or_is_not_there():
    words = "".join(printed(rule).source for rule in [*RULES.values(), *TENSORS])
    assert "tl.where" in words
    assert "arccos" in words
    assert sorted(FORMS) == list(FORMS)


def test_a_constant_makes_another_kernel_and_a_tensor_does_not():
    assert printed(Boost(1.3)).digest != printed(Boost(1.4)).digest
    one, other = (
        printed(given(Curriculum(0.0), level=torch.tensor(level))) for level in (0.1, 0.9)
    )
    assert one.digest == other.digest
    assert other.settings[0].item() == pytest.approx(0.9)
    assert printed(AsIs()).settings == ()


def rule_of(function):
    @dataclass(frozen=True)
    class Rule:
        def __call__(self, cosine, sample):
            return function(cosine)

    return Rule()


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (torch.special.bessel_j0, "bessel_j0' has no form"),
        (lambda cosine: torch.add(cosine, cosine, alpha=2), "'add' with {'alpha': 2} has no form"),
        (lambda cosine: torch.div(cosine, 0.1, rounding_mode="floor"), "'div' with .*'floor'"),
        (lambda cosine: cosine.long().to(cosine.dtype), "'_to_copy' with .*int64"),
        (lambda cosine: cosine**cosine, "'pow' has no form"),
        (lambda cosine: cosine - cosine.mean(), "'mean' has no form"),
    ],
)
def test_what_has_no_form_is_named(function, named):
    with pytest.raises(NotPrintedError, match=named):
        printed(rule_of(function))


@pytest.mark.parametrize("power", [-5, -1, 0, 1, 5, 2.5])
def test_powers_of_cosines_of_either_sign(power):
    rule = rule_of(lambda cosine: cosine**power)
    score, sample = facts()
    score = score.abs() if power == 2.5 else score
    value, of_score, *_ = run(rule, score, sample)
    scale = sample[0]
    torch.testing.assert_close(value, scale * score**power)
    torch.testing.assert_close(of_score, scale * power * score ** (power - 1))


def test_only_slopes_that_are_not_0_are_computed():
    names = [Sample.NAMES[i] for i in printed(Excess(temperature=0.7)).slopes]
    assert names == ["scale", "target"]
    assert printed(AsIs()).slopes == (0,)


def test_constants_are_those_of_float32_whatever_the_default():
    before = printed(rule_of(angle_of)).source
    torch.set_default_dtype(torch.float64)
    try:
        assert printed(rule_of(angle_of)).source == before
    finally:
        torch.set_default_dtype(torch.float32)
