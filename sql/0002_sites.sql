-- Which sites there are, and the shape that every site's tables have.
CREATE TABLE sites (
  site text PRIMARY KEY CHECK (site ~ '^[a-z][a-z0-9_]{0,15}$'),
  own boolean NOT NULL DEFAULT false,
  added_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX sites_one_own ON sites (own) WHERE own;

CREATE FUNCTION this_site() RETURNS text
  LANGUAGE sql STABLE PARALLEL SAFE
  SET search_path = lastcall, pg_temp
  AS 'SELECT site FROM sites WHERE own';

-- The always empty parent of every lastcalls_<site>. Its only purpose is that one DELETE on the view `lastcalls`
-- reaches a terminal wherever its row stands; reading or writing it directly is never needed.
CREATE TABLE lastcalls_all (
  terminal_id bigint NOT NULL PRIMARY KEY CHECK (terminal_id BETWEEN 1 AND 9007199254740991),
  user_id bigint,
  last_dialed_call text,
  last_dialed_num_id bigint,
  last_dialed_date timestamptz(6),
  last_received_call text,
  last_received_num_id bigint,
  last_received_date timestamptz(6),
  last_received_call_id text,
  last_received_user_num text,
  last_received_user_num_id bigint,
  last_received_fwd_call text,
  last_received_orig_cld_call text,
  last_terminated_call_id text,
  last_terminated_user_num text,
  last_terminated_user_num_id bigint,
  last_terminated_call text,
  last_terminated_num_id bigint,
  last_terminated_date timestamptz(6),
  last_terminated_fwd_call text,
  last_terminated_orig_cld_call text,
  last_term_unknown_pai_date timestamptz(6),
  last_term_call_trace_date timestamptz(6),
  last_received_sip_uri text,
  last_terminated_sip_uri text,
  -- Beyond the dissertation's 25 columns: the Privacy values (RFC 3323) of the last dialed call, for its redial (F16).
  last_dialed_privacy text
);

CREATE TABLE terminals_template (
  terminal_id bigint NOT NULL PRIMARY KEY CHECK (terminal_id BETWEEN 1 AND 9007199254740991),
  user_id bigint,
  username text NOT NULL CHECK (username <> ''),
  aor text NOT NULL CHECK (aor <> ''),
  ha1_md5 text CHECK (ha1_md5 ~ '^[0-9a-f]{32}$'),
  ha1_sha256 text CHECK (ha1_sha256 ~ '^[0-9a-f]{64}$'),
  number text NOT NULL CHECK (number <> ''),
  number_id bigint,
  features text[] NOT NULL DEFAULT '{redial,return}'
    CHECK (features <@ ARRAY['redial', 'return', 'erase', 'trace']),
  enabled boolean NOT NULL DEFAULT true,
  updated_at timestamptz(6) NOT NULL DEFAULT clock_timestamp()
);

-- A forget mark wins over everything of its scope that is not newer (C9). Scope `terminal` also covers the provisioning.
CREATE TABLE forgotten_template (
  terminal_id bigint NOT NULL,
  scope text NOT NULL CHECK (scope IN ('terminal', 'all', 'dialed', 'received', 'terminated')),
  forgotten_at timestamptz(6) NOT NULL,
  PRIMARY KEY (terminal_id, scope)
);

-- One row. `applied` holds, for every other site, the beat_at of that site's last beat applied here.
CREATE TABLE heartbeat_template (
  id boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (id),
  beat_at timestamptz(6) NOT NULL,
  applied jsonb NOT NULL DEFAULT '{}'
);
