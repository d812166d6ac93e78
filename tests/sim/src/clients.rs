//! Clients of the farm, which send one request after the other.

use std::sync::Arc;
use std::time::Duration;

use teeter_lab::Dice;

use crate::fake::{Fake, Refused, Request};
use crate::simulation::Simulation;

/// Sends requests as the client of this number, until the task is stopped.
pub(crate) async fn visit(simulation: Arc<Simulation>, number: u64, mut dice: Dice) {
    let frontends = simulation.shape.frontends();
    let fakes = &simulation.fakes;
    loop {
        tokio::time::sleep(Duration::from_millis(dice.within(20..500))).await;
        let frontend = frontends[dice.within(0..frontends.len() as u64) as usize];
        // If a HAProxy is down, its clients go to the other HAProxy.
        let first = dice.within(0..fakes.len() as u64) as usize;
        let mut fakes = fakes.iter().cycle().skip(first).take(fakes.len());
        let begun = fakes.find_map(|fake| match fake.begin(frontend, Some(number)) {
            Err(Refused::Down) => None,
            begun => Some((fake, begun)),
        });
        let Some((fake, Ok(request))) = begun else {
            simulation.watch.visited(false);
            continue;
        };
        simulation.watch.visited(true);
        serve(&simulation, fake, request, &mut dice).await;
    }
}

/// The server answers the request.
async fn serve(simulation: &Simulation, fake: &Fake, request: Request, dice: &mut Dice) {
    tokio::time::sleep(Duration::from_millis(dice.within(1..simulation.shape.longest))).await;
    let version = request.server.as_ref().map(|server| simulation.apps.version(server));
    let is_bad = simulation.is_version_bad() && version.is_some_and(|version| version != "v1");
    let status = if is_bad && dice.within(0..2) == 0 { 500 } else { 200 };
    fake.end_with(request, Some(status));
}
