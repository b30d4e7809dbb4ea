# An image with the program and the roots of the Web's certificates, and nothing else that it needs.
#
#   docker build -t cms-edge .
#   docker run --rm -p 8080:8080 -p 8443:8443 -v "$PWD/proxy.toml:/etc/cms-edge/proxy.toml:ro" cms-edge
#
# In a container the listeners must be on 0.0.0.0 (http = ["0.0.0.0:8080"]); 127.0.0.1 is the container's own.
# `docker stop` waits 10 s by default and then kills: use --stop-timeout 45 for the `drain` of proxy.toml (30 s).

FROM rust:1.95-slim-bookworm AS build
# For the allocator.
RUN apt-get update \
    && apt-get install -y --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
# The dependencies, in a layer of their own: it stays while the two files stay.
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY benches benches
RUN mkdir src \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs \
    && cargo build --release --locked \
    && rm -r src
COPY src src
# Newer than what was built of the stand-ins.
RUN touch src/main.rs src/lib.rs \
    && cargo build --release --locked

FROM debian:bookworm-slim
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /build/target/release/cms-edge /usr/bin/cms-edge
# Nobody in particular: no name, no home, no shell.
USER 65532:65532
EXPOSE 8080 8443 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
    CMD ["/usr/bin/cms-edge", "health", "--url", "http://127.0.0.1:9090/healthz"]
ENTRYPOINT ["/usr/bin/cms-edge"]
CMD ["serve", "--config", "/etc/cms-edge/proxy.toml"]
