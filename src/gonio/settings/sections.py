"""The settings of a run as sections: from a file, from a command line, and one above the other."""

from collections.abc import Mapping
from typing import Any

from gonio.settings.chosen import Chosen
from gonio.settings.fit import alternatives, first_of, fitted, is_section, joined, takes_a_word
from gonio.settings.signature import Setting, settings_of
from gonio.settings.yaml_core import parse_yaml

Tree = dict[str, Any]
"""Plain values; a section is a mapping."""


def opened(values: Mapping[str, Any], root: type) -> Tree:
    """With every section that is one word spelled out: `data: digits` is `data: {source: digits}`."""
    settings, found = settings_of(root), dict(values)
    for name, value in values.items():
        if isinstance(value, str) and name in settings and takes_a_word(settings[name].kind):
            found[name] = {first_of(settings[name].kind): value}
    return found


def above(base: Tree, over: Tree, root: type) -> Tree:
    """`base` (see `named`) with the values of `over`; another loss leaves out the settings of the one in `base`."""
    found = dict(base)
    for name, value in over.items():
        below = base.get(name)
        if isinstance(value, dict) and isinstance(below, dict):
            is_other = _is_chosen(root, name) and value.get("name", below["name"]) != below["name"]
            value = value if is_other else below | value
        found[name] = value
    return found


def named(tree: Tree, root: type) -> Tree:
    """With the default's name in every section that gives settings of something without naming it.

    Raises:
        ConfigError: such a section is no mapping, or its name no text.
    """
    found = dict(tree)
    for name, (kind, default, _) in settings_of(root).items():
        if _is_chosen(root, name):
            section = tree.get(name, {})
            if not isinstance(section, dict):
                fitted(section, kind, name)
            found[name] = {"name": default.name} | section
            kind.name_in(found[name], name)
    return found


def names(tree: Tree, root: type) -> dict[str, str]:
    """Which loss, backend and so on a tree (see `named`) has."""
    return {name: tree[name]["name"] for name in settings_of(root) if _is_chosen(root, name)}


def flags(root: type, tree: Tree) -> dict[str, Setting]:
    """Every setting by its dotted name, for what `tree` names; a section that takes a word by its own.

    Raises:
        ConfigError: a name of no loss or no backend, or a setting of a type that cannot be written.
    """
    found = {}
    for name, setting in settings_of(root).items():
        if not is_section(setting.kind):
            found[name] = setting
            continue
        inner = dict(settings_of(setting.kind))
        if takes_a_word(setting.kind):
            first = first_of(setting.kind)
            default = getattr(setting.default, first)
            found[name] = setting._replace(default=default, meaning=inner.pop(first).meaning)
        if _is_chosen(root, name):
            found[name] = found[name]._replace(meaning=setting.meaning)
            inner = settings_of(setting.kind.maker(tree[name]["name"]))
        found |= {joined(name, one): setting for one, setting in inner.items()}
    for name, setting in found.items():
        alternatives(setting.kind, name)
    return found


def words(root: type) -> dict[str, Setting]:
    """The sections that take a word."""
    settings = settings_of(root).items()
    return {name: setting for name, setting in settings if takes_a_word(setting.kind)}


def from_flags(texts: Mapping[str, Any], settings: Mapping[str, Setting], root: type) -> Tree:
    """The values of a command line.

    Args:
        texts: dotted name -> text; None where there is no such flag.
        settings: those to be read; a section before its settings, which win over it.
        root: what they are settings of.

    Raises:
        ConfigError: a text that is no YAML, where it is asked for.
    """
    tree: Tree = {}
    for name, setting in settings.items():
        text = texts.get(name)
        if text is not None:
            value = _typed(text, setting.kind, name)
            section, _, inner = name.partition(".")
            if inner:
                tree.setdefault(section, {})[inner] = value
            else:
                tree |= opened({name: value}, root)
    return tree


def _is_chosen(root: type, name: str) -> bool:
    kind = settings_of(root)[name].kind if name in settings_of(root) else None
    return isinstance(kind, type) and issubclass(kind, Chosen)


def _typed(text: str, kind: Any, path: str) -> Any:
    """The plain value of a text on a command line: where any text will do, the text as it is."""
    if takes_a_word(kind):
        return parse_yaml(text, path) if text.startswith("{") else text
    return text if str in alternatives(kind, path) else parse_yaml(text, path)
