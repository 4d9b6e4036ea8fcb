"""Every setting of a run by its dotted name, read from the dataclasses and the table of losses."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import Any, NamedTuple, get_type_hints

from gonio import losses
from gonio.train.config import TrainConfig
from gonio.train.loss_config import LossConfig, plain, plain_types

LOSS = (
    "which loss; another one than the file's leaves the file's loss settings out; see gonio losses"
)


class Setting(NamedTuple):
    """What can be set under a name such as `optimise.lr`."""

    kind: Any
    default: Any
    meaning: str


def settings_of(loss: str) -> dict[str, Setting]:
    """Dotted name -> setting, for runs with this loss.

    Raises:
        ConfigError: an unknown loss.
    """
    return dict(_settings(loss))


def _settings(loss: str) -> Iterator[tuple[str, Setting]]:
    defaults, kinds = TrainConfig().to_dict(), get_type_hints(TrainConfig)
    for name, meaning in _meanings(TrainConfig).items():
        if kinds[name] is LossConfig:
            yield "loss.name", Setting(str, defaults["loss"]["name"], LOSS)
            yield from _loss_settings(losses.get(loss))
        elif is_dataclass(kinds[name]):
            inner = get_type_hints(kinds[name])
            for one, meant in _meanings(kinds[name]).items():
                yield f"{name}.{one}", Setting(inner[one], defaults[name][one], meant)
        else:
            yield name, Setting(kinds[name], defaults[name], meaning)


def _loss_settings(row: losses.Row) -> Iterator[tuple[str, Setting]]:
    kinds = plain_types(row.name)
    for name, default in plain(row.defaults).items():
        meaning = row.arguments[name].rstrip(".") or f"a setting of {row.name}"
        yield f"loss.{name}", Setting(kinds[name], default, meaning)


def _meanings(kind: Any) -> dict[str, str]:
    """Field -> what the docstring of a dataclass says of it."""
    arguments = (inspect.getdoc(kind) or "").partition("Args:\n")[2].partition("\n\n")[0]
    found = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", arguments, re.MULTILINE)
    return {name: " ".join(meaning.split()).rstrip(".") for name, meaning in found}
