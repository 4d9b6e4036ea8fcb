"""One machine for settings: dataclasses and signatures <-> YAML 1.2, flags, and values in plain text.

    fitted({"epochs": 3}, OptimiseConfig, "optimise")       # plain values, held against types
    plain(OptimiseConfig())                                 # and back
    LossConfig("arcface", {"margin": 0.3}).make()           # one of a table, by its name
    parse_yaml("{name: arcface, margin: 5e-1}", "--loss")   # text

Every error names the setting by its path, what was got, and what is allowed.
"""

from gonio.settings.chosen import BackendConfig, Chosen, LossConfig
from gonio.settings.fit import first_of, fitted, plain, spoken, takes_a_word
from gonio.settings.paths import check_output, check_path
from gonio.settings.sections import Tree, above, flags, from_flags, named, names, opened, words
from gonio.settings.signature import Missing, Setting, settings_of
from gonio.settings.yaml_core import line_of, parse_yaml, read_yaml, to_yaml

__all__ = [
    "BackendConfig",
    "Chosen",
    "LossConfig",
    "Missing",
    "Setting",
    "Tree",
    "above",
    "check_output",
    "check_path",
    "first_of",
    "fitted",
    "flags",
    "from_flags",
    "line_of",
    "named",
    "names",
    "opened",
    "parse_yaml",
    "plain",
    "read_yaml",
    "settings_of",
    "spoken",
    "takes_a_word",
    "to_yaml",
    "words",
]
