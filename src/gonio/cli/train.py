"""`gonio train`."""

from collections.abc import Sequence

from gonio.cli.configuration import read_request
from gonio.cli.evaluate import show_results
from gonio.runs.results import write_result
from gonio.train import Run, train
from gonio.train.config_file import to_yaml
from gonio.train.trained import Sample, Trained


def run(arguments: Sequence[str]) -> None:
    """Train as the arguments say, and show the report of the unseen identities."""
    request = read_request(arguments)
    if request.print_config:
        print(to_yaml(request.config), end="")
        return
    finished = train(request.config, resume=request.resume)
    if len(finished.split.unseen):
        _evaluate(finished)
    print(f"run: {finished.folder.path}")


def _evaluate(finished: Run) -> None:
    """Show how well the unseen identities are told apart, and keep it."""
    trained = Trained.read(finished.folder.path)
    result = trained.result(Sample(finished.split.unseen, trained.data.source))
    show_results({finished.folder.path.resolve().name: result})
    write_result(finished.folder, result, is_own=True)
