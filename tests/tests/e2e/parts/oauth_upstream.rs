//! The contract of the mock Hub's browser login: the real huggingface_hub logs in at it, renews at
//! it, and is refused by it, as its code says it is by the real Hub.

use std::time::{Duration, SystemTime};

use hfd_e2e::Sandbox;
use hfd_e2e::hub::{Failure, Reason};

/// Has the active token end within the day in which huggingface_hub renews.
pub(crate) const NEARLY_OVER: &str = "
import configparser, time
from huggingface_hub import constants
stored = configparser.ConfigParser(interpolation=None)
stored.read(constants.HF_STORED_TOKENS_PATH)
stored['oauth-alice']['expires_at'] = str(int(time.time()) + 3600)
with open(constants.HF_STORED_TOKENS_PATH, 'w') as file:
    stored.write(file)
";

pub(crate) const GET_TOKEN: &str = "import huggingface_hub as h; print(h.get_token())";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::builder().no_bus().start();
    let second = Duration::from_secs(1);
    sandbox.hub().policy(|policy| policy.interval = second);
    sandbox
}

/// `hf auth login` in the browser, without a terminal, to its end.
fn log_in(sandbox: &Sandbox) {
    let login = sandbox.hf(["auth", "login"]).spawn();
    let device = sandbox.hub().wait_for_pending();
    sandbox.hub().approve(&device.user_code);
    let ended = login.end();
    assert_eq!(ended.status, 0, "{ended}");
    ended
        .shows(&device.user_code)
        .notes("refreshed automatically");
}

/// The value of a key in the one section of `stored_tokens`.
pub(crate) fn stored(sandbox: &Sandbox, key: &str) -> String {
    let text = sandbox.stored_tokens().unwrap();
    let mut lines = text.lines().filter_map(|line| line.split_once(" = "));
    lines.find(|(found, _)| *found == key).unwrap().1.to_owned()
}

#[test]
fn a_browser_login_brings_a_token_that_can_be_renewed() {
    let sandbox = sandbox();
    log_in(&sandbox);
    let grant = &sandbox.hub().grants()[0];
    assert_eq!(sandbox.token_file().as_ref(), Some(&grant.access));
    assert_eq!(stored(&sandbox, "hf_token"), grant.access);
    assert_eq!(stored(&sandbox, "refresh_token"), grant.refresh);
    let expires: u64 = stored(&sandbox, "expires_at").parse().unwrap();
    let month = Duration::from_secs(30 * 24 * 3600);
    let expected = (SystemTime::now() + month).duration_since(SystemTime::UNIX_EPOCH);
    assert!(expected.unwrap().as_secs().abs_diff(expires) < 60);
    sandbox.hf(["auth", "whoami"]).ok().shows("alice");
    sandbox.hf(["auth", "list"]).ok().shows("* oauth-alice");
    sandbox.python(GET_TOKEN).ok().prints(&grant.access);
    assert_eq!(sandbox.hub().grants()[0].uses, [0], "nobody renews yet");
}

#[test]
fn a_login_survives_a_gateway_and_ends_with_a_no() {
    let sandbox = sandbox();
    let login = sandbox.hf(["auth", "login"]).spawn();
    let code = sandbox.hub().wait_for_pending().user_code;
    for failure in [Failure::Gateway(502), Failure::Close] {
        let asked = sandbox.hub().seen().len();
        sandbox.hub().fail_once("/oauth/token", failure);
        sandbox.hub().wait_for_requests(asked + 1);
    }
    sandbox.hub().deny(&code);
    let ended = login.end();
    assert_eq!(ended.status, 1, "{ended}");
    ended.notes("Authorization was denied");
    assert_eq!(sandbox.stored_tokens(), None);
}

#[test]
fn a_token_that_is_nearly_over_is_renewed_once_and_its_refresh_token_replaced() {
    let sandbox = sandbox();
    log_in(&sandbox);
    sandbox.python(NEARLY_OVER).ok();
    let twice = format!("{GET_TOKEN}; h.get_token()");
    let printed = sandbox.python(&twice).ok();
    let grant = &sandbox.hub().grants()[0];
    printed.prints(&grant.access);
    assert_eq!((grant.generation, &grant.uses[..]), (2, &[1, 0][..]));
    assert_eq!(sandbox.token_file().as_ref(), Some(&grant.access));
    assert_eq!(stored(&sandbox, "refresh_token"), grant.refresh);
    sandbox.hf(["auth", "whoami"]).ok().shows("alice");
}

#[test]
fn without_rotation_the_refresh_token_is_kept() {
    let sandbox = sandbox();
    log_in(&sandbox);
    let before = stored(&sandbox, "refresh_token");
    sandbox.hub().policy(|policy| policy.rotation = false);
    sandbox.python(NEARLY_OVER).ok();
    sandbox.python(GET_TOKEN).ok();
    assert_eq!(sandbox.hub().grants()[0].generation, 2);
    assert_eq!(stored(&sandbox, "refresh_token"), before);
}

#[test]
fn an_answer_that_is_lost_costs_the_session() {
    let sandbox = sandbox();
    log_in(&sandbox);
    sandbox.python(NEARLY_OVER).ok();
    sandbox.hub().fail_once("/oauth/token", Failure::Lost);
    let before = sandbox.token_file().unwrap();
    let lost = sandbox.python(GET_TOKEN).ok();
    lost.notes("Will retry later").prints(&before);
    let refused = sandbox.python(GET_TOKEN).ok();
    refused.notes("session expired or revoked").prints(&before);
    assert_eq!(sandbox.hub().grants()[0].uses, [2, 0]);
    assert_eq!(sandbox.hub().invalid_grants(), 1);
    sandbox.hub().expire(&before);
    sandbox.hf(["auth", "whoami"]).exits(1);
    assert_eq!(sandbox.hub().refused(Reason::Expired), 1);
}
