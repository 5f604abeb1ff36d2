# syntax=docker/dockerfile:1
# The service for one shop, whose folder is mounted at /shop. Not built where it was written (no container engine there).
FROM python:3.12-slim
RUN --mount=type=bind,target=/src,rw \
    pip install --no-cache-dir --constraint /src/requirements.lock "/src[server,postgres]" \
    && useradd --uid 1000 modiste
USER modiste
EXPOSE 8000
# MODISTE_TOKEN and MODISTE_HOSTS are required: without them the service binds to loopback, which nobody outside reaches.
CMD ["modiste", "serve", "/shop", "--host", "0.0.0.0"]
