//! Other teeterds that work with the same HAProxy, as far as they are known.

use crate::engine::fleet::Fleet;
use crate::farm::InstanceName;
use crate::platform::lock;

impl Fleet {
    /// Notes the other process that works with a HAProxy as this one does, or that there is none.
    pub(crate) fn set_rival(&self, haproxy: &InstanceName, who: Option<String>) {
        let mut rivals = lock(&self.rivals);
        let before = rivals.remove(haproxy);
        match who {
            Some(who) => {
                let text = said(&who);
                if before.as_ref() != Some(&who) {
                    tracing::warn!("HAProxy {haproxy}: {text}");
                }
                rivals.insert(haproxy.clone(), who);
            }
            None if before.is_some() => tracing::info!("HAProxy {haproxy}: the other teeterd has gone"),
            None => return,
        }
        drop(rivals);
        self.bump();
    }

    /// What is to be said of them.
    pub(crate) fn rivals(&self) -> Vec<(InstanceName, String)> {
        let rivals = lock(&self.rivals);
        rivals.iter().map(|(name, who)| (name.clone(), said(who))).collect()
    }
}

fn said(who: &str) -> String {
    format!(
        "another teeterd works with it, too ({who}): each knows only its own holds, and undoes what the other does to the \
         same servers; let one of them work with this HAProxy"
    )
}
