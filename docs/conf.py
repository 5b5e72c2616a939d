"""How Sphinx builds the documentation; see CONTRIBUTING.md."""

from __future__ import annotations

from pathlib import Path

# Before MyST-NB loads importlib_metadata, which replaces the finder of metadata by one with which
# FiftyOne's `eta` cannot be imported.
import fiftyone  # noqa: F401

try:
    import tomllib
except ImportError:
    import tomli as tomllib

_PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]

project = "fiftyone-promerge"
author = "The fiftyone-promerge authors"
copyright = author
release = version = _PROJECT["version"]

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_click",
    "sphinx_design",
]
exclude_patterns = ["_build"]

# Markdown and notebooks. Every notebook is executed at each build; none stores outputs.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 900  # a cell; on busy cores seconds become minutes
nb_execution_show_tb = True
nb_merge_streams = True
nb_output_stderr = "remove"  # progress bars
highlight_language = "bash"  # code without a language is for the shell

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
default_role = "code"  # docstrings are Markdown in this

html_theme = "pydata_sphinx_theme"
html_title = project
html_baseurl = _PROJECT["urls"]["Documentation"]
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "github_url": "https://github.com/promerge/fiftyone-promerge",
    "use_edit_page_button": False,
    "header_links_before_dropdown": 6,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
