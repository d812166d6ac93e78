//! The store: old versions, damage, backups, and records that leave it.

mod damage_and_backup;
mod memory_after_end;
mod old_stores;
mod retention;
