-- Who works on what, for seconds at a time by this server's clock (replication rule 32). A lease that has ended, or
-- whose holder's session is gone, is anybody's; each taking is a new epoch, and what an older one still wants to do is
-- refused.
CREATE TABLE leases (
  name text PRIMARY KEY,
  holder text NOT NULL,
  epoch bigint NOT NULL,
  -- The session that holds it: a killed process needs no waiting for.
  pid integer NOT NULL,
  session_began timestamptz NOT NULL,
  expires_at timestamptz NOT NULL
);

CREATE FUNCTION is_live(lease leases) RETURNS boolean LANGUAGE sql
  SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
  SELECT lease.expires_at > clock_timestamp()
    AND EXISTS (SELECT FROM pg_stat_get_activity(lease.pid) s WHERE s.backend_start = lease.session_began)
$$;

-- The new epoch, or NULL while somebody else's lease is live.
CREATE FUNCTION take_lease(lease text, of_holder text, seconds double precision) RETURNS bigint LANGUAGE sql
  SET search_path = lastcall, pg_temp AS $$
  INSERT INTO leases AS l (name, holder, epoch, pid, session_began, expires_at)
    SELECT lease, of_holder, 1, s.pid, s.backend_start, clock_timestamp() + make_interval(secs => seconds)
    FROM pg_stat_get_activity(pg_backend_pid()) s
  ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, epoch = l.epoch + 1, pid = excluded.pid,
      session_began = excluded.session_began, expires_at = excluded.expires_at
    WHERE NOT is_live(l)
  RETURNING epoch
$$;

-- False when another one has taken it.
CREATE FUNCTION renew_lease(lease text, of_epoch bigint, seconds double precision) RETURNS boolean LANGUAGE sql
  SET search_path = lastcall, pg_temp AS $$
  WITH renewed AS (
    UPDATE leases l
      SET expires_at = clock_timestamp() + make_interval(secs => seconds), pid = s.pid, session_began = s.backend_start
      FROM pg_stat_get_activity(pg_backend_pid()) s WHERE l.name = lease AND l.epoch = of_epoch RETURNING 1)
  SELECT EXISTS (SELECT FROM renewed)
$$;

CREATE FUNCTION release_lease(lease text, of_epoch bigint) RETURNS void LANGUAGE sql
  SET search_path = lastcall, pg_temp AS $$
  UPDATE leases SET expires_at = '-infinity' WHERE name = lease AND epoch = of_epoch
$$;

-- Throws LC003 unless the lease is still of that epoch: before anything that only its holder may do.
CREATE FUNCTION require_lease(lease text, of_epoch bigint) RETURNS void LANGUAGE plpgsql
  SET search_path = lastcall, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM leases WHERE name = lease AND epoch = of_epoch AND expires_at > clock_timestamp()) THEN
    RAISE EXCEPTION 'lease % is held by somebody else now', lease USING ERRCODE = 'LC003';
  END IF;
END $$;

-- Ends what workers of a direction that was taken from them left open: a frozen one's locks would stand for hours.
CREATE FUNCTION end_workers(of_peer text) RETURNS integer LANGUAGE sql
  SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
  SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 2000))::integer FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND usename IN ('lastcall_replicator', 'lastcall_coordinator')
      AND application_name IN ('lastcall-apply-' || of_peer, 'lastcall-resync-' || this_site())
$$;

REVOKE ALL ON FUNCTION is_live(leases), take_lease(text, text, double precision),
  renew_lease(text, bigint, double precision), release_lease(text, bigint), require_lease(text, bigint),
  end_workers(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION is_live(leases) TO lastcall_app, lastcall_replicator, lastcall_coordinator;
GRANT EXECUTE ON FUNCTION take_lease(text, text, double precision), renew_lease(text, bigint, double precision),
  release_lease(text, bigint), require_lease(text, bigint) TO lastcall_coordinator;
GRANT EXECUTE ON FUNCTION end_workers(text) TO lastcall_replicator, lastcall_coordinator;
GRANT SELECT ON leases TO lastcall_app, lastcall_replicator, lastcall_coordinator;
GRANT INSERT, UPDATE ON leases TO lastcall_coordinator;
