"""The page in a real browser: silent, alone, readable without JavaScript, in light and dark, on paper and phone."""

import base64
import json
import re

import pytest
from measure import OPEN, PROBE

from renorm.report.figures.captions import FOLDER
from renorm.report.page import compact

pytestmark = [pytest.mark.chromium, pytest.mark.untraced]
NOISE = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
WIDTHS = [390, 1280, 1920]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_opens_without_a_word_and_without_a_request(browser, full, tmp_path, width, dark):
    path = full / "report.html"
    browser.open(path, width=width, dark=dark)
    assert browser.requests() == [path.resolve().as_uri()]
    assert browser.said(*NOISE) == []
    assert browser.value("document.documentElement.scrollWidth") == width, "the page itself must not scroll sideways"
    background = browser.value("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 300) == dark
    browser.picture(tmp_path / f"{width}-{dark}.png")
    assert (tmp_path / f"{width}-{dark}.png").stat().st_size > 10_000


def test_readable_without_javascript(browser, full):
    browser.open(full / "report.html", script=False)
    text = browser.value("document.body.innerText")
    assert "Does the claim hold?" in text and "EfficientNet-B0" in text and "Training curves" in text
    assert browser.value("getComputedStyle(document.querySelector('.controls')).display") == "none"
    assert browser.value("document.querySelector('nav li').checkVisibility({contentVisibilityAuto: true})") is True
    assert browser.value("document.querySelectorAll('figure title').length") > 300  # the browser's own tooltips
    assert browser.value("document.querySelectorAll('th button').length") == 0
    assert browser.value("document.querySelector('td.better').offsetHeight") > 0


def test_a_value_shows_its_details_when_it_has_the_focus(browser, full):
    browser.open(full / "report.html")
    shown = """(() => { const cell = document.querySelector('#comparison td.better'); cell.scrollIntoView();
        cell.querySelector('a').focus();
        const box = cell.querySelector('.card').getBoundingClientRect();
        return [box.left, box.top, innerWidth - box.right, innerHeight - box.bottom, box.height - 50]; })()"""
    assert min(browser.value(shown)) >= 0


def test_the_records_of_a_cell_can_be_reached_once_it_is_chosen(browser, full):
    browser.open(full / "report.html")
    reached = """(() => { const cells = [...document.querySelectorAll('#comparison td')];
        const cell = cells.find(td => td.querySelector('dd a'));
        cell.scrollIntoView({block: 'center'}); cell.querySelector('a').focus();
        const link = cell.querySelector('dd a'), box = link.getBoundingClientRect();
        const hit = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
        return [hit === link, link.getAttribute('href').startsWith('../runs/cifar10/vgg16/')]; })()"""
    assert browser.value(reached) == [True, True]


def test_a_link_to_a_cell_leads_to_it(browser, full):
    browser.open(full / "report.html")
    place = """(() => { const cell = document.querySelector('#comparison td.below'); location.hash = cell.id;
        const top = cell.getBoundingClientRect().top;
        return cell.matches(':target') && top >= 0 && top < innerHeight; })()"""
    assert browser.value(place) is True


@pytest.mark.parametrize("column", [0, 1])
def test_sorting_keeps_an_architecture_together(browser, full, column):
    browser.open(full / "report.html")
    script = f"""(() => {{ const table = document.querySelector('#comparison table');
        const button = table.querySelectorAll('th button')[{column}]; button.click(); button.click();
        const values = [...table.tBodies].map(body =>
            body.rows[body.rows.length - 1].querySelectorAll('td')[{column}].dataset.v).filter(Boolean).map(Number);
        return [values, button.parentElement.getAttribute('aria-sort')]; }})()"""
    values, order = browser.value(script)
    assert len(values) > 5 and values == sorted(values, reverse=True) and order == "descending"


SHOWN = """(() => { const all = (pick) => [...document.querySelectorAll(pick)];
    const parts = all('main .part, main figure').filter((part) => !part.hidden);
    const rows = all('main tr[data-norm]').filter((row) => !row.closest('[hidden]'));
    const marks = all('svg .mark:not(.off)').filter((mark) => !mark.closest('[hidden]'));
    const uniq = (nodes, axis) => [...new Set(nodes.map((node) => node.dataset[axis]).filter(Boolean))].sort();
    return { datasets: uniq(parts, 'dataset'), norms: uniq(rows, 'norm'), archs: uniq(marks, 'arch'),
      groups: uniq(rows.map((row) => row.parentElement), 'arch'), marks: uniq(marks, 'norm'),
      stubs: rows.every((row) => row.parentElement.querySelector('tr:not([hidden]) th[rowspan]')),
      said: document.querySelector('.controls output').value, address: location.search }; })()"""


def ask(browser, **choices) -> dict:
    """Choose in the filter bar, and look at what of tables and figures is shown then."""
    chosen = "".join(f"form.{axis}.value = '{key}';" for axis, key in choices.items())
    browser.value(f"""(() => {{ const form = document.querySelector('.controls'); form.reset(); {chosen}
        form.dispatchEvent(new Event('input', {{bubbles: true}})); }})()""")
    return browser.value(SHOWN)


def test_one_filter_acts_on_every_table_and_figure_and_is_in_the_address(browser, full):
    browser.open(full / "report.html")
    everything = ask(browser)
    assert set(everything["datasets"]) == {"cifar10", "cifar100", "imagenet"} and everything["address"] == ""
    assert len(everything["archs"]) > 9 and everything["said"] == ""
    found = ask(browser, dataset="cifar100", arch="vgg16", norm="deconv")
    assert found["datasets"] == ["cifar100"] and found["groups"] == ["vgg16"] == found["archs"]
    assert found["norms"] == ["deconv"] == found["marks"] and found["stubs"]
    assert found["address"] == "?dataset=cifar100&arch=vgg16&norm=deconv" and " of " in found["said"]
    browser.messages.clear()
    browser.call("Page.reload")
    while not any(message.get("method") == "Page.loadEventFired" for message in browser.messages):
        browser.messages.append(browser.receive())
    assert browser.value(SHOWN) == found


def test_free_text_and_verdict_filter_rows_and_fade_what_is_not_meant(browser, full):
    browser.open(full / "report.html")
    assert ask(browser, text="efficientnet")["groups"] == ["efficientnet_b0"]
    assert ask(browser, text="nowhere at all")["said"].startswith("0 of ")
    ask(browser, verdict="below")
    faded = """(() => { const cells = [...document.querySelectorAll('#comparison [data-judged] tr:not([hidden]) td')];
        const clear = cells.filter((cell) => !cell.matches('.off, .claim'));
        return [cells.length, clear.length, clear.every((cell) => cell.matches('.below'))]; })()"""
    shown, clear, meant = browser.value(faded)
    assert 0 < clear < shown and meant is True
    own = "[...document.querySelectorAll('#own .part:not([data-judged]) tbody tr')].filter((row) => row.hidden).length"
    assert browser.value(own) == 0, "a table without verdicts is not about them"


KEY = """(key) => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}))"""


def test_one_tab_stop_a_table_and_arrow_keys_inside(browser, full):
    browser.open(full / "report.html")
    stops = """(() => [...document.querySelectorAll('a[href],button,select,input,summary,[tabindex]')]
        .filter((node) => node.checkVisibility() && node.tabIndex >= 0).length)()"""
    assert browser.value(stops) <= 150
    inside = """(() => [...document.querySelectorAll('.part')].map((part) => [...part.querySelectorAll('*')]
        .filter((node) => node.tabIndex >= 0 && !node.matches('summary, .card a')).length))()"""
    assert set(browser.value(inside)) == {1}
    walk = f"""(() => {{ const press = {KEY}; const where = () => {{
            const cell = document.activeElement.closest('td, th');
            return [cell.parentElement.rowIndex, cell.cellIndex, document.activeElement.tabIndex]; }};
        document.querySelector('#comparison .scroll [tabindex="0"]').focus();
        return ['', 'ArrowDown', 'ArrowDown', 'ArrowRight', 'End', 'Home', 'ArrowUp'].map((key) => {{
            if (key) press(key); return where(); }}); }})()"""
    places = browser.value(walk)
    assert [row for row, *_ in places] == [1, 2, 3, 3, 3, 3, 2]
    assert places[3][1] == places[2][1] + 1 < places[4][1] and places[5][1] < places[3][1]
    assert all(index == 0 for *_, index in places)
    assert set(browser.value(inside)) == {1}


def test_a_figures_values_are_shown_under_the_pointer_and_with_the_keys(browser, full):
    browser.open(full / "report.html")
    tip = "(() => { const tip = document.querySelector('.tip'); return tip.hidden ? '' : tip.textContent; })()"
    assert browser.value(tip) == ""
    mark = """(() => { const mark = document.querySelector('#figure-dumbbell-cifar10-top1 .mark');
        mark.scrollIntoView({block: 'center'});
        const box = mark.getBoundingClientRect(); return [box.left + box.width / 2, box.top + box.height / 2]; })()"""
    x, y = browser.value(mark)
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + 5, y=y)
    assert re.fullmatch(r".+, BN, 1 epoch, .*: \d+\.\d\d.* %, claimed \d+\.\d\d % \(\w+\)", browser.value(tip))
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
    assert browser.value(tip) == ""
    keys = f"""(() => {{ const press = {KEY}; const box = document.querySelector('#figure-curves-cifar10-100 .scroll');
        box.focus(); const said = []; const tip = document.querySelector('.tip');
        for (const key of ['ArrowRight', 'ArrowRight', 'ArrowRight', 'ArrowDown', 'ArrowUp']) {{
            press(key); said.push(tip.textContent); }}
        return said; }})()"""
    said = browser.value(keys)
    assert said[0].startswith("BN on or off")
    assert said[2].endswith(" % after epoch 100") and said[3].endswith(" % after epoch 99")
    assert said[4] == said[2] and browser.value("document.querySelectorAll('figure title').length") == 0


