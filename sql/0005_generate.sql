-- What is generated of each kind: tables, triggers, grants and views. Rules that the own tables hold, whoever writes: a
-- group moves to a newer date or is forgotten, it never goes back (R13, I2). No right hangs on a setting; what a copy
-- or a purge may is told by the role (I8): only functions of the owner run as `lastcall_owner`.

-- Whether the session may write copies; of the application's roles none.
CREATE FUNCTION writes_copies() RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT pg_has_role(current_user, 'lastcall_replicator', 'USAGE')
    OR pg_has_role(current_user, 'lastcall_coordinator', 'USAGE')
$$;

-- An UPDATE through the view of the own rows never touches a copy, whatever it saw of one.
CREATE FUNCTION keep_copy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF lastcall.writes_copies() THEN RETURN new; END IF;
  RETURN NULL;
END $$;

-- A DELETE on the view sees every site's rows while it runs, and marks what it takes from a copy, a superuser's too.
-- That opens nothing but sight: any session can set such a parameter, and then sees what it may read anyway.
CREATE FUNCTION deleting() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT coalesce(current_setting('lastcall.deleting', true), '') = 'on' $$;
CREATE FUNCTION delete_everywhere() RETURNS trigger LANGUAGE plpgsql SET search_path = lastcall, pg_temp AS $$
BEGIN
  PERFORM set_config('lastcall.deleting',
    CASE WHEN TG_OP = 'DELETE' AND TG_WHEN = 'BEFORE' THEN 'on' ELSE 'off' END, true);
  RETURN NULL;
END $$;

-- A date further ahead than the allowed skew is dated anew, with a warning, unless what is known here makes it so
-- (R13, R14).
CREATE FUNCTION clamp_date(of_kind text, of_key text, of_column text, given timestamptz, instead timestamptz)
  RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
  IF given <= instead THEN RETURN given; END IF;
  RAISE WARNING '% of % % is %, ahead of this clock: dated %', of_column, of_kind, of_key, given, instead
    USING ERRCODE = 'datetime_field_overflow', HINT = 'Set the clock that it came from.';
  RETURN instead;
END $$;

