"""The MLflow protocol, both ways: a client that operates any MLflow server, and a server for any MLflow client."""
