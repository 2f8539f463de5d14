"""The site: ``make docs`` builds it into build/site, and a warning is an error."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
# The names of the compiled codec, as everybody has them.
os.environ.pop("REGCACHE_PURE", None)

import regcache  # noqa: E402

project = "regcache"
author = "The regcache authors"
copyright = author
version = release = regcache.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["conf.py"]
html_theme = "furo"
html_title = f"regcache {version}"
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

# Docstrings are for people who read the code too: sections are named as Google names them.
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
# Defaults as they are written.
autodoc_preserve_defaults = True
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_class_signature = "mixed"
autodoc_default_options = {"members": True, "undoc-members": False}
