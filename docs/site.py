"""Hooks of MkDocs for `make site`: pages from outside of docs/, source files that pages link to, and formulas.

Pages link to each other and to source files by their paths in the repository, as its host shows them. In the site a
linked source file becomes a page with its text. Formulas become MathML, which browsers show without a script.
"""

from __future__ import annotations

import html
import posixpath
import re
from functools import cache
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).resolve().parents[1]
PAGES = {  # in the repository -> in the site
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
    "benchmarks/faults.md": "faults.md",
    "plugins/two_moons/README.md": "two_moons.md",
}
OWN = {place: path for path, place in PAGES.items() if path != "README.md"}  # the pages that lie outside of docs/
LINK = re.compile(r"\]\(([^)\s#]+)(#[^)\s]*)?\)")
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_files(files: Files, *, config: Any) -> Files:
    """Adds the pages from outside of docs/, and the source files that any page links to."""
    for place, path in OWN.items():
        text = (ROOT / path).read_text(encoding="utf-8")
        level = InclusionLevel.NOT_IN_NAV if place == "two_moons.md" else InclusionLevel.INCLUDED
        files.append(File.generated(config, place, content=text, inclusion=level))
    linked = {
        path for file in files.documentation_pages() for path in _targets(_path(file.src_uri), file.content_string)
    }
    for path in sorted(linked):
        if not path.startswith("docs/") and path not in PAGES and (ROOT / path).is_file():
            level = InclusionLevel.NOT_IN_NAV
            files.append(File.generated(config, _place(path), content=_listing(path), inclusion=level))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Turns links by paths of the repository into links of the site."""
    here = page.file.src_uri

    def moved(link: re.Match[str]) -> str:
        target, anchor = link[1], link[2] or ""
        if re.match(r"\w+:", target) or here.startswith("source/"):
            return link[0]
        place = _place(posixpath.normpath(posixpath.join(posixpath.dirname(_path(here)), target)))
        return f"]({posixpath.relpath(place, posixpath.dirname(here) or '.')}{anchor})"

    return LINK.sub(moved, markdown)


def on_page_content(text: str, **_: Any) -> str:
    """Turns the formulas of a page into MathML."""
    return FORMULA.sub(lambda found: _formula(html.unescape(found[2]), found[1] == "div"), text)


def on_post_page(output: str, *, page: Any, **_: Any) -> str:
    """Lets the theme load what the search of a site in a folder needs from this site instead of the network."""
    local = posixpath.relpath("iframe-worker.js", posixpath.dirname(page.url) or ".")
    return output.replace("https://unpkg.com/iframe-worker/shim", local)


@cache
def _formula(latex: str, block: bool) -> str:
    return convert(latex.strip(), display="block" if block else "inline")


def _targets(path: str, text: str) -> list[str]:
    """The files that a page links to, by their paths in the repository."""
    targets = [found[1] for found in LINK.finditer(text) if not re.match(r"\w+:", found[1])]
    return [posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) for target in targets]


def _path(place: str) -> str:
    """The path in the repository of a page of the site."""
    return OWN.get(place, f"docs/{place}")


def _place(path: str) -> str:
    """The place in the site of a file of the repository."""
    if path in PAGES:
        return PAGES[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"source/{path}.md"


def _listing(path: str) -> str:
    """A page with the text of a source file."""
    language = {".py": "python", ".yaml": "yaml", ".toml": "toml"}.get(Path(path).suffix, "text")
    text = (ROOT / path).read_text(encoding="utf-8")
    return f"---\nsearch: {{exclude: true}}\n---\n# {path}\n\n~~~~{language}\n{text}~~~~\n"
