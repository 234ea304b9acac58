"""`kind: mixture`: which mixture of data domains to train on, learnt from small proxies."""
