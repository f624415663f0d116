-- The five roles. They are cluster-wide: two sites' databases in one cluster share them.
-- lastcall_owner owns every object and never logs in; the others get exactly what their process needs. As lastcall_peer
-- the other sites log in: it reads and has slots, and writes nothing.
DO $$
DECLARE
  made record;
BEGIN
  FOR made IN SELECT * FROM (VALUES
      ('lastcall_owner', 'NOLOGIN'), ('lastcall_app', 'LOGIN'),
      ('lastcall_replicator', 'LOGIN REPLICATION'), ('lastcall_peer', 'LOGIN REPLICATION'),
      ('lastcall_coordinator', 'LOGIN REPLICATION'))
        AS r (name, attributes)
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r.name) LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I %s', made.name, made.attributes);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL; -- Another database of this cluster was faster.
    END;
  END LOOP;
  IF NOT pg_has_role('lastcall_coordinator', 'pg_monitor', 'MEMBER') THEN
    GRANT pg_monitor TO lastcall_coordinator;
  END IF;
  -- A slot over budget is dropped here while a peer reads it.
  IF NOT pg_has_role('lastcall_replicator', 'lastcall_peer', 'MEMBER') THEN
    GRANT lastcall_peer TO lastcall_replicator, lastcall_coordinator;
  END IF;
  -- For the functions that tell whether a lease's holder still lives, and that end what a frozen worker left open.
  IF NOT pg_has_role('lastcall_owner', 'pg_signal_backend', 'MEMBER') THEN
    GRANT pg_signal_backend, pg_read_all_stats TO lastcall_owner;
  END IF;
  IF NOT pg_has_role(current_user, 'lastcall_owner', 'MEMBER') THEN
    EXECUTE format('GRANT lastcall_owner TO %I', current_user);
  END IF;
  EXECUTE format('GRANT CREATE ON DATABASE %I TO lastcall_owner', current_database());
END $$;

ALTER SCHEMA lastcall OWNER TO lastcall_owner;
GRANT USAGE ON SCHEMA lastcall TO lastcall_app, lastcall_replicator, lastcall_coordinator, lastcall_peer;

DO $$
DECLARE r text;
BEGIN
  FOREACH r IN ARRAY ARRAY['lastcall_app', 'lastcall_replicator', 'lastcall_coordinator', 'lastcall_peer'] LOOP
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I', current_database(), r);
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET timezone = ''UTC''', r, current_database());
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET datestyle = ''ISO''', r, current_database());
    -- Compiling a short statement costs a hundred times what it takes.
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET jit = off', r, current_database());
  END LOOP;
  -- A statement whose caller gave up must not stay in a lock's queue: its like would soon take every connection.
  EXECUTE format('ALTER ROLE lastcall_app IN DATABASE %I SET lock_timeout = ''1s''', current_database());
  EXECUTE format('ALTER ROLE lastcall_app IN DATABASE %I SET client_connection_check_interval = ''1s''',
    current_database());
  -- Statements are prepared, and the same plan fits every parameter: planning would cost more than running them.
  EXECUTE format('ALTER ROLE lastcall_app IN DATABASE %I SET plan_cache_mode = ''force_generic_plan''',
    current_database());
END $$;
