"""What a person sees who opens Airflow and MLflow after a run: each function walks through one of them."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from tests.browser import PATIENCE, page, playwright_timeout

COLOUR = "mark => getComputedStyle(mark.closest('[data-testid=state-badge]')).backgroundColor"


def look_at_airflow(browser: Any, url: str, login: tuple[str, str], run: tuple[str, str], lane: str) -> dict[str, Any]:
    """Log in, and look at the home page, a finished run with the log of a lane and its buttons, and the form.

    Returns:
        health (colour of each component's sign), grid (with the log of the lane beside it), buttons (the
        addresses of that lane's), form (all that it says), answer (to an impossible share).
    """
    seen: dict[str, Any] = {}
    dag, run_id = run
    with page(browser) as opened:
        opened.goto(url)
        for name, value in zip(("username", "password"), login, strict=True):
            opened.fill(f"input[name={name}]", value)
        opened.keyboard.press("Enter")
        signs = ("MetaDatabase", "Scheduler", "Triggerer", "Dag Processor")
        seen["health"] = {name: opened.get_by_text(name, exact=True).evaluate(COLOUR) for name in signs}

        opened.goto(f"{url}/dags/{dag}/runs/{quote(run_id)}/tasks/{lane}")
        opened.get_by_text("epoch").first.wait_for()
        opened.get_by_label("Expand all task groups").click()
        opened.get_by_text("popularity", exact=True).wait_for()
        seen["grid"] = opened.locator("body").inner_text()
        opened.get_by_role("link", name="Details").click()
        opened.get_by_text("Extra Links").wait_for()
        seen["buttons"] = [one.get_attribute("href") for one in opened.get_by_role("link", name="MLflow run").all()]

        opened.goto(f"{url}/dags/{dag}")
        opened.get_by_role("button", name="Trigger Dag").click()
        form = opened.get_by_role("dialog")
        form.locator("input[name=element_target_share]").fill("30")
        seen["form"] = form.inner_text()
        form.get_by_role("button", name="Trigger", exact=True).click()
        wrong = form.get_by_text("target_share")
        wrong.first.wait_for()
        seen["answer"] = wrong.first.inner_text()
    return seen


def look_at_mlflow(browser: Any, wanted: Mapping[str, Sequence[str]]) -> None:
    """Open pages by their addresses, and wait for what each has to say, in a page that it shows or beside it.

    Raises:
        playwright.sync_api.TimeoutError: it does not; the message names what is missing.
    """
    for address, texts in wanted.items():
        with page(browser) as opened:
            opened.goto(address)
            shown = opened.frame_locator("iframe") if "/artifacts/" in address else opened
            for text in texts:
                await_text(opened, shown.get_by_text(text).first)


def await_text(opened: Any, text: Any) -> None:
    """Wait for it, and as people do load a page again, once, that a busy server left half empty."""
    try:
        text.wait_for(state="attached", timeout=PATIENCE / 3)
    except playwright_timeout():
        opened.reload()
        text.wait_for(state="attached")