def test_an_entry_of_a_legend_switches_its_series(browser, full):
    browser.open(full / "report.html")
    look = """(() => [...document.querySelectorAll('#figure-curves-cifar10-100 .mark')].map((mark) =>
        [mark.dataset.norm, mark.matches('.off')]))()"""
    assert not any(off for _, off in browser.value(look))
    click = """document.querySelector('#figure-curves-cifar10-100 .key[data-norm=deconv]')
        .dispatchEvent(new MouseEvent('click', {bubbles: true}))"""
    browser.value(click)
    assert {norm for norm, off in browser.value(look) if off} == {"deconv"}
    assert all(off == (norm == "deconv") for norm, off in browser.value(look))
    browser.value(click)
    assert not any(off for _, off in browser.value(look))


def test_the_current_section_is_marked_and_the_phone_has_its_contents_at_the_top(browser, full):
    browser.open(full / "report.html")
    browser.value("document.querySelector('#equivalence').scrollIntoView()")
    current = """new Promise((ready) => setTimeout(() =>
        ready(document.querySelector('nav a[aria-current]')?.hash), 300))"""
    assert browser.value(current) == "#equivalence"
    browser.open(full / "report.html", width=390)
    browser.value("scrollTo(0, 3000)")
    place = """(() => { const side = document.querySelector('.side'), details = side.querySelector('details');
        return [side.getBoundingClientRect().top, side.offsetHeight < 60, details.open]; })()"""
    assert browser.value(place) == [0, True, False]


