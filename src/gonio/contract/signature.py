"""How a stranger is called, read from its signature."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gonio.base.errors import ConfigError
from gonio.contract.batch import Sizes

NUM_CLASSES = (
    "num_classes", "n_classes", "nclasses", "num_class", "class_num", "classnum", "classes",
    "out_features", "out_feature", "num_labels", "num_ids", "num_speakers",
)  # fmt: skip
EMBEDDING_DIM = (
    "embedding_dim", "embedding_size", "embeddings_dim", "embed_dim", "embed_size", "emb_dim",
    "feature_dim", "feat_dim", "feature_size", "feat_size", "in_features", "in_feature",
    "in_channels", "input_dim", "dim",
)  # fmt: skip
"""What the constructors of published losses call the two sizes."""

WEIGHT = ("weight", "weights", "w", "kernel", "prototypes", "proxies", "centers", "centres")
LABELS = ("labels", "label", "targets", "target", "y")
"""What functions call two of their three tensors; the embeddings are the first that is left."""


class Signature:
    """The parameters of a callable, those of its parent classes with it where they are passed on.

    Args:
        function: a class or function.
        name: for errors.

    Raises:
        ConfigError: what has no signature, such as a function written in C.
    """

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.name = name
        self.parameters: dict[str, inspect.Parameter] = {}
        self.own = _parameters(function, name)
        self.takes_any = True
        for part in inspect.getmro(function)[:-1] if inspect.isclass(function) else (function,):
            if not self.takes_any:
                break
            found = _parameters(part, name)
            named = {one.name: one for one in found if one.kind not in OPEN}
            self.parameters = named | self.parameters
            self.takes_any = any(one.kind is one.VAR_KEYWORD for one in found)

    def sized(self, sizes: Sizes) -> dict[str, int]:
        """The arguments that say how many classes and dimensions there are."""
        kinds = dict.fromkeys(NUM_CLASSES, sizes.num_classes)
        kinds |= dict.fromkeys(EMBEDDING_DIM, sizes.embedding_dim)
        return {name: kinds[name] for name in self.parameters if name in kinds}

    def missing(self, settings: Iterable[str]) -> list[str]:
        """Its own parameters that have no default, are no size and are not set."""
        known = {*settings, *NUM_CLASSES, *EMBEDDING_DIM}
        return [
            one.name
            for one in self.own
            if one.default is one.empty and one.name not in known and one.kind not in OPEN
        ]

    def check(self, settings: Mapping[str, Any]) -> None:
        """Refuse a setting that there is not.

        Raises:
            ConfigError: names it, and those that there are.
        """
        for name in settings:
            if name not in self.parameters and not self.takes_any:
                known = ", ".join(self.parameters) or "none"
                raise ConfigError(f"--set {name}: {self.name} has no such setting; it has {known}")

    def says(self, setting: str, settings: Mapping[str, Any]) -> Any:
        """The value of a setting, by default its default; None where there is no such setting."""
        one = self.parameters.get(setting)
        return settings.get(setting, None if one is None else one.default)


OPEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _parameters(function: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name}: its signature cannot be read: {error}") from error
