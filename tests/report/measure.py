"""`python tests/report/measure.py REPORT.html ...`: how long, heavy and reachable a page is, and what it cuts off."""

import json
import sys
from pathlib import Path

from browser import browser

WIDTHS, SCREEN = (390, 1280, 1920), 900
OPEN = "document.querySelectorAll('main details').forEach((details) => { details.open = true; })"
# A text is cut where its SVG ends before it does; a box scrolls where it is smaller than what is in it.
PROBE = """(() => {
  const shown = (node) => node.checkVisibility();
  const cut = [...document.querySelectorAll('svg text')].filter(shown).filter((text) => {
    const box = text.getBoundingClientRect(), svg = text.ownerSVGElement.getBoundingClientRect();
    return box.left < svg.left - 1 || box.right > svg.right + 1 || box.top < svg.top - 1 || box.bottom > svg.bottom + 1;
  }).map((text) => text.textContent);
  const boxes = [...document.querySelectorAll('body *')].filter((node) => shown(node) && !node.closest('svg'));
  const scrolls = (box, way) => /auto|scroll|hidden/.test(getComputedStyle(box)[`overflow${way}`]);
  const stops = [...document.querySelectorAll('a[href],button,select,input,summary,[tabindex]')]
    .filter((node) => shown(node) && node.tabIndex >= 0);
  return JSON.stringify({
    height: document.documentElement.scrollHeight, cut,
    vertical: boxes.filter((box) => scrolls(box, 'Y') && box.scrollHeight > box.clientHeight + 1).length,
    sideways: boxes.filter((box) => scrolls(box, 'X') && box.scrollWidth > box.clientWidth + 1).length,
    first: document.querySelector('#glance').getBoundingClientRect().bottom, tabs: stops.length,
  });
})()"""


def measure(page, path: Path, width: int) -> dict:
    """Screens of 900 pixels, tab stops, cut texts, boxes that scroll, where the first screen ends, bytes."""
    page.open(path, width=width, height=SCREEN)
    found = json.loads(page.value(PROBE))
    return {"width": width, "screens": round(found.pop("height") / SCREEN, 1), **found, "bytes": path.stat().st_size}


if __name__ == "__main__":
    with browser() as chromium:
        for name in sys.argv[1:]:
            for pixels in WIDTHS:
                print(name, json.dumps(measure(chromium, Path(name), pixels), ensure_ascii=False))