-- The functions of one kind's own table, and the view through which it is used. Again after its definition changed.
CREATE FUNCTION build_kind(of_kind text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $body$
DECLARE
  own text := of_kind || '_' || this_site();
  all_names text := column_list(of_kind, '%1$I', '%1$I', '%1$I', '%1$I');
  key text := key_text(of_kind, 'new');
  keys text := column_list(of_kind, '%1$I', NULL, NULL, NULL, ', ');
  head text := 'SECURITY DEFINER SET search_path = lastcall, pg_temp AS $f$';
  ahead text := format('clock_timestamp() + %L::interval', allowed_skew());
  dating text := '';
  guarding text := '';
  newest text;
  clamp_singles text;
  content text;
  g kind_groups;
BEGIN
  IF NOT EXISTS (SELECT FROM kinds WHERE kind = of_kind AND purpose = 'state') THEN RETURN; END IF;

  -- The date of a change that came without one (R13): later than all that is known here of that group, marks included.
  EXECUTE format($q$CREATE OR REPLACE FUNCTION %I(of_key text, of_group text) RETURNS timestamptz
    LANGUAGE plpgsql AS $f$
    BEGIN
      RETURN greatest(clock_timestamp(),
        (SELECT max(later_than(CASE of_group %s END)) FROM %I t WHERE %s),
        (SELECT max(later_than(m.forgotten_at)) FROM marks_by_site m WHERE %s AND m.scope IN ('all', of_group)));
    END $f$ $q$, of_kind || '_next_date',
    (SELECT string_agg(format('WHEN %L THEN t.%I', name, date_column), E'\n          ' ORDER BY position)
     FROM kind_groups WHERE kind = of_kind),
    of_kind || '_by_site', key_match(of_kind, 't', 'of_key'), known_marks(of_kind, 'of_key'));

  clamp_singles := (SELECT string_agg(format($q$
      IF new.%1$I > %2$s THEN
        new.%1$I := CASE new.%1$I %3$s ELSE clamp_date(%4$L, %5$s, %1$L, new.%1$I, clock_timestamp()) END;
      END IF;$q$, d, ahead, (
        SELECT string_agg(format('WHEN given.%1$I THEN new.%1$I', date_column), ' ' ORDER BY position)
        FROM kind_groups WHERE kind = of_kind), of_kind, key), '' ORDER BY n)
    FROM kinds, unnest(single_dates) WITH ORDINALITY AS u (d, n) WHERE kind = of_kind);

  FOR g IN SELECT * FROM kind_groups WHERE kind = of_kind ORDER BY position LOOP
    content := (SELECT string_agg(format('new.%I', c), ', ' ORDER BY n)
      FROM unnest(g.columns) WITH ORDINALITY AS u (c, n));
    dating := dating || format($q$
      IF new.%1$I IS NULL THEN
        IF %2$s THEN new.%1$I := %3$I(%4$s, %5$L); END IF;
      ELSIF new.%1$I > %6$s THEN
        new.%1$I := clamp_date(%7$L, %4$s, %1$L, new.%1$I, %3$I(%4$s, %5$L));
      END IF;$q$, g.date_column, coalesce('num_nonnulls(' || content || ') > 0', 'false'), of_kind || '_next_date', key,
      g.name, ahead, of_kind);
    guarding := guarding || format($q$
      IF new.%1$I IS NOT DISTINCT FROM old.%1$I THEN
        IF ROW(%2$s) IS DISTINCT FROM ROW(%3$s) THEN new.%1$I := %4$I(%5$s, %6$L); END IF;
      ELSIF new.%1$I IS NULL THEN
        %7$s
        PERFORM mark_only(%8$L, %5$s, %6$L, old.%1$I);
      ELSIF new.%1$I < old.%1$I THEN
        %9$s
      ELSIF new.%1$I > %10$s THEN
        new.%1$I := clamp_date(%8$L, %5$s, %1$L, new.%1$I, %4$I(%5$s, %6$L));
      END IF;$q$, g.date_column, content, replace(content, 'new.', 'old.'), of_kind || '_next_date', key, g.name,
      column_list(of_kind, NULL, 'new.%1$I := NULL;', NULL, NULL, E'\n        ', g.name), of_kind,
      column_list(of_kind, NULL, 'new.%1$I := old.%1$I;', NULL, NULL, E'\n        ', g.name), ahead);
  END LOOP;

  -- BEFORE INSERT: content without a date is dated now; the row of a key is never half a group.
  EXECUTE format($q$CREATE OR REPLACE FUNCTION %I() RETURNS trigger LANGUAGE plpgsql %s
    DECLARE
      given %I := new;
    BEGIN%s%s
      RETURN new;
    END $f$ $q$, of_kind || '_date_insert', head, own, dating, clamp_singles);

  -- BEFORE UPDATE. Per group: a newer date is taken; the same date with other content is dated anew; an older date
  -- loses to what stands; no date at all means: forget this group.
  EXECUTE format($q$CREATE OR REPLACE FUNCTION %I() RETURNS trigger LANGUAGE plpgsql %s
    DECLARE
      given %I := new;
    BEGIN
      IF ROW(%s) IS DISTINCT FROM ROW(%s) THEN
        RAISE EXCEPTION 'the key of a row of %s cannot change from %% to %%', %s, %s
          USING ERRCODE = 'feature_not_supported',
          HINT = 'INSERT the row under its new key, then DELETE the old one.';
      END IF;%s%s
      RETURN new;
    END $f$ $q$, of_kind || '_guard_update', head, own,
    column_list(of_kind, 'new.%1$I', NULL, NULL, NULL, ', '), column_list(of_kind, 'old.%1$I', NULL, NULL, NULL, ', '),
    of_kind, key_text(of_kind, 'old'), key, guarding, clamp_singles);

  EXECUTE format($q$CREATE OR REPLACE FUNCTION %I() RETURNS trigger LANGUAGE plpgsql %s
    BEGIN
      PERFORM forget_key(%L, %s, 'all', greatest(%s));
      RETURN NULL;
    END $f$ $q$, of_kind || '_forget_deleted', head, of_kind, key_text(of_kind, 'old'),
    (SELECT string_agg(format('old.%I', date_column), ', ') FROM kind_groups WHERE kind = of_kind));

  -- INSERT on the view arrives at the empty parent and is merged into the own table, newer group by newer group,
  -- whatever an ON CONFLICT clause says: two writers, two sites or a replay can never make a row older.
  EXECUTE format($q$CREATE OR REPLACE FUNCTION %I() RETURNS trigger LANGUAGE plpgsql %s
    BEGIN
      INSERT INTO %I AS t (
      %s)
      VALUES (
      %s)
      ON CONFLICT (%s) DO UPDATE SET
      %s;
      RETURN NULL;
    END $f$ $q$, of_kind || '_merge_insert', head, own, all_names,
    column_list(of_kind, 'new.%1$I', 'new.%1$I', 'new.%1$I', 'new.%1$I'), keys,
    column_list(of_kind, NULL,
      '%1$I = CASE WHEN excluded.%2$I > coalesce(t.%2$I, ''-infinity'') THEN excluded.%1$I ELSE t.%1$I END',
      '%1$I = greatest(t.%1$I, excluded.%1$I)', '%1$I = coalesce(excluded.%1$I, t.%1$I)'));

  EXECUTE format('CREATE OR REPLACE TRIGGER merge_insert BEFORE INSERT ON %I FOR EACH ROW EXECUTE FUNCTION %I()',
    of_kind || '_all', of_kind || '_merge_insert');
  EXECUTE format($q$
    CREATE OR REPLACE TRIGGER delete_begins BEFORE DELETE ON %1$I
      FOR EACH STATEMENT EXECUTE FUNCTION delete_everywhere();
    CREATE OR REPLACE TRIGGER delete_ends AFTER DELETE ON %1$I
      FOR EACH STATEMENT EXECUTE FUNCTION delete_everywhere();
    CREATE OR REPLACE TRIGGER update_stays BEFORE UPDATE ON %1$I
      FOR EACH STATEMENT EXECUTE FUNCTION delete_everywhere()$q$, of_kind || '_all');
  EXECUTE format('CREATE OR REPLACE VIEW %I AS SELECT * FROM %I WHERE tableoid = %L::regclass OR deleting()',
    of_kind, of_kind || '_all', own);
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO lastcall_app, lastcall_coordinator', of_kind);
END $body$;

-- A row a key: each group from its freshest table without what is forgotten, and the site of each (C4, C9).
CREATE FUNCTION build_freshest(of_kind text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $body$
DECLARE
  by_site text := of_kind || '_by_site';
  follow text := (SELECT follows FROM kinds WHERE kind = of_kind);
  groups kind_groups[] := (SELECT array_agg(g ORDER BY position) FROM kind_groups g WHERE kind = of_kind);
  newest text := (SELECT 'greatest(' || string_agg(format('(f.l).%I', date_column), ', ') || ')' FROM unnest(groups));
BEGIN
  IF NOT EXISTS (SELECT FROM kinds WHERE kind = of_kind AND purpose = 'state') THEN RETURN; END IF;
  EXECUTE format($q$CREATE OR REPLACE VIEW %I AS
    SELECT
      %s,
      %s
    FROM (
      SELECT
        %s%s
      FROM (
        SELECT l, %s
        FROM %I l CROSS JOIN LATERAL (
          SELECT %s, %s AS removal
          FROM marks_by_site m WHERE %s) mark
          CROSS JOIN LATERAL (
            SELECT CASE WHEN mark.removal IS NOT NULL THEN removal_reach(%L, %s, mark.removal) END AS removed) r
      ) f
      GROUP BY %s
    ) f WHERE %s$q$,
    of_kind || '_freshest',
    (SELECT string_agg(CASE
        WHEN group_name IS NOT NULL THEN format('(f.%I).%I AS %I', 'freshest_' || group_name, name, name)
        ELSE format('f.%I', name) END, E',\n      ' ORDER BY c.position) FROM kind_columns c WHERE kind = of_kind),
    (SELECT string_agg(format('(f.%I).site AS %I', 'freshest_' || name, name || '_site'), E',\n      '
        ORDER BY position) FROM unnest(groups)),
    column_list(of_kind, '(f.l).%1$I', NULL, 'max((f.l).%1$I) AS %1$I', format(
      '(array_agg((f.l).%%1$I ORDER BY %s DESC NULLS LAST, (f.l).site)
          FILTER (WHERE (f.l).%%1$I IS NOT NULL))[1] AS %%1$I', newest), E',\n        '),
    (SELECT string_agg(format(',
        (array_agg(f.l ORDER BY (f.l).%1$I DESC, (f.l).site) FILTER (WHERE (f.l).%1$I > f.%2$I))[1] AS %3$I',
        date_column, 'until_' || name, 'freshest_' || name), '' ORDER BY position) FROM unnest(groups)),
    (SELECT string_agg(format('coalesce(greatest(mark.%I, r.removed), ''-infinity'') AS %I', name, 'until_' || name),
        ', ' ORDER BY position) FROM unnest(groups)),
    by_site,
    (SELECT string_agg(format('max(m.forgotten_at) FILTER (WHERE m.kind = %L AND m.scope IN (''all'', %L)) AS %I',
        of_kind, name, name), E',\n            ' ORDER BY position) FROM unnest(groups)),
    CASE WHEN follow IS NULL THEN 'NULL::timestamptz'
      ELSE format('max(m.forgotten_at) FILTER (WHERE m.kind = %L)', follow) END,
    mark_match(of_kind, 'l'),
    follow, coalesce((SELECT format('l.%I::text', follows_by) FROM kinds
      WHERE kind = of_kind AND follows_by IS NOT NULL), 'NULL'),
    column_list(of_kind, '(f.l).%1$I', NULL, NULL, NULL, ', '),
    (SELECT string_agg(format('(f.%I).site IS NOT NULL', 'freshest_' || name), ' OR ') FROM unnest(groups)));
  EXECUTE format('GRANT SELECT ON %I TO lastcall_app, lastcall_replicator, lastcall_coordinator, lastcall_peer',
    of_kind || '_freshest');
END $body$;

-- The views that name every site's table. A view binds its tables by OID, so whatever changes a table calls this in its
-- transaction. `replaced` names a site whose staging tables take the place of its copies.
CREATE FUNCTION build_views(of_kinds text[] DEFAULT NULL, replaced text DEFAULT NULL) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $body$
DECLARE
  k text;
  marks record;
BEGIN
  FOR k IN SELECT kind FROM kinds WHERE of_kinds IS NULL OR kind = ANY (of_kinds) ORDER BY position LOOP
    EXECUTE (SELECT format('CREATE OR REPLACE VIEW %I AS ', k || '_by_site')
        || string_agg(format('SELECT %L::text AS site, %s FROM %I t', site,
             column_list(k, 't.%I', 't.%I', 't.%I', 't.%I', ', '),
             CASE WHEN site = replaced THEN 'staging_' ELSE '' END || k || '_' || site), ' UNION ALL ' ORDER BY site)
      FROM sites);
    EXECUTE format('GRANT SELECT ON %I TO lastcall_app, lastcall_replicator, lastcall_coordinator, lastcall_peer',
      k || '_by_site');
    CONTINUE WHEN k <> 'marks';
    -- The marks of terminals and their last calls, by terminal.
    FOR marks IN
        SELECT site, CASE WHEN site = replaced THEN 'staging_' ELSE '' END || 'marks_' || site AS name FROM sites LOOP
      EXECUTE format($q$CREATE OR REPLACE VIEW %I AS
        SELECT CASE WHEN kind IN ('lastcalls', 'terminals') THEN key::bigint END AS terminal_id,
          CASE kind WHEN 'terminals' THEN 'terminal' ELSE scope END AS scope, forgotten_at
        FROM %I WHERE kind IN ('lastcalls', 'terminals')$q$, 'forgotten_' || marks.site, marks.name);
      EXECUTE format('GRANT SELECT ON %I TO lastcall_app, lastcall_replicator, lastcall_coordinator, lastcall_peer',
        'forgotten_' || marks.site);
    END LOOP;
  END LOOP;
END $body$;

CREATE FUNCTION grant_table(name text, of_kind text, is_own boolean) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  writers text := CASE
    WHEN NOT is_own THEN 'lastcall_replicator, lastcall_coordinator'
    WHEN of_kind IN ('marks', 'heartbeat') THEN 'lastcall_coordinator'
    ELSE 'lastcall_app, lastcall_coordinator' END;
BEGIN
  EXECUTE format('REVOKE ALL ON %I FROM PUBLIC', name);
  EXECUTE format('GRANT SELECT ON %I TO lastcall_app, lastcall_replicator, lastcall_coordinator, lastcall_peer', name);
  EXECUTE format('GRANT INSERT, UPDATE, DELETE ON %I TO %s', name, writers);
END $$;

-- Call-control and api keep copies of terminals, for when this database is away: they hear of each one that changes or
-- goes, wherever it was written, by a row or by a mark that hides one. `now` is what counts from here on, null for a
-- removed one.
CREATE FUNCTION tell_terminal() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  of_mark boolean := TG_TABLE_NAME LIKE 'marks\_%';
  changed bigint;
  names jsonb;
  told text;
BEGIN
  changed := CASE WHEN of_mark THEN (to_jsonb(new) ->> 'key')::bigint
    ELSE (to_jsonb(CASE TG_OP WHEN 'DELETE' THEN old ELSE new END) ->> 'terminal_id')::bigint END;
  names := (SELECT jsonb_agg(DISTINCT jsonb_build_object('username', t.username, 'number', t.number, 'aor', t.aor))
            FROM terminals_by_site t WHERE t.terminal_id = changed);
  IF NOT of_mark AND TG_OP <> 'INSERT' THEN
    names := coalesce(names, '[]')
      || jsonb_build_object('username', old.username, 'number', old.number, 'aor', old.aor);
  ELSIF NOT of_mark AND (SELECT count(*) FROM terminals_by_site t WHERE t.terminal_id = changed) = 1 THEN
    RETURN NULL; -- New: nobody keeps a copy of it.
  END IF;
  IF names IS NOT NULL THEN
    told := json_build_object('terminalId', changed, 'names', names, 'now', (
      SELECT json_build_object('username', t.username, 'number', t.number, 'aor', t.aor, 'enabled', t.enabled)
      FROM terminals t WHERE t.terminal_id = changed));
    -- Beyond the limit of a payload: everything is to be read again.
    PERFORM pg_notify('lastcall_terminals', CASE WHEN octet_length(told) < 7900 THEN told ELSE '' END);
  END IF;
  RETURN NULL;
END $$;

-- The triggers of one table, by whose it is. Also used on the fresh table that a resynchronisation swaps in.
CREATE FUNCTION attach_triggers(name text, of_kind text, is_own boolean) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $body$
DECLARE
  k kinds := (SELECT kinds FROM kinds WHERE kind = of_kind);
BEGIN
  IF k.purpose = 'marks' THEN
    EXECUTE format($q$CREATE OR REPLACE TRIGGER tell_terminal AFTER INSERT OR UPDATE ON %I FOR EACH ROW
      WHEN (new.kind = 'terminals') EXECUTE FUNCTION tell_terminal()$q$, name);
    EXECUTE format($q$CREATE OR REPLACE TRIGGER on_mark AFTER INSERT OR UPDATE ON %I FOR EACH ROW
      WHEN (current_user <> 'lastcall_owner') EXECUTE FUNCTION on_mark()$q$, name);
    IF is_own THEN
      EXECUTE format($q$CREATE OR REPLACE TRIGGER stamp_mark BEFORE INSERT OR UPDATE ON %I FOR EACH ROW
        EXECUTE FUNCTION stamp_mark()$q$, name);
    END IF;
  ELSIF of_kind = 'terminals' THEN
    EXECUTE format($q$CREATE OR REPLACE TRIGGER tell_terminal AFTER INSERT OR UPDATE OR DELETE ON %I FOR EACH ROW
      EXECUTE FUNCTION tell_terminal()$q$, name);
  ELSIF k.purpose = 'state' AND is_own THEN
    EXECUTE format($q$CREATE OR REPLACE TRIGGER date_insert BEFORE INSERT ON %I FOR EACH ROW
      WHEN (%s) EXECUTE FUNCTION %I()$q$, name, (
        SELECT string_agg(format('new.%I IS NULL AND num_nonnulls(%s) > 0 OR ', date_column,
            (SELECT string_agg(format('new.%I', c), ', ') FROM unnest(columns) c)), '' ORDER BY position)
          FILTER (WHERE cardinality(columns) > 0)
        FROM kind_groups WHERE kind = of_kind)
        || format('greatest(%s) > clock_timestamp() + %L::interval', (
            SELECT string_agg(format('new.%I', c.name), ', ') FROM kind_columns c
            WHERE c.kind = of_kind AND (c.name = c.date_column OR c.is_single_date)), allowed_skew()),
      of_kind || '_date_insert');
    -- Only where it would change or refuse something: an update to newer dates, as every recorded call is, costs no
    -- call of it.
    EXECUTE format($q$CREATE OR REPLACE TRIGGER guard_update BEFORE UPDATE ON %I FOR EACH ROW
      WHEN (current_user <> 'lastcall_owner' AND (%s OR %s)) EXECUTE FUNCTION %I()$q$, name,
      (SELECT string_agg(format('new.%1$I < old.%1$I OR new.%1$I IS NULL AND old.%1$I IS NOT NULL', date_column)
          || CASE WHEN cardinality(columns) > 0 THEN format(
            ' OR new.%1$I IS NOT DISTINCT FROM old.%1$I AND ROW(%2$s) IS DISTINCT FROM ROW(%3$s)', date_column,
            (SELECT string_agg(format('new.%I', c), ', ') FROM unnest(columns) c),
            (SELECT string_agg(format('old.%I', c), ', ') FROM unnest(columns) c)) ELSE '' END,
          ' OR ' ORDER BY position) FROM kind_groups WHERE kind = of_kind),
      (SELECT format('ROW(%s) IS DISTINCT FROM ROW(%s) OR greatest(%s) > clock_timestamp() + %L::interval',
          string_agg(format('new.%I', c.name), ', ') FILTER (WHERE c.is_key),
          string_agg(format('old.%I', c.name), ', ') FILTER (WHERE c.is_key),
          string_agg(format('new.%I', c.name), ', ') FILTER (WHERE c.name = c.date_column OR c.is_single_date),
          allowed_skew()) FROM kind_columns c WHERE c.kind = of_kind),
      of_kind || '_guard_update');
    EXECUTE format($q$CREATE OR REPLACE TRIGGER forget_deleted AFTER DELETE ON %I FOR EACH ROW
      WHEN (current_user <> 'lastcall_owner') EXECUTE FUNCTION %I()$q$, name, of_kind || '_forget_deleted');
  ELSIF k.purpose = 'state' THEN
    EXECUTE format($q$CREATE OR REPLACE TRIGGER keep_copy BEFORE UPDATE ON %I FOR EACH ROW
      WHEN (current_user <> 'lastcall_replicator') EXECUTE FUNCTION keep_copy()$q$, name);
    EXECUTE format($q$CREATE OR REPLACE TRIGGER forget_deleted AFTER DELETE ON %I FOR EACH ROW
      WHEN (deleting() OR NOT writes_copies()) EXECUTE FUNCTION %I()$q$, name, of_kind || '_forget_deleted');
  END IF;
END $body$;

-- What feeds the targets: every site's table, own and copies.
CREATE FUNCTION publish_to_targets(name text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
BEGIN
  EXECUTE format('ALTER PUBLICATION lastcall__targets ADD TABLE %I', name);
END $$;

-- One site's table of one kind; the own one is published.
CREATE FUNCTION make_table(of_kind text, of_site text, is_own boolean) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  k kinds := (SELECT kinds FROM kinds WHERE kind = of_kind);
  name text := of_kind || '_' || of_site;
BEGIN
  EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL) WITH (fillfactor = %s)',
    name, of_kind || '_all', k.fillfactor);
  IF k.purpose = 'state' THEN
    EXECUTE format('ALTER TABLE %I INHERIT %I', name, of_kind || '_all');
  END IF;
  PERFORM grant_table(name, of_kind, is_own);
  IF is_own THEN
    PERFORM build_kind(of_kind);
    EXECUTE format('ALTER PUBLICATION %I ADD TABLE %I%s',
      'lastcall_' || of_site, name, ' WHERE (' || k.row_filter || ')');
  END IF;
  PERFORM attach_triggers(name, of_kind, is_own);
  PERFORM publish_to_targets(name);
END $$;

-- Joining a site: its table of every kind, and its place in the views.
CREATE FUNCTION add_site(new_site text, is_own boolean DEFAULT false) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
BEGIN
  IF new_site IS NULL OR new_site !~ '^[a-z][a-z0-9_]{0,15}$'
    OR new_site IN ('all', 'by_site', 'freshest', 'columns', 'groups', 'template') THEN
    RAISE EXCEPTION 'site % is not a usable name', quote_nullable(new_site) USING ERRCODE = 'invalid_parameter_value',
      HINT = 'Use a lower-case letter, then up to 15 letters, digits or _; '
        'not all, by_site, freshest, columns, groups or template.';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtext('lastcall.sites'));
  IF EXISTS (SELECT FROM sites WHERE site = new_site) THEN
    IF EXISTS (SELECT FROM sites WHERE site = new_site AND own <> is_own) THEN
      RAISE EXCEPTION 'site % is already here as %', new_site,
        CASE WHEN is_own THEN 'a copy of another site' ELSE 'this database''s own site' END
        USING ERRCODE = 'object_not_in_prerequisite_state',
          HINT = 'One database belongs to one site for good; use a new database.';
    END IF;
    RETURN;
  END IF;
  IF is_own AND this_site() IS NOT NULL THEN
    RAISE EXCEPTION 'this database already belongs to site %, it cannot become site %', this_site(), new_site
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Use a new database for the new site.';
  END IF;
  INSERT INTO sites (site, own) VALUES (new_site, is_own);
  IF is_own THEN
    EXECUTE format('CREATE PUBLICATION %I', 'lastcall_' || new_site);
    CREATE PUBLICATION lastcall__targets;
  END IF;
  PERFORM make_table(kind, new_site, is_own) FROM (SELECT kind FROM kinds ORDER BY position) k;
  PERFORM build_views();
  IF is_own THEN
    PERFORM build_freshest(kind) FROM kinds;
  END IF;
END $$;

-- A site that is gone for good leaves: its copies, its direction, and its vote on which marks may go. At every site.
CREATE FUNCTION remove_site(gone text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  k text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('lastcall.sites'));
  IF NOT EXISTS (SELECT FROM sites WHERE site = gone AND NOT own) THEN
    RAISE EXCEPTION 'site % has no copy here', quote_nullable(gone) USING ERRCODE = 'undefined_object',
      HINT = 'SELECT site FROM lastcall.sites lists the sites; the own site cannot be removed.';
  END IF;
  DELETE FROM replication_position WHERE peer = gone;
  DELETE FROM replication_owner WHERE peer = gone;
  DELETE FROM replication_control WHERE peer = gone;
  DELETE FROM replication_status WHERE peer = gone;
  DELETE FROM replication_kinds WHERE peer = gone;
  DELETE FROM sites WHERE site = gone;
  PERFORM build_views();
  EXECUTE format('DROP VIEW %I', 'forgotten_' || gone);
  FOR k IN SELECT kind FROM kinds LOOP
    EXECUTE format('DROP TABLE IF EXISTS %I, %I', k || '_' || gone, 'staging_' || k || '_' || gone);
  END LOOP;
END $$;

-- An operator's kind. `columns` as in CREATE TABLE; `groups` a JSON array of {"name", "date", "columns", "value"}.
CREATE FUNCTION define_kind(new_kind text, columns text, key_columns text[], groups jsonb,
    single_dates text[] DEFAULT '{}', follows text DEFAULT NULL, follows_by text DEFAULT NULL,
    row_filter text DEFAULT NULL)
  RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $body$
DECLARE
  fault text;
  key_types text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('lastcall.sites'));
  IF new_kind !~ '^[a-z][a-z0-9_]{0,30}$' OR to_regclass(format('lastcall.%I', new_kind)) IS NOT NULL THEN
    RAISE EXCEPTION '% is not a free name for a kind', quote_nullable(new_kind)
      USING ERRCODE = 'invalid_parameter_value',
      HINT = 'Use a lower-case letter, then up to 30 letters, digits or _; no table or view of the schema may have it.';
  END IF;
  EXECUTE format('CREATE TABLE %I (%s, PRIMARY KEY (%s))', new_kind || '_all', columns,
    (SELECT string_agg(quote_ident(c), ', ') FROM unnest(key_columns) c));
  INSERT INTO kinds (kind, key_columns, single_dates, follows, follows_by, row_filter, fillfactor)
    VALUES (new_kind, key_columns, single_dates, follows, follows_by, row_filter, 70);
  INSERT INTO kind_groups (kind, name, position, date_column, columns, value_column)
    SELECT new_kind, g.value ->> 'name', g.ordinality, g.value ->> 'date',
      ARRAY(SELECT jsonb_array_elements_text(coalesce(g.value -> 'columns', '[]'))), g.value ->> 'value'
    FROM jsonb_array_elements(groups) WITH ORDINALITY g;
  fault := kind_fault(new_kind);
  IF fault IS NOT NULL THEN
    RAISE EXCEPTION 'kind %: %', new_kind, fault USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF row_filter IS NOT NULL THEN
    -- Fails where the filter names more than the key: a deleted row carries no more.
    key_types := (SELECT string_agg(format('NULL::%s AS %I', c.type, c.name), ', ') FROM kind_columns c
                  WHERE c.kind = new_kind AND c.is_key);
    EXECUTE format('SELECT FROM (SELECT %s) k WHERE %s', key_types, row_filter);
  END IF;
  PERFORM make_table(new_kind, site, own) FROM (SELECT site, own FROM sites ORDER BY own DESC) s;
  PERFORM build_views(ARRAY[new_kind]);
  PERFORM build_freshest(new_kind);
