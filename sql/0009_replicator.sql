-- What the applying side of a direction needs beyond its tables.

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
    IF NOT EXISTS (SELECT FROM replication_owner o WHERE o.peer = of_peer AND o.epoch = of_epoch) THEN
      RAISE EXCEPTION 'direction from % belongs to another worker now', of_peer USING ERRCODE = 'LC001';
    END IF;
    RAISE EXCEPTION 'position of direction from % does not continue to %', of_peer, to_lsn USING ERRCODE = 'LC002';
  END IF;
END $$;

-- Slots that this site dropped on purpose, so that their subscribers can say why they must resynchronise (rule 17).
CREATE TABLE replication_dropped_slot (
  slot text PRIMARY KEY,
  reason text NOT NULL,
  retained_bytes bigint NOT NULL,
  dropped_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

REVOKE ALL ON FUNCTION advance_position(text, bigint, bigint, pg_lsn, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION advance_position(text, bigint, bigint, pg_lsn, boolean) TO lastcall_replicator, lastcall_coordinator;
GRANT SELECT ON replication_dropped_slot TO lastcall_app, lastcall_replicator, lastcall_coordinator;
GRANT INSERT, UPDATE, DELETE ON replication_dropped_slot TO lastcall_replicator, lastcall_coordinator;
