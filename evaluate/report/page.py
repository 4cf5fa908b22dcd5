"""One HTML page that holds a whole score and loads nothing."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import jinja2
from markupsafe import Markup

from ... import __version__
from ...data.folder import FrameFolder
from ...files import write_text
from ..predictions import Source
from ..result import Score
from .contents import Contents, contents_of, worst_first
from .pictures import draw

FILE_NAME = "index.html"
MOST_ROWS = 24


def write_report(folder: Path, score: Score, source: Source, frames: FrameFolder, most_rows: int = MOST_ROWS) -> Path:
    """Write FOLDER/index.html, whole or not at all, and return its path.

    source: asked again for the predictions of the `most_rows` worst frames, the only ones with pictures
    frames: those that were scored
    The same score, source and frames give the same bytes.
    """
    pictures = draw(source, frames, score.protocol, worst_first(score)[:most_rows])
    path = folder / FILE_NAME
    write_text(path, render(contents_of(score, frames, pictures)))
    return path


def render(contents: Contents) -> str:
    """The page as HTML; every text that comes from names, paths and reasons is escaped by the template engine."""
    templates = jinja2.Environment(
        loader=jinja2.FunctionLoader(_file), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    style, script = _file("page.css"), _file("page.js")
    html = templates.get_template("page.html.jinja").render(
        page=contents,
        version=__version__,
        css=Markup(style),
        script=Markup(script),
        policy=policy(style, script),
    )
    # A name on disk may hold bytes that are no UTF-8; Python keeps them as lone surrogates, which no page can hold.
    return html.encode("utf-8", "replace").decode("utf-8")


def policy(style: str, script: str) -> str:
    """The Content-Security-Policy: this style, this script, images inside the page, and nothing else."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_sha256(style)}'; script-src '{_sha256(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _sha256(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _file(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
