"""Tables on a terminal."""

from rich.console import Console

from renorm.core.console import Line, fitted


def test_columns_go_before_anything_is_cut():
    lines = [Line(["a name of thirty characters .", "1", "22", "[red]333[/]"]), Line(["all", "1", "22", "333"], "bold")]
    heads = ("name", "first", "second", "third")

    def printed(width: int) -> str:
        console = Console(width=width, file=None, record=True, quiet=False)
        with console.capture() as found:
            console.print(fitted(heads, lines, width, ("second", "first")))
        return found.get()

    assert all(head in printed(80) for head in heads)
    assert "second" not in printed(55) and "first" in printed(55)
    narrow = printed(20)
    assert "third" in narrow and "first" not in narrow and "…" not in narrow
    assert "".join(line.split("│")[1].strip() for line in narrow.splitlines() if "│" in line).startswith("anameof") or (
        "a name" in narrow and "thirty" in narrow
    )
