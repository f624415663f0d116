-- Provisioning: one logical list of terminals, written at any site. The newest updated_at wins; a `terminal` mark removes.
CREATE VIEW terminals AS
  SELECT DISTINCT ON (t.terminal_id)
    t.terminal_id, t.user_id, t.username, t.aor, t.ha1_md5, t.ha1_sha256, t.number, t.number_id, t.features, t.enabled,
    t.updated_at, t.site
  FROM terminals_by_site t
  WHERE NOT EXISTS (SELECT FROM forgotten_by_site f
                    WHERE f.terminal_id = t.terminal_id AND f.scope = 'terminal' AND f.forgotten_at >= t.updated_at)
  ORDER BY t.terminal_id, t.updated_at DESC, t.site;

CREATE FUNCTION write_terminal() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = lastcall, pg_temp AS $$
DECLARE
  taken terminals;
  written timestamptz;
BEGIN
  -- Two writers at one site cannot both pass the checks below; two sites can, and then the newest updated_at wins.
  PERFORM pg_advisory_xact_lock(hashtext('lastcall.terminals'));
  IF TG_OP <> 'INSERT' AND NOT EXISTS (SELECT FROM terminals t WHERE t.terminal_id = OLD.terminal_id) THEN
    RETURN NULL; -- Removed while this statement waited: it must not come back by an UPDATE.
  END IF;
  IF TG_OP = 'DELETE' THEN
    PERFORM forget(OLD.terminal_id, 'terminal', OLD.updated_at);
    RETURN OLD;
  END IF;
  IF TG_OP = 'UPDATE' AND NEW.terminal_id <> OLD.terminal_id THEN
    RAISE EXCEPTION 'terminal_id % cannot change to %', OLD.terminal_id, NEW.terminal_id
      USING ERRCODE = 'feature_not_supported', HINT = 'Remove the terminal and add it under its new terminal_id.';
  END IF;
  IF TG_OP = 'INSERT' AND EXISTS (SELECT FROM terminals t WHERE t.terminal_id = NEW.terminal_id) THEN
    RAISE EXCEPTION 'terminal % already exists', NEW.terminal_id
      USING ERRCODE = 'unique_violation', CONSTRAINT = 'terminals_terminal_id', HINT = 'UPDATE it, or remove it first.';
  END IF;
  -- The candidates by index first: the view itself would be computed whole.
  SELECT * INTO taken FROM terminals t
    WHERE t.terminal_id = ANY (ARRAY(SELECT c.terminal_id FROM terminals_by_site c WHERE c.terminal_id <> NEW.terminal_id
        AND (c.username = NEW.username OR c.number = NEW.number OR c.aor = NEW.aor)))
      AND (t.username = NEW.username OR t.number = NEW.number OR t.aor = NEW.aor) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'terminal % already has %', taken.terminal_id, CASE
        WHEN taken.username = NEW.username THEN format('username %L', NEW.username)
        WHEN taken.number = NEW.number THEN format('number %L', NEW.number)
        ELSE format('address of record %L', NEW.aor) END
      USING ERRCODE = 'unique_violation', CONSTRAINT = CASE
        WHEN taken.username = NEW.username THEN 'terminals_username'
        WHEN taken.number = NEW.number THEN 'terminals_number' ELSE 'terminals_aor' END,
        HINT = 'A username, a number and an address of record belong to one terminal.';
  END IF;
  -- Later than every version and every mark known here, so that the write is seen whatever the clocks say.
  written := greatest(clock_timestamp(),
    (SELECT max(updated_at) + interval '1 microsecond' FROM terminals_by_site t WHERE t.terminal_id = NEW.terminal_id),
    (SELECT max(forgotten_at) + interval '1 microsecond' FROM forgotten_by_site f WHERE f.terminal_id = NEW.terminal_id));
  EXECUTE format(
    'INSERT INTO %I AS t (terminal_id, user_id, username, aor, ha1_md5, ha1_sha256, number, number_id, features, enabled, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, coalesce($9, ''{redial,return}''), coalesce($10, true), $11)
     ON CONFLICT (terminal_id) DO UPDATE SET (user_id, username, aor, ha1_md5, ha1_sha256, number, number_id, features, enabled, updated_at) =
       (excluded.user_id, excluded.username, excluded.aor, excluded.ha1_md5, excluded.ha1_sha256, excluded.number,
        excluded.number_id, excluded.features, excluded.enabled, excluded.updated_at)', 'terminals_' || this_site())
    USING NEW.terminal_id, NEW.user_id, NEW.username, NEW.aor, NEW.ha1_md5, NEW.ha1_sha256, NEW.number, NEW.number_id,
      NEW.features, NEW.enabled, written;
  NEW.updated_at := written;
  NEW.site := this_site();
  RETURN NEW;
END $$;
CREATE TRIGGER write_terminal INSTEAD OF INSERT OR UPDATE OR DELETE ON terminals FOR EACH ROW EXECUTE FUNCTION write_terminal();

GRANT SELECT, INSERT, UPDATE, DELETE ON terminals TO lastcall_app, lastcall_coordinator;
GRANT SELECT ON terminals TO lastcall_replicator;
