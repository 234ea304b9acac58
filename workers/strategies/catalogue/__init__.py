"""One file for each training strategy; `workers.strategies.registry` reads them. None imports torch."""
