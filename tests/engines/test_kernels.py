"""The kernels compile for GPUs, which takes none: what Triton's interpreter forgives, its compiler refuses."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton", reason="there is no triton")

PROGRAM = """
import sys
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from gonio.engines.triton import kernels
from gonio.engines.triton.launch import _compiled_rule
from gonio.engines.triton.printed import printed
from gonio.rules import AsIs, Excess, KeepAbove, NarrowAngle

def compile(kernel, capability, operand, **constants):
    kinds = {"LABELS": "*i64", "WHOSE": "*i64", "shift": "fp32", "sharpness": "fp32"}
    kinds |= dict.fromkeys(("X", "KEPT", "PUSH"), operand) | dict.fromkeys(("B", "C"), "i32")
    signature = {}
    for parameter in kernel.params:
        name = parameter.name
        kind = kinds.get(name, "*fp32" if name.isupper() else "i32")
        signature[name] = "constexpr" if parameter.is_constexpr else kind
    blocks = {"BB": 64, "BC": 64, "BD": 64}
    given = {"D": 200, "IS_UNIT": True, "IS_WIDENED": False, **blocks, **constants}
    places = {(i,): given[name] for i, name in enumerate(signature) if signature[name] == "constexpr"}
    target = GPUTarget("cuda", capability, 32)
    source = ASTSource(kernel, signature, constexprs=places)
    made = triton.compile(source, target=target, options={"enable_fp_fusion": False})
    assert made.asm["cubin"]

def scores(rule, pool, capability, operand, has=False):
    rule = printed(rule)
    flags = dict(NUM_LABELS=2, HAS_OFFSET=has, HAS_WHOSE=has, HAS_SUM=has, POOL=pool)
    flags["rule"] = _compiled_rule(rule.digest, rule.source)
    compile(kernels.fold_kernel, capability, operand, KEEPS=has, **flags)
    flags["POOL"] = "logsumexp" if pool == "shifted" else pool
    slopes = len(rule.slopes)
    compile(kernels.push_kernel, capability, operand, FROM_KEPT=has, NUM_SLOPES=slopes, **flags)

scores(AsIs(), "shifted", 90, "*bf16")
scores(AsIs(), "maximum", 80, "*bf16")
scores(AsIs(), "mean", 80, "*fp32")
scores(Excess(0.7), "logsumexp", 90, "*bf16", True)
scores(NarrowAngle(0.3, 0.1), "logsumexp", 80, "*bf16")
scores(KeepAbove(0.3), "sum", 90, "*bf16")
for capability, operand in ((90, "*bf16"), (80, "*fp32")):
    compile(kernels.weight_kernel, capability, operand)
    compile(kernels.embedding_kernel, capability, operand)
"""


def test_they_compile_for_gpus(tmp_path):
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path), "TRITON_INTERPRET": "0"}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
