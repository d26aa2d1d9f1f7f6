"""What launchers of clusters have in common: how a run is packed, and the program that runs it over there."""
