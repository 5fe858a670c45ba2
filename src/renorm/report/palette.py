"""One list of colours for figures and page. Colour carries meaning only: who normalises, and which way a value moved.

A figure is drawn in the light colours (files of figures/ are used alone); on the page each of them becomes the CSS
variable of the same name, so that a dark page gets dark figures. Pairs were chosen for a contrast of at least 4.5 for
text on the page's ground.
"""

LIGHT = {
    "ink": "#1b1d21",
    "soft": "#565b63",
    "rule": "#d9d8d2",
    "ground": "#fdfcf9",
    "claim": "#2b2e34",
    "baseline": "#7d7567",
    "method": "#1f5fa9",
    "third": "#7b4f9d",
    "fourth": "#187b80",
    "fifth": "#94660a",
    "better": "#14704b",
    "below": "#b02f24",
    "missing": "#6d7178",
}
DARK = {
    "ink": "#e9e7e1",
    "soft": "#a9a79f",
    "rule": "#3b3d42",
    "ground": "#16181b",
    "claim": "#f3f1ea",
    "baseline": "#b3aa99",
    "method": "#7fb2ee",
    "third": "#c7a0e6",
    "fourth": "#62c3c7",
    "fifth": "#dcae54",
    "better": "#63cf9d",
    "below": "#f58d80",
    "missing": "#9a9da3",
}
OTHERS = ("third", "fourth", "fifth")


def norm_colours(norms: list[str], baseline: str, method: str) -> dict[str, str]:
    """A norm's colour name: the compared two keep theirs everywhere; the rest share the others in turn."""
    named = {baseline: "baseline", method: "method"}
    rest = [norm for norm in norms if norm not in named]
    return {norm: named.get(norm) or OTHERS[rest.index(norm) % len(OTHERS)] for norm in norms}
