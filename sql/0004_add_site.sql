-- Joining a site: its four tables, their grants and triggers, and its place in the views.

-- The triggers of one table, by whose it is. Also used on the fresh table that a resynchronisation swaps in.
CREATE FUNCTION attach_triggers(name text, site_is_own boolean) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $body$
BEGIN
  IF name LIKE 'forgotten\_%' THEN
    EXECUTE format('CREATE TRIGGER on_mark AFTER INSERT OR UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION on_mark()', name);
  ELSIF name LIKE 'lastcalls\_%' AND site_is_own THEN
    EXECUTE format($q$CREATE TRIGGER date_insert BEFORE INSERT ON %I FOR EACH ROW WHEN (
        NEW.last_dialed_date IS NULL AND num_nonnulls(NEW.last_dialed_call, NEW.last_dialed_num_id, NEW.last_dialed_privacy) > 0 OR
        NEW.last_received_date IS NULL AND num_nonnulls(NEW.last_received_call, NEW.last_received_num_id, NEW.last_received_call_id, NEW.last_received_user_num, NEW.last_received_user_num_id, NEW.last_received_fwd_call, NEW.last_received_orig_cld_call, NEW.last_received_sip_uri) > 0 OR
        NEW.last_terminated_date IS NULL AND num_nonnulls(NEW.last_terminated_call_id, NEW.last_terminated_user_num, NEW.last_terminated_user_num_id, NEW.last_terminated_call, NEW.last_terminated_num_id, NEW.last_terminated_fwd_call, NEW.last_terminated_orig_cld_call, NEW.last_terminated_sip_uri) > 0
      ) EXECUTE FUNCTION date_insert()$q$, name);
    EXECUTE format('CREATE TRIGGER forget_deleted AFTER DELETE ON %I FOR EACH ROW WHEN (NOT purging()) EXECUTE FUNCTION forget_deleted()', name);
    -- Called only when something would go back or change undated: the plain newer write costs one expression.
    EXECUTE format($q$CREATE TRIGGER guard_update BEFORE UPDATE ON %I FOR EACH ROW WHEN (
        NEW.terminal_id <> OLD.terminal_id OR
        (NEW.last_dialed_date IS DISTINCT FROM OLD.last_dialed_date AND NOT coalesce(NEW.last_dialed_date > OLD.last_dialed_date, OLD.last_dialed_date IS NULL)) OR
        (NEW.last_dialed_date IS NOT DISTINCT FROM OLD.last_dialed_date AND (NEW.last_dialed_call, NEW.last_dialed_num_id, NEW.last_dialed_privacy) IS DISTINCT FROM (OLD.last_dialed_call, OLD.last_dialed_num_id, OLD.last_dialed_privacy)) OR
        (NEW.last_received_date IS DISTINCT FROM OLD.last_received_date AND NOT coalesce(NEW.last_received_date > OLD.last_received_date, OLD.last_received_date IS NULL)) OR
        (NEW.last_received_date IS NOT DISTINCT FROM OLD.last_received_date AND (NEW.last_received_call, NEW.last_received_num_id, NEW.last_received_call_id, NEW.last_received_user_num, NEW.last_received_user_num_id, NEW.last_received_fwd_call, NEW.last_received_orig_cld_call, NEW.last_received_sip_uri) IS DISTINCT FROM (OLD.last_received_call, OLD.last_received_num_id, OLD.last_received_call_id, OLD.last_received_user_num, OLD.last_received_user_num_id, OLD.last_received_fwd_call, OLD.last_received_orig_cld_call, OLD.last_received_sip_uri)) OR
        (NEW.last_terminated_date IS DISTINCT FROM OLD.last_terminated_date AND NOT coalesce(NEW.last_terminated_date > OLD.last_terminated_date, OLD.last_terminated_date IS NULL)) OR
        (NEW.last_terminated_date IS NOT DISTINCT FROM OLD.last_terminated_date AND (NEW.last_terminated_call_id, NEW.last_terminated_user_num, NEW.last_terminated_user_num_id, NEW.last_terminated_call, NEW.last_terminated_num_id, NEW.last_terminated_fwd_call, NEW.last_terminated_orig_cld_call, NEW.last_terminated_sip_uri) IS DISTINCT FROM (OLD.last_terminated_call_id, OLD.last_terminated_user_num, OLD.last_terminated_user_num_id, OLD.last_terminated_call, OLD.last_terminated_num_id, OLD.last_terminated_fwd_call, OLD.last_terminated_orig_cld_call, OLD.last_terminated_sip_uri))
      ) EXECUTE FUNCTION guard_update()$q$, name);
  ELSIF name LIKE 'lastcalls\_%' THEN
    EXECUTE format('CREATE TRIGGER forget_deleted AFTER DELETE ON %I FOR EACH ROW WHEN (deleting()) EXECUTE FUNCTION forget_deleted()', name);
  END IF;
