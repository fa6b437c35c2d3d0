"""The Compare page: from its opening to the case behind a number, with a radiologist's clicks."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from viewer_page import Viewer, wait_for_calls

from hemodetect.evaluation.comparison import Comparison
from hemodetect.evaluation.comparison_view import comparison_view
from hemodetect.models.families import FAMILY_NAMES

pytestmark = [pytest.mark.browser, pytest.mark.long]
HALF = dict.fromkeys(FAMILY_NAMES, 0.5)


@pytest.fixture
def page(browser, address: str) -> Iterator[object]:
    browser_page = browser.new_page(viewport={"width": 1440, "height": 900})
    browser_page.set_default_timeout(90_000)
    browser_page.goto(f"{address}/compare")
    browser_page.get_by_text("Click a cell to see its cases").wait_for()
    yield browser_page
    browser_page.close()


def click_cell(page, matrix: int, cell: int) -> None:
    """Clicks a cell (0 to 3: tn, fp, fn, tp) of a matrix, from 1."""
    axes = "" if matrix == 1 else str(matrix)
    plot = page.locator(".st-key-compare_matrices .js-plotly-plot")
    box = plot.locator(f".subplot.x{axes}y{axes} path.point").nth(cell).bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def test_two_clicks_lead_to_a_case_that_the_cnn_missed(page, cases: Comparison) -> None:
    view = comparison_view(cases, "slice")
    missed = view.cases.iloc[view.cell("cnn", "fn", HALF)]
    click_cell(page, list(FAMILY_NAMES).index("cnn") + 1, 2)
    page.get_by_text("CNN: labelled hemorrhage, called none (missed)").wait_for()
    # The pictures appear one after the other.
    page.locator("[class*=st-key-compare_case_] button").nth(min(len(missed), 12) - 1).wait_for()
    text = page.inner_text("[data-testid=stMain]")
    assert f"{len(missed)} slices" in text
    probabilities = [float(share) for share in re.findall(r"CNN (\d+)%", text)][:3]
    assert probabilities == [round(100 * float(p)) for p in missed["cnn"].head(3)]
    assert missed.iloc[0]["patient"] in text
    page.locator("[class*=st-key-compare_case_] button").first.click()
    page.get_by_text(f"From the comparison: patient {missed.iloc[0]['patient']}").wait_for()
    wait_for_calls(page)
    viewer = Viewer(page)
    assert viewer["slices"] == "6"
    viewer.root.get_by_role("combobox", name="Heat map").select_option("Grad-CAM")
    viewer.until("map-drawn", re.compile("^grad-cam/"))
    # These patients exist only in this test: no model in use was trained on them.
    assert "trained on this patient" not in page.inner_text("[data-testid=stMain]")
    page.get_by_role("button", name="Back to the comparison").click()
    page.get_by_text("Click a cell to see its cases").wait_for()


def test_a_moved_threshold_moves_the_matrices(page, cases: Comparison) -> None:
    page.get_by_text("same for all").click()
    handle = page.get_by_role("slider").first
    handle.wait_for()
    for _ in range(20):
        handle.press("ArrowRight")
    scores = comparison_view(cases, "slice").scores(dict.fromkeys(FAMILY_NAMES, 0.6))["svm"]
    # Plotly replaces the text at each change, so the test looks it up each time.
    page.wait_for_function(
        """expected => document.querySelectorAll(
            ".st-key-compare_matrices .subplot.xy .textpoint")[3]?.textContent.startsWith(expected)""",
        arg=str(scores.confusion.tp),
    )


def test_a_click_on_a_roc_curve_takes_its_threshold(page) -> None:
    plot = page.locator(".st-key-compare_roc .js-plotly-plot")
    plot.scroll_into_view_if_needed()
    # The first trace is the band of a curve, the second the points of the first model.
    points = plot.locator(".scatterlayer .trace path.point")
    box = points.nth(points.count() // 10).bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.get_by_role("slider").nth(4).wait_for()
    assert page.get_by_role("slider").count() == 5
    values = [handle.get_attribute("aria-valuenow") for handle in page.get_by_role("slider").all()]
    assert len({value for value in values if value != "0.5"}) == 1
    assert "default value" not in page.inner_text("body")


def test_every_section_opens_without_an_error(page) -> None:
    for section in ("Differences", "Leakage gap", "Subgroups", "Export", "Curves"):
        page.locator(".st-key-compare_section").get_by_text(section, exact=True).click()
        marker = {
            "Differences": "The intervals come from resampling patients",
            "Leakage gap": "on both sides of a split",
            "Subgroups": "too few to draw conclusions",
            "Export": "This page as PDF",
            "Curves": "Click a point of a ROC curve",
        }[section]
        page.get_by_text(marker).first.wait_for()
        body = page.inner_text("body")
        assert "Traceback" not in body
        assert "Error" not in body


def test_the_downloaded_pdf_is_complete(page, tmp_path) -> None:
    page.locator(".st-key-compare_section").get_by_text("Export", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="This page as PDF").click()
    download.value.save_as(tmp_path / "page.pdf")
    data = (tmp_path / "page.pdf").read_bytes()
    assert data.startswith(b"%PDF")
    assert data.rstrip().endswith(b"%%EOF")


def test_no_set_chosen_gets_a_sentence(page) -> None:
    page.locator(".st-key-compare_sets button").first.click()
    page.get_by_text("No case is left; choose other sets or a wider filter.").wait_for()
