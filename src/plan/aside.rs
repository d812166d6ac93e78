//! Members that a plan leaves aside: those that an operator holds, and those that its caller names.

use std::collections::{BTreeMap, BTreeSet};

use super::guard;
use super::run::Run;
use super::steps::Strategy;
use super::veto::Veto;
use crate::farm::{Entry, Hold, Layout, MemberName, Owner, Stage};

/// The members that a plan leaves aside, as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aside {
    /// Which, and why.
    pub members: BTreeMap<MemberName, String>,
    /// Lines of them that somebody keeps out: they take no traffic, whatever is seen of them at the moment.
    pub out: BTreeSet<Entry>,
    /// Members that a run of this farm has left out when it ended, and that this one takes over and begins with.
    pub taken: BTreeSet<MemberName>,
}

impl Aside {
    /// Sorts what is held of a farm: what an operator has taken out is left aside, everything else is in the way.
    /// `without`: lines that the caller does not want to be touched.
    ///
    /// # Errors
    /// A hold of a run, or an operator's whose servers are on their way back.
    pub fn of<'a>(
        layout: &Layout,
        without: &BTreeSet<Entry>,
        holds: impl IntoIterator<Item = &'a Hold>,
    ) -> Result<Self, Vec<Veto>> {
        let entries = layout.entries();
        let (mut aside, mut vetoes) = (Self::default(), Vec::new());
        let member_of =
            |entry: &Entry| layout.members.iter().find(|(_, lines)| lines.contains(entry)).map(|(name, _)| name);
        for hold in holds.into_iter().filter(|hold| !hold.entries.is_disjoint(&entries)) {
            let comes_back = matches!(hold.stage, Stage::Verifying(_) | Stage::Verified { .. });
            match &hold.owner {
                Owner::Run(_) => vetoes.extend(guard::held(&entries, [hold], None)),
                Owner::Operator(owner) if comes_back => vetoes.push(Veto::ComingBack {
                    owner: owner.clone(),
                    members: members(hold.entries.intersection(&entries).filter_map(member_of)),
                }),
                Owner::Operator(owner) => {
                    for entry in hold.entries.intersection(&entries) {
                        let Some(member) = member_of(entry) else { continue };
                        aside.members.insert(member.clone(), format!("held by {owner}: {}", hold.reason));
                        aside.out.insert(entry.clone());
                    }
                }
            }
        }
        for entry in without {
            let Some(member) = member_of(entry) else { continue };
            aside.members.entry(member.clone()).or_insert_with(|| "left aside by --without".to_owned());
        }
        if vetoes.is_empty() { Ok(aside) } else { Err(vetoes) }
    }

    /// The same with what ended runs of the farm have left out: taken over, or left aside where nothing is worked on.
    #[must_use]
    pub fn with<'a>(mut self, layout: &Layout, left: impl IntoIterator<Item = &'a Hold>, taken: bool) -> Self {
        for hold in left {
            let members =
                layout.members.iter().filter(|(_, lines)| lines.iter().any(|line| hold.entries.contains(line)));
            for (member, lines) in members.filter(|(member, _)| !self.members.contains_key(*member)).collect::<Vec<_>>()
            {
                if taken {
                    self.taken.insert(member.clone());
                } else {
                    self.members.insert(member.clone(), format!("left out by {}", hold.owner));
                    self.out.extend(lines.iter().filter(|line| hold.entries.contains(*line)).cloned());
                }
            }
        }
        self
    }
}

fn members<'a>(members: impl Iterator<Item = &'a MemberName>) -> Vec<MemberName> {
    members.collect::<BTreeSet<_>>().into_iter().cloned().collect()
}

/// What is to be said, at the end of a deploy, of members that it has left alone and that take traffic all the same: they
/// run what they ran before.
#[must_use]
pub fn not_deployed_to(run: &Run, serves: impl Fn(&Entry) -> bool) -> Vec<String> {
    let plan = &run.plan;
    let left = plan.aside.iter().filter(|(_, lines)| plan.strategy != Strategy::Flip && lines.iter().any(&serves));
    let version = |member: &MemberName| run.versions.get(member);
    let old = left.filter(|(member, _)| plan.version.is_none() || version(member) != plan.version.as_ref());
    let remark = |(member, _): (&MemberName, _)| {
        let runs = version(member).map(|version| format!(" with {version}")).unwrap_or_default();
        format!(
            "{member} was left alone and takes traffic{runs}: it was not deployed to; `teeter drain {member} --reason TEXT` \
             takes it out, and another `teeter deploy {}` deploys to it, too",
            plan.farm
        )
    };
    old.map(remark).collect()
}
