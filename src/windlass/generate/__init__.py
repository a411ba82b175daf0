"""A release becomes the files that an expert would have written by hand. No file, process or clock is touched here.

Every generator takes a release and returns ``Files``: same release, same bytes. Nothing secret is in them.
"""

from windlass.generate.text import Files, yaml_text

__all__ = ["Files", "yaml_text"]
