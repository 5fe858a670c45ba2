"""No violation of axe-core's rules, in light and in dark."""

import os

import axe
import pytest

pytestmark = [pytest.mark.chromium, pytest.mark.untraced]


@pytest.fixture(scope="module")
def checker(request) -> str:
    """axe-core's source; where it cannot be had the test is skipped by name, and fails where everything must run."""
    try:
        return axe.script(request.config.cache.mkdir("axe-core"))
    except axe.NotThereError as error:
        pytest.fail(str(error)) if os.environ.get("CI") == "true" else pytest.skip(str(error))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_report_violates_no_rule(browser, checker, full, dark):
    browser.open(full / "report.html", dark=dark)
    assert axe.violations(browser, checker) == []


def test_the_checker_finds_what_is_wrong(browser, checker, tmp_path):
    """A clean answer counts only when the checker answers at all."""
    page = tmp_path / "bad.html"
    page.write_text("<!doctype html><title>x</title><img src='data:,'><p style='color:#eee'>pale</p>")
    browser.open(page)
    assert {"image-alt", "color-contrast", "html-has-lang"} <= {rule for rule, *_ in axe.violations(browser, checker)}
