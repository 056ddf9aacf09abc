"""Hooks of MkDocs for `make site`: pages from outside of docs/, source files that pages link to, notebooks, formulas.

Pages link to each other and to source files by their paths in the repository, as its host shows them. In the site a
linked source file becomes a page with its text. Formulas become MathML, which browsers show without a script.
"""

from __future__ import annotations

import html
import json
import posixpath
import re
from collections.abc import Mapping
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
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        files.remove(file)
        files.append(File.generated(config, _place(f"docs/{file.src_uri}"), content=notebook(file.content_string)))
    pages = {_path(file.src_uri): file.content_string for file in files.documentation_pages()}
    linked = {path for page, text in pages.items() for path in _targets(page, text)}
    linked |= {file for path in linked if not path.startswith("docs/") for file in _sources(path)}
    for path in sorted(linked):
        if not path.startswith("docs/") and path not in PAGES and (ROOT / path).exists():
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
    return _local(output, posixpath.dirname(page.url))


def on_post_template(output_content: str, **_: Any) -> str:
    return _local(output_content, "")


def _local(text: str, folder: str) -> str:
    """Lets the theme load what the search of a site in a folder needs from this site instead of the network."""
    return text.replace("https://unpkg.com/iframe-worker/shim", posixpath.relpath("iframe-worker.js", folder or "."))


def notebook(text: str) -> str:
    """The cells of a notebook as Markdown, with what they printed, their tables and their plots."""
    cells = [
        (cell["cell_type"], "".join(cell["source"]), cell.get("outputs", ())) for cell in json.loads(text)["cells"]
    ]
    parts = []
    for kind, source, outputs in cells:
        parts += [source if kind == "markdown" else f"```python\n{source}\n```", *map(_output, outputs)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _output(output: Mapping[str, Any]) -> str:
    """One output of a cell; of several forms the one that shows most."""
    data = output.get("data", {"text/plain": output.get("text", "")})
    found = {kind: "".join(value) for kind, value in data.items() if isinstance(value, str | list)}
    if "image/png" in found:
        return f'<img alt="the plot of this cell" src="data:image/png;base64,{found["image/png"].strip()}">'
    if "text/html" in found:
        lines = [line for line in found["text/html"].splitlines() if line.strip()]  # a blank line would end the HTML
        return "<div>\n" + "\n".join(lines) + "\n</div>"
    printed = found.get("text/plain", "").rstrip()
    return f"```text\n{printed}\n```" if printed else ""


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
    if path.startswith("docs/"):
        return re.sub(r"\.ipynb$", ".md", path.removeprefix("docs/"))
    return f"source/{path}.md"


def _sources(path: str) -> list[str]:
    """The modules of a folder, by their paths in the repository; none for a file."""
    return [file.relative_to(ROOT).as_posix() for file in sorted((ROOT / path).glob("*.py")) if file.stat().st_size]


def _listing(path: str) -> str:
    """A page with the text of a source file, or with links to those of a folder."""
    if (ROOT / path).is_dir():
        names = [posixpath.basename(file) for file in _sources(path)]
        links = "\n".join(f"- [{name}]({posixpath.basename(path)}/{name}.md)" for name in names)
        return f"---\nsearch: {{exclude: true}}\n---\n# {path}\n\n{links}\n"
    language = {".py": "python", ".yaml": "yaml", ".toml": "toml"}.get(Path(path).suffix, "text")
    text = (ROOT / path).read_text(encoding="utf-8")
    return f"---\nsearch: {{exclude: true}}\n---\n# {path}\n\n~~~~{language}\n{text}~~~~\n"
