"""The page in a real browser: silent, alone, readable without JavaScript, in light and dark, on paper and phone."""

import pytest

pytestmark = pytest.mark.chromium
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
        cell.scrollIntoView({block: 'center'}); cell.querySelector('a.v').focus();
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


def test_filters(browser, full):
    browser.open(full / "report.html")
    script = """(() => { const form = document.querySelector('.controls');
        form.arch.value = 'VGG-16'; form.verdict.value = 'below';
        form.dispatchEvent(new Event('change', {bubbles: true}));
        const visible = [...document.querySelectorAll('#comparison tbody')].filter(body => !body.hidden);
        return [form.hidden, visible.length, visible.every(body => body.dataset.key === 'VGG-16')]; })()"""
    assert browser.value(script) == [False, 2, True]


def test_paper_carries_n_and_spread(browser, full):
    browser.open(full / "report.html")
    browser.call("Emulation.setEmulatedMedia", media="print")
    small = "getComputedStyle(document.querySelector('#comparison td.better small')).display"
    assert browser.value(small) == "block"
    browser.call("Emulation.setEmulatedMedia", media="")
