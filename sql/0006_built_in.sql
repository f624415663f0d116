-- The kinds that Lastcall itself keeps. Their shapes are the always empty parents `<kind>_all`.

CREATE TABLE heartbeat_all (
  id boolean NOT NULL PRIMARY KEY DEFAULT true CHECK (id),
  beat_at timestamptz(6) NOT NULL,
  -- Of every other site the beat_at of its last beat that is applied here, and what that beat said of the others.
  applied jsonb NOT NULL DEFAULT '{}',
  seen jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE terminals_all (
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
CREATE INDEX ON terminals_all (username);
CREATE INDEX ON terminals_all (number);
CREATE INDEX ON terminals_all (aor);

-- Its children are the lastcalls_<site>; its only purpose is that one DELETE on the view `lastcalls` reaches a terminal
-- wherever its row stands.
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
  last_dialed_privacy text,
  -- And the keys of the last reports over REST: one that is repeated at another site is known there.
  reported_calls text
);

INSERT INTO kinds (kind, position, purpose, key_columns, single_dates, follows, follows_by, fillfactor) VALUES
  ('marks', 1, 'marks', '{key, kind, scope}', '{}', NULL, NULL, 100),
  ('terminals', 2, 'provisioning', '{terminal_id}', '{}', NULL, NULL, 100),
  ('lastcalls', 3, 'state', '{terminal_id}', '{last_term_unknown_pai_date, last_term_call_trace_date}',
    'terminals', 'terminal_id', 70),
  -- Last: a beat that is applied says that everything before it is.
  ('heartbeat', 1000000, 'heartbeat', '{id}', '{}', NULL, NULL, 50);

INSERT INTO kind_groups (kind, name, position, date_column, columns, value_column) VALUES
  ('marks', 'mark', 1, 'forgotten_at', '{marked_at}', NULL),
  ('heartbeat', 'beat', 1, 'beat_at', '{applied, seen}', NULL),
  ('terminals', 'provisioning', 1, 'updated_at',
    '{user_id, username, aor, ha1_md5, ha1_sha256, number, number_id, features, enabled}', NULL),
  ('lastcalls', 'dialed', 1, 'last_dialed_date',
    '{last_dialed_call, last_dialed_num_id, last_dialed_privacy}', 'last_dialed_call'),
  ('lastcalls', 'received', 2, 'last_received_date',
    '{last_received_call, last_received_num_id, last_received_call_id, last_received_user_num,
      last_received_user_num_id, last_received_fwd_call, last_received_orig_cld_call, last_received_sip_uri}',
    'last_received_call'),
  ('lastcalls', 'terminated', 3, 'last_terminated_date',
    '{last_terminated_call_id, last_terminated_user_num, last_terminated_user_num_id, last_terminated_call,
      last_terminated_num_id, last_terminated_fwd_call, last_terminated_orig_cld_call, last_terminated_sip_uri}',
    'last_terminated_call');

SELECT add_site(:'own_site', true);

-- Provisioning: one logical list of terminals, written at any site. The newest updated_at wins; a mark removes.
CREATE VIEW terminals AS
  SELECT DISTINCT ON (t.terminal_id)
    t.terminal_id, t.user_id, t.username, t.aor, t.ha1_md5, t.ha1_sha256, t.number, t.number_id, t.features, t.enabled,
    t.updated_at, t.site
  FROM terminals_by_site t
  WHERE NOT EXISTS (SELECT FROM marks_by_site m
                    WHERE m.key = t.terminal_id::text AND m.kind = 'terminals' AND m.forgotten_at >= t.updated_at)
  ORDER BY t.terminal_id, t.updated_at DESC, t.site;

-- Whether anything is known of a key, or of what follows it: rows or marks.
CREATE FUNCTION has_past(of_kind text, of_key text) RETURNS boolean
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  concerned record;
  is_known boolean;
BEGIN
  FOR concerned IN
      SELECT kind, own_or_follow_match(kind, of_kind) AS matches FROM kinds
      WHERE kind = of_kind OR follows = of_kind ORDER BY position LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM marks_by_site m WHERE m.key = $1 AND m.kind = $2)
        OR EXISTS (SELECT FROM %I t WHERE %s)', concerned.kind || '_by_site', concerned.matches)
      INTO is_known USING of_key, concerned.kind;
    IF is_known THEN RETURN true; END IF;
  END LOOP;
  RETURN false;
END $$;

CREATE FUNCTION write_terminal() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  taken terminals;
  written timestamptz;
