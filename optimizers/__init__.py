"""What proposes the next trial, and (in `schedulers/`) what stops, promotes or mutates running ones."""
