//! Histories of tools and hfd at work on the same names, and what holds after each step. The properties
//! make them at random, the fuzz target `tests/fuzz/merge.rs` from its input.

use std::collections::BTreeSet;

use hfd_core::model::{Change, Tombstone};
use hfd_core::observe::{Section, Stored};
use hfd_core::reconcile::{Held, Occasion};
use hfd_proto::Mode;
use proptest::prelude::*;

use super::world::{Cut, World, name};

pub(crate) const NAMES: [&str; 4] = ["a", "a-2", "b", "c"];

/// Two that meet again and again, others that are seldom seen twice, some with more about them.
pub(crate) const VALUES: [&str; 12] = [
    "A", "B", "A+R@9", "B+S", "C", "D@5", "E+T@6", "F", "G", "H+U@7", "I", "J",
];

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Login(&'static str, &'static str),
    Logout(&'static str),
    Rename(&'static str, &'static str),
    Switch(&'static str),
    ToolLogin(&'static str, &'static str),
    ToolSaves(&'static str, &'static str),
    ToolLogout(&'static str),
    ToolLogoutAll,
    ToolSwitch(&'static str),
    OldToolRewrites,
    /// A writer that read the file some looks ago.
    Stale(usize),
    StaleToken(&'static str),
    Garbage,
    GarbageToken,
    Foreign,
    LostBase,
    /// Refresh tokens leave the files, or come back; as the daemon does it, after a look.
    Withhold(bool),
    Sync,
    SyncSettled,
    SyncAsked,
    /// The daemon is killed in the middle of a look.
    Killed(Cut),
}

pub(crate) fn any_step() -> impl Strategy<Value = Step> {
    let at = || prop::sample::select(NAMES.to_vec());
    let text = || prop::sample::select(VALUES.to_vec());
    prop_oneof![
        3 => (at(), text()).prop_map(|(at, text)| Step::Login(at, text)),
        2 => at().prop_map(Step::Logout),
        1 => (at(), at()).prop_map(|(old, new)| Step::Rename(old, new)),
        2 => at().prop_map(Step::Switch),
        4 => (at(), text()).prop_map(|(at, text)| Step::ToolLogin(at, text)),
        2 => (at(), text()).prop_map(|(at, text)| Step::ToolSaves(at, text)),
        2 => at().prop_map(Step::ToolLogout),
        1 => Just(Step::ToolLogoutAll),
        2 => at().prop_map(Step::ToolSwitch),
        1 => Just(Step::OldToolRewrites),
        3 => (1..6_usize).prop_map(Step::Stale),
        1 => text().prop_map(Step::StaleToken),
        1 => Just(Step::Garbage),
        1 => Just(Step::GarbageToken),
        1 => Just(Step::Foreign),
        1 => Just(Step::LostBase),
        1 => any::<bool>().prop_map(Step::Withhold),
        8 => Just(Step::Sync),
        2 => Just(Step::SyncSettled),
        2 => Just(Step::SyncAsked),
        3 => prop::sample::select(Cut::ALL.to_vec()).prop_map(Step::Killed),
    ]
}

/// A world, what its file was at each look, and every value that was seen.
pub(crate) struct History {
    pub(crate) world: World,
    files: Vec<Option<String>>,
    seen: BTreeSet<hfd_core::model::Fingerprint>,
}

impl History {
    pub(crate) fn new(mode: Mode) -> Self {
        Self {
            world: World::new(mode),
            files: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    pub(crate) fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let world = &mut self.world;
        let known = |at: &str| world.index.tokens.contains_key(&name(at));
        match *step {
            Step::Login(at, text) => world.login(at, text),
            Step::Logout(at) => world.logout(at),
            // The daemon refuses a name that is taken.
            Step::Rename(_, new) if known(new) => {}
            Step::Rename(old, new) => world.rename(old, new),
            Step::Switch(to) if known(to) => world.switch(to),
            Step::Switch(_) => {}
            Step::ToolLogin(at, text) => world.tool_login(at, text),
            Step::ToolSaves(at, text) => world.tool_saves(at, text),
            Step::ToolLogout(at) => world.tool_logout(at),
            Step::ToolLogoutAll => world.tool_logout_all(),
            Step::ToolSwitch(to) => world.tool_switch(to),
            Step::OldToolRewrites => world.old_tool_rewrites(),
            Step::Stale(ago) => {
                if let Some(index) = self.files.len().checked_sub(ago) {
                    world.stored.clone_from(&self.files[index]);
                }
            }
            Step::StaleToken(text) => world.token = Some(format!("hf_{}", &text[..1])),
            Step::Garbage => world.stored = Some("rubbish".to_owned()),
            Step::GarbageToken => world.token = Some("two words".to_owned()),
            Step::Foreign => {
                let foreign = "[foreign]\nexpires_at = 09\nnote = x\n\n";
                let stored = world.stored.take().unwrap_or_default();
                let has = stored.contains(foreign);
                world.stored = Some(if has { stored } else { stored + foreign });
            }
            Step::LostBase => world.forget_base(),
            Step::Withhold(withhold) => {
                self.sync(Occasion::Noticed)?;
                self.world.index.apply(Change::Withhold { withhold });
            }
            Step::Sync => self.sync(Occasion::Noticed)?,
            Step::SyncSettled => self.sync(Occasion::Settled)?,
            Step::SyncAsked => self.sync(Occasion::Asked)?,
            Step::Killed(cut) => {
                // What only the files had may be gone when the next daemon looks.
                self.world.sync_until(cut);
                self.look_at_index();
                self.files.push(self.world.stored.clone());
            }
        }
        Ok(())
    }

    /// What stands in the files and in the index now may not be lost.
    fn look(&mut self) {
        self.seen.extend(self.world.values_in_files());
        self.look_at_index();
    }

    fn look_at_index(&mut self) {
        let kept = self.world.index.tokens.values();
        self.seen.extend(kept.map(|record| record.access));
    }

    pub(crate) fn sync(&mut self, occasion: Occasion) -> Result<(), TestCaseError> {
        self.look();
        let world = &mut self.world;
        let removed_before = world.index.tombstones.clone();
        let gone = |stone: &&Tombstone| world.index.name_of(stone.access, None).is_none();
        let gone: BTreeSet<_> = removed_before
            .iter()
            .filter(gone)
            .map(|stone| stone.access)
            .collect();
        let token = world.token_in_file();
        let foreign = foreign(world);

        // Proves that two calls are enough, and that then all is at rest.
        let outcome = world.sync_as(occasion);
        self.files.push(world.stored.clone());

        let kept = world.index.tokens.values().map(|record| record.access);
        let kept: BTreeSet<_> = kept.chain(world.given_up.iter().copied()).collect();
        let lost: Vec<_> = self.seen.difference(&kept).collect();
        prop_assert!(lost.is_empty(), "{lost:?} after {:?}", outcome.first);
        let back = world.index.tokens.values().map(|record| record.access);
        let raised: Vec<_> = back
            .filter(|value| gone.contains(value) && token != Some(*value))
            .collect();
        prop_assert!(raised.is_empty(), "{raised:?} after {:?}", outcome.first);
        prop_assert_eq!(foreign, self::foreign(world));
        if outcome.held.is_none() && outcome.doubt.is_none() {
            prop_assert_eq!(world.file_as_base(), world.view());
            let file = world.file_as_base();
            for stone in &removed_before {
                let wanted = world.index.tokens.get(&stone.name);
                let back = file.sections.get(&stone.name).map(|print| print.access);
                let wanted = wanted.map(|record| record.access) == Some(stone.access);
                prop_assert!(back != Some(stone.access) || wanted);
            }
        }
        if occasion == Occasion::Settled {
            prop_assert_eq!(outcome.doubt, None);
        }
        if occasion == Occasion::Asked {
            prop_assert!(outcome.first.removals.is_empty());
            prop_assert_ne!(outcome.held, Some(Held::BothGone));
        }
        Ok(())
    }
}

fn foreign(world: &World) -> Vec<Section> {
    match world.look().stored {
        Stored::Sections(mut sections) => {
            sections.retain(|section| section.usable().is_none());
            sections
        }
        _ => Vec::new(),
    }
}