BEGIN
  -- Two writers at one site cannot both pass the checks below; two sites can, and then the newest updated_at wins.
  PERFORM pg_advisory_xact_lock(hashtext('lastcall.terminals'));
  IF TG_OP <> 'INSERT' AND NOT EXISTS (SELECT FROM terminals t WHERE t.terminal_id = old.terminal_id) THEN
    RETURN NULL; -- Removed while this statement waited: it must not come back by an UPDATE.
  END IF;
  IF TG_OP = 'DELETE' THEN
    PERFORM forget_key('terminals', old.terminal_id::text, 'all', old.updated_at);
    RETURN old;
  END IF;
  IF TG_OP = 'UPDATE' AND new.terminal_id <> old.terminal_id THEN
    RAISE EXCEPTION 'terminal_id % cannot change to %', old.terminal_id, new.terminal_id
      USING ERRCODE = 'feature_not_supported', HINT = 'Remove the terminal and add it under its new terminal_id.';
  END IF;
  IF TG_OP = 'INSERT' AND EXISTS (SELECT FROM terminals t WHERE t.terminal_id = new.terminal_id) THEN
    RAISE EXCEPTION 'terminal % already exists', new.terminal_id
      USING ERRCODE = 'unique_violation', CONSTRAINT = 'terminals_terminal_id', HINT = 'UPDATE it, or remove it first.';
  END IF;
  -- The candidates by index first: the view itself would be computed whole.
  SELECT * INTO taken FROM terminals t
    WHERE t.terminal_id = ANY (ARRAY(
        SELECT c.terminal_id FROM terminals_by_site c WHERE c.terminal_id <> new.terminal_id
        AND (c.username = new.username OR c.number = new.number OR c.aor = new.aor)))
      AND (t.username = new.username OR t.number = new.number OR t.aor = new.aor) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'terminal % already has %', taken.terminal_id, CASE
        WHEN taken.username = new.username THEN format('username %L', new.username)
        WHEN taken.number = new.number THEN format('number %L', new.number)
        ELSE format('address of record %L', new.aor) END
      USING ERRCODE = 'unique_violation', CONSTRAINT = CASE
        WHEN taken.username = new.username THEN 'terminals_username'
        WHEN taken.number = new.number THEN 'terminals_number' ELSE 'terminals_aor' END,
        HINT = 'A username, a number and an address of record belong to one terminal.';
  END IF;
  -- An old id begins empty: nothing recorded before this is its own (S6). One that is new in every way needs no mark,
  -- so that what happened to it elsewhere can still be imported.
  IF TG_OP = 'INSERT' AND has_past('terminals', new.terminal_id::text) THEN
    PERFORM forget_key('terminals', new.terminal_id::text);
  END IF;
  -- Later than every version and every mark known here, so that the write is seen whatever the clocks say.
  written := greatest(clock_timestamp(),
    (SELECT max(later_than(updated_at)) FROM terminals_by_site t WHERE t.terminal_id = new.terminal_id),
    (SELECT max(later_than(m.forgotten_at)) FROM marks_by_site m
      WHERE m.key = new.terminal_id::text AND m.kind = 'terminals'));
  EXECUTE format(
    'INSERT INTO %I AS t (terminal_id, user_id, username, aor, ha1_md5, ha1_sha256, number, number_id, features,
       enabled, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, ''{redial,return}''), coalesce($10, true), $11)
     ON CONFLICT (terminal_id) DO UPDATE SET
       (user_id, username, aor, ha1_md5, ha1_sha256, number, number_id, features, enabled, updated_at) =
       (excluded.user_id, excluded.username, excluded.aor, excluded.ha1_md5, excluded.ha1_sha256, excluded.number,
        excluded.number_id, excluded.features, excluded.enabled, excluded.updated_at)', 'terminals_' || this_site())
    USING new.terminal_id, new.user_id, new.username, new.aor, new.ha1_md5, new.ha1_sha256, new.number, new.number_id,
      new.features, new.enabled, written;
  new.updated_at := written;
  new.site := this_site();
  RETURN new;
END $$;
CREATE TRIGGER write_terminal INSTEAD OF INSERT OR UPDATE OR DELETE ON terminals
  FOR EACH ROW EXECUTE FUNCTION write_terminal();

GRANT SELECT, INSERT, UPDATE, DELETE ON terminals TO lastcall_app, lastcall_coordinator;
GRANT SELECT ON terminals TO lastcall_replicator;
GRANT SELECT ON sites, kinds, kind_groups, kind_columns
  TO lastcall_app, lastcall_replicator, lastcall_coordinator, lastcall_peer;
