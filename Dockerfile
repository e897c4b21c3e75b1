# The Node server as an image for amd64 and arm64: docker build --tag user-directory .
# Why these images, and how to update their digests: docs/adr/0026-distroless-image.md.

# Runs on the builder's own processor. npm fetches the native packages of the target.
FROM --platform=$BUILDPLATFORM docker.io/library/node:24.21.0-trixie-slim@sha256:173f125896c3b47ddf056734c7ea789d04595a6a08769a8f78e0df642781fb66 AS build
ARG TARGETARCH
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
COPY cli/package.json cli/
COPY client/package.json client/
COPY console/package.json console/
COPY infra/package.json infra/
RUN npm ci
COPY . .
RUN npm run build:image -- --arch "$TARGETARCH"

FROM gcr.io/distroless/nodejs24-debian13:nonroot@sha256:9eeb7f5887d0e239e78264b06f7f11d2e14be534050481803a9e4728fcdd278e
LABEL org.opencontainers.image.title="User directory"
ENV NODE_ENV=production
# Owned by root, so that the server cannot change its own code.
COPY --from=build /build/dist/image /app
WORKDIR /app
USER 65532:65532
EXPOSE 3000
STOPSIGNAL SIGTERM
# The image has no shell and no curl.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["/nodejs/bin/node", "-e", "require('node:http').get({ host: '127.0.0.1', port: process.env.PORT || 3000, path: '/health' }, ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
ENTRYPOINT ["/nodejs/bin/node", "--max-semi-space-size=16", "--enable-source-maps"]
CMD ["src/handler/node/server.js"]
