//! The acts of a scenario: the deploy, and each fault at its time.

use std::sync::Arc;
use std::time::Duration;

use teeter_lab::Dice;
use tokio::task::{AbortHandle, JoinSet};

use crate::deployer;
use crate::recovery::held_servers_are_out;
use crate::scenario::{Act, ByHand, Fault, Scenario};
use crate::simulation::Simulation;
use crate::watch::UPDATE_TAKES;

impl Simulation {
    /// Deploys, and performs the acts beside it.
    pub(crate) async fn perform(self: &Arc<Self>, scenario: &Scenario, dice: &Dice) {
        let begun = tokio::time::Instant::now();
        let mut deploying = tokio::spawn(deployer::deploy(Arc::clone(self), "v2".to_owned(), dice.fork(14)));
        let (deployer, mut acts) = (deploying.abort_handle(), JoinSet::new());
        if self.shape.late > 0 {
            let simulation = Arc::clone(self);
            acts.spawn(async move {
                tokio::time::sleep(Duration::from_millis(simulation.shape.late)).await;
                if let Some(late) = simulation.fakes.last() {
                    let _ = late.start();
                }
            });
        }
        for (number, act) in scenario.acts.iter().enumerate() {
            tokio::time::sleep_until(begun + act.at).await;
            self.watch.note(|| format!("{:?}", act.fault));
            let (simulation, act, dice) = (Arc::clone(self), act.clone(), dice.fork(1_000 + number as u64));
            acts.spawn(simulation.act(act, deployer.clone(), dice));
        }
        while acts.join_next().await.is_some() {}
        // A deploy may wait for a run that waits for other users. It is ended after this time.
        let _ = tokio::time::timeout(Duration::from_secs(60), &mut deploying).await;
        deploying.abort();
        self.kill_hooks();
    }

    async fn act(self: Arc<Self>, act: Act, deployer: AbortHandle, dice: Dice) {
        let number = act.on % self.fakes.len();
        let fake = &self.fakes[number];
        match act.fault {
            Fault::KillTeeterd { back, jump } => {
                self.restart_teeterd(back, || self.daemon.jump(jump)).await;
            }
            Fault::Rename { back, moved } => {
                self.restart_teeterd(back, || self.daemon.rename(number, moved)).await;
                self.check_when_settled().await;
            }
            Fault::Remove { back, gone } => self.remove_for(number, back, gone).await,
            Fault::Reload => {
                let _ = fake.reload();
            }
            Fault::KillHaproxy(back) => {
                fake.kill();
                tokio::time::sleep(back).await;
                let _ = fake.start();
            }
            Fault::Hang(duration) => {
                fake.hang(duration);
                tokio::time::sleep(duration).await;
            }
            Fault::Slow(duration) => {
                fake.slow(Some(Duration::from_millis(3)));
                tokio::time::sleep(duration).await;
                fake.slow(None);
            }
            Fault::DiskFull(duration) => {
                self.store.set_full(true);
                let _ = tokio::time::timeout(duration, self.check_full_disk_reports()).await;
                self.store.set_full(false);
            }
            Fault::DiskStalls(duration) => self.daemon.stall(duration),
            Fault::DiskLies => self.store.lie_once(),
            Fault::KillDeployer { hook_lives } => {
                deployer.abort();
                if !hook_lives {
                    self.kill_hooks();
                }
            }
            Fault::StallDeployer(duration) => self.stall_deployers(duration),
            Fault::FailHook => self.fail_hook(true),
            Fault::Call(call) => self.run_command(call, dice).await,
            Fault::ByHand(server, change) => {
                self.watch.changed_by_hand(self.shape.member(server));
                self.set_by_hand(fake, server, change).await;
            }
            Fault::AddAgain { server, line, pause } => {
                let member = self.shape.member(server);
                self.watch.adding_again(&member, true);
                self.add_again(fake, server, line, pause).await;
                self.watch.adding_again(&member, false);
                self.check_when_settled().await;
            }
            Fault::Sabotage(server) => self.set_by_hand(fake, server, ByHand::Ready).await,
            Fault::BadVersion => self.deploy_bad_version(),
            Fault::Crowd(count, duration) => {
                let crowd: Vec<_> = (0..count).map(|_| fake.connect()).collect();
                tokio::time::sleep(duration).await;
                drop(crowd);
            }
            Fault::Readers(count, duration) => {
                let mut readers = JoinSet::new();
                for _ in 0..count {
                    let simulation = Arc::clone(&self);
                    readers.spawn(async move { simulation.read_everything().await });
                }
                tokio::time::sleep(duration).await;
                readers.shutdown().await;
            }
            Fault::Unhealthy(server, duration) => {
                let member = self.shape.member(server);
                self.apps.set_unhealthy(&member, true);
                tokio::time::sleep(duration).await;
                self.apps.set_unhealthy(&member, false);
            }
        }
    }

    /// After a fault: held servers are out as soon as teeterd has sent its commands.
    async fn check_when_settled(&self) {
        tokio::time::sleep(UPDATE_TAKES).await;
        held_servers_are_out(self).await;
    }

    /// Kills teeterd, changes something, and starts teeterd after a while.
    async fn restart_teeterd(&self, back: Duration, change: impl FnOnce()) {
        self.daemon.kill().await;
        change();
        tokio::time::sleep(back).await;
        self.daemon.start().await;
    }

    /// Takes a HAProxy out of teeterd's configuration for a while.
    async fn remove_for(&self, number: usize, back: Duration, gone: Duration) {
        self.restart_teeterd(back, || {
            self.daemon.configure(number, false);
            self.watch.configured(number, false);
        })
        .await;
        tokio::time::sleep(gone).await;
        self.restart_teeterd(back, || self.daemon.configure(number, true)).await;
        self.watch.configured(number, true);
    }
}
