"""A figure's file becomes part of the page: page colours, page fonts, ids of its own, nothing that reaches outside."""

import re
import zlib
from html import escape

from renorm.report.palette import LIGHT

VARIABLES = {value: f"var(--{name})" for name, value in LIGHT.items()}
SCALE = 1.6  # the most that a figure grows beyond the size it was drawn in
OWN_FONT = re.compile(r" ?font-family: [^;\"]*;?")
NO_TURN = re.compile(r' transform="rotate\(-?0 [^)]*\)"')


def inline(svg: str, name: str, alt: str) -> str:
    """The `<svg>` element of a matplotlib file, for inclusion in HTML with the id prefix `name`."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r"#[0-9a-f]{6}\b", lambda match: VARIABLES.get(match[0], match[0]), body)
    body = NO_TURN.sub("", OWN_FONT.sub("", body))
    body = _own_ids(body.replace("xlink:href", "href"), name)
    body = re.sub(r"<!--.*?-->\s*", "", body, flags=re.DOTALL)
    body = re.sub(r">\s+<", "><", body)
    body = re.sub(r'(?<= style=")[^"]*', lambda found: re.sub(r"([:;]) ", r"\1", found[0]), body)
    body = re.sub(r' [xy]="\d+\.\d+"', lambda found: _tenths(found[0]), body)
    body = re.sub(r'(?<= d=")M [\d.\sL]+(?=")', _line, body)
    return _opening(body, alt)


def _own_ids(body: str, name: str) -> str:
    """Two figures may draw the same marker under the same id; ids that nothing refers to only make the page heavy."""
    used = dict.fromkeys(re.findall(r'(?:href="#|url\(#)([^")]+)', body))
    own = {old: f"{zlib.crc32(name.encode()):x}.{place}" for place, old in enumerate(used)}
    body = re.sub(r' id="([^"]+)"', lambda m: f' id="{own[m[1]]}"' if m[1] in own else "", body)
    return re.sub(r'(href="#|url\(#)([^")]+)', lambda m: m[1] + own[m[2]], body)


def _line(found: re.Match[str]) -> str:
    """A polyline (a marker has negative numbers) to a tenth of a point, which is a fraction of a pixel."""
    return re.sub(r"\s*([ML])\s*", r"\1", _tenths(found[0])).strip()


def _tenths(text: str) -> str:
    return re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), text)


def _opening(body: str, alt: str) -> str:
    found = re.search(r'viewBox="([^"]+)"', body)
    assert found, "matplotlib writes a viewBox"
    box, width = found[1], float(found[1].split()[2])
    size = f"min-width:{width:.0f}px;max-width:{SCALE * width:.0f}px"  # below it scrolls, above it only gets coarse
    end = body.index(">")
    return f'<svg viewBox="{box}" style="{size}" role="img" aria-label="{escape(alt)}">{body[end + 1 :].strip()}'
