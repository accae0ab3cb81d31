//! Variables, and the Hub.

use hfd_proto::{Kind, StatusReply, Whoami};

use super::{Finding, Report, word};
use crate::command::elsewhere;
use crate::{Context, network, session};

pub(super) fn examine(status: &StatusReply, context: &Context, report: &mut Report) {
    let env = &context.env;
    // What the others do that name a place is told below.
    let overrides = env.overrides().into_iter();
    for variable in overrides.filter(|name| name.ends_with("TOKEN")) {
        report.findings.push(Finding::new(
            "override",
            format!("{variable} is set here and beats the active token"),
            format!("unset {variable}"),
        ));
    }
    match env.home() {
        Err(error) => report
            .findings
            .push(Finding::of("home", error, "unset HF_HOME")),
        Ok(home) => {
            let dir = home.token_path.parent().unwrap_or(&home.token_path);
            let managed = status.mirrors.iter().any(|mirror| mirror.dir == dir);
            if !managed && !status.mirrors.is_empty() {
                report.findings.push(Finding::new(
                    "other-home",
                    format!(
                        "tools here use {}, which hfd does not keep in step",
                        dir.display()
                    ),
                    match env.overrides().contains(&"HF_TOKEN_PATH") {
                        true => "hfd login makes it one, or: unset HF_TOKEN_PATH".to_owned(),
                        false => {
                            format!("hfd mirror add {}, or unset HF_HOME", word(dir.display()))
                        }
                    },
                ));
            }
        }
    }
    match env.endpoint() {
        Err(error) => report
            .findings
            .push(Finding::of("endpoint", error, "unset HF_ENDPOINT")),
        Ok(_) => {
            if let Some(detail) = elsewhere(status, context) {
                let mend = "set endpoint in config.toml, or unset HF_ENDPOINT";
                report
                    .findings
                    .push(Finding::new("other-endpoint", detail, mend));
            }
        }
    }
}

/// Asks the Hub whose the active token is.
pub(super) fn ask_hub(status: &StatusReply, context: &Context, report: &mut Report) {
    let Some(name) = status.active.clone() else {
        return;
    };
    let request = network::of(&context.env).map(|network| Whoami {
        name: Some(name),
        network,
        ..Whoami::default()
    });
    let asked = request.and_then(|request| session::request(&context.env, request));
    if let Err(error) = asked {
        let what = match error.kind {
            Kind::HubUnreachable => "hub-unreachable",
            _ => "hub-refuses",
        };
        report.findings.push(Finding::of(what, error, "repeat it"));
    }
}
