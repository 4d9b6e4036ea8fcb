import pytest

from gonio.base.text import shown


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Zoë 漢 $x_1$ [b]", "Zoë 漢 $x_1$ [b]"),
        ("\x1b]0;title\x07\n", r"\x1b]0;title\x07\n"),
        ("abc\u202egnp", r"abc\u202egnp"),
        (b"caf\xe9", r"caf\xe9"),
        ("caf\udce9", r"caf\xe9"),
        ("Zoë".encode(), "Zoë"),
    ],
)
def test_what_no_terminal_should_get_is_escaped(name, text):
    assert shown(name) == text
