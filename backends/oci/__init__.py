"""The adapter for OCI registries: models as artifacts, versions and aliases as tags."""
