//! Holds: draining, maintenance, and changes to held servers from outside teeter.

mod agent_checks;
mod drift;
mod drift_policy;
mod endless_sessions;
mod hold_scope;
mod host_maintenance;
mod idle_connections;
mod in_flight_requests;
mod maintenance;
mod manual_holds;
mod server_kinds;
mod server_states;
mod stick_tables;
mod sticky_clients;
