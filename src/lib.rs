pub mod haproxy;
pub mod farm;
pub mod plan;
