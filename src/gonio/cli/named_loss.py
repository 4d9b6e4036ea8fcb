"""A loss as it is typed in one word: `arcface`, or `{name: arcface, margin: 0.3}`."""

from collections.abc import Mapping
from typing import Any

from gonio import losses
from gonio.base.errors import ConfigError
from gonio.loss import Loss
from gonio.train.config_file import parse_yaml
from gonio.train.loss_config import LossConfig


def named_loss(text: str, option: str, settings: Mapping[str, Any]) -> tuple[str, Loss]:
    """What the loss is called where it is shown, and the loss.

    Args:
        text: as it was typed.
        option: that it was typed for, for the message.
        settings: more of them, which those of `text` win over.

    Raises:
        ConfigError: no loss, or a setting that it refuses.
    """
    value = parse_yaml(text, option)
    named = dict(value) if isinstance(value, dict) else {"name": value}
    name = named.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(f"{option}: got {text!r}; give a name or {{name: NAME, SETTING: VALUE}}")
    config = LossConfig(name, {**settings, **named})
    label = ", ".join([name, *(f"{setting} {one}" for setting, one in config.settings.items())])
    return label, losses.get(name).loss(**config.arguments())
