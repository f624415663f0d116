-- Databases elsewhere that get the freshest of chosen kinds, one way. Where a target stands is stored in the target.
CREATE TABLE targets (
  target text PRIMARY KEY CHECK (target ~ '^[a-z][a-z0-9_]{0,30}$'),
  -- With its password: read by the replicator alone.
  url text NOT NULL,
  kinds text[] NOT NULL CHECK (cardinality(kinds) > 0),
  resync_requested_at timestamptz,
  added_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The replicator's own account of a target, for people: at most a second old while it runs.
CREATE TABLE target_status (
  target text PRIMARY KEY REFERENCES targets ON DELETE CASCADE,
  state text NOT NULL CHECK (state IN ('streaming', 'catching-up', 'resyncing', 'needs-resync', 'stopped')),
  reason text,
  detail text,
  lag_ms double precision,
  applied_lsn pg_lsn,
  rows_received bigint NOT NULL DEFAULT 0,
  rows_applied bigint NOT NULL DEFAULT 0,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

GRANT SELECT (target, kinds, resync_requested_at, added_at) ON targets TO lastcall_app;
GRANT SELECT ON targets TO lastcall_replicator;
GRANT UPDATE (resync_requested_at) ON targets TO lastcall_app, lastcall_replicator;
GRANT SELECT ON target_status TO lastcall_app, lastcall_replicator;
GRANT INSERT, UPDATE, DELETE ON target_status TO lastcall_replicator;
