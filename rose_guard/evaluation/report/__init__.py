"""Reports of a summary: Markdown, JSON, curves and a page that stands by itself."""
