-- Which sites there are.
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

-- How far ahead of this clock a date may lie (R14); one further ahead is dated anew where it comes in.
CREATE FUNCTION allowed_skew() RETURNS interval
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT interval '5 seconds' $$;

-- One microsecond after a date; NULL after one that is nobody's clock, so that it moves nothing.
CREATE FUNCTION later_than(at timestamptz) RETURNS timestamptz
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT CASE WHEN at < '9999-01-01 00:00:00+00' THEN at + interval '1 microsecond' END $$;
