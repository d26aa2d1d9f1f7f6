"""Models in git by GTO's conventions: versions and stages are annotated tags, everything else is the sidecar's."""
