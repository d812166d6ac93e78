//! Prints the servers of a host address before the command acts on them: the user may not know which servers run there.

use super::{Context, names, print, queries};
use crate::api::StatusView;
use crate::control::client::ClientError;
use crate::farm::Selector;

/// Prints on standard error the servers that each host selector stands for.
///
/// # Errors
/// No server has the address, or teeterd does not answer: see [`ClientError`].
pub(super) async fn print_servers(context: &Context, selectors: &[Selector]) -> Result<(), ClientError> {
    for selector in selectors.iter().filter(|selector| selector.host().is_some()) {
        let path = queries::selecting("/v1/status", std::slice::from_ref(selector));
        let (view, _): (StatusView, _) = context.client.get(&path).await?;
        print::err(&servers_of(selector, &view));
    }
    Ok(())
}

fn servers_of(selector: &Selector, view: &StatusView) -> String {
    let several = view.instances.len() > 1;
    let lines = view.servers.iter().map(|server| format!("{} ({})", names::line_name(server, several), server.address));
    format!("{selector} is {}", lines.collect::<Vec<_>>().join(", "))
}
