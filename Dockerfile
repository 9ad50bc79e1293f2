# Two stages: the first installs exactly what the Makefile installs, the second holds only the result.
#
#   docker build --tag fhir-consent-proxy .
#   docker run --read-only --publish 8080:8080 \
#     --volume "$PWD/gateway:/etc/gateway:ro" --volume gateway-journal:/var/lib/gateway fhir-consent-proxy
#
# The journal is the only thing written: in gateway.yaml, `audit: {journal: sqlite:////var/lib/gateway/journal.db}`.
# Nothing here opens anything: who may ask, and what leaves, stands in gateway.yaml and the policies alone.

FROM python:3.11-slim-bookworm AS build
WORKDIR /source
RUN python -m venv /app
COPY constraints.txt ./
RUN /app/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r constraints.txt
COPY pyproject.toml README.md LICENSE ./
COPY proxy proxy
COPY policies policies
COPY fhir-samples fhir-samples
RUN /app/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .
# The tools of development (the `dev` extra of pyproject.toml) and the installer itself stay behind.
RUN /app/bin/python -m pip uninstall --quiet --yes coverage execnet hypothesis import-linter libcst mutmut mypy pytest pytest-asyncio pytest-xdist ruff setproctitle textual time-machine types-pyyaml hatchling editables pip

FROM python:3.11-slim-bookworm
COPY --from=build /app /app
# PYTHONSAFEPATH: no module is ever taken from the working directory.
ENV PATH=/app/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1
RUN mkdir -p /var/lib/gateway && chown 10001:10001 /var/lib/gateway
VOLUME /var/lib/gateway
WORKDIR /app
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ.get('PROXY_ADMIN__PORT', '8081')}/healthz\", timeout=4)"]
ENTRYPOINT ["python", "-m", "proxy"]
CMD ["serve", "--config", "/etc/gateway/gateway.yaml"]
