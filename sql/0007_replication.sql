-- What a subscriber keeps about each of its peers.

-- Where this site stands in a peer's WAL (replication rule 1). Written only in the transaction that applies (rule 4).
CREATE TABLE replication_position (
  peer text PRIMARY KEY REFERENCES sites,
  system_identifier text NOT NULL,
  timeline integer NOT NULL,
  slot text NOT NULL,
  generation bigint NOT NULL,
  lsn pg_lsn NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- What was found wrong with the lineage. Kept until the copy is made anew: a log that grows past the position hides
  -- it.
  verdict text
);

-- Who may write a direction: the holder of the highest epoch (rule 7).
CREATE TABLE replication_owner (
  peer text PRIMARY KEY REFERENCES sites,
  owner text NOT NULL,
  epoch bigint NOT NULL,
  acquired_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- The session that applies, and when its process last said that it works; a coordinator's taking leaves them NULL.
  pid integer,
  session_began timestamptz,
  renewed_at timestamptz
);

-- Whether its worker still works: another one stands by meanwhile, and takes over from one that is gone, or frozen.
CREATE FUNCTION owner_works(o replication_owner) RETURNS boolean
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
  SELECT coalesce(o.renewed_at > clock_timestamp() - interval '5 seconds', false)
    AND EXISTS (SELECT FROM pg_stat_get_activity(o.pid) s WHERE s.backend_start = o.session_began)
$$;

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

-- Of each kind in a direction: what it was last copied from, to notice that this is no longer so (rule 36).
CREATE TABLE replication_kinds (
  peer text NOT NULL REFERENCES sites,
  kind text NOT NULL REFERENCES kinds,
  state text NOT NULL CHECK (state IN ('streaming', 'needs-resync', 'held-back')),
  -- Why it is held back, or will be copied anew.
  reason text,
  detail text,
  -- The origin's table and its place in the publication, and the columns that both sites have.
  source text,
  columns text[] NOT NULL DEFAULT '{}',
  -- Changes that committed before this are in the copy.
  copied_lsn pg_lsn NOT NULL DEFAULT '0/0',
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (peer, kind)
);

CREATE FUNCTION notify_control() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('lastcall_replication', coalesce(NEW.peer, OLD.peer));
  RETURN NULL;
END $$;
CREATE TRIGGER notify_control AFTER INSERT OR UPDATE OR DELETE ON replication_control
  FOR EACH ROW EXECUTE FUNCTION notify_control();

