-- The four roles. They are cluster-wide: two sites' databases in one cluster share them.
-- lastcall_owner owns every object and never logs in; the three others get exactly what their process needs.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lastcall_owner') THEN
    CREATE ROLE lastcall_owner NOLOGIN;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lastcall_app') THEN
    CREATE ROLE lastcall_app LOGIN;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lastcall_replicator') THEN
    CREATE ROLE lastcall_replicator LOGIN REPLICATION;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lastcall_coordinator') THEN
    CREATE ROLE lastcall_coordinator LOGIN REPLICATION;
    GRANT pg_monitor TO lastcall_coordinator;
  END IF;
  IF NOT pg_has_role(current_user, 'lastcall_owner', 'MEMBER') THEN
    EXECUTE format('GRANT lastcall_owner TO %I', current_user);
  END IF;
  EXECUTE format('GRANT CREATE ON DATABASE %I TO lastcall_owner', current_database());
END $$;

ALTER SCHEMA lastcall OWNER TO lastcall_owner;
GRANT USAGE ON SCHEMA lastcall TO lastcall_app, lastcall_replicator, lastcall_coordinator;

DO $$
DECLARE r text;
BEGIN
  FOREACH r IN ARRAY ARRAY['lastcall_app', 'lastcall_replicator', 'lastcall_coordinator'] LOOP
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I', current_database(), r);
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET timezone = ''UTC''', r, current_database());
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET datestyle = ''ISO''', r, current_database());
  END LOOP;
END $$;
