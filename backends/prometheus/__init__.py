"""Prometheus and what speaks its query API: Thanos, Mimir, VictoriaMetrics.

`source` is the adapter. It reads and never writes: instant and range queries, alerts, targets, exemplars. `names` has
the queries, `windows` and `buckets` make service windows of the answers, `sending` asks, `trouble` says what went
wrong in words.
"""
