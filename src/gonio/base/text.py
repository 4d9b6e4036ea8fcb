"""Names that somebody else chose, and lists of them, made fit to be shown."""

from collections.abc import Sequence


def shown(name: str | bytes) -> str:
    r"""A name on one line: control, invisible and undecodable characters are escaped as `repr` does.

    >>> print(shown("caf\xe9 \x1b[2J"), shown(b"caf\xe9"))
    café \x1b[2J caf\xe9
    """
    text = name if isinstance(name, str) else name.decode(errors="surrogateescape")
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    """Of a byte that could not be decoded (PEP 383), the byte."""
    return ascii(character)[1:-1].replace(r"\udc", r"\x")


FEW = 5


def first_few(parts: Sequence[str]) -> str:
    """The first few parts of a message, and how many more there are."""
    more = [f"and {len(parts) - FEW} more"] if len(parts) > FEW else []
    return "; ".join([*parts[:FEW], *more])
