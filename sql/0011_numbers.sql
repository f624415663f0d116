-- F21: a terminal's number is dialable characters only. Checked where people and programs write, not where replication
-- does. (What was called is checked when it is handed out: it may stand in a table since before, or come from another
-- site.)
CREATE FUNCTION refuse_number() RETURNS trigger LANGUAGE plpgsql SET search_path = lastcall, pg_temp AS $$
BEGIN
  IF NEW.number !~ '^[0-9+*#A-D]{1,32}$' THEN
    RAISE EXCEPTION 'number % of terminal % is not dialable', quote_literal(NEW.number), NEW.terminal_id
      USING ERRCODE = 'check_violation', CONSTRAINT = 'terminals_number_dialable',
        HINT = 'A number holds digits, +, *, # and A to D, at most 32.';
  END IF;
  RETURN NEW;
END $$;
-- Named to come before write_terminal.
CREATE TRIGGER refuse_number INSTEAD OF INSERT OR UPDATE ON terminals FOR EACH ROW EXECUTE FUNCTION refuse_number();
REVOKE ALL ON FUNCTION refuse_number() FROM PUBLIC;
