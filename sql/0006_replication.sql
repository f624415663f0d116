-- What a subscriber keeps about each of its peers.

-- Where this site stands in a peer's WAL (replication rule 1). Written only in the transaction that applies (rule 4).
CREATE TABLE replication_position (
  peer text PRIMARY KEY REFERENCES sites,
  system_identifier text NOT NULL,
  timeline integer NOT NULL,
  slot text NOT NULL,
  generation bigint NOT NULL,
  lsn pg_lsn NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Who may write a direction: the holder of the highest epoch (rule 7).
CREATE TABLE replication_owner (
  peer text PRIMARY KEY REFERENCES sites,
  owner text NOT NULL,
  epoch bigint NOT NULL,
  acquired_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What operators and the coordinator ask of a direction.
CREATE TABLE replication_control (
  peer text PRIMARY KEY REFERENCES sites,
  paused boolean NOT NULL DEFAULT false,
  resync_requested_at timestamptz,
  resync_reason text,
  fenced_by text
);

-- The replicator's own account of a direction, for people: at most a second old while it runs.
CREATE TABLE replication_status (
  peer text PRIMARY KEY REFERENCES sites,
  state text NOT NULL CHECK (state IN ('streaming', 'catching-up', 'resyncing', 'needs-resync', 'stopped')),
  reason text,
  lag_bytes bigint,
  lag_ms double precision,
  applied_lsn pg_lsn,
  timeline integer,
  slot_wal_status text,
  slot_retained_bytes bigint,
  slot_budget_bytes bigint,
  slot_eta_seconds double precision,
  rows_received bigint NOT NULL DEFAULT 0,
  rows_applied bigint NOT NULL DEFAULT 0,
  received_at timestamptz,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE FUNCTION notify_control() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('lastcall_replication', coalesce(NEW.peer, OLD.peer));
  RETURN NULL;
END $$;
CREATE TRIGGER notify_control AFTER INSERT OR UPDATE OR DELETE ON replication_control FOR EACH ROW EXECUTE FUNCTION notify_control();

GRANT SELECT ON replication_position, replication_owner, replication_control, replication_status
  TO lastcall_app, lastcall_replicator, lastcall_coordinator;
GRANT INSERT, UPDATE, DELETE ON replication_position, replication_owner, replication_control, replication_status
  TO lastcall_replicator, lastcall_coordinator;
GRANT INSERT, UPDATE ON replication_control TO lastcall_app;

CREATE FUNCTION beat() RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  own text := this_site();
  beaten timestamptz;
BEGIN
  EXECUTE format(
    'INSERT INTO %I AS h (beat_at, applied)
       SELECT clock_timestamp(), coalesce(jsonb_object_agg(site, beat_at) FILTER (WHERE site <> $1), ''{}'') FROM heartbeat_by_site
     ON CONFLICT (id) DO UPDATE SET beat_at = greatest(excluded.beat_at, h.beat_at + interval ''1 microsecond''), applied = excluded.applied
     RETURNING beat_at', 'heartbeat_' || own)
    INTO beaten USING own;
  RETURN beaten;
END $$;

-- Resynchronisation: fill staging tables beside the copies, then swap them in at once (I6).
CREATE FUNCTION begin_resync(peer text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = lastcall, pg_temp SET client_min_messages = warning AS $$
DECLARE
  kind text;
BEGIN
  IF NOT EXISTS (SELECT FROM sites WHERE site = peer AND NOT own) THEN
    RAISE EXCEPTION 'site % has no copy here', quote_nullable(peer)
      USING ERRCODE = 'undefined_object', HINT = 'SELECT lastcall.add_site(...) makes one; the own site is never resynchronised.';
  END IF;
  -- No autovacuum meanwhile: the swap waits 50 ms for its locks, and a vacuum of what was just copied holds them for many seconds.
  FOREACH kind IN ARRAY ARRAY['lastcalls', 'terminals', 'forgotten', 'heartbeat'] LOOP
    EXECUTE format('DROP TABLE IF EXISTS %I', 'staging_' || kind || '_' || peer);
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) WITH (fillfactor = %s, autovacuum_enabled = false)', 'staging_' || kind || '_' || peer,
      kind || '_' || peer, CASE kind WHEN 'lastcalls' THEN 70 ELSE 100 END);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO lastcall_replicator, lastcall_coordinator', 'staging_' || kind || '_' || peer);
  END LOOP;
END $$;

-- Caller sets lock_timeout and retries: the locks wait behind no long reader, so no other reader waits behind them.
-- The views come first: a reader locks them before it locks the tables below, and so does this.
CREATE FUNCTION swap_copies(peer text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  kind text;
  copy text;
  part record;
  owed forgotten_template[];
BEGIN
  IF NOT EXISTS (SELECT FROM sites WHERE site = peer AND NOT own) THEN
    RAISE EXCEPTION 'site % has no copy here', quote_nullable(peer) USING ERRCODE = 'undefined_object';
  END IF;
  -- What the marks that came by COPY cover here is looked up before anybody has to wait for it.
  SELECT array_agg((f.terminal_id, f.scope, f.forgotten_at)::forgotten_template) INTO owed
    FROM marks_owed('staging_forgotten_' || peer) f;
  PERFORM build_views(peer);
  FOREACH kind IN ARRAY ARRAY['lastcalls', 'terminals', 'forgotten', 'heartbeat'] LOOP
    copy := kind || '_' || peer;
    EXECUTE format('ALTER TABLE %I RENAME TO %I', copy, 'retired_' || copy);
    EXECUTE format('ALTER TABLE %I RENAME TO %I', 'staging_' || copy, copy);
    EXECUTE format('ALTER TABLE %I RESET (autovacuum_enabled)', copy);
    IF kind = 'lastcalls' THEN
      EXECUTE format('ALTER TABLE %I NO INHERIT lastcalls_all', 'retired_' || copy);
      EXECUTE format('ALTER TABLE %I INHERIT lastcalls_all', copy);
    END IF;
    PERFORM grant_table(copy, false);
    PERFORM attach_triggers(copy, false);
    EXECUTE format('DROP TABLE %I', 'retired_' || copy);
    -- Index names follow their table's, or the next resynchronisation would find them taken.
    FOR part IN SELECT i.indexrelid::regclass::text AS name, c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                WHERE i.indrelid = format('lastcall.%I', copy)::regclass AND c.relname LIKE 'staging\_%' LOOP
      EXECUTE format('ALTER INDEX %s RENAME TO %I', part.name, substr(part.relname, 9));
    END LOOP;
  END LOOP;
  PERFORM purge_own(f.terminal_id, f.scope, f.forgotten_at) FROM unnest(owed) f;
END $$;
