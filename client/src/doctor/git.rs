//! How git asks for tokens.

use std::fs;

use super::{Finding, Report};
use crate::Context;
use crate::git::config::{Config, Scope, helper};

pub(super) fn examine(context: &Context, report: &mut Report) {
    // Where git is not there, or does not work, nothing is to be told of it.
    let Ok(config) = Config::read(Scope::Everything) else {
        return;
    };
    let hubs = config.hubs();
    for gone in config.gone() {
        report.findings.push(Finding::new(
            "git-helper-gone",
            format!("git asks {gone}, which is not there"),
            "hfd git setup",
        ));
    }
    if report
        .findings
        .iter()
        .all(|finding| finding.what != "git-helper-gone")
        && let Ok(helper) = helper(&context.env)
    {
        let shared = hubs.iter().filter(|hub| !config.is_set_up(hub, &helper));
        for hub in shared {
            report.findings.push(Finding::new(
                "git-helper-shared",
                format!("git asks others beside hfd for {hub}, and hands them its tokens"),
                "hfd git setup",
            ));
        }
    }
    let Some(home) = context.env.text("HOME") else {
        return;
    };
    // A line is a URL with the password in it; nothing of it is told but its host.
    let path = std::path::Path::new(&home).join(".git-credentials");
    let lines = fs::read_to_string(&path).unwrap_or_default();
    let of_hub = |line: &str| {
        let address = line.rsplit_once('@').map_or("", |(_, address)| address);
        let host = address.split('/').next().unwrap_or_default();
        host == "huggingface.co" || host == "hf.co"
    };
    if lines.lines().any(of_hub) {
        report.findings.push(Finding::new(
            "git-credentials",
            format!("{} holds a token of the Hub in plain text", path.display()),
            format!(
                "hfd git setup, and take the lines of huggingface.co out of {}",
                path.display()
            ),
        ));
    }
}
