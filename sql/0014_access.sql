-- Who may use the REST API, and who changed what. Neither is published: each site has its own.

-- Only hashes: 32 random bytes need no salt. A one-time entry is a code that a console exchanges for a token, once.
CREATE TABLE api_tokens (
  name text PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
  role text NOT NULL CHECK (role IN ('read', 'record', 'admin')),
  hash bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
  one_time boolean NOT NULL DEFAULT false,
  created_by text NOT NULL,
  created_at timestamptz(6) NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz(6),
  last_used_at timestamptz(6),
  CHECK (NOT one_time OR expires_at IS NOT NULL)
);

CREATE FUNCTION notify_tokens() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('lastcall_tokens', '');
  RETURN NULL;
END $$;
CREATE TRIGGER notify_tokens AFTER INSERT OR DELETE OR UPDATE OF role, hash, expires_at ON api_tokens
  FOR EACH STATEMENT EXECUTE FUNCTION notify_tokens();

GRANT SELECT, INSERT, DELETE, UPDATE (last_used_at) ON api_tokens TO lastcall_app;

-- The application adds to it and can change nothing in it.
CREATE TABLE audit_log (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz(6) NOT NULL DEFAULT clock_timestamp(),
  -- The token's name, or the user and host of a command line.
  who text NOT NULL,
  via text NOT NULL CHECK (via IN ('rest', 'cli')),
  -- Address that the request or the session came from; NULL: over a local socket.
  source text,
  -- `PUT /v1/terminals/:terminalId`, `terminals add`
  what text NOT NULL,
  details jsonb NOT NULL DEFAULT '{}',
  request_id text
);
CREATE INDEX ON audit_log (at);
GRANT SELECT, INSERT ON audit_log TO lastcall_app;

-- Entries older than `days`; a month at least is kept whoever asks.
CREATE FUNCTION trim_audit_log(days integer) RETURNS bigint LANGUAGE sql
  SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
  WITH gone AS (
    DELETE FROM audit_log WHERE at < clock_timestamp() - make_interval(days => greatest(days, 30)) RETURNING 1)
  SELECT count(*) FROM gone
$$;
REVOKE ALL ON FUNCTION trim_audit_log(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION trim_audit_log(integer) TO lastcall_app;