def test_on_a_phone_nothing_scrolls_but_the_page(browser, full, demo):
    """Wide tables are cards, figures are as wide as the window until one is chosen."""
    for folder in (full, demo):
        browser.open(folder / "report.html", width=390)
        browser.value(OPEN)
        found = json.loads(browser.value(PROBE))
        assert (found["vertical"], found["sideways"], found["cut"]) == (0, 0, [])
    labelled = """(() => { const cells = [...document.querySelectorAll('#comparison .cards tr td')].slice(0, 2);
        return cells.map((cell) => [getComputedStyle(cell, '::before').content, cell.offsetWidth > 60]); })()"""
    chosen = """(() => { const box = document.querySelector('#figure-dumbbell-cifar10-top1 .scroll');
        const before = box.scrollWidth; box.focus(); return [before, box.clientWidth, box.scrollWidth]; })()"""
    browser.open(full / "report.html", width=390)
    (first, wide), (second, _) = browser.value(labelled)
    assert first.endswith(': claimed"') and wide and ":" not in second
    before, window, after = browser.value(chosen)
    assert before <= window < 600 < after


def test_what_a_column_holds_is_under_the_pointer_and_in_a_list(browser, full):
    browser.open(full / "report.html")
    heads = """[...document.querySelectorAll('#comparison th')].map((head) => [head.textContent, head.title])"""
    said = dict(browser.value(heads))
    assert (
        said["claimed"] == "the claimed value; empty for a run that diverged" and said["20 epochs"] == "epochs planned"
    )
    lists = (
        """[...document.querySelectorAll('.help')].map((help) => [help.open, help.querySelector('summary').tabIndex])"""
    )
    assert len(browser.value(lists)) > 20
    assert set(map(tuple, browser.value(lists))) == {(False, -1)}, "no tab stops besides those of the tables"
    keys = f"""(() => {{ const press = {KEY}; const part = document.querySelector('#comparison .part');
        part.querySelector('.scroll [tabindex="0"]').focus(); press('ArrowUp'); press('ArrowUp'); press('End');
        const at = document.activeElement; at.click(); const help = at.closest('details');
        return [at.textContent, help.open, help.offsetHeight > 60, help.innerText]; }})()"""
    name, opened, high, text = browser.value(keys)
    assert (name, opened, high) == ("Columns", True, True)
    assert "the claimed value; empty for a run that diverged claimed" in text and "threshold_rule.csv" in text
    browser.open(full / "report.html", script=False)
    assert {index for _, index in browser.value(lists)} == {0}, "without the script each list has its own"