END $body$;

-- The same with the rows of a table that is there: its columns, or those named, become the kind's, and its rows this
-- site's own. The table itself stays as it is. Runs as the caller, who must be able to read it.
CREATE FUNCTION adopt_kind(new_kind text, existing regclass, key_columns text[], groups jsonb,
    single_dates text[] DEFAULT '{}', follows text DEFAULT NULL, follows_by text DEFAULT NULL,
    row_filter text DEFAULT NULL, only_columns text[] DEFAULT NULL)
  RETURNS bigint LANGUAGE plpgsql SET search_path = lastcall, pg_temp AS $$
DECLARE
  adopted bigint;
  taken record;
BEGIN
  SELECT string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' ORDER BY attnum) AS columns,
      string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS names INTO taken
    FROM pg_attribute WHERE attrelid = existing AND attnum > 0 AND NOT attisdropped
      AND (only_columns IS NULL OR attname = ANY (only_columns));
  PERFORM define_kind(new_kind, taken.columns, key_columns, groups, single_dates, follows, follows_by, row_filter);
  EXECUTE format('INSERT INTO %I (%s) SELECT %s FROM %s',
    new_kind || '_' || this_site(), taken.names, taken.names, existing);
  GET DIAGNOSTICS adopted = ROW_COUNT;
  RETURN adopted;
