-- One row a finished call of this site's subscribers, when the configuration asks for it. Not published: each site has
-- its own. A day is a partition, so that what is too old goes without a trace and without a vacuum.
CREATE TABLE call_records (
  record_id uuid NOT NULL,
  -- When the INVITE came.
  at timestamptz(6) NOT NULL,
  call_id text NOT NULL,
  -- Both null when the caller withheld the number: what the callee may not see is not here either (R7).
  from_terminal_id bigint,
  from_number text,
  withheld boolean NOT NULL,
  to_terminal_id bigint,
  -- As dialed; after a star code the number that it stood for. Null: the code was refused.
  to_number text,
  code text CHECK (code IN ('redial', 'return')),
  -- Which site's table that number came from, and how old it was.
  source_site text,
  source_age_ms bigint,
  result text NOT NULL,
  status integer NOT NULL,
  setup_ms integer NOT NULL,
  -- From the answer to BYE; null: not answered, or this process did not see the end.
  talk_ms bigint,
  PRIMARY KEY (at, record_id)
) PARTITION BY RANGE (at);
CREATE INDEX ON call_records (from_terminal_id, at);
CREATE INDEX ON call_records (to_terminal_id, at);
-- For what no day is made for: a clock that was wrong.
CREATE TABLE call_records_other PARTITION OF call_records DEFAULT;
GRANT SELECT, INSERT, UPDATE (talk_ms) ON call_records TO lastcall_app;

-- A record goes when one of its parties was forgotten, in whole or the side that the record tells of.
CREATE VIEW call_records_kept AS
  SELECT r.* FROM call_records r
  WHERE NOT EXISTS (SELECT FROM marks_by_site m WHERE m.forgotten_at >= r.at AND (
      m.key = r.from_terminal_id::text
        AND (m.kind = 'terminals' OR m.kind = 'lastcalls' AND m.scope IN ('all', 'dialed'))
      OR m.key = r.to_terminal_id::text
        AND (m.kind = 'terminals' OR m.kind = 'lastcalls' AND m.scope IN ('all', 'received', 'terminated'))));
GRANT SELECT ON call_records_kept TO lastcall_app;

-- Days for the coming week, none older than `days`, and nothing that was forgotten. 0 days: everything goes.
CREATE FUNCTION keep_call_records(days integer) RETURNS void LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = lastcall, pg_temp SET timezone = 'UTC' SET lock_timeout = '2s' AS $$
DECLARE
  today date := clock_timestamp()::date;
  day date;
  name text;
BEGIN
  IF days > 0 THEN
    FOR day IN SELECT today + n FROM generate_series(0, 6) n LOOP
      name := 'call_records_' || to_char(day, 'YYYYMMDD');
      CONTINUE WHEN to_regclass(format('lastcall.%I', name)) IS NOT NULL
        OR EXISTS (SELECT FROM call_records_other o WHERE o.at >= day AND o.at < day + 1);
      EXECUTE format('CREATE TABLE %I PARTITION OF call_records FOR VALUES FROM (%L) TO (%L)', name, day, day + 1);
    END LOOP;
  END IF;
  FOR name IN
      SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = 'call_records'::regclass AND c.relname ~ '^call_records_\d{8}$'
        AND (days = 0 OR right(c.relname, 8)::date < today - days) LOOP
    EXECUTE format('DROP TABLE %I', name);
  END LOOP;
  DELETE FROM call_records_other WHERE days = 0 OR at < clock_timestamp() - make_interval(days => days);
  DELETE FROM call_records r USING call_records g
    WHERE r.at = g.at AND r.record_id = g.record_id
      AND NOT EXISTS (SELECT FROM call_records_kept k WHERE k.at = g.at AND k.record_id = g.record_id);
END $$;

-- Forgets last calls of this site's own table that are older than `days`, everywhere: each by a mark of its own date,
-- so that a newer one that is not known here yet stands. Returns how many; those beyond `most` wait for the next time.
CREATE FUNCTION expire_last_calls(days integer, most integer DEFAULT 20000) RETURNS bigint LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  g kind_groups;
  expired record;
  count bigint := 0;
BEGIN
  IF days < 1 THEN RETURN 0; END IF;
  FOR g IN SELECT * FROM kind_groups WHERE kind = 'lastcalls' LOOP
    FOR expired IN EXECUTE format('SELECT terminal_id::text AS key, %1$I AS at FROM %2$I WHERE %1$I < $1 LIMIT $2',
        g.date_column, 'lastcalls_' || this_site())
        USING clock_timestamp() - make_interval(days => days), most LOOP
      PERFORM purge('lastcalls', expired.key, g.name,
        write_mark('lastcalls', expired.key, g.name, expired.at), false);
      count := count + 1;
    END LOOP;
  END LOOP;
  RETURN count;
END $$;

REVOKE ALL ON FUNCTION keep_call_records(integer), expire_last_calls(integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION keep_call_records(integer), expire_last_calls(integer, integer) TO lastcall_app;
SELECT keep_call_records(1);
