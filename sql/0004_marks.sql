-- Forgetting. A mark wins over everything of its key and scope that is not newer, wherever that stands (C9). A removal,
-- a mark of a kind that others follow, also covers theirs: whole, unless newer provisioning exists (S3).
CREATE TABLE marks_all (
  kind text NOT NULL,
  key text NOT NULL,
  -- `all`, or one group.
  scope text NOT NULL,
  forgotten_at timestamptz(6) NOT NULL,
  -- When it was written, by the clock of the site's beats: what the others have applied is told by beats.
  marked_at timestamptz(6) NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (key, kind, scope)
);

-- Up to when the removal of a key reaches: without newer provisioning there is nothing that it spares.
CREATE FUNCTION removal_reach(of_kind text, of_key text, mark timestamptz) RETURNS timestamptz
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  newer boolean;
BEGIN
  EXECUTE (SELECT format('SELECT EXISTS (SELECT FROM %I t WHERE %s AND t.%I > $2)',
      of_kind || '_by_site', key_match(of_kind, 't', '$1'), date_column) FROM kind_groups WHERE kind = of_kind)
    INTO newer USING of_key, mark;
  RETURN CASE WHEN newer THEN mark ELSE 'infinity' END;
END $$;

-- Whether a date of one group, or of any (`all`), is forgotten by a mark that is known here.
CREATE FUNCTION is_forgotten(of_kind text, of_key text, of_group text, at timestamptz) RETURNS boolean
  LANGUAGE plpgsql STABLE SET search_path = lastcall, pg_temp AS $$
DECLARE
  follow kinds;
  follow_key text := of_key;
BEGIN
  IF EXISTS (SELECT FROM marks_by_site m WHERE m.key = of_key AND m.kind = of_kind
             AND m.scope IN ('all', of_group) AND m.forgotten_at >= at) THEN
    RETURN true;
  END IF;
  SELECT * INTO follow FROM kinds WHERE kind = of_kind AND follows IS NOT NULL;
  IF NOT FOUND THEN RETURN false; END IF;
  IF cardinality(follow.key_columns) > 1 THEN
    follow_key := of_key::jsonb ->> array_position(follow.key_columns, follow.follows_by) - 1;
  END IF;
  RETURN EXISTS (SELECT FROM marks_by_site m WHERE m.key = follow_key AND m.kind = follow.follows
                 AND removal_reach(m.kind, m.key, m.forgotten_at) >= at);
END $$;

