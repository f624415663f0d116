# One image for every process of a site; docker-compose.yml says which one a container runs.
ARG NODE=node:24.11.1-bookworm-slim
FROM ${NODE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY services services
COPY shared shared
RUN npm run build

FROM ${NODE}
ENV NODE_ENV=production
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev && npm cache clean --force
COPY sql sql
COPY --from=build /app/dist dist
# Where the ring files of records are: a volume that the processes of a site share.
RUN install -d -o node -g node -m 700 /var/lib/lastcall/ring
ENV LASTCALL_JOURNAL_RING_DIRECTORY=/var/lib/lastcall/ring
USER node
# The service to ask, one of call-control, replicator, coordinator, api.
ENV LASTCALL_SERVICE=api
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["sh", "-c", "node dist/services/cli/main.js ready --degraded-is-ready \"$LASTCALL_SERVICE\""]
CMD ["node", "dist/services/cli/main.js", "--help"]
