//! The stores, and the index beside them.

use hfd_proto::{Compare, Probe, StoreEntry, StoreState, Stores, Word};

use super::{Finding, Report, word};
use crate::{Context, session};

pub(super) fn examine(repair: bool, context: &Context, report: &mut Report) {
    match session::request(
        &context.env,
        Stores {
            probe: true,
            ..Stores::default()
        },
    ) {
        Ok(reply) => {
            let used = reply.stores.iter().filter(|store| is_used(store));
            report.findings.extend(used.filter_map(of_store));
            report.stores = reply.stores;
        }
        Err(error) => report
            .findings
            .push(Finding::of("stores", error, "repeat it")),
    }
    match session::request(&context.env, Compare { repair }) {
        Ok(compared) => {
            if !compared.index {
                report.findings.push(Finding::new(
                    "index-missing",
                    "hfd's index is not on the disk any more",
                    "hfd doctor --repair",
                ));
            }
            if compared.unknown > 0 {
                let count = compared.unknown;
                report.findings.push(Finding::new(
                    "tokens-unknown",
                    format!("stores hold {count} tokens that hfd's index does not know"),
                    "hfd doctor --repair",
                ));
            }
            for name in &compared.missing {
                let name = name.escaped();
                let end = format!(
                    "log in with it again, or take it off the list: hfd logout {}",
                    word(&name)
                );
                let mend = match compared.unread.is_empty() {
                    true => end,
                    // It may rest in another.
                    false => format!("make each store readable (hfd store list), or {end}"),
                };
                let detail = format!("the store of `{name}` does not hold it");
                report
                    .findings
                    .push(Finding::new("token-missing", detail, mend));
            }
            for id in compared.unread.iter().filter(|_| repair) {
                let mut stores = report.stores.iter();
                // What is wrong with one that is used was told.
                let is_there = |store: &&StoreEntry| {
                    store.id == *id && store.state != StoreState::Unavailable && !is_used(store)
                };
                if stores.any(|store| is_there(&store)) {
                    report.findings.push(Finding::new(
                        "store-unread",
                        format!(
                            "{} could not be read, so what rests there was not found",
                            id.as_str()
                        ),
                        "unlock it, then: hfd doctor --repair",
                    ));
                }
            }
            report.repaired = compared.found;
        }
        Err(error) => report
            .findings
            .push(Finding::of("index", error, "repeat it")),
    }
}

/// Whether anything depends on it.
fn is_used(store: &StoreEntry) -> bool {
    store.default || store.tokens > 0
}

fn of_store(store: &StoreEntry) -> Option<Finding> {
    let what = match &store.state {
        Word::Known(StoreState::Ready) => {
            return store
                .probe
                .as_ref()
                .and_then(|probe| of_probe(store, probe));
        }
        Word::Known(StoreState::Locked) => "store-locked",
        Word::Known(StoreState::Unavailable) => "store-unavailable",
        Word::Known(StoreState::Waiting) => "store-frozen",
        Word::Unknown(_) => "store-unavailable",
    };
    let id = store.id.as_str();
    let detail = store
        .detail
        .clone()
        .unwrap_or_else(|| format!("{id} cannot be used"));
    let mend = store
        .hint
        .clone()
        .unwrap_or_else(|| "hfd store list".to_owned());
    Some(Finding::new(what, detail, mend))
}

fn of_probe(store: &StoreEntry, probe: &Probe) -> Option<Finding> {
    let error = probe.error.clone()?;
    let id = store.id.as_str();
    Some(Finding::of(
        "store-fails",
        error,
        &format!("look after {id}, or choose another store"),
    ))
}
