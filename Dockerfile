# One process of Headrace. compose.yaml starts several of them, with MongoDB.

# Tags, so that a build has the newest fixes of these images. deploy/README.md says how to use digests.
ARG NODE_IMAGE=node:22-bookworm-slim
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${NODE_IMAGE} AS page
WORKDIR /web
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci --omit=dev
COPY web ./
RUN npm run build

FROM ${PYTHON_IMAGE}

WORKDIR /opt/headrace
COPY requirements.txt ./
RUN pip install --no-cache-dir --no-compile --require-hashes -r requirements.txt

COPY commands.py authentication.py server.py service_links.py supervision.py ./
COPY app app
COPY auth auth
COPY doctor doctor
COPY handlers handlers
COPY http_client http_client
COPY model model
COPY presets presets
COPY providers providers
COPY relay relay
COPY settings settings
COPY sockets sockets
COPY storage storage
COPY telemetry telemetry
COPY webhooks webhooks
COPY --from=page /web/dist web/dist

# A user of its own, with a folder for the SQLite file. Mount a volume there to keep the file.
RUN useradd --uid 10001 --no-create-home headrace \
    && install --directory --owner=headrace /var/lib/headrace
USER 10001
WORKDIR /var/lib/headrace
VOLUME /var/lib/headrace

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONFAULTHANDLER=1
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-c", \
    "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
# `docker stop` sends SIGTERM, which drains. Its timeout has to be longer than relay.drain_seconds:
# `docker stop --time 75`.
ENTRYPOINT ["python", "/opt/headrace/server.py"]