TEXTS = """(() => { document.querySelectorAll('main details').forEach((details) => { details.open = true; });
    const found = []; for (const svg of document.querySelectorAll('figure svg')) {
      const edge = svg.getBoundingClientRect();
      const boxes = [...svg.querySelectorAll('text')].map((text) => [text.textContent, text.getBoundingClientRect()]);
      boxes.forEach(([said, a], i) => {
        if (a.left < edge.left - 1 || a.right > edge.right + 1 || a.top < edge.top - 1 || a.bottom > edge.bottom + 1)
          found.push([svg.closest('figure').id, said, 'is cut']);
        for (const [other, b] of boxes.slice(i + 1)) {
          const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
          const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
          if (wide > 1 && high > 3) found.push([svg.closest('figure').id, said, other]);
        } }); }
    return found; })()"""


@pytest.mark.parametrize("width", WIDTHS)
def test_no_text_of_a_figure_is_cut_or_over_another(browser, full, demo, width):
    for folder in (full, demo):
        browser.open(folder / "report.html", width=width)
        assert browser.value(TEXTS) == []


def test_the_script_is_small(full):
    assert len(compact((FOLDER / "script.js").read_text(encoding="utf-8")).encode()) <= 8000


def test_paper_carries_n_and_spread_in_tables_that_fit_and_can_be_read(browser, full):
    """A4 with margins of 9 mm is 726 pixels wide; 8 points are 10.67 pixels."""
    browser.open(full / "report.html", width=726)
    browser.call("Emulation.setEmulatedMedia", media="print")
    small = "getComputedStyle(document.querySelector('#comparison td.better small')).display"
    assert browser.value(small) == "block"
    tables = """[...document.querySelectorAll('table')].filter((table) => table.checkVisibility())
        .map((table) => [table.offsetWidth, parseFloat(getComputedStyle(table).fontSize)])"""
    sizes = browser.value(tables)
    assert len(sizes) > 10 and max(width for width, _ in sizes) <= 726 and min(size for _, size in sizes) > 10.6
    browser.call("Emulation.setEmulatedMedia", media="")
    paper = base64.b64decode(browser.call("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert 3 < len(re.findall(rb"/Type\s*/Page[^s]", paper)) <= 14