-- Slots that this site dropped on purpose, so that their subscribers can say why they must resynchronise (rule 17).
CREATE TABLE replication_dropped_slot (
  slot text PRIMARY KEY,
  reason text NOT NULL,
  retained_bytes bigint NOT NULL,
  dropped_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A peer asks what its site's copies here came from: it hears of promotions that nobody there has seen (rule 28).
GRANT SELECT ON replication_dropped_slot, replication_position TO lastcall_peer;

-- A subscriber has a new slot: why the one before was dropped is history.
CREATE FUNCTION forget_dropped_slot(of_slot text) RETURNS void
  LANGUAGE sql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
  DELETE FROM replication_dropped_slot WHERE slot = of_slot
$$;

GRANT SELECT ON replication_position, replication_owner, replication_control, replication_status, replication_kinds,
    replication_dropped_slot
  TO lastcall_app, lastcall_replicator, lastcall_coordinator;
GRANT INSERT, UPDATE, DELETE ON replication_position, replication_owner, replication_control, replication_status,
    replication_kinds, replication_dropped_slot
  TO lastcall_replicator, lastcall_coordinator;
GRANT INSERT, UPDATE ON replication_control TO lastcall_app;

-- Every beat of this site, for days: the last one that a copy applied must be among them before anything is streamed
-- to it (rule 29). A disk that was put back has the same timeline, and its log soon grows past every position; its
-- beats are gone.
CREATE TABLE own_beats (beat_at timestamptz(6) PRIMARY KEY);
GRANT SELECT ON own_beats TO lastcall_replicator, lastcall_coordinator, lastcall_peer;

-- NULL for one of this site's own beats.
CREATE FUNCTION judge_beat(applied timestamptz) RETURNS text
  LANGUAGE sql STABLE SET search_path = lastcall, pg_temp AS $$
  SELECT CASE
    WHEN applied IS NULL OR EXISTS (SELECT FROM own_beats WHERE beat_at = applied) THEN NULL
    WHEN applied < (SELECT min(beat_at) FROM own_beats) THEN 'history-expired'
    ELSE 'rolled-back' END
$$;

CREATE FUNCTION beat() RETURNS timestamptz
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  own text := this_site();
  beaten timestamptz;
BEGIN
  EXECUTE format(
    'INSERT INTO %I AS h (beat_at, applied, seen)
       SELECT clock_timestamp(), coalesce(jsonb_object_agg(site, beat_at), ''{}''),
         coalesce(jsonb_object_agg(site, applied), ''{}'') FROM heartbeat_by_site WHERE site <> $1
     ON CONFLICT (id) DO UPDATE SET beat_at = greatest(excluded.beat_at, h.beat_at + interval ''1 microsecond''),
       applied = excluded.applied, seen = excluded.seen
     RETURNING beat_at', 'heartbeat_' || own)
    INTO beaten USING own;
  INSERT INTO own_beats VALUES (beaten);
  DELETE FROM own_beats WHERE beat_at < beaten - interval '3 days';
  RETURN beaten;
END $$;

-- Ends the transaction with LC001 when another worker has taken the direction over (rule 7).
CREATE FUNCTION require_ownership(of_peer text, of_epoch bigint) RETURNS void
  LANGUAGE plpgsql SET search_path = lastcall, pg_temp AS $$
BEGIN
  PERFORM FROM replication_owner o WHERE o.peer = of_peer AND o.epoch = of_epoch FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'direction from % belongs to another worker now', of_peer USING ERRCODE = 'LC001';
  END IF;
END $$;

-- Moves the stored position within the applying transaction, or ends it: LC001 when another worker has taken the
-- direction over (rule 7), LC002 when the position is of another generation or already further (S2: a replayed batch).
CREATE FUNCTION advance_position(of_peer text, of_epoch bigint, of_generation bigint, to_lsn pg_lsn, durable boolean)
  RETURNS void LANGUAGE plpgsql SET search_path = lastcall, pg_temp AS $$
BEGIN
  -- Most batches commit without waiting for the disk; a durable one also makes those before it durable (rule 5).
  IF durable THEN PERFORM set_config('synchronous_commit', 'on', true); END IF;
  UPDATE replication_position SET lsn = to_lsn, applied_at = clock_timestamp()
    WHERE peer = of_peer AND generation = of_generation AND lsn <= to_lsn
      AND EXISTS (SELECT FROM replication_owner o WHERE o.peer = of_peer AND o.epoch = of_epoch);
  IF NOT FOUND THEN
    PERFORM require_ownership(of_peer, of_epoch);
    RAISE EXCEPTION 'position of direction from % does not continue to %', of_peer, to_lsn USING ERRCODE = 'LC002';
  END IF;
END $$;

-- Ends an apply that compares no column by column with LC005: the copy has a newer date than what came. Nothing of it
-- is written, and the same batch comes again with the comparison.
CREATE FUNCTION refuse_older() RETURNS boolean LANGUAGE plpgsql SET search_path = lastcall, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'the copy has a newer date' USING ERRCODE = 'LC005';
END $$;

-- Resynchronisation: fill staging tables beside the copies, then swap them in at once (I6). Of all kinds, or of those
-- named.

CREATE FUNCTION check_copy(peer text) RETURNS void LANGUAGE plpgsql SET search_path = lastcall, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM sites WHERE site = peer AND NOT own) THEN
    RAISE EXCEPTION 'site % has no copy here', quote_nullable(peer) USING ERRCODE = 'undefined_object',
      HINT = 'SELECT lastcall.add_site(...) makes one; the own site is never resynchronised.';
  END IF;
END $$;

CREATE FUNCTION begin_resync(peer text, of_kinds text[] DEFAULT NULL) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp SET client_min_messages = warning AS $$
DECLARE
  k kinds;
  staging text;
BEGIN
  PERFORM check_copy(peer);
  -- No autovacuum meanwhile: the swap waits 50 ms for its locks, and a vacuum of what was just copied holds them for
  -- many seconds.
  FOR k IN SELECT * FROM kinds WHERE of_kinds IS NULL OR kind = ANY (of_kinds) ORDER BY position LOOP
    staging := 'staging_' || k.kind || '_' || peer;
    EXECUTE format('DROP TABLE IF EXISTS %I', staging);
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) WITH (fillfactor = %s, autovacuum_enabled = false)',
      staging, k.kind || '_' || peer, k.fillfactor);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO lastcall_replicator, lastcall_coordinator', staging);
  END LOOP;
