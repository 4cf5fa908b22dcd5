"""The page that `lpcv score --report` wrote, where it is of this very model; it shows pictures of frames."""

from __future__ import annotations

from pathlib import Path

from ...errors import InputError, MissingStepError
from .layout import MOST_OTHER_BYTES
from .scrub import scrub_html

MARK = "predictions, SHA-256</dt><dd>{}</dd>"


def report_of(page: Path | None, model_sha256: str) -> bytes | None:
    """The page, with paths cut; None where there is none.

    Raises InputError where it is too large or no page, MissingStepError where it is of another model.
    """
    if page is None:
        return None
    if page.stat().st_size > MOST_OTHER_BYTES:
        raise InputError(f"{page} has more than {MOST_OTHER_BYTES} bytes.", "Move it aside.")
    try:
        text = page.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{page} is no report.", "`lpcv score RUN --data DIR --report FOLDER` writes one.") from None
    if not is_of(text, model_sha256):
        raise MissingStepError(
            f"{page} is the report of another model.",
            f"Run `lpcv score RUN --data DIR --report {page.parent}` again, or move it aside.",
        )
    return scrub_html(text).encode()


def is_of(page: str, model_sha256: str) -> bool:
    """Whether the page says that it shows the predictions of this model."""
    return MARK.format(model_sha256) in page
