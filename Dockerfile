# Entrepôt as a container image.
#
#   docker build --tag entrepot .
#
# If Docker Hub cannot be reached, use any image with Python 3.11 or newer as the base:
#
#   docker build --build-arg BASE=registry.lan/python:3.12-slim --tag entrepot .
#
# If no package index can be reached either, first download the wheels into locks/wheels/, on a machine
# with the same Python version and architecture:
#
#   pip download --require-hashes --dest locks/wheels --requirement locks/run.txt
#   docker build --build-arg PIP_FLAGS="--no-index --find-links=locks/wheels" --tag entrepot .

ARG BASE=python:3.12-slim

FROM ${BASE} AS build
ARG PIP_FLAGS=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python3 -c "import sys; v = sys.version_info[:2]; v < (3, 11) and sys.exit('the base image has Python %d.%d, but Entrepot needs 3.11 or newer: name another image in BASE' % v)"
RUN python3 -m venv /opt/entrepot
COPY locks/ locks/
RUN /opt/entrepot/bin/python -m pip install ${PIP_FLAGS} --require-hashes --requirement locks/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY config/entrepot.toml config/
COPY registry/ registry/
RUN /opt/entrepot/bin/python -m pip install ${PIP_FLAGS} --no-deps --no-build-isolation . \
 && /opt/entrepot/bin/python -m pip uninstall --quiet --yes editables hatchling packaging pathspec \
      pluggy tomlkit trove-classifiers setuptools pip \
 && cp locks/entrepot.cdx.json /opt/entrepot/ \
 && /opt/entrepot/bin/python -m compileall -q /opt/entrepot/lib

FROM ${BASE}
LABEL org.opencontainers.image.title="Entrepôt" \
      org.opencontainers.image.description="A private container-image mirror: each blob crosses the slow link once, and known images pull when the link is gone." \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/entrepot /opt/entrepot
# COPY would make a folder that all users can read; a new volume gets the mode that /data has here.
RUN mkdir -m 700 /data && chown 10001:10001 /data
ENV PATH=/opt/entrepot/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ENTREPOT_SERVER__LISTEN=0.0.0.0:5000 \
    ENTREPOT_SERVER__CONSOLE=0.0.0.0:5001 \
    ENTREPOT_STORAGE__PATH=/data
# The user is a number, so the base image needs no such account, and Kubernetes can check that the
# user is not root.
USER 10001:10001
# `entrepot serve` writes only to /data, so the container can have a read-only root (--read-only).
VOLUME /data
EXPOSE 5000 5001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python3", "-c", \
    "from http.client import HTTPConnection as C; c = C('127.0.0.1', 5001, timeout=4); c.request('GET', '/readyz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["entrepot"]
CMD ["serve"]
