"""`gonio train`."""

from collections.abc import Sequence

from gonio.cli.configuration import read_request
from gonio.cli.evaluate import keep_and_show
from gonio.cli.output import say
from gonio.settings import to_yaml
from gonio.train import Run, train
from gonio.train.trained import Sample, Trained


def run(arguments: Sequence[str]) -> None:
    """Train as the arguments say, and show the report of the unseen identities."""
    request = read_request(arguments)
    if request.print_config:
        print(to_yaml(request.config.to_dict()), end="")
        return
    finished = train(request.config, resume=request.resume)
    if len(finished.split.unseen):
        _evaluate(finished, request.config.model.backbone)
    say(f"run: {finished.folder.path}")


def _evaluate(finished: Run, backbone: str) -> None:
    """Show how well the unseen identities are told apart, and keep it."""
    trained = Trained.read(finished.folder.path, allowed=(backbone,))
    result = trained.result(Sample(finished.split.unseen, trained.data.source))
    label = finished.folder.path.resolve().name
    keep_and_show({label: result}, {label: finished.folder}, is_own=True)
