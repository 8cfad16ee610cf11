"""The ``rose-guard`` command, one file per sub-command."""
