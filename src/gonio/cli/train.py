"""`gonio train`."""

from collections.abc import Sequence

from gonio.cli.configuration import read_request
from gonio.cli.output import say, show_columns
from gonio.evaluate import report_table
from gonio.settings import to_yaml
from gonio.train import evaluate_backbone, train, write_results


def run(arguments: Sequence[str]) -> None:
    """Train as the arguments say, and show the report of the unseen identities."""
    request = read_request(arguments)
    if request.print_config:
        print(to_yaml(request.config.to_dict()), end="")
        return
    finished = train(request.config, resume=request.resume)
    report = evaluate_backbone(finished.backbone, finished.split.unseen)
    write_results(finished.folder, report)
    show_columns({finished.folder.path.resolve().name: report}, report_table)
    say(f"run: {finished.folder.path}")
