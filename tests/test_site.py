"""The documentation site: every page is in its navigation, and it builds without a warning and without the network."""

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PAGES = (".md", ".ipynb")
LOADING = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src"}


def pages_of(entry):
    """The pages of a part of the navigation."""
    if isinstance(entry, str):
        return [entry]
    parts = entry.values() if isinstance(entry, dict) else entry
    return [page for part in parts for page in pages_of(part)]


def test_every_page_is_in_the_navigation_once():
    text = (ROOT / "mkdocs.yml").read_text()
    named = pages_of(yaml.safe_load(text[text.index("\nnav:") :])["nav"])
    outside = {"benchmarks.md", "changelog.md", "contributing.md", "faults.md"}  # docs/site.py adds them
    found = [path for path in (ROOT / "docs").rglob("*") if path.suffix in PAGES]
    pages = {path.relative_to(ROOT / "docs").with_suffix(".md").as_posix() for path in found}
    assert sorted(named) == sorted(pages | outside)


def test_the_citation_has_the_version_of_the_package():
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (package["version"], package["license"])


class Loaded(HTMLParser):
    """The addresses that a page loads without a click."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        address = dict(attributes).get(LOADING.get(tag))
        if address and dict(attributes).get("rel") != "canonical":
            self.found.append(address)


def broken_links(page):
    """The links of a page to files that the site lacks; the one for unknown addresses links from the root."""
    links = [] if page.name == "404.html" else re.findall(r'<a [^>]*href="([^"#?]+)', page.read_text())
    return [link for link in links if not re.match(r"\w+:", link) and not (page.parent / link).exists()]


@pytest.mark.long
def test_the_site_builds_without_a_warning_and_loads_nothing_from_the_network(tmp_path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("latex2mathml")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        text = page.read_text()
        assert [address for address in Loaded(text).found if re.match(r"(\w+:)?//", address)] == [], page
        assert 'class="arithmatex"' not in text, page  # every formula was converted
        assert broken_links(page) == [], page
    assert "<math" in (tmp_path / "site" / "ddpg.html").read_text()
    assert list((tmp_path / "site" / "search").glob("search_index.js*"))


def test_a_notebook_becomes_a_page():
    pytest.importorskip("mkdocs")
    pytest.importorskip("latex2mathml")
    outputs = [
        {"output_type": "stream", "text": ["printed\n"]},
        {"data": {"text/plain": ["<Figure>"], "image/png": "AAAA\n"}},
        {"data": {"text/plain": ["a table"], "text/html": ["<table>\n", "\n", "</table>"]}},
        {"data": {"application/json": {}}},
    ]
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "\n", "Text."]},
        {"cell_type": "code", "source": ["1 + 1"], "outputs": outputs},
    ]
    specification = importlib.util.spec_from_file_location("site_hooks", ROOT / "docs" / "site.py")
    hooks = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(hooks)
    assert hooks.notebook(json.dumps({"cells": cells})).split("\n\n") == [
        "# Title",
        "Text.",
        "```python\n1 + 1\n```",
        "```text\nprinted\n```",
        '<img alt="the plot of this cell" src="data:image/png;base64,AAAA">',
        "<div>\n<table>\n</table>\n</div>\n",
    ]
