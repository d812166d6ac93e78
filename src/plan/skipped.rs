//! Members that a plan skips: those that an operator holds, and those that the operator names.

use std::collections::{BTreeMap, BTreeSet};

use super::guard;
use super::veto::Veto;
use crate::farm::{Entry, Hold, Layout, MemberName, Owner, Stage};

/// The members that a plan skips and leaves as they are, and those that it takes over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skipped {
    /// The members that are skipped, with the reason.
    pub members: BTreeMap<MemberName, String>,
    /// Their lines that are held: they count as out of service, even if HAProxy does not have the change yet.
    pub held_lines: BTreeSet<Entry>,
    /// Members that an earlier run of this farm has left out, and that this one takes over and begins with.
    pub taken_over: BTreeSet<MemberName>,
}

impl Skipped {
    /// Sorts the holds on a farm: members that an operator holds are skipped, every other hold is a veto. Members with
    /// a line in `without` are skipped because the operator says so.
    ///
    /// # Errors
    /// A run holds members, or an operator's members are on their way back.
    pub fn by_holds<'a>(
        layout: &Layout,
        without: &BTreeSet<Entry>,
        holds: impl IntoIterator<Item = &'a Hold>,
    ) -> Result<Self, Vec<Veto>> {
        let entries = layout.entries();
        let (mut skipped, mut vetoes) = (Self::default(), Vec::new());
        let member_of =
            |entry: &Entry| layout.members.iter().find(|(_, lines)| lines.contains(entry)).map(|(name, _)| name);
        for hold in holds.into_iter().filter(|hold| !hold.entries.is_disjoint(&entries)) {
            let comes_back = matches!(hold.stage, Stage::Verifying(_) | Stage::Verified { .. });
            match &hold.owner {
                Owner::Run(_) => vetoes.extend(guard::held(&entries, [hold], None)),
                Owner::Operator(owner) if comes_back => vetoes.push(Veto::ComingBack {
                    owner: owner.clone(),
                    members: distinct(hold.entries.intersection(&entries).filter_map(member_of)),
                }),
                Owner::Operator(owner) => {
                    for entry in hold.entries.intersection(&entries) {
                        let Some(member) = member_of(entry) else { continue };
                        skipped.members.insert(member.clone(), format!("held by {owner}: {}", hold.reason));
                        skipped.held_lines.insert(entry.clone());
                    }
                }
            }
        }
        for entry in without {
            let Some(member) = member_of(entry) else { continue };
            skipped.members.entry(member.clone()).or_insert_with(|| "skipped by --without".to_owned());
        }
        if vetoes.is_empty() { Ok(skipped) } else { Err(vetoes) }
    }

    /// Adds the members that ended runs of the farm have left out: taken over if the new run works on servers, skipped
    /// if it only switches the traffic.
    #[must_use]
    pub fn with_left_out<'a>(
        mut self,
        layout: &Layout,
        left_out: impl IntoIterator<Item = &'a Hold>,
        take_over: bool,
    ) -> Self {
        for hold in left_out {
            let is_held = |line: &&Entry| hold.entries.contains(*line);
            for (member, lines) in layout.members.iter().filter(|(_, lines)| lines.iter().any(|line| is_held(&line))) {
                if self.members.contains_key(member) {
                    continue;
                }
                if take_over {
                    self.taken_over.insert(member.clone());
                } else {
                    self.members.insert(member.clone(), format!("left out by {}", hold.owner));
                    self.held_lines.extend(lines.iter().filter(is_held).cloned());
                }
            }
        }
        self
    }
}

fn distinct<'a>(members: impl Iterator<Item = &'a MemberName>) -> Vec<MemberName> {
    members.collect::<BTreeSet<_>>().into_iter().cloned().collect()
}
