//! Runs: begun, driven step by step, commanded by operators, attended by callers that run hooks.

pub(crate) mod begin;
pub(crate) mod callers;
pub(crate) mod commands;
pub(crate) mod ended;
pub(crate) mod hook_output;
pub(crate) mod idle;
pub(crate) mod in_service;
pub(crate) mod order;
pub(crate) mod progress;
pub(crate) mod watching;