END $$;

-- One more column of an operator's kind, at the end of a group of it or of none. Run it at every site, in any order.
CREATE FUNCTION add_kind_column(of_kind text, new_column text, column_type text, of_group text DEFAULT NULL)
  RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('lastcall.sites'));
  IF NOT EXISTS (SELECT FROM kinds WHERE kind = of_kind AND purpose = 'state')
    OR of_group IS NOT NULL AND NOT EXISTS (SELECT FROM kind_groups WHERE kind = of_kind AND name = of_group) THEN
    RAISE EXCEPTION 'there is no kind % with a group %', quote_nullable(of_kind), quote_nullable(of_group)
      USING ERRCODE = 'invalid_parameter_value', HINT = 'SELECT kind, name FROM lastcall.kind_groups lists them.';
  END IF;
  EXECUTE format('ALTER TABLE %I ADD COLUMN %I %s', of_kind || '_all', new_column, column_type);
  UPDATE kind_groups SET columns = columns || new_column WHERE kind = of_kind AND name = of_group;
  UPDATE kinds SET epoch = epoch + 1 WHERE kind = of_kind;
  EXECUTE format('DROP VIEW %I', of_kind || '_freshest');
  PERFORM build_kind(of_kind);
  PERFORM build_views(ARRAY[of_kind]);
  PERFORM build_freshest(of_kind);
  PERFORM attach_triggers(of_kind || '_' || this_site(), of_kind, true);
