# Latchkey in a container, as nobody in particular, with nothing to write to but /data:
#
#   docker build -t latchkey .
#   docker run --read-only --cap-drop ALL -v latchkey:/data -p 127.0.0.1:3000:3000 -e LATCHKEY_ISSUER=https://auth.example.com latchkey
#   docker exec NAME node bin/latchkey.js user list
#
# Not tried: `docker build` and the base image, which could not be had where this was written. A test follows the steps of this file by
# hand, and runs what comes out as process 1 of a root directory of its own that cannot be written to, without any right of root.
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
RUN npm run build && npm prune --omit=dev

FROM node:24-bookworm-slim
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json ./
COPY bin bin
COPY migrations migrations
RUN mkdir --mode=0700 /data && chown 1000:1000 /data
# The image's user `node`, as a number, so that Kubernetes sees that it is not root.
USER 1000:1000
VOLUME /data
ENV LATCHKEY_HOST=0.0.0.0
ENV LATCHKEY_DATABASE_URL=file:/data/latchkey.db
EXPOSE 3000
# Whether the process is alive: whoever asks whether it can work asks for /health/ready, and a restart brings no database back.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.LATCHKEY_PORT || 3000}/health/live`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--max-semi-space-size=4", "--v8-pool-size=1", "bin/latchkey.js"]
CMD ["serve"]
