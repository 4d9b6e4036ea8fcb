"""`gonio check`: is a loss what it says it is, ours or a stranger's."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gonio import contract
from gonio.base.errors import ConfigError, GonioError
from gonio.cli.output import say, say_json, show
from gonio.cli.parser import Parser
from gonio.contract import POINTS, Sizes, Subject
from gonio.data.progress import track
from gonio.settings import LossConfig, parse_yaml

EXAMPLES = """\
  gonio check arcface
  gonio check arcface --set margin=0.3 --set past_pi=raw
  gonio check my_losses:MyLoss --num-classes 10 --embedding-dim 4
  gonio check pytorch_metric_learning.losses:CosFaceLoss --as cosface
  gonio check pytorch_metric_learning.losses:ArcFaceLoss \\
      --as '{name: arcface, margin: 0.4991642, past_pi: line}' --set margin=28.6 --json
"""

MINIMUM = Sizes(num_classes=2, embedding_dim=3)
"""One other class, and a direction beside the plane in which the own class is turned away from."""

MAXIMUM = 65_535
"""Above it, a check takes hours and finds nothing else."""


def run(arguments: Sequence[str]) -> None:
    """Check a loss, and show a verdict for each part of the contract."""
    parser = Parser("check", "Hold any loss(embeddings, labels) to the contract.", EXAMPLES)
    parser.add_argument(
        "name",
        metavar="NAME",
        help="a loss of the table, or package.module:Class for any other: a module with or without "
        "class weights, a function of embeddings, weight and labels, or what makes one",
    )
    parser.add_argument("--num-classes", type=int, default=7, help="at least 2; default 7")
    parser.add_argument("--embedding-dim", type=int, default=5, help="at least 3; default 5")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SETTING=VALUE",
        help="an argument of the loss; may be repeated",
    )
    parser.add_argument(
        "--as",
        dest="claim",
        metavar="LOSS",
        help="which loss of the table it says it is: a name, or {name: NAME, SETTING: VALUE}",
    )
    parser.add_argument(
        "--detached",
        action="store_true",
        help="its gradient is by definition not the derivative of its value",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    chosen = parser.read(arguments)
    sizes = Sizes(chosen.num_classes, chosen.embedding_dim)
    for option, size, least in zip(
        ("--num-classes", "--embedding-dim"), sizes, MINIMUM, strict=True
    ):
        if not least <= size <= MAXIMUM:
            raise ConfigError(f"{option}: got {size}; it must be in [{least}, {MAXIMUM}]")
    subject = _subject(chosen.name, dict(map(_setting, chosen.set)), chosen.claim)
    subject = replace(subject, is_detached=subject.is_detached or chosen.detached)
    verdicts = {
        name: contract.examine(subject, POINTS[name], sizes)
        for name in track(POINTS, subject.name, len(POINTS))
    }
    if chosen.json:
        about = {
            "name": subject.name,
            "as": subject.claim and subject.claim.name,
            **sizes._asdict(),
        }
        checks = contract.to_dict(subject, verdicts)
        say_json(about | {"checks": checks})
    else:
        show(contract.verdict_table(subject, verdicts))
    failed = [name for name, verdict in verdicts.items() if verdict.status == "fail"]
    if failed:
        if not chosen.json:
            say(contract.inputs(subject, verdicts))
        raise GonioError(
            f"{subject.name} fails {len(failed)} of {len(POINTS)}: {', '.join(failed)}"
        )


def _subject(name: str, settings: dict[str, Any], claim: str | None) -> Subject:
    """What is checked, with the loss whose formula it is compared with."""
    if ":" in name:
        subject = contract.imported(name, settings)
    elif "." in name:
        raise ConfigError(f"{name}: a loss of another package is spelled package.module:Class")
    else:
        subject = _row(LossConfig(name, settings), "chunked")
    return subject if claim is None else subject.claims(_row(LossConfig.typed(claim, "--as")))


def _row(loss: LossConfig, backend: str = "auto") -> Subject:
    """A loss of the table."""
    try:
        return contract.of_loss(loss.label, loss.make(), backend)
    except ValueError as error:
        raise ConfigError(f"{loss.name}: it cannot be checked: {error}") from error


def _setting(text: str) -> tuple[str, Any]:
    """`margin=28.6` -> the name and the typed value."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ConfigError(f"--set: got {text!r}; it must be SETTING=VALUE, such as margin=0.5")
    return name, parse_yaml(value, f"--set {name}")
