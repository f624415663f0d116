-- Functions are nobody's until granted.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA lastcall FROM PUBLIC;
-- Not per schema: that cannot take away what is granted by default.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
GRANT EXECUTE ON FUNCTION this_site(), purging(), deleting() TO lastcall_app, lastcall_replicator, lastcall_coordinator;
GRANT EXECUTE ON FUNCTION forget(bigint, text, timestamptz) TO lastcall_app, lastcall_coordinator;
GRANT EXECUTE ON FUNCTION collect_forgotten(interval) TO lastcall_replicator, lastcall_coordinator;
GRANT EXECUTE ON FUNCTION sweep_forgotten(), beat(), begin_resync(text), swap_copies(text) TO lastcall_replicator, lastcall_coordinator;
