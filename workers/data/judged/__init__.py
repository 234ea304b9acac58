"""Queries, documents and judgements: the forms in which people keep them, and BM25 over them."""
