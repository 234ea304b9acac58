"""The door to peftsearch: a typed Python client, the command line and a loader for exported adapters.

from peftsearch import Client

with Client() as client:
    job = client.submit(spec)
    for event in client.events(job.id):
        print(event.kind, event.payload)
    print(client.pareto(job.id).to_dataframe())
"""

from peftsearch.async_client import AsyncClient
from peftsearch.client import Client
from peftsearch.loader import load_adapter

__all__ = ["AsyncClient", "Client", "load_adapter"]
