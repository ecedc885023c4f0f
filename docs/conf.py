"""Sphinx, the documentation's builder: `python -m sphinx -nW -c docs . build/docs` in the root of the checkout.

The source is the whole checkout, so that a link means the same in a built page, in an editor and on a code host; pages
are those of `include_patterns`. Links to other files (scripts, records) become downloads. `-n` and `-W` make errors of
a broken link, a missing heading, or a page that stands in no table of contents.
"""

project = "gmd26-md"
author = "the gmd26-md authors"
html_title = "gmd26-md"

root_doc = "docs/index"
include_patterns = ["README.md", "docs/**.md", "checkpoints/README.md", "benchmarks/**.md"]
exclude_patterns = [".*", "build", "data", "runs", "training-runs", "gmd26_md.egg-info"]

extensions = ["myst_parser"]
myst_heading_anchors = 4
myst_links_external_new_tab = True

html_theme = "furo"
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