END $$;

-- What is left until then, and never nothing: 0 would wait for ever.
CREATE FUNCTION bound_lock_waits(waits_until timestamptz) RETURNS void
  LANGUAGE sql SET search_path = lastcall, pg_temp AS $$
  SELECT set_config('lock_timeout',
    greatest(1, extract(epoch FROM waits_until - clock_timestamp()) * 1000)::integer || 'ms', true)
$$;

-- Caller sets lock_timeout, for all locks together, and retries: the locks wait behind no long reader, so no other
-- reader waits behind them. The views come first: a reader locks them before it locks the tables below, and so does
-- this.
CREATE FUNCTION swap_copies(peer text, of_kinds text[] DEFAULT NULL) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  k kinds;
  copy text;
  part record;
  owed marks_all[];
  waits_until timestamptz;
BEGIN
  PERFORM check_copy(peer);
  IF of_kinds IS NULL OR 'marks' = ANY (of_kinds) THEN
    -- What the marks that came by COPY cover here is looked up before anybody has to wait for it.
    SELECT array_agg(f) INTO owed FROM marks_owed('staging_marks_' || peer) f;
  END IF;
  -- One deadline over all lock waits: each of its own would hold a reader for as many times as there are tables.
  waits_until := clock_timestamp() + coalesce(nullif(current_setting('lock_timeout'), '0')::interval, interval '1 day');
  FOR k IN SELECT * FROM kinds WHERE of_kinds IS NULL OR kind = ANY (of_kinds) ORDER BY position LOOP
    PERFORM bound_lock_waits(waits_until);
    PERFORM build_views(ARRAY[k.kind], peer);
  END LOOP;
  FOR k IN SELECT * FROM kinds WHERE of_kinds IS NULL OR kind = ANY (of_kinds) ORDER BY position LOOP
    PERFORM bound_lock_waits(waits_until);
    EXECUTE format('LOCK TABLE ONLY %I IN ACCESS EXCLUSIVE MODE', k.kind || '_' || peer);
    CONTINUE WHEN k.purpose <> 'state';
    PERFORM bound_lock_waits(waits_until);
    EXECUTE format('LOCK TABLE ONLY %I IN SHARE UPDATE EXCLUSIVE MODE', k.kind || '_all');
  END LOOP;
  FOR k IN SELECT * FROM kinds WHERE of_kinds IS NULL OR kind = ANY (of_kinds) ORDER BY position LOOP
    copy := k.kind || '_' || peer;
    EXECUTE format('ALTER TABLE %I RENAME TO %I', copy, 'retired_' || copy);
    EXECUTE format('ALTER TABLE %I RENAME TO %I', 'staging_' || copy, copy);
    EXECUTE format('ALTER TABLE %I RESET (autovacuum_enabled)', copy);
    IF k.purpose = 'state' THEN
      EXECUTE format('ALTER TABLE %I NO INHERIT %I', 'retired_' || copy, k.kind || '_all');
      EXECUTE format('ALTER TABLE %I INHERIT %I', copy, k.kind || '_all');
    END IF;
    PERFORM grant_table(copy, k.kind, false);
    PERFORM attach_triggers(copy, k.kind, false);
    PERFORM publish_to_targets(copy);
    EXECUTE format('DROP TABLE %I', 'retired_' || copy);
    -- Index names follow their table's, or the next resynchronisation would find them taken.
    FOR part IN SELECT i.indexrelid::regclass::text AS name, c.relname
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = format('lastcall.%I', copy)::regclass AND c.relname LIKE 'staging\_%' LOOP
      EXECUTE format('ALTER INDEX %s RENAME TO %I', part.name, substr(part.relname, 9));
    END LOOP;
  END LOOP;
  PERFORM purge(f.kind, f.key, f.scope, f.forgotten_at, false) FROM unnest(owed) f;
  -- No row told of what is different now: whoever keeps copies of terminals reads them again.
  PERFORM pg_notify('lastcall_terminals', '');
END $$;
