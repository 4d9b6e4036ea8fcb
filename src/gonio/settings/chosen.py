"""One of a table, by its name, with settings of its own: a loss, a backend."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from gonio import engines, losses
from gonio.base.errors import ConfigError
from gonio.loss import Loss
from gonio.settings.fit import Readable, fitted, made, plain, shortly, spoken
from gonio.settings.signature import Missing, settings_of
from gonio.settings.yaml_core import parse_yaml


@dataclass(frozen=True)
class Chosen(Readable):
    """A row of a table and the settings that differ from its defaults.

    Args:
        name: of the row.
        settings: argument -> number, word or mapping. A mapping with the fields of a rule, such as
            `{"start": 0, "end": 0.5, "steps": 1000}` for a `Ramp`, stands for it.

    Raises:
        ConfigError: an unknown name or setting, or a value that is refused.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    section: ClassVar[str]
    """Where a run has it among its settings."""

    def __post_init__(self) -> None:
        self.make()

    @classmethod
    @abstractmethod
    def maker(cls, name: str) -> Callable[..., Any]:
        """What has the settings as arguments.

        Raises:
            ConfigError: an unknown name.
        """

    def make(self) -> Any:
        """What was chosen, with its settings."""
        return made(self.maker(self.name), self.settings, self.section)

    @classmethod
    def read(cls, values: Mapping[str, Any], path: str) -> Self:
        """See `Readable`."""
        name = cls.name_in(values, path)
        return cls(name, {setting: value for setting, value in values.items() if setting != "name"})

    @classmethod
    def name_in(cls, values: Mapping[str, Any], path: str) -> str:
        """The name among plain values.

        Raises:
            ConfigError: there is none, or it is no text.
        """
        name = values.get("name")
        if not isinstance(name, str):
            raise ConfigError(f"{path}.name: got {shortly(name)}; give {spoken(cls)}")
        return name

    @classmethod
    def typed(cls, text: str, path: str) -> Self:
        """`arcface`, or `{name: arcface, margin: 0.3}`, as it was typed."""
        value = parse_yaml(text, path) if text.startswith("{") else text
        choice: Self = fitted(value, cls, path)
        return choice

    def plain(self) -> dict[str, Any]:
        """The name and every setting, defaults included."""
        found: dict[str, Any] = {"name": self.name}
        for name, (kind, default, _) in settings_of(self.maker(self.name)).items():
            value = self.settings.get(name, default)
            if value is not Missing:
                found[name] = plain(value if value is default else fitted(value, kind, name))
        return found


@dataclass(frozen=True)
class LossConfig(Chosen):
    """A loss of the table, or of the user's own; see `Chosen`."""

    section = "loss"

    @classmethod
    def maker(cls, name: str) -> Callable[..., Loss]:
        """The row's function."""
        return losses.get(name).loss

    @property
    def label(self) -> str:
        """What it is called where it is shown beside others."""
        return ", ".join([self.name, *(f"{name} {one}" for name, one in self.settings.items())])


@dataclass(frozen=True)
class BackendConfig(Chosen):
    """What a head computes with; see `Chosen`."""

    section = "backend"

    @classmethod
    def maker(cls, name: str) -> Callable[..., engines.Backend]:
        """The backend's class."""
        return engines.maker(name)
