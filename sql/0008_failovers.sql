-- The report of every failover, kept where the operator looks after the worst night: in PostgreSQL.
-- The coordinator of the site that holds a running row works on it. Reason `restored` makes everything anew.
CREATE TABLE failovers (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  site text NOT NULL,
  reason text NOT NULL,
  requested_by text NOT NULL,
  state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed', 'superseded')),
  error text,
  -- What the site's primary was when the flow looked: a flow counts for one lineage only (replication rule 1).
  system_identifier text,
  timeline integer,
  salvaged_rows bigint NOT NULL DEFAULT 0,
  salvaged_marks bigint NOT NULL DEFAULT 0,
  requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at timestamptz
);
CREATE INDEX failovers_requested ON failovers (requested_at DESC);

-- `direction` is `a>b` for what flows from a to b, `a<>b` for a step that concerns both of a pair, `a` for the site
-- itself.
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

CREATE FUNCTION notify_failover() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('lastcall_failover', NEW.id::text);
  RETURN NULL;
END $$;
CREATE TRIGGER notify_failover AFTER INSERT ON failovers FOR EACH ROW EXECUTE FUNCTION notify_failover();

GRANT SELECT ON failovers, failover_steps TO lastcall_app;
GRANT INSERT (id, site, reason, requested_by) ON failovers TO lastcall_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON failovers, failover_steps TO lastcall_coordinator;
