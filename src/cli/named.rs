//! What the address of a machine names, said before anything is done with it: whoever types it may not know which
//! servers run there.

use super::{Context, look, print, tables};
use crate::api::StatusView;
use crate::control::client::ClientError;
use crate::farm::Selector;

/// Says on standard error which lines each host among the selectors stands for.
///
/// # Errors
/// No server has that address, or teeterd does not answer: see [`ClientError`].
pub(super) async fn preview(context: &Context, selectors: &[Selector]) -> Result<(), ClientError> {
    for selector in selectors.iter().filter(|selector| selector.host().is_some()) {
        let path = look::selecting("/v1/status", std::slice::from_ref(selector));
        let (view, _): (StatusView, _) = context.client.get(&path).await?;
        print::err(&told(selector, &view));
    }
    Ok(())
}

fn told(selector: &Selector, view: &StatusView) -> String {
    let several = view.instances.len() > 1;
    let lines =
        view.servers.iter().map(|server| format!("{} ({})", tables::line_name(server, several), server.address));
    format!("{selector} is {}", lines.collect::<Vec<_>>().join(", "))
}
