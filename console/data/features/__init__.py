"""Feature sets: named, versioned definitions of columns, the same for training, batch scoring and single records."""
