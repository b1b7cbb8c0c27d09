# What the stages run in on Kubeflow; the commands are there too.
FROM debian:trixie-slim AS python
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*

FROM python AS build
# The compiler is for the few packages that have no wheel.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ python3-dev python3-venv
WORKDIR /build
COPY requirements/bootstrap.txt requirements/image.txt requirements/
COPY tools/uv.sh tools/
# An index of one's own, and the path of its certificates.
ARG PIP_INDEX_URL
ARG PIP_CERT
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir \
        --no-deps --require-hashes --requirement requirements/bootstrap.txt
# Bytecode goes by the sources' hashes, as layers round the sources' times. Headers and the largest
# packages' own tests are a seventh of it all, and are not needed; h5py imports its tests.
RUN python=/opt/venv/bin/python \
    && . tools/uv.sh \
    && PYC_INVALIDATION_MODE=CHECKED_HASH "$python" -m uv pip sync --python "$python" \
        --require-hashes --no-build-isolation --compile-bytecode requirements/image.txt \
    && "$python" -m uv pip uninstall --quiet --python "$python" pip uv \
    && cd /opt/venv/lib/python3*/site-packages \
    && rm -rf tensorflow/include \
    && find matplotlib numpy pandas pyarrow scipy sklearn -name tests -prune -exec rm -rf {} +
COPY LICENSE *.py /app/
COPY components /app/components
COPY pipeline /app/pipeline
COPY sample_library /app/sample_library
COPY schema /app/schema
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode checked-hash /app

FROM python
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="clip-recommender" \
    org.opencontainers.image.description="A TFX pipeline that recommends video clips like a clip" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="$VERSION"
# As this user, Kubeflow's launcher lays what stages read and write under the first three folders.
# Any other user of group 0 can do so too: OpenShift takes a random one.
RUN useradd --uid 1000 --gid 0 --create-home clips \
    && install --directory --owner=1000 --group=0 /minio /s3 /gcs /app/output \
    && chmod g=u /minio /s3 /gcs /app/output /home/clips
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
# USER is who a random user is to getpass.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    HOME=/home/clips \
    USER=clips
WORKDIR /app
USER 1000:0
CMD ["python", "local_runner.py", "--help"]
