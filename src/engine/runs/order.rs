//! What a caller may ask of a run, and the farm's settings as the run uses them.

use std::collections::BTreeSet;

use crate::engine::Engine;
use crate::engine::error::{EngineError, Message};
use crate::farm::{
    BatchSize, DrainSettings, Farm, FarmName, FlipOrder, HttpProbe, InstanceName, OnDeadline, OnStall, RollingSettings,
    Selector, Side, Span, Steps,
};
use crate::plan::{Phase, Strategy};

/// An order to begin a deploy or a flip.
#[derive(Debug, Clone)]
pub struct RunOrder {
    /// The farm to deploy to.
    pub farm: FarmName,
    /// The strategy of the deploy.
    pub strategy: Strategy,
    /// The side to which a flip switches the traffic.
    pub to: Option<Side>,
    /// The version that must run at the end; `None` if it is not verified by name.
    pub version: Option<String>,
    /// Which side a flip by server states changes first; `None` for the farm's setting.
    pub order: Option<FlipOrder>,
    /// Changes of the farm's drain settings.
    pub drain: DrainChange,
    /// Changes of the farm's rolling settings.
    pub rolling: RollingChange,
    /// The shares of a canary; `None` for the farm's setting.
    pub steps: Option<Steps>,
    /// How long each share of a canary lasts; `None` for the farm's setting.
    pub pause: Option<Span>,
    /// What happens when no caller does the run's work; `None` for the farm's setting.
    pub on_stall: Option<OnStall>,
    /// The phases in which the caller has hooks, beside the deploy itself.
    pub phases: BTreeSet<Phase>,
    /// Members that the run skips.
    pub without: Vec<Selector>,
    /// Roll even if too few members are left in service.
    pub allow_outage: bool,
    /// HAProxys that the run may go on without.
    pub without_haproxy: BTreeSet<InstanceName>,
}

/// Where one run differs from its farm's rolling settings; `None` keeps the setting.
#[derive(Debug, Clone, Copy, Default)]
pub struct RollingChange {
    /// The size of a batch.
    pub batch: Option<BatchSize>,
    /// How long a batch gets to settle.
    pub settle: Option<Span>,
    /// How many servers may fail.
    pub max_failed: Option<usize>,
}

impl RollingChange {
    fn apply(self, settings: &mut RollingSettings) {
        settings.batch = self.batch.unwrap_or(settings.batch);
        settings.settle = self.settle.unwrap_or(settings.settle);
        settings.max_failed = self.max_failed.unwrap_or(settings.max_failed);
    }

    fn is_some(self) -> bool {
        self.batch.is_some() || self.settle.is_some() || self.max_failed.is_some()
    }
}

/// Where one run differs from its farm's drain settings; `None` keeps the setting.
#[derive(Debug, Clone, Copy, Default)]
pub struct DrainChange {
    /// How long sticky clients may stay.
    pub grace: Option<Span>,
    /// When the policy applies to servers that are not empty.
    pub deadline: Option<Span>,
    /// The policy at the deadline.
    pub on_deadline: Option<OnDeadline>,
}

impl DrainChange {
    fn apply(self, settings: &mut DrainSettings) {
        settings.deadline = self.deadline.unwrap_or(settings.deadline);
        // A deadline that is shorter than the grace shortens the grace, too.
        settings.grace = self.grace.unwrap_or(settings.grace.min(settings.deadline));
        settings.on_deadline = self.on_deadline.unwrap_or(settings.on_deadline);
    }
}

impl Engine {
    /// The farm with the settings that this order changes.
    pub(super) fn farm_for(&self, order: &RunOrder) -> Result<Farm, EngineError> {
        let mut farm = self.fleet.farm(&order.farm)?;
        let usage = |text: &str| Err(EngineError::Usage(Message::new(text)));
        if order.strategy != Strategy::Rolling && (order.rolling.is_some() || order.allow_outage) {
            return usage(
                "a batch, a time to settle, servers that may fail and an outage are for the strategy rolling",
            );
        }
        if order.strategy == Strategy::Flip && order.to.is_none() {
            return usage("to which group? or to all");
        }
        order.drain.apply(&mut farm.settings.drain);
        if order.strategy != Strategy::Canary && (order.steps.is_some() || order.pause.is_some()) {
            return usage("steps and a pause are for the strategy canary");
        }
        order.rolling.apply(&mut farm.settings.rolling);
        let canary = &mut farm.settings.canary;
        canary.steps = order.steps.clone().unwrap_or_else(|| canary.steps.clone());
        canary.pause = order.pause.unwrap_or(canary.pause);
        farm.settings.on_stall = order.on_stall.or(farm.settings.on_stall);
        farm.settings.flip.order = order.order.unwrap_or(farm.settings.flip.order);
        if order.strategy == Strategy::Rolling {
            let asks = farm.settings.rolling.status;
            let http = farm.settings.verify.http.take().unwrap_or_else(|| HttpProbe::for_path("/_status"));
            farm.settings.verify.http = asks.then_some(http);
        }
        farm.check().map_err(|error| EngineError::Usage(Message::new(error.to_string())))?;
        Ok(farm)
    }
}
