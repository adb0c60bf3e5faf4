# Outdial in one image: `docker build -t outdial .`; see docs/operating.md.
FROM python:3.11-slim AS build

# Calls over SIP. Where the machine has no wheels for them: `docker build --build-arg EXTRAS= .`
ARG EXTRAS=sip
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/outdial
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN /opt/outdial/bin/pip install --constraint constraints.txt ".[${EXTRAS}]"

FROM python:3.11-slim

# A fixed id, so that the files of a volume stay the user's own in every later image.
RUN groupadd --system --gid 10001 outdial \
    && useradd --system --uid 10001 --gid outdial --home-dir /var/lib/outdial --shell /usr/sbin/nologin outdial \
    && install --directory --owner outdial --group outdial --mode 0700 /var/lib/outdial
COPY --from=build /opt/outdial /opt/outdial

ENV PATH=/opt/outdial/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OUTDIAL_HOST=0.0.0.0 \
    OUTDIAL_PORT=8080 \
    OUTDIAL_DATABASE=sqlite:////var/lib/outdial/outdial.db \
    OUTDIAL_LOG_STYLE=json

USER 10001:10001
WORKDIR /var/lib/outdial
VOLUME /var/lib/outdial
EXPOSE 8080

# Alive is all that a container's health says; /readyz is for balancers.
HEALTHCHECK --interval=15s --timeout=4s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open(f'http://127.0.0.1:{os.environ[\"OUTDIAL_PORT\"]}/healthz', timeout=3)"]

# SIGTERM stops in order. Give it OUTDIAL_STOP_SECS and 20 seconds: `docker stop --time 60`.
STOPSIGNAL SIGTERM
ENTRYPOINT ["outdial"]
CMD ["serve"]
