# Two images: `production`, and `dev` with the simulator. scripts/image builds the programs, static
# and for amd64 or arm64, lays out the folder that is the context here, and calls docker or buildah.
# Nothing else is in the images: no shell, no library, no package manager.

FROM scratch AS base
# Mozilla's root certificates, for Zentra's; a cluster with a root of its own mounts its file here.
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# A number, so that Kubernetes can see that it is not root.
USER 65532:65532
# So that `kubectl exec … -- zentra-sidecar` finds it: there is no shell, and no runtime looks in / by itself.
ENV PATH=/
ENTRYPOINT ["/zentra-sidecar"]
LABEL org.opencontainers.image.title="zentra-sidecar" \
      org.opencontainers.image.licenses="Apache-2.0"

FROM base AS dev
ARG TARGETARCH
COPY ${TARGETARCH}/dev/sbom.cdx.json /sbom.cdx.json
COPY ${TARGETARCH}/dev/zentra-sidecar /zentra-sidecar
# Others in the test's network reach it. No money moves here.
ENV SIDECAR_LISTEN=0.0.0.0:50051 \
    SIDECAR_INSECURE_LISTEN=true \
    SIDECAR_ADMIN_LISTEN=0.0.0.0:9464 \
    SIMULATOR_LISTEN=0.0.0.0:8089
EXPOSE 50051 9464 8089
HEALTHCHECK --interval=1s --timeout=2s --start-period=10s --retries=10 \
    CMD ["/zentra-sidecar", "health", "--listen", "127.0.0.1:50051"]
CMD ["dev", "--no-flow"]

FROM base AS production
ARG TARGETARCH
COPY ${TARGETARCH}/production/sbom.cdx.json /sbom.cdx.json
COPY ${TARGETARCH}/production/zentra-sidecar /zentra-sidecar
EXPOSE 50051 9464
CMD ["serve"]
