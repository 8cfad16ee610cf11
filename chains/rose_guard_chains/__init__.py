"""Ready-made chains over rose_guard's public names, one per file, each with ``build()``."""