CREATE FUNCTION write_mark(of_kind text, of_key text, of_scope text, at timestamptz) RETURNS timestamptz
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  mark timestamptz;
BEGIN
  EXECUTE format(
    'INSERT INTO %I AS m (kind, key, scope, forgotten_at) VALUES ($1, $2, $3, $4)
     ON CONFLICT (key, kind, scope) DO UPDATE SET forgotten_at = greatest(m.forgotten_at, excluded.forgotten_at)
     RETURNING forgotten_at', 'marks_' || this_site())
    INTO mark USING of_kind, of_key, of_scope, at;
  RETURN mark;
END $$;

-- A mark that covers everything of its scope known here, also what a clock that runs ahead wrote. It takes nothing away
-- yet: a row trigger calls this, and the row at hand is already being changed.
CREATE FUNCTION mark_only(of_kind text, of_key text, of_scope text, not_before timestamptz) RETURNS timestamptz
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  concerned record;
  known timestamptz;
  newest timestamptz;
BEGIN
  IF of_scope <> 'all' AND NOT EXISTS (SELECT FROM kind_groups WHERE kind = of_kind AND name = of_scope) THEN
    RAISE EXCEPTION '% has nothing named %', of_kind, quote_literal(of_scope) USING ERRCODE = 'check_violation',
      HINT = (SELECT format('Forget all, or one of: %s.', string_agg(name, ', ' ORDER BY position))
              FROM kind_groups WHERE kind = of_kind);
  END IF;
  FOR concerned IN
      SELECT k.kind, string_agg(format('(t.%I)', g.date_column), ', ') AS dates,
        own_or_follow_match(k.kind, of_kind) AS matches
      FROM kinds k JOIN kind_groups g USING (kind)
      WHERE k.kind = of_kind AND of_scope IN ('all', g.name) OR k.follows = of_kind GROUP BY k.kind LOOP
    EXECUTE format('SELECT max(d) FROM %I t, LATERAL (VALUES %s) AS dates (d) WHERE %s AND d < ''9999-01-01''',
      concerned.kind || '_by_site', concerned.dates, concerned.matches) INTO known USING of_key;
    newest := greatest(newest, known);
  END LOOP;
  RETURN write_mark(of_kind, of_key, of_scope,
    greatest(clock_timestamp(), newest, CASE WHEN not_before < '9999-01-01' THEN not_before END));
END $$;

-- Removes from this site's own rows of one kind what a mark covers; the flow of the own tables carries it on. A patient
-- caller waits for rows that others have locked; else they are left, covered, to the next sweep.
CREATE FUNCTION purge_kind(of_kind text, matches text, of_key text, of_scope text, mark timestamptz, patient boolean)
  RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  own text := of_kind || '_' || this_site();
  keys text := (SELECT string_agg(quote_ident(c), ', ') FROM kinds, unnest(key_columns) c WHERE kind = of_kind);
  locked text := format('(SELECT %s FROM %I t WHERE %s FOR UPDATE%s) AS locked', keys, own, matches,
    CASE WHEN NOT patient THEN ' SKIP LOCKED' END);
  joined text := (SELECT string_agg(format('t.%1$I = locked.%1$I', c), ' AND ')
    FROM kinds, unnest(key_columns) c WHERE kind = of_kind);
  is_single boolean := (SELECT count(*) = 1 FROM kind_groups WHERE kind = of_kind);
  g kind_groups;
BEGIN
  IF of_scope = 'all' OR is_single THEN
    EXECUTE format('DELETE FROM %I t USING %s WHERE %s AND %s', own, locked, joined, (
        SELECT string_agg(format('(t.%I > $2) IS NOT TRUE', name), ' AND ') FROM kind_columns
        WHERE kind = of_kind AND (name = date_column OR is_single_date AND NOT is_single)))
      USING of_key, mark;
  END IF;
  FOR g IN SELECT * FROM kind_groups WHERE kind = of_kind AND of_scope IN ('all', name) AND NOT is_single LOOP
    EXECUTE format('UPDATE %I t SET %s FROM %s WHERE %s AND t.%I <= $2', own,
        column_list(of_kind, NULL, '%1$I = NULL', NULL, NULL, ', ', g.name), locked, joined, g.date_column)
      USING of_key, mark;
  END LOOP;
END $$;

CREATE FUNCTION purge(of_kind text, of_key text, of_scope text, mark timestamptz, patient boolean)
  RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  follower text;
BEGIN
  FOR follower IN SELECT kind FROM kinds WHERE follows = of_kind ORDER BY position LOOP
    PERFORM purge_kind(follower, follow_match(follower, 't', '$1'), of_key, 'all',
      removal_reach(of_kind, of_key, mark), patient);
  END LOOP;
  IF EXISTS (SELECT FROM kinds WHERE kind = of_kind AND purpose IN ('state', 'provisioning')) THEN
    PERFORM purge_kind(of_kind, key_match(of_kind, 't', '$1'), of_key, of_scope, mark, patient);
  END IF;
END $$;

-- Forgets a key's entry of any kind at every site. Returns the mark's date.
CREATE FUNCTION forget_key(of_kind text, of_key text, of_scope text DEFAULT 'all',
    not_before timestamptz DEFAULT '-infinity')
  RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  concerned record;
  mark timestamptz;
BEGIN
  IF NOT EXISTS (SELECT FROM kinds WHERE kind = of_kind AND purpose IN ('state', 'provisioning')) THEN
    RAISE EXCEPTION 'there is no kind %', quote_nullable(of_kind) USING ERRCODE = 'invalid_parameter_value',
      HINT = 'SELECT kind FROM lastcall.kinds lists what this site keeps.';
  END IF;
  -- The rows before their mark, as a DELETE locks them: two that forget the same key wait in a row, never in a circle.
  FOR concerned IN
      SELECT kind, own_or_follow_match(kind, of_kind) AS matches
      FROM kinds WHERE kind = of_kind OR follows = of_kind ORDER BY kind = of_kind, position LOOP
    EXECUTE format('SELECT FROM %I t WHERE %s FOR UPDATE', concerned.kind || '_' || this_site(), concerned.matches)
      USING of_key;
  END LOOP;
  mark := mark_only(of_kind, of_key, of_scope, not_before);
  PERFORM purge(of_kind, of_key, of_scope, mark, true);
  RETURN mark;
END $$;

-- The same for a terminal: scope `terminal` removes its provisioning and what follows it, the others its last calls.
CREATE FUNCTION forget(terminal bigint, forget_scope text DEFAULT 'all', not_before timestamptz DEFAULT '-infinity')
  RETURNS timestamptz LANGUAGE sql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
  SELECT CASE forget_scope
    WHEN 'terminal' THEN forget_key('terminals', terminal::text, 'all', earliest)
    ELSE forget_key('lastcalls', terminal::text, forget_scope, earliest) END
  FROM (VALUES (least(not_before, clock_timestamp() + allowed_skew()))) AS clamped (earliest)
$$;

-- A mark that replication or a hand wrote purges what it covers here. One of forget() is followed by its own purge.
CREATE FUNCTION on_mark() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
BEGIN
  PERFORM purge(new.kind, new.key, new.scope, new.forgotten_at, false);
  RETURN NULL;
END $$;

-- The own marks' date of writing, never before a beat that was sent before; and no date that is ahead of every clock.
CREATE FUNCTION stamp_mark() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
BEGIN
  new.marked_at := greatest(clock_timestamp(), (SELECT beat_at FROM heartbeat_by_site WHERE site = this_site()));
  IF NOT new.forgotten_at < '9999-01-01' THEN new.forgotten_at := clock_timestamp(); END IF;
  RETURN new;
END $$;

-- The marks of one table that still cover something in this site's own tables.
CREATE FUNCTION marks_owed(mark_table text) RETURNS SETOF marks_all
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  k kinds;
  own text;
BEGIN
  FOR k IN SELECT * FROM kinds WHERE purpose IN ('state', 'provisioning') ORDER BY position LOOP
    own := k.kind || '_' || this_site();
    -- Materialized: keys of other kinds are never read as keys of this one.
    RETURN QUERY EXECUTE format($q$
      WITH m AS MATERIALIZED (SELECT f.kind, f.key, f.scope, f.forgotten_at, f.marked_at FROM %I f WHERE f.kind = %L)
      SELECT m.* FROM m JOIN %I t ON %s WHERE %s$q$,
      mark_table, k.kind, own, key_match(k.kind, 't', 'm.key'), (
        SELECT string_agg(format('m.scope IN (''all'', %L) AND t.%I <= m.forgotten_at', name, date_column), ' OR ')
        FROM kind_groups WHERE kind = k.kind));
    CONTINUE WHEN k.follows IS NULL;
    RETURN QUERY EXECUTE format($q$
      WITH m AS MATERIALIZED (SELECT f.kind, f.key, f.scope, f.forgotten_at, f.marked_at FROM %I f WHERE f.kind = %L)
      SELECT m.* FROM m JOIN %I t ON %s
        CROSS JOIN LATERAL (SELECT removal_reach(m.kind, m.key, m.forgotten_at) AS reach OFFSET 0) r WHERE %s$q$,
      mark_table, k.follows, own, follow_match(k.kind, 't', 'm.key'), (
        SELECT string_agg(format('t.%I <= r.reach', date_column), ' OR ') FROM kind_groups WHERE kind = k.kind));
  END LOOP;
END $$;

-- Every mark again, for what a trigger could not see or did not wait for: marks that came by COPY, records that a
-- journal wrote late, rows that somebody had locked.
CREATE FUNCTION sweep_forgotten() RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  swept bigint;
BEGIN
  SELECT count(purge(m.kind, m.key, m.scope, m.forgotten_at, false)) INTO swept FROM marks_owed('marks_by_site') m;
  RETURN swept;
END $$;

-- Up to when every other site has applied what this one wrote, and each of them what the others did upon it: a mark may
-- go only when no copy anywhere can still hold, unpurged, what it covers. NULL while one direction was never heard of.
-- The first is in each site's beat; of the second each beat repeats what it has heard of the others.
CREATE FUNCTION applied_everywhere() RETURNS timestamptz
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  here text := this_site();
BEGIN
  RETURN (SELECT CASE WHEN bool_and(applied IS NOT NULL) THEN min(applied) END FROM (
    SELECT (h.applied ->> here)::timestamptz AS applied
      FROM sites y LEFT JOIN heartbeat_by_site h USING (site) WHERE NOT y.own
    UNION ALL
    SELECT (h.seen -> x.site ->> here)::timestamptz
      FROM sites x JOIN sites y ON y.site <> x.site AND NOT y.own LEFT JOIN heartbeat_by_site h ON h.site = y.site
      WHERE NOT x.own) directions);
END $$;

-- Removes this site's marks that are older than the retention and that are applied everywhere.
CREATE FUNCTION collect_forgotten(retention interval) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  applied timestamptz := applied_everywhere();
  removed bigint;
BEGIN
  PERFORM sweep_forgotten();
  IF applied IS NULL AND EXISTS (SELECT FROM sites WHERE NOT own) THEN RETURN 0; END IF;
  EXECUTE format('DELETE FROM %I WHERE greatest(forgotten_at, marked_at) < $1 AND marked_at < $2',
      'marks_' || this_site())
    USING clock_timestamp() - retention, coalesce(applied, 'infinity');
  GET DIAGNOSTICS removed = ROW_COUNT;
  RETURN removed;
END $$;
