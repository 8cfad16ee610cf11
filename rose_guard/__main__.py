"""``python -m rose_guard`` is ``rose-guard``."""

from rose_guard.cli.main import main

if __name__ == "__main__":
    main()
