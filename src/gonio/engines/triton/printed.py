"""A negative rule, written once in torch, printed as the source of a kernel: its value and its slopes.

The rule is traced on one entry together with its derivatives, so a kernel computes what the reference
computes; nothing is written twice. Settings that are numbers become constants. Settings that are
tensors, quantities of the batch, become arguments.
"""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from gonio.engines import tile
from gonio.rules.curve import Curve
from gonio.rules.facts import Sample
from gonio.rules.number import replaced

MOST_SETTINGS = 3
"""Tensors among the settings of a rule that a kernel has arguments for."""

ARGUMENTS = ("score", *Sample.NAMES, *(f"setting{i}" for i in range(MOST_SETTINGS)))
"""What a printed rule is given, each (rows, columns) or broadcast to it."""

FORMS = {
    "abs": "tl.abs({0})",
    "acos": "arccos({0})",
    "add": "({0} + {1})",
    "alias": "{0}",
    "bitwise_and": "({0} & {1})",
    "bitwise_not": "(~{0})",
    "bitwise_or": "({0} | {1})",
    "clone": "{0}",
    "cos": "tl.cos({0})",
    "detach": "{0}",
    "div": "({0} / {1})",
    "eq": "({0} == {1})",
    "exp": "tl.exp({0})",
    "floor": "tl.floor({0})",
    "ge": "({0} >= {1})",
    "gt": "({0} > {1})",
    "le": "({0} <= {1})",
    "lift_fresh_copy": "{0}",
    "log": "tl.log({0})",
    "log_sigmoid_backward": "({0} / (1.0 + tl.exp({1})))",
    "log_sigmoid_forward": "(tl.minimum({0}, 0.0) - log1p(tl.exp(-tl.abs({0}))))",
    "logical_and": "({0} & {1})",
    "logical_and_": "({0} & {1})",
    "logical_not": "(~{0})",
    "lt": "({0} < {1})",
    "masked_fill": "tl.where({1}, {2}, {0})",
    "maximum": "tl.maximum({0}, {1})",
    "minimum": "tl.minimum({0}, {1})",
    "mul": "({0} * {1})",
    "ne": "({0} != {1})",
    "neg": "(-{0})",
    "reciprocal": "(1.0 / {0})",
    "relu": "tl.maximum({0}, 0.0)",
    "remainder": "({0} - {1} * tl.floor({0} / {1}))",
    "rsqrt": "(1.0 / tl.sqrt({0}))",
    "rsub": "({1} - {0})",
    "sigmoid": "(1.0 / (1.0 + tl.exp(-{0})))",
    "sin": "tl.sin({0})",
    "sqrt": "tl.sqrt({0})",
    "sub": "({0} - {1})",
    "threshold_backward": "tl.where({1} > {2}, {0}, 0.0)",
    "where": "tl.where({0}, {1}, {2})",
}
"""Operation of torch -> its form in a kernel. These are the words that a printed rule may use."""


CONSTANTS = {
    "full": None,
    "full_like": None,
    "ones": 1.0,
    "ones_like": 1.0,
    "scalar_tensor": None,
    "zeros": 0.0,
    "zeros_like": 0.0,
}
"""Operations that make a constant, and which; None if it is their argument."""


class NotPrintedError(NotImplementedError):
    """A rule that uses what has no form in a kernel."""


