"""What adapters of servers share: waiting with an end, sparing a server that is away, remembering what it does not."""
