"""What is printed of a failure shows the failure when it is pasted."""

import json
import textwrap

import pytest
import torch

from contract_of_strangers.wrong import Arccos, OneDtype
from gonio.contract import POINTS, Sizes, examine, imported, inputs, to_dict

SIZES = Sizes(num_classes=7, embedding_dim=5)


def found(name, *checks):
    subject = imported(f"contract_of_strangers.wrong:{name}", {})
    return subject, {check: examine(subject, POINTS[check], SIZES) for check in checks}


def pasted(subject, verdicts):
    head, _, code = inputs(subject, verdicts).partition("\n")
    assert head == f"{next(iter(verdicts))} fails for"
    names = {"torch": torch}
    exec(textwrap.dedent(code), names)
    return names["embeddings"], names["weight"], names["labels"]


def test_the_smallest_input_fails_again():
    embeddings, weight, labels = pasted(*found("Arccos", "finite at cosine ±1"))
    assert (embeddings.shape, weight.shape, labels.shape) == ((1, 3), (2, 3), (1,))
    loss = Arccos(2, 3).to(weight.dtype)
    loss.weight.data = weight
    loss(embeddings.requires_grad_(), labels).backward()
    assert embeddings.grad.isnan().any()


def test_the_dtypes_are_those_that_fail():
    embeddings, weight, labels = pasted(*found("OneDtype", "bfloat16 embeddings"))
    assert (embeddings.dtype, weight.dtype) == (torch.bfloat16, torch.float32)
    with pytest.raises(RuntimeError, match="same dtype"):
        OneDtype(2, 3)(embeddings, labels)


def test_a_failure_that_needs_two_samples_is_shown_by_two():
    _, verdicts = found("WeighsByPlace", "order of samples")
    assert len(verdicts["order of samples"].smallest.labels) == 2


def test_json_holds_every_digit():
    subject, verdicts = found("Leaks", "samples do not meet", "order of samples")
    plain = json.loads(json.dumps(to_dict(subject, verdicts), allow_nan=False))
    fails = plain["samples do not meet"]
    smallest = verdicts["samples do not meet"].smallest
    assert fails["status"] == "fail"
    assert fails["number"] == verdicts["samples do not meet"].number > 1e-9
    assert fails["smallest"]["embeddings"] == smallest.embeddings.tolist()
    assert plain["order of samples"] == {
        "status": "pass",
        "number": verdicts["order of samples"].number,
        "what": verdicts["order of samples"].what,
        "smallest": None,
    }


def test_no_weight_is_printed_of_a_loss_that_has_none():
    subject = imported("contract_of_strangers.wrong:pairs", {})
    verdicts = {"float16 embeddings": examine(subject, POINTS["float16 embeddings"], SIZES)}
    assert "labels = " in inputs(subject, verdicts)
    assert "weight" not in inputs(subject, verdicts)