@dataclass(frozen=True)
class Printed:
    """The source of `rule(*ARGUMENTS) -> (z, slope in the score, slope in each field of `slopes`)`."""

    source: str
    slopes: tuple[int, ...]
    """Which fields of the sample z depends on: the slope in any other is 0 everywhere."""
    settings: tuple[Tensor, ...]
    """The tensors among the rule's settings, in the order of the arguments."""

    @property
    def digest(self) -> str:
        """Of the source: a changed constant is another kernel."""
        return hashlib.sha256(self.source.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Hole:
    """The place of a tensor among the settings of a rule."""

    index: int


def printed(rule: Curve) -> Printed:
    """Z = scale x rule(score), as `gonio.engines.tile.modulated` has it, in float32.

    Raises:
        NotPrintedError: names the operation without a form, or says that there are too many settings.
    """
    settings: list[Tensor] = []

    def hole(setting: Tensor) -> Any:
        settings.append(setting)
        return Hole(len(settings) - 1)

    with_holes: Any = replaced(rule, Tensor, hole)
    found = _printed(with_holes, len(settings))
    if isinstance(found, str):
        raise NotPrintedError(found)
    return Printed(*found, tuple(settings))


@cache
def _printed(rule: Any, num_settings: int) -> tuple[str, tuple[int, ...]] | str:
    """The source and the slopes, or why there are none."""
    if num_settings > MOST_SETTINGS:
        return f"{rule}: {num_settings} settings that are tensors"
    try:
        with ThreadPoolExecutor(
            1
        ) as alone:  # what is set for the caller's thread does not reach it
            graph = alone.submit(_traced, rule, num_settings).result()
        return _source(graph, rule)
    except NotPrintedError as error:
        return str(error)
    except Exception as error:  # the rule is somebody's own code
        return f"{rule}: it cannot be traced ({type(error).__name__}: {error})"


def _source(graph: fx.Graph, rule: Curve) -> tuple[str, tuple[int, ...]]:
    lines, names = _lines(graph, rule)
    (output,) = (node for node in graph.nodes if node.op == "output")
    value, of_score, *of_facts = output.args[0][: 2 + len(Sample.NAMES)]
    slopes = tuple(i for i, node in enumerate(of_facts) if not _is_zero(node))
    returned = ", ".join(names[node] for node in (value, of_score, *(of_facts[i] for i in slopes)))
    body = "\n    ".join([*lines, f"return {returned}"])
    return f"def rule({', '.join(ARGUMENTS)}):\n    {body}\n", slopes


def _traced(rule: Curve, num_settings: int) -> fx.Graph:
    """The graph of z and its slopes at a matrix of entries."""

    def value_and_slopes(score: Tensor, *rest: Tensor) -> list[Tensor]:
        facts, settings = rest[: len(Sample.NAMES)], rest[len(Sample.NAMES) :]
        filled = replaced(rule, Hole, lambda hole: settings[hole.index])

        def z(score: Tensor, *facts: Tensor) -> Tensor:
            return tile.modulated(score, None, _Columns(*facts), filled)

        value, pull = torch.func.vjp(z, score, *facts)  # type: ignore[misc]
        return [value, *pull(torch.ones_like(value))]

    num_entries = 1 + len(Sample.NAMES) + num_settings
    entries = [torch.full((2, 2), 0.4, dtype=torch.float32) for _ in range(num_entries)]
    graph = make_fx(value_and_slopes)(*entries).graph
    graph.eliminate_dead_code()
    return graph


class _Columns(Sample):
    """Facts that have the shape of the scores already."""

    def column(self) -> "Sample":
        return self


def _lines(graph: fx.Graph, rule: Curve) -> tuple[list[str], dict[fx.Node, str]]:
    """Assignments, and what each node is called."""
    names: dict[fx.Node, str] = {}
    lines: list[str] = []
    arguments = iter(ARGUMENTS)
    for node in graph.nodes:
        if node.op == "placeholder":
            names[node] = next(arguments)
        elif node.op == "get_attr":
            names[node] = repr(float(getattr(graph.owning_module, node.target)))
        elif node.op == "call_function":
            names[node] = f"v{len(lines)}"
            lines.append(f"{names[node]} = {_expression(node, names, rule)}")
    return lines, names


def _expression(node: fx.Node, names: dict[fx.Node, str], rule: Curve) -> str:
    operation = _operation(node)
    if not _has_form(node):
        keywords = f" with {dict(node.kwargs)}" if node.kwargs else ""
        raise NotPrintedError(
            f"{rule}: torch's {operation!r}{keywords} has no form in a kernel "
            "(gonio.engines.triton.printed.FORMS)"
        )
    given = [_text(argument, names) for argument in node.args]
    if operation in _SPECIAL:
        return _SPECIAL[operation](node, given)
    return FORMS[operation].format(*given)


def _operation(node: fx.Node) -> str:
    return getattr(node.target, "__name__", str(node.target)).split(".")[0]


def _has_form(node: fx.Node) -> bool:
    """Whether a form says all that a node does: keywords may only tell how a result is stored."""
    operation = _operation(node)
    if operation == "pow" and not isinstance(node.args[1], int | float):
        return False
    storage = {"dtype", "device", "layout", "memory_format", "non_blocking", "pin_memory"}
    is_stored_alike = node.kwargs.get("dtype", torch.float32) in (torch.float32, torch.bool)
    is_known = operation in FORMS or operation in _SPECIAL
    return is_known and is_stored_alike and storage.issuperset(node.kwargs)


def _is_zero(node: fx.Node) -> bool:
    return _operation(node) in CONSTANTS and _number(node) == 0


def _constant(node: fx.Node, given: list[str]) -> str:
    """full, full_like, scalar_tensor, zeros_like ...: a number of the shape of the scores."""
    return f"score * 0.0 + {_number(node)!r}"


def _number(node: fx.Node) -> float:
    operation = _operation(node)
    number = CONSTANTS[operation]
    if number is None:
        given: Any = node.args[0 if operation == "scalar_tensor" else 1]
        number = float(given)
    return number


def _power(node: fx.Node, given: list[str]) -> str:
    base, exponent = given[0], node.args[1]
    assert isinstance(exponent, int | float)
    if exponent != int(exponent):
        return f"tl.exp({exponent!r} * tl.log({base}))"
    product = " * ".join([base] * abs(int(exponent))) or "1.0"
    return f"({product})" if exponent >= 0 else f"(1.0 / ({product}))"


def _clamped(node: fx.Node, given: list[str]) -> str:
    low, high = (*given[1:], "None", "None")[:2]
    text = given[0] if low == "None" else f"tl.maximum({given[0]}, {low})"
    return text if high == "None" else f"tl.minimum({text}, {high})"


_SPECIAL: dict[str, Callable[[fx.Node, list[str]], str]] = {
    **dict.fromkeys(CONSTANTS, _constant),
    "_to_copy": lambda node, given: f"({given[0]} * 1.0)",
    "clamp": _clamped,
    "getitem": lambda node, given: given[0],
    "pow": _power,
}


def _text(argument: Any, names: dict[fx.Node, str]) -> str:
    if isinstance(argument, fx.Node):
        return names[argument]
    if isinstance(argument, float) and argument in (float("inf"), -float("inf")):
        return f'float("{argument}")'
    return repr(float(argument) if isinstance(argument, int) else argument)