END $$;

-- What is wrong with a definition; NULL when nothing is.
CREATE FUNCTION kind_fault(of_kind text) RETURNS text
  LANGUAGE sql STABLE SET search_path = lastcall, pg_temp AS $$
  WITH k AS (SELECT * FROM kinds WHERE kind = of_kind),
    named (name, wanted) AS (
      SELECT unnest(single_dates), 'date' FROM k
      UNION ALL SELECT date_column, 'date' FROM kind_groups WHERE kind = of_kind
      UNION ALL SELECT unnest(columns), 'column' FROM kind_groups WHERE kind = of_kind),
    groups AS (SELECT count(*) AS number FROM kind_groups WHERE kind = of_kind)
  SELECT coalesce(
    (SELECT 'it needs at least one group with a date' FROM groups WHERE number = 0),
    (SELECT format('column %s is not in its columns', n.name) FROM named n
      WHERE NOT EXISTS (SELECT FROM kind_columns c WHERE c.kind = of_kind AND c.name = n.name) LIMIT 1),
    (SELECT format('column %s stands in two places', name) FROM named GROUP BY name HAVING count(*) > 1 LIMIT 1),
    (SELECT format('column %s is of type %s, a date must be timestamptz', c.name, c.type)
      FROM kind_columns c JOIN named n USING (name)
      WHERE c.kind = of_kind AND n.wanted = 'date' AND c.type !~ '^timestamp(\(6\))? with time zone$' LIMIT 1),
    (SELECT format('key column %s is of type %s, of a key are allowed: bigint, integer, text, uuid', name, type)
      FROM kind_columns WHERE kind = of_kind AND is_key AND type NOT IN ('bigint', 'integer', 'text', 'uuid') LIMIT 1),
    (SELECT format('column %s is NOT NULL: a group that is forgotten has NULLs', c.name) FROM kind_columns c, groups
      WHERE c.kind = of_kind AND c.not_null AND NOT c.is_key AND groups.number > 1 LIMIT 1),
    (SELECT format('value column %s is not in group %s', value_column, name) FROM kind_groups
      WHERE kind = of_kind AND value_column <> ALL (columns) LIMIT 1),
    (SELECT format('it follows %s, which is not provisioning', k.follows) FROM k JOIN kinds f ON f.kind = k.follows
      WHERE f.purpose <> 'provisioning' LIMIT 1))
