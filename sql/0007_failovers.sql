-- The report of every failover, kept where the operator looks after the worst night: in PostgreSQL.
CREATE TABLE failovers (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  site text NOT NULL REFERENCES sites,
  reason text NOT NULL,
  requested_by text NOT NULL,
  state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed', 'superseded')),
  error text,
  requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at timestamptz
);

CREATE TABLE failover_steps (
  failover uuid NOT NULL REFERENCES failovers ON DELETE CASCADE,
  direction text NOT NULL,
  step text NOT NULL,
  position integer NOT NULL,
  state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'skipped', 'failed')),
  attempts integer NOT NULL DEFAULT 1,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at timestamptz,
  detail jsonb NOT NULL DEFAULT '{}',
  PRIMARY KEY (failover, direction, step)
);

GRANT SELECT ON failovers, failover_steps TO lastcall_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON failovers, failover_steps TO lastcall_coordinator;
