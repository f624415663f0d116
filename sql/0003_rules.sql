-- Rules that the own tables hold whoever writes them: the application, psql or a provisioning script.
-- A group is (its date, its columns); a group moves to a newer date or is forgotten, it never goes back (R13, I2).

CREATE FUNCTION purging() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT coalesce(current_setting('lastcall.purging', true), '') = 'on' $$;
CREATE FUNCTION deleting() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT coalesce(current_setting('lastcall.deleting', true), '') = 'on' $$;

CREATE FUNCTION forget(terminal bigint, forget_scope text DEFAULT 'all', not_before timestamptz DEFAULT '-infinity')
  RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  newest timestamptz;
  mark timestamptz;
BEGIN
  -- The row before its mark, as a DELETE locks them: two that forget the same terminal wait in a row, never in a circle.
  EXECUTE format('SELECT FROM %I WHERE terminal_id = $1 FOR UPDATE', 'lastcalls_' || this_site()) USING terminal;
  -- The mark covers every date known here, also one written by a clock that runs ahead. An infinite date is nobody's clock:
  -- a mark so high would forget every later call, so such an entry goes with any mark (purge_own).
  SELECT max(d) FILTER (WHERE isfinite(d)) INTO newest FROM lastcalls_by_site l
    CROSS JOIN LATERAL (VALUES
      (CASE WHEN forget_scope IN ('terminal', 'all', 'dialed') THEN last_dialed_date END),
      (CASE WHEN forget_scope IN ('terminal', 'all', 'received') THEN last_received_date END),
      (CASE WHEN forget_scope IN ('terminal', 'all', 'terminated') THEN last_terminated_date END)) AS dates (d)
    WHERE l.terminal_id = terminal;
  IF forget_scope = 'terminal' THEN
    newest := greatest(newest,
      (SELECT max(updated_at) FROM terminals_by_site t WHERE t.terminal_id = terminal AND isfinite(updated_at)));
  END IF;
  EXECUTE format(
    'INSERT INTO %I AS f VALUES ($1, $2, greatest(clock_timestamp(), $3, $4))
     ON CONFLICT (terminal_id, scope) DO UPDATE SET forgotten_at = greatest(f.forgotten_at, excluded.forgotten_at)
     RETURNING forgotten_at', 'forgotten_' || this_site())
    INTO mark USING terminal, forget_scope, newest, CASE WHEN isfinite(not_before) THEN not_before END;
  RETURN mark;
END $$;

-- Removes from this site's own tables what a mark covers. The flow of the own tables carries it to every copy.
CREATE FUNCTION purge_own(terminal bigint, forget_scope text, mark timestamptz)
  RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  own text := this_site();
  outer_purging text := current_setting('lastcall.purging', true);
BEGIN
  PERFORM set_config('lastcall.purging', 'on', true);
  IF forget_scope IN ('terminal', 'all') THEN
    EXECUTE format(
      'DELETE FROM %I WHERE terminal_id = $1
         AND (last_dialed_date > $2 AND last_dialed_date < ''infinity'') IS NOT TRUE
         AND (last_received_date > $2 AND last_received_date < ''infinity'') IS NOT TRUE
         AND (last_terminated_date > $2 AND last_terminated_date < ''infinity'') IS NOT TRUE
         AND (last_term_unknown_pai_date > $2 AND last_term_unknown_pai_date < ''infinity'') IS NOT TRUE
         AND (last_term_call_trace_date > $2 AND last_term_call_trace_date < ''infinity'') IS NOT TRUE', 'lastcalls_' || own)
      USING terminal, mark;
  END IF;
  IF forget_scope IN ('terminal', 'all', 'dialed') THEN
    EXECUTE format('UPDATE %I SET last_dialed_call = NULL, last_dialed_num_id = NULL, last_dialed_date = NULL, last_dialed_privacy = NULL
      WHERE terminal_id = $1 AND (last_dialed_date <= $2 OR last_dialed_date = ''infinity'')', 'lastcalls_' || own) USING terminal, mark;
  END IF;
  IF forget_scope IN ('terminal', 'all', 'received') THEN
    EXECUTE format('UPDATE %I SET last_received_call = NULL, last_received_num_id = NULL, last_received_date = NULL, last_received_call_id = NULL, last_received_user_num = NULL, last_received_user_num_id = NULL, last_received_fwd_call = NULL, last_received_orig_cld_call = NULL, last_received_sip_uri = NULL
      WHERE terminal_id = $1 AND (last_received_date <= $2 OR last_received_date = ''infinity'')', 'lastcalls_' || own) USING terminal, mark;
  END IF;
  IF forget_scope IN ('terminal', 'all', 'terminated') THEN
    EXECUTE format('UPDATE %I SET last_terminated_call_id = NULL, last_terminated_user_num = NULL, last_terminated_user_num_id = NULL, last_terminated_call = NULL, last_terminated_num_id = NULL, last_terminated_date = NULL, last_terminated_fwd_call = NULL, last_terminated_orig_cld_call = NULL, last_terminated_sip_uri = NULL
      WHERE terminal_id = $1 AND (last_terminated_date <= $2 OR last_terminated_date = ''infinity'')', 'lastcalls_' || own) USING terminal, mark;
  END IF;
  IF forget_scope = 'terminal' THEN
    EXECUTE format('DELETE FROM %I WHERE terminal_id = $1 AND (updated_at <= $2 OR updated_at = ''infinity'')', 'terminals_' || own) USING terminal, mark;
  END IF;
  PERFORM set_config('lastcall.purging', coalesce(outer_purging, 'off'), true);
END $$;

CREATE FUNCTION on_mark() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
BEGIN
  IF purging() THEN RETURN NULL; END IF;
  PERFORM purge_own(NEW.terminal_id, NEW.scope, NEW.forgotten_at);
  RETURN NULL;
END $$;

-- The marks of one table that still cover something in this site's own tables.
CREATE FUNCTION marks_owed(mark_table text) RETURNS TABLE (terminal_id bigint, scope text, forgotten_at timestamptz)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
BEGIN
  RETURN QUERY EXECUTE format($q$
    SELECT f.terminal_id, f.scope, f.forgotten_at FROM %I f JOIN %I l USING (terminal_id)
      WHERE f.scope IN ('terminal', 'all', 'dialed') AND l.last_dialed_date <= f.forgotten_at
         OR f.scope IN ('terminal', 'all', 'received') AND l.last_received_date <= f.forgotten_at
         OR f.scope IN ('terminal', 'all', 'terminated') AND l.last_terminated_date <= f.forgotten_at
    UNION
    SELECT f.terminal_id, f.scope, f.forgotten_at FROM %I f JOIN %I t USING (terminal_id)
      WHERE f.scope = 'terminal' AND t.updated_at <= f.forgotten_at$q$,
    mark_table, 'lastcalls_' || this_site(), mark_table, 'terminals_' || this_site());
END $$;

-- Every mark again, for what a trigger could not see: marks that came by COPY, and records that a journal wrote late.
CREATE FUNCTION sweep_forgotten() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE swept bigint;
BEGIN
  SELECT count(purge_own(f.terminal_id, f.scope, f.forgotten_at)) INTO swept FROM marks_owed('forgotten_by_site') f;
  RETURN swept;
END $$;

-- Removes this site's marks that are older than the retention and that every other site has applied.
-- Proof of the latter: each other site's heartbeat, as it stands here, names a beat of ours that is younger than the mark.
CREATE FUNCTION collect_forgotten(retention interval) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  own text := this_site();
  peer text;
  seen timestamptz;
  horizon timestamptz := clock_timestamp() - retention;
  removed bigint;
BEGIN
  FOR peer IN SELECT site FROM sites WHERE NOT sites.own LOOP
    EXECUTE format('SELECT max((applied ->> $1)::timestamptz) FROM %I', 'heartbeat_' || peer) INTO seen USING own;
    IF seen IS NULL THEN RETURN 0; END IF;
    horizon := least(horizon, seen);
  END LOOP;
  PERFORM sweep_forgotten();
  EXECUTE format('DELETE FROM %I WHERE forgotten_at < $1', 'forgotten_' || own) USING horizon;
  GET DIAGNOSTICS removed = ROW_COUNT;
  RETURN removed;
END $$;

-- The date of a change that came without one (R13): later than everything known here of that group, forget marks included.
CREATE FUNCTION next_date(terminal bigint, of_group text) RETURNS timestamptz
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
BEGIN
  RETURN greatest(clock_timestamp(),
    (SELECT max(CASE of_group WHEN 'dialed' THEN l.last_dialed_date WHEN 'received' THEN l.last_received_date
       ELSE l.last_terminated_date END) + interval '1 microsecond' FROM lastcalls_by_site l WHERE l.terminal_id = terminal),
    (SELECT max(f.forgotten_at) + interval '1 microsecond' FROM forgotten_by_site f
       WHERE f.terminal_id = terminal AND f.scope IN ('terminal', 'all', of_group)));
END $$;

-- A mark written from inside a row trigger: the row at hand is already being changed, its purge must not touch it again.
CREATE FUNCTION mark_only(terminal bigint, forget_scope text, not_before timestamptz)
  RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
BEGIN
  PERFORM set_config('lastcall.purging', 'on', true);
  PERFORM forget(terminal, forget_scope, not_before);
  PERFORM set_config('lastcall.purging', 'off', true);
END $$;

-- BEFORE UPDATE on the own table. Per group: a newer date is taken; the same date with other content is dated anew;
-- an older date loses to what stands; no date at all means: forget this group.
CREATE FUNCTION guard_update() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
BEGIN
  IF purging() THEN RETURN NEW; END IF;
  IF NEW.terminal_id <> OLD.terminal_id THEN
    RAISE EXCEPTION 'terminal_id % of a last-calls row cannot change to %', OLD.terminal_id, NEW.terminal_id
      USING ERRCODE = 'feature_not_supported', HINT = 'INSERT the row under its new terminal_id, then DELETE the old one.';
  END IF;
  IF NEW.last_dialed_date IS NOT DISTINCT FROM OLD.last_dialed_date THEN
    IF (NEW.last_dialed_call, NEW.last_dialed_num_id, NEW.last_dialed_privacy) IS DISTINCT FROM (OLD.last_dialed_call, OLD.last_dialed_num_id, OLD.last_dialed_privacy) THEN
      NEW.last_dialed_date := next_date(OLD.terminal_id, 'dialed');
    END IF;
  ELSIF NEW.last_dialed_date IS NULL THEN
    NEW.last_dialed_call := NULL; NEW.last_dialed_num_id := NULL; NEW.last_dialed_date := NULL; NEW.last_dialed_privacy := NULL;
    PERFORM mark_only(OLD.terminal_id, 'dialed', OLD.last_dialed_date);
  ELSIF NEW.last_dialed_date < OLD.last_dialed_date THEN
    NEW.last_dialed_call := OLD.last_dialed_call; NEW.last_dialed_num_id := OLD.last_dialed_num_id; NEW.last_dialed_date := OLD.last_dialed_date; NEW.last_dialed_privacy := OLD.last_dialed_privacy;
  END IF;
  IF NEW.last_received_date IS NOT DISTINCT FROM OLD.last_received_date THEN
    IF (NEW.last_received_call, NEW.last_received_num_id, NEW.last_received_call_id, NEW.last_received_user_num, NEW.last_received_user_num_id, NEW.last_received_fwd_call, NEW.last_received_orig_cld_call, NEW.last_received_sip_uri) IS DISTINCT FROM (OLD.last_received_call, OLD.last_received_num_id, OLD.last_received_call_id, OLD.last_received_user_num, OLD.last_received_user_num_id, OLD.last_received_fwd_call, OLD.last_received_orig_cld_call, OLD.last_received_sip_uri) THEN
      NEW.last_received_date := next_date(OLD.terminal_id, 'received');
    END IF;
  ELSIF NEW.last_received_date IS NULL THEN
    NEW.last_received_call := NULL; NEW.last_received_num_id := NULL; NEW.last_received_date := NULL; NEW.last_received_call_id := NULL; NEW.last_received_user_num := NULL; NEW.last_received_user_num_id := NULL; NEW.last_received_fwd_call := NULL; NEW.last_received_orig_cld_call := NULL; NEW.last_received_sip_uri := NULL;
    PERFORM mark_only(OLD.terminal_id, 'received', OLD.last_received_date);
  ELSIF NEW.last_received_date < OLD.last_received_date THEN
    NEW.last_received_call := OLD.last_received_call; NEW.last_received_num_id := OLD.last_received_num_id; NEW.last_received_date := OLD.last_received_date; NEW.last_received_call_id := OLD.last_received_call_id; NEW.last_received_user_num := OLD.last_received_user_num; NEW.last_received_user_num_id := OLD.last_received_user_num_id; NEW.last_received_fwd_call := OLD.last_received_fwd_call; NEW.last_received_orig_cld_call := OLD.last_received_orig_cld_call; NEW.last_received_sip_uri := OLD.last_received_sip_uri;
  END IF;
  IF NEW.last_terminated_date IS NOT DISTINCT FROM OLD.last_terminated_date THEN
    IF (NEW.last_terminated_call_id, NEW.last_terminated_user_num, NEW.last_terminated_user_num_id, NEW.last_terminated_call, NEW.last_terminated_num_id, NEW.last_terminated_fwd_call, NEW.last_terminated_orig_cld_call, NEW.last_terminated_sip_uri) IS DISTINCT FROM (OLD.last_terminated_call_id, OLD.last_terminated_user_num, OLD.last_terminated_user_num_id, OLD.last_terminated_call, OLD.last_terminated_num_id, OLD.last_terminated_fwd_call, OLD.last_terminated_orig_cld_call, OLD.last_terminated_sip_uri) THEN
      NEW.last_terminated_date := next_date(OLD.terminal_id, 'terminated');
    END IF;
  ELSIF NEW.last_terminated_date IS NULL THEN
    NEW.last_terminated_call_id := NULL; NEW.last_terminated_user_num := NULL; NEW.last_terminated_user_num_id := NULL; NEW.last_terminated_call := NULL; NEW.last_terminated_num_id := NULL; NEW.last_terminated_date := NULL; NEW.last_terminated_fwd_call := NULL; NEW.last_terminated_orig_cld_call := NULL; NEW.last_terminated_sip_uri := NULL;
    PERFORM mark_only(OLD.terminal_id, 'terminated', OLD.last_terminated_date);
  ELSIF NEW.last_terminated_date < OLD.last_terminated_date THEN
    NEW.last_terminated_call_id := OLD.last_terminated_call_id; NEW.last_terminated_user_num := OLD.last_terminated_user_num; NEW.last_terminated_user_num_id := OLD.last_terminated_user_num_id; NEW.last_terminated_call := OLD.last_terminated_call; NEW.last_terminated_num_id := OLD.last_terminated_num_id; NEW.last_terminated_date := OLD.last_terminated_date; NEW.last_terminated_fwd_call := OLD.last_terminated_fwd_call; NEW.last_terminated_orig_cld_call := OLD.last_terminated_orig_cld_call; NEW.last_terminated_sip_uri := OLD.last_terminated_sip_uri;
  END IF;
  RETURN NEW;
END $$;

-- INSERT: a number without a date is dated now; the row of a terminal is never half a group.
CREATE FUNCTION date_insert() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
BEGIN
  IF NEW.last_dialed_date IS NULL AND num_nonnulls(NEW.last_dialed_call, NEW.last_dialed_num_id, NEW.last_dialed_privacy) > 0 THEN
    NEW.last_dialed_date := next_date(NEW.terminal_id, 'dialed');
  END IF;
  IF NEW.last_received_date IS NULL AND num_nonnulls(NEW.last_received_call, NEW.last_received_num_id, NEW.last_received_call_id, NEW.last_received_user_num, NEW.last_received_user_num_id, NEW.last_received_fwd_call, NEW.last_received_orig_cld_call, NEW.last_received_sip_uri) > 0 THEN
    NEW.last_received_date := next_date(NEW.terminal_id, 'received');
  END IF;
  IF NEW.last_terminated_date IS NULL AND num_nonnulls(NEW.last_terminated_call_id, NEW.last_terminated_user_num, NEW.last_terminated_user_num_id, NEW.last_terminated_call, NEW.last_terminated_num_id, NEW.last_terminated_fwd_call, NEW.last_terminated_orig_cld_call, NEW.last_terminated_sip_uri) > 0 THEN
    NEW.last_terminated_date := next_date(NEW.terminal_id, 'terminated');
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION forget_deleted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
BEGIN
  PERFORM forget(OLD.terminal_id, 'all',
    greatest(OLD.last_dialed_date, OLD.last_received_date, OLD.last_terminated_date, '-infinity'));
  RETURN NULL;
END $$;

-- `lastcall.deleting` opens the view `lastcalls` to every site's table while a DELETE on it runs, and only then: any session
-- can set such a parameter, so an UPDATE begins by closing it again. Else it would reach copies (I8).
CREATE FUNCTION delete_everywhere() RETURNS trigger LANGUAGE plpgsql SET search_path = lastcall, pg_temp AS $$
BEGIN
  PERFORM set_config('lastcall.deleting', CASE WHEN TG_OP = 'DELETE' AND TG_WHEN = 'BEFORE' THEN 'on' ELSE 'off' END, true);
  RETURN NULL;
END $$;
CREATE TRIGGER delete_begins BEFORE DELETE ON lastcalls_all FOR EACH STATEMENT EXECUTE FUNCTION delete_everywhere();
CREATE TRIGGER delete_ends AFTER DELETE ON lastcalls_all FOR EACH STATEMENT EXECUTE FUNCTION delete_everywhere();
CREATE TRIGGER update_stays BEFORE UPDATE ON lastcalls_all FOR EACH STATEMENT EXECUTE FUNCTION delete_everywhere();