END $body$;

CREATE FUNCTION grant_table(name text, site_is_own boolean) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
BEGIN
  EXECUTE format('REVOKE ALL ON %I FROM PUBLIC', name);
  EXECUTE format('GRANT SELECT ON %I TO lastcall_app, lastcall_replicator, lastcall_coordinator', name);
  IF site_is_own THEN
    EXECUTE format('GRANT INSERT, UPDATE, DELETE ON %I TO lastcall_app, lastcall_coordinator', name);
  ELSE
    EXECUTE format('GRANT INSERT, UPDATE, DELETE, TRUNCATE ON %I TO lastcall_replicator, lastcall_coordinator', name);
  END IF;
END $$;

-- The views that name every site's table. A view binds its tables by OID, so whatever changes a table calls this in its transaction.
-- `replaced` names a site whose staging tables take the place of its copies.
CREATE FUNCTION build_views(replaced text DEFAULT NULL) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $body$
DECLARE
  kind text;
BEGIN
  FOREACH kind IN ARRAY ARRAY['lastcalls', 'terminals', 'forgotten', 'heartbeat'] LOOP
    EXECUTE (SELECT format('CREATE OR REPLACE VIEW %I AS ', kind || '_by_site')
        || string_agg(format('SELECT %L::text AS site, t.* FROM %I t', site,
             CASE WHEN site = replaced THEN 'staging_' ELSE '' END || kind || '_' || site), ' UNION ALL ' ORDER BY site)
      FROM sites);
  END LOOP;
END $body$;

CREATE FUNCTION add_site(new_site text, is_own boolean DEFAULT false) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $body$
DECLARE
  kind text;
  name text;