$$;

-- Takes an operator's kind away with all its rows, at this site.
CREATE FUNCTION remove_kind(gone text) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  name text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('lastcall.sites'));
  IF NOT EXISTS (SELECT FROM kinds WHERE kind = gone AND purpose = 'state' AND position >= 100) THEN
    RAISE EXCEPTION 'there is no kind % of yours', quote_nullable(gone) USING ERRCODE = 'invalid_parameter_value',
      HINT = 'The built-in kinds stay; SELECT kind FROM lastcall.kinds lists all.';
  END IF;
  EXECUTE format('DROP VIEW %I, %I, %I', gone, gone || '_freshest', gone || '_by_site');
  FOR name IN SELECT site FROM sites LOOP
    EXECUTE format('DROP TABLE IF EXISTS %I, %I', 'staging_' || gone || '_' || name, gone || '_' || name);
  END LOOP;
  EXECUTE format('DROP TABLE %I', gone || '_all');
  FOREACH name IN ARRAY ARRAY['merge_insert', 'guard_update', 'date_insert', 'forget_deleted'] LOOP
    EXECUTE format('DROP FUNCTION %I()', gone || '_' || name);
  END LOOP;
  EXECUTE format('DROP FUNCTION %I(text, text)', gone || '_next_date');
  DELETE FROM replication_kinds WHERE kind = gone;
  EXECUTE format('DELETE FROM %I WHERE kind = $1', 'marks_' || this_site()) USING gone;
  DELETE FROM kinds WHERE kind = gone;
END $$;
