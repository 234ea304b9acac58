"""`make bench-service`: how much the service bears, each figure beside its aim."""