BEGIN
  IF new_site IS NULL OR new_site !~ '^[a-z][a-z0-9_]{0,15}$' OR new_site IN ('all', 'template', 'by_site', 'freshest') THEN
    RAISE EXCEPTION 'site % is not a usable name', quote_nullable(new_site)
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Use a lower-case letter, then up to 15 letters, digits or _; not all, template, by_site or freshest.';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtext('lastcall.sites'));
  IF EXISTS (SELECT FROM sites WHERE site = new_site) THEN
    IF EXISTS (SELECT FROM sites WHERE site = new_site AND own <> is_own) THEN
      RAISE EXCEPTION 'site % is already here as %', new_site, CASE WHEN is_own THEN 'a copy of another site' ELSE 'this database''s own site' END
        USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'One database belongs to one site for good; use a new database.';
    END IF;
    RETURN;
  END IF;
  IF is_own AND this_site() IS NOT NULL THEN
    RAISE EXCEPTION 'this database already belongs to site %, it cannot become site %', this_site(), new_site
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Use a new database for the new site.';
  END IF;
  INSERT INTO sites (site, own) VALUES (new_site, is_own);

  EXECUTE format('CREATE TABLE %I (PRIMARY KEY (terminal_id)) INHERITS (lastcalls_all) WITH (fillfactor = 70)', 'lastcalls_' || new_site);
  EXECUTE format('CREATE TABLE %I (LIKE terminals_template INCLUDING ALL)', 'terminals_' || new_site);
  EXECUTE format('CREATE INDEX ON %I (username)', 'terminals_' || new_site);
  EXECUTE format('CREATE INDEX ON %I (number)', 'terminals_' || new_site);
  EXECUTE format('CREATE INDEX ON %I (aor)', 'terminals_' || new_site);
  EXECUTE format('CREATE TABLE %I (LIKE forgotten_template INCLUDING ALL)', 'forgotten_' || new_site);
  EXECUTE format('CREATE TABLE %I (LIKE heartbeat_template INCLUDING ALL) WITH (fillfactor = 50)', 'heartbeat_' || new_site);
  FOREACH kind IN ARRAY ARRAY['lastcalls', 'terminals', 'forgotten', 'heartbeat'] LOOP
    name := kind || '_' || new_site;
    PERFORM grant_table(name, is_own);
    PERFORM attach_triggers(name, is_own);
  END LOOP;

  IF is_own THEN
    EXECUTE format('CREATE PUBLICATION %I FOR TABLE %I, %I, %I, %I', 'lastcall_' || new_site,
      'lastcalls_' || new_site, 'terminals_' || new_site, 'forgotten_' || new_site, 'heartbeat_' || new_site);
    -- INSERT on the view `lastcalls` arrives at the empty parent and is merged into the own table, newer group by newer group,
    -- whatever an ON CONFLICT clause says: two writers, two sites or a replay can never make a row older.
    EXECUTE format($q$CREATE FUNCTION merge_insert() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $f$
    BEGIN
      INSERT INTO %1$I AS l SELECT NEW.* ON CONFLICT (terminal_id) DO UPDATE SET
      last_dialed_call = CASE WHEN excluded.last_dialed_date > coalesce(l.last_dialed_date, '-infinity') THEN excluded.last_dialed_call ELSE l.last_dialed_call END,
      last_dialed_num_id = CASE WHEN excluded.last_dialed_date > coalesce(l.last_dialed_date, '-infinity') THEN excluded.last_dialed_num_id ELSE l.last_dialed_num_id END,
      last_dialed_privacy = CASE WHEN excluded.last_dialed_date > coalesce(l.last_dialed_date, '-infinity') THEN excluded.last_dialed_privacy ELSE l.last_dialed_privacy END,
      last_dialed_date = CASE WHEN excluded.last_dialed_date > coalesce(l.last_dialed_date, '-infinity') THEN excluded.last_dialed_date ELSE l.last_dialed_date END,
      last_received_call = CASE WHEN excluded.last_received_date > coalesce(l.last_received_date, '-infinity') THEN excluded.last_received_call ELSE l.last_received_call END,
      last_received_num_id = CASE WHEN excluded.last_received_date > coalesce(l.last_received_date, '-infinity') THEN excluded.last_received_num_id ELSE l.last_received_num_id END,
      last_received_date = CASE WHEN excluded.last_received_date > coalesce(l.last_received_date, '-infinity') THEN excluded.last_received_date ELSE l.last_received_date END,
      last_received_call_id = CASE WHEN excluded.last_received_date > coalesce(l.last_received_date, '-infinity') THEN excluded.last_received_call_id ELSE l.last_received_call_id END,
      last_received_user_num = CASE WHEN excluded.last_received_date > coalesce(l.last_received_date, '-infinity') THEN excluded.last_received_user_num ELSE l.last_received_user_num END,
      last_received_user_num_id = CASE WHEN excluded.last_received_date > coalesce(l.last_received_date, '-infinity') THEN excluded.last_received_user_num_id ELSE l.last_received_user_num_id END,
      last_received_fwd_call = CASE WHEN excluded.last_received_date > coalesce(l.last_received_date, '-infinity') THEN excluded.last_received_fwd_call ELSE l.last_received_fwd_call END,
      last_received_orig_cld_call = CASE WHEN excluded.last_received_date > coalesce(l.last_received_date, '-infinity') THEN excluded.last_received_orig_cld_call ELSE l.last_received_orig_cld_call END,
      last_received_sip_uri = CASE WHEN excluded.last_received_date > coalesce(l.last_received_date, '-infinity') THEN excluded.last_received_sip_uri ELSE l.last_received_sip_uri END,
      last_terminated_call_id = CASE WHEN excluded.last_terminated_date > coalesce(l.last_terminated_date, '-infinity') THEN excluded.last_terminated_call_id ELSE l.last_terminated_call_id END,
      last_terminated_user_num = CASE WHEN excluded.last_terminated_date > coalesce(l.last_terminated_date, '-infinity') THEN excluded.last_terminated_user_num ELSE l.last_terminated_user_num END,
      last_terminated_user_num_id = CASE WHEN excluded.last_terminated_date > coalesce(l.last_terminated_date, '-infinity') THEN excluded.last_terminated_user_num_id ELSE l.last_terminated_user_num_id END,
      last_terminated_call = CASE WHEN excluded.last_terminated_date > coalesce(l.last_terminated_date, '-infinity') THEN excluded.last_terminated_call ELSE l.last_terminated_call END,
      last_terminated_num_id = CASE WHEN excluded.last_terminated_date > coalesce(l.last_terminated_date, '-infinity') THEN excluded.last_terminated_num_id ELSE l.last_terminated_num_id END,
      last_terminated_date = CASE WHEN excluded.last_terminated_date > coalesce(l.last_terminated_date, '-infinity') THEN excluded.last_terminated_date ELSE l.last_terminated_date END,
      last_terminated_fwd_call = CASE WHEN excluded.last_terminated_date > coalesce(l.last_terminated_date, '-infinity') THEN excluded.last_terminated_fwd_call ELSE l.last_terminated_fwd_call END,
      last_terminated_orig_cld_call = CASE WHEN excluded.last_terminated_date > coalesce(l.last_terminated_date, '-infinity') THEN excluded.last_terminated_orig_cld_call ELSE l.last_terminated_orig_cld_call END,
      last_terminated_sip_uri = CASE WHEN excluded.last_terminated_date > coalesce(l.last_terminated_date, '-infinity') THEN excluded.last_terminated_sip_uri ELSE l.last_terminated_sip_uri END,
      user_id = coalesce(excluded.user_id, l.user_id),
      last_term_unknown_pai_date = greatest(l.last_term_unknown_pai_date, excluded.last_term_unknown_pai_date),
      last_term_call_trace_date = greatest(l.last_term_call_trace_date, excluded.last_term_call_trace_date);
      RETURN NULL;
    END $f$$q$, 'lastcalls_' || new_site);
    CREATE TRIGGER merge_insert BEFORE INSERT ON lastcalls_all FOR EACH ROW EXECUTE FUNCTION merge_insert();
    EXECUTE format('CREATE VIEW lastcalls AS SELECT * FROM lastcalls_all WHERE tableoid = %L::regclass OR deleting()', 'lastcalls_' || new_site);
    GRANT SELECT, INSERT, UPDATE, DELETE ON lastcalls TO lastcall_app, lastcall_coordinator;
  END IF;
  PERFORM build_views();
