//! Other teeterds that change the same HAProxy instances.

use crate::engine::fleet::Fleet;
use crate::farm::InstanceName;
use crate::platform::lock;

impl Fleet {
    /// Sets the other teeterd that changes this HAProxy, as text; `None`: there is none.
    pub(crate) fn set_rival(&self, haproxy: &InstanceName, rival: Option<String>) {
        let mut rivals = lock(&self.rivals);
        let before = rivals.remove(haproxy);
        match rival {
            Some(rival) => {
                let text = warning(&rival);
                if before.as_ref() != Some(&rival) {
                    tracing::warn!("HAProxy {haproxy}: {text}");
                }
                rivals.insert(haproxy.clone(), rival);
            }
            None if before.is_some() => tracing::info!("HAProxy {haproxy}: the other teeterd has ended"),
            None => return,
        }
        drop(rivals);
        self.bump();
    }

    /// A warning for each HAProxy that another teeterd changes.
    pub(crate) fn rivals(&self) -> Vec<(InstanceName, String)> {
        let rivals = lock(&self.rivals);
        rivals.iter().map(|(name, rival)| (name.clone(), warning(rival))).collect()
    }
}

fn warning(rival: &str) -> String {
    format!(
        "another teeterd works with it, too ({rival}): each knows only its own holds, and undoes what the other does \
         to the same servers; let one of them work with this HAProxy"
    )
}
