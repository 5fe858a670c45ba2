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
    "sixth": "#b5386f",
    "seventh": "#4c7a1c",
    "eighth": "#4a4fd0",
    "ninth": "#a14a24",
    "tenth": "#1f87b8",
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
    "sixth": "#f08ab6",
    "seventh": "#a5d06c",
    "eighth": "#a9abff",
    "ninth": "#e69a75",
    "tenth": "#74c8ef",
    "better": "#63cf9d",
    "below": "#f58d80",
    "missing": "#9a9da3",
}
OTHERS = ("third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
# Of a line, the pattern beside each of OTHERS: two colours that anybody may confuse have different ones.
PATTERNS = (1, 0, 0, 1, 1, 2, 0, 2)
MARKERS = "osD^v<>PX*"  # as many as there are colours: where two colours are alike to somebody, the shapes differ


def norm_colours(norms: list[str], baseline: str, method: str) -> dict[str, str]:
    """A norm's colour name: the compared two keep theirs everywhere; the rest share the others in turn."""
    named = {baseline: "baseline", method: "method"}
    rest = [norm for norm in norms if norm not in named]
    return {norm: named.get(norm) or OTHERS[rest.index(norm) % len(OTHERS)] for norm in norms}


def norm_markers(norms: list[str], baseline: str, method: str) -> dict[str, str]:
    """A norm's marker: baseline and method first; beyond the tenth norm, colours and markers come in other pairs."""
    order = [baseline, method, *(norm for norm in norms if norm not in (baseline, method))]
    turns = {norm: (place - 2) // len(OTHERS) if place > 1 else 0 for place, norm in enumerate(order)}
    places = {norm: (order.index(norm) - 2) % len(OTHERS) + 2 if order.index(norm) > 1 else order.index(norm)
              for norm in norms}  # fmt: skip
    return {norm: MARKERS[(places[norm] + turns[norm]) % len(MARKERS)] for norm in norms}
