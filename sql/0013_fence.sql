-- What the coordinator does to a primary that another server was promoted past (replication rule 28): nobody of
-- Lastcall writes or reads here any more, so that what is salvaged from here is all there is. The right is taken from
-- the schema, not from the roles: those are the whole cluster's, and another site may live in it. A server that is
-- rejoined as a standby has the new primary's catalog, and with it the right again; unfence() gives it back to one
-- that stays primary after all.

-- Whether it has become fenced with this; refused on the newest server.
CREATE FUNCTION fence(newest_timeline integer) RETURNS boolean LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  own_timeline integer := ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer;
BEGIN
  IF own_timeline >= newest_timeline THEN
    RAISE EXCEPTION 'timeline % was not left behind by timeline %', own_timeline, newest_timeline
      USING ERRCODE = 'LC004';
  END IF;
  IF NOT has_schema_privilege('lastcall_app', 'lastcall', 'USAGE') THEN RETURN false; END IF;
  REVOKE USAGE ON SCHEMA lastcall FROM lastcall_app, lastcall_replicator, lastcall_peer;
  RETURN true;
END $$;

-- Once fence() has committed: sessions of before know their tables already.
CREATE FUNCTION end_fenced_sessions() RETURNS integer LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
BEGIN
  IF has_schema_privilege('lastcall_app', 'lastcall', 'USAGE') THEN RETURN 0; END IF;
  RETURN (SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 2000)) FROM pg_stat_activity
    WHERE datname = current_database() AND usename IN ('lastcall_app', 'lastcall_replicator', 'lastcall_peer'));
END $$;

CREATE FUNCTION unfence() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
  GRANT USAGE ON SCHEMA lastcall TO lastcall_app, lastcall_replicator, lastcall_peer
$$;

REVOKE ALL ON FUNCTION fence(integer), end_fenced_sessions(), unfence() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fence(integer), end_fenced_sessions(), unfence() TO lastcall_coordinator;
