-- Functions are nobody's until granted.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA lastcall FROM PUBLIC;
-- Not per schema: that cannot take away what is granted by default.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
GRANT EXECUTE ON FUNCTION this_site(), later_than(timestamptz), deleting(), writes_copies(),
    removal_reach(text, text, timestamptz)
  TO lastcall_app, lastcall_replicator, lastcall_coordinator, lastcall_peer;
GRANT EXECUTE ON FUNCTION forget_dropped_slot(text), judge_beat(timestamptz)
  TO lastcall_replicator, lastcall_coordinator, lastcall_peer;
GRANT EXECUTE ON FUNCTION forget(bigint, text, timestamptz), forget_key(text, text, text, timestamptz)
  TO lastcall_app, lastcall_coordinator;
GRANT EXECUTE ON FUNCTION is_forgotten(text, text, text, timestamptz), collect_forgotten(interval), sweep_forgotten(),
    beat(), owner_works(replication_owner), require_ownership(text, bigint), begin_resync(text, text[]),
    swap_copies(text, text[]), advance_position(text, bigint, bigint, pg_lsn, boolean), refuse_older()
  TO lastcall_replicator, lastcall_coordinator;
