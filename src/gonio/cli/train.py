"""`gonio train`."""

from collections.abc import Sequence

from gonio.cli.configuration import read_request
from gonio.cli.output import show
from gonio.evaluate import report_table
from gonio.train import evaluate_backbone, train, write_results
from gonio.train.config_file import to_yaml


def run(arguments: Sequence[str]) -> None:
    """Train as the arguments say, and show the report of the unseen identities."""
    request = read_request(arguments)
    if request.print_config:
        print(to_yaml(request.config), end="")
        return
    finished = train(request.config, resume=request.resume)
    report = evaluate_backbone(finished.backbone, finished.split.unseen)
    write_results(finished.folder, report)
    show(report_table({finished.folder.path.resolve().name: report}))
    print(f"run: {finished.folder.path}")