END $body$;

SELECT add_site(:'own_site', true);

-- C4 per group: the newest date, at equal dates the lower site. C9: what a mark covers is not there.
CREATE VIEW lastcalls_freshest AS
  WITH mark AS (
    SELECT terminal_id,
      max(forgotten_at) FILTER (WHERE scope IN ('terminal', 'all', 'dialed')) AS dialed,
      max(forgotten_at) FILTER (WHERE scope IN ('terminal', 'all', 'received')) AS received,
      max(forgotten_at) FILTER (WHERE scope IN ('terminal', 'all', 'terminated')) AS terminated
    FROM forgotten_by_site GROUP BY terminal_id
  ), t AS (
    SELECT l.*,
      coalesce(l.last_dialed_date <= mark.dialed, false) AS dialed_forgotten,
      coalesce(l.last_received_date <= mark.received, false) AS received_forgotten,
      coalesce(l.last_terminated_date <= mark.terminated, false) AS terminated_forgotten
    FROM lastcalls_by_site l LEFT JOIN mark USING (terminal_id)
  )
  SELECT
    t.terminal_id,
    (array_agg(t.user_id ORDER BY greatest(t.last_dialed_date, t.last_received_date, t.last_terminated_date) DESC NULLS LAST, t.site) FILTER (WHERE t.user_id IS NOT NULL))[1] AS user_id,
    (array_agg(t.last_dialed_call ORDER BY t.last_dialed_date DESC, t.site) FILTER (WHERE t.last_dialed_date IS NOT NULL AND NOT t.dialed_forgotten))[1] AS last_dialed_call,
    (array_agg(t.last_dialed_num_id ORDER BY t.last_dialed_date DESC, t.site) FILTER (WHERE t.last_dialed_date IS NOT NULL AND NOT t.dialed_forgotten))[1] AS last_dialed_num_id,
    (array_agg(t.last_dialed_date ORDER BY t.last_dialed_date DESC, t.site) FILTER (WHERE t.last_dialed_date IS NOT NULL AND NOT t.dialed_forgotten))[1] AS last_dialed_date,
    (array_agg(t.last_received_call ORDER BY t.last_received_date DESC, t.site) FILTER (WHERE t.last_received_date IS NOT NULL AND NOT t.received_forgotten))[1] AS last_received_call,
    (array_agg(t.last_received_num_id ORDER BY t.last_received_date DESC, t.site) FILTER (WHERE t.last_received_date IS NOT NULL AND NOT t.received_forgotten))[1] AS last_received_num_id,
    (array_agg(t.last_received_date ORDER BY t.last_received_date DESC, t.site) FILTER (WHERE t.last_received_date IS NOT NULL AND NOT t.received_forgotten))[1] AS last_received_date,
    (array_agg(t.last_received_call_id ORDER BY t.last_received_date DESC, t.site) FILTER (WHERE t.last_received_date IS NOT NULL AND NOT t.received_forgotten))[1] AS last_received_call_id,
    (array_agg(t.last_received_user_num ORDER BY t.last_received_date DESC, t.site) FILTER (WHERE t.last_received_date IS NOT NULL AND NOT t.received_forgotten))[1] AS last_received_user_num,
    (array_agg(t.last_received_user_num_id ORDER BY t.last_received_date DESC, t.site) FILTER (WHERE t.last_received_date IS NOT NULL AND NOT t.received_forgotten))[1] AS last_received_user_num_id,
    (array_agg(t.last_received_fwd_call ORDER BY t.last_received_date DESC, t.site) FILTER (WHERE t.last_received_date IS NOT NULL AND NOT t.received_forgotten))[1] AS last_received_fwd_call,
    (array_agg(t.last_received_orig_cld_call ORDER BY t.last_received_date DESC, t.site) FILTER (WHERE t.last_received_date IS NOT NULL AND NOT t.received_forgotten))[1] AS last_received_orig_cld_call,
    (array_agg(t.last_terminated_call_id ORDER BY t.last_terminated_date DESC, t.site) FILTER (WHERE t.last_terminated_date IS NOT NULL AND NOT t.terminated_forgotten))[1] AS last_terminated_call_id,
    (array_agg(t.last_terminated_user_num ORDER BY t.last_terminated_date DESC, t.site) FILTER (WHERE t.last_terminated_date IS NOT NULL AND NOT t.terminated_forgotten))[1] AS last_terminated_user_num,
    (array_agg(t.last_terminated_user_num_id ORDER BY t.last_terminated_date DESC, t.site) FILTER (WHERE t.last_terminated_date IS NOT NULL AND NOT t.terminated_forgotten))[1] AS last_terminated_user_num_id,
    (array_agg(t.last_terminated_call ORDER BY t.last_terminated_date DESC, t.site) FILTER (WHERE t.last_terminated_date IS NOT NULL AND NOT t.terminated_forgotten))[1] AS last_terminated_call,
    (array_agg(t.last_terminated_num_id ORDER BY t.last_terminated_date DESC, t.site) FILTER (WHERE t.last_terminated_date IS NOT NULL AND NOT t.terminated_forgotten))[1] AS last_terminated_num_id,
    (array_agg(t.last_terminated_date ORDER BY t.last_terminated_date DESC, t.site) FILTER (WHERE t.last_terminated_date IS NOT NULL AND NOT t.terminated_forgotten))[1] AS last_terminated_date,
    (array_agg(t.last_terminated_fwd_call ORDER BY t.last_terminated_date DESC, t.site) FILTER (WHERE t.last_terminated_date IS NOT NULL AND NOT t.terminated_forgotten))[1] AS last_terminated_fwd_call,
    (array_agg(t.last_terminated_orig_cld_call ORDER BY t.last_terminated_date DESC, t.site) FILTER (WHERE t.last_terminated_date IS NOT NULL AND NOT t.terminated_forgotten))[1] AS last_terminated_orig_cld_call,
    max(t.last_term_unknown_pai_date) AS last_term_unknown_pai_date,
    max(t.last_term_call_trace_date) AS last_term_call_trace_date,
    (array_agg(t.last_received_sip_uri ORDER BY t.last_received_date DESC, t.site) FILTER (WHERE t.last_received_date IS NOT NULL AND NOT t.received_forgotten))[1] AS last_received_sip_uri,
    (array_agg(t.last_terminated_sip_uri ORDER BY t.last_terminated_date DESC, t.site) FILTER (WHERE t.last_terminated_date IS NOT NULL AND NOT t.terminated_forgotten))[1] AS last_terminated_sip_uri,
    (array_agg(t.last_dialed_privacy ORDER BY t.last_dialed_date DESC, t.site) FILTER (WHERE t.last_dialed_date IS NOT NULL AND NOT t.dialed_forgotten))[1] AS last_dialed_privacy,
    (array_agg(t.site ORDER BY t.last_dialed_date DESC, t.site) FILTER (WHERE t.last_dialed_date IS NOT NULL AND NOT t.dialed_forgotten))[1] AS dialed_site,
    (array_agg(t.site ORDER BY t.last_received_date DESC, t.site) FILTER (WHERE t.last_received_date IS NOT NULL AND NOT t.received_forgotten))[1] AS received_site,
    (array_agg(t.site ORDER BY t.last_terminated_date DESC, t.site) FILTER (WHERE t.last_terminated_date IS NOT NULL AND NOT t.terminated_forgotten))[1] AS terminated_site
  FROM t GROUP BY t.terminal_id
  HAVING bool_or(NOT dialed_forgotten AND last_dialed_date IS NOT NULL
    OR NOT received_forgotten AND last_received_date IS NOT NULL
    OR NOT terminated_forgotten AND last_terminated_date IS NOT NULL);

GRANT SELECT ON lastcalls_by_site, terminals_by_site, forgotten_by_site, heartbeat_by_site, lastcalls_freshest, sites
  TO lastcall_app, lastcall_replicator, lastcall_coordinator;
