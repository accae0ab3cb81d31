//! What the environment of one command does to it, and what the clock does.

use hfd_e2e::hub::{Account, Hub};
use hfd_e2e::{Sandbox, fault};

use crate::login::exec;

#[test]
fn a_token_in_the_environment_while_switching() {
    let mut fault = fault!("HF_TOKEN set while switching");
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    sandbox.logged_in("play");
    let ci = sandbox.unknown_token("ci");
    let switch = sandbox.hfd(["switch", "work"]).env("HF_TOKEN", &ci).end();
    fault.answers("switch", switch).notes("HF_TOKEN");
    let token = sandbox.hfd(["token"]).env("HF_TOKEN", &ci).end();
    fault.answers("token", token).prints(&ci);
    sandbox.hfd(["token"]).ok().prints(&work);
    let status = sandbox
        .hfd(["status", "--json"])
        .env("HF_TOKEN", &ci)
        .ok()
        .json();
    assert!(
        status["overrides"]
            .as_array()
            .unwrap()
            .iter()
            .any(|name| name == "HF_TOKEN")
    );
}

#[test]
fn another_endpoint_during_whoami() {
    let mut fault = fault!("HF_ENDPOINT elsewhere during whoami");
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    let elsewhere = Hub::start().unwrap();
    let whoami = sandbox
        .hfd(["whoami"])
        .env("HF_ENDPOINT", elsewhere.endpoint())
        .end();
    fault.answers("whoami", whoami);
    let named = sandbox
        .hfd(["whoami", "work"])
        .env("HF_ENDPOINT", elsewhere.endpoint())
        .end();
    fault.answers("whoami NAME", named);
    // In `hfd exec -- sh` the stored token is the environment's: it is still the stored one.
    let in_exec = exec(&[], sandbox.whoami_at(&elsewhere.endpoint()));
    let in_exec = sandbox.hfd(in_exec).end();
    fault.answers("whoami in exec", in_exec);
    assert_eq!(elsewhere.seen(), [], "nothing was sent there");
    sandbox.hfd(["whoami"]).ok().shows("alice");
}

#[test]
fn a_token_of_another_hub() {
    let sandbox = Sandbox::new();
    let home = sandbox.logged_in("home");
    let elsewhere = Hub::start().unwrap();
    let away = sandbox.unknown_token("away");
    elsewhere.add(&away.value, Account::new("away", "alice"));
    let set = format!(
        "`away` belongs to {0}: set HF_ENDPOINT={0}",
        elsewhere.endpoint()
    );
    sandbox
        .hfd(["login", "--with-token", "--endpoint", &elsewhere.endpoint()])
        .stdin(&away)
        .ok()
        .notes(&set);
    let switched = sandbox.hfd(["switch", "home"]).ok();
    assert_eq!(switched.stderr, "");
    sandbox.hfd(["switch", "away"]).ok().notes(&set);
    sandbox
        .hfd(["switch", "away", "--json"])
        .env("HF_ENDPOINT", elsewhere.endpoint())
        .ok();
    sandbox.hfd(["list"]).ok().shows(&elsewhere.endpoint());
    // Whoever is run with it finds its Hub, and only with that.
    let looks = [
        (&[][..], sandbox.prints(&["HF_ENDPOINT", "HF_TOKEN"])),
        (&["--live"], sandbox.prints(&["HF_ENDPOINT"])),
        (&["--live"], sandbox.prints_file("HF_TOKEN_PATH")),
    ];
    let endpoint = elsewhere.endpoint();
    let both = format!("{endpoint} {}", away.value);
    for ((options, look), expected) in looks.into_iter().zip([&both, &endpoint, &away.value]) {
        let words = exec(&[options, &["--as", "away"]].concat(), look);
        let outcome = sandbox.hfd(&words).unset("HF_ENDPOINT").ok();
        outcome.prints(expected);
        sandbox.hfd(words).exits(14);
    }
    assert!(!sandbox.hub().bearers().contains(&away.value));
    assert!(!elsewhere.bearers().contains(&home.value));
}

#[test]
fn an_alias_of_the_tokens_hub() {
    let sandbox = Sandbox::new();
    let hub = sandbox.hub().endpoint();
    let alias = hub.replace("127.0.0.1", "localhost");
    let aliases = format!("[hub.\"{hub}\"]\naliases = [\"{alias}\"]\n");
    sandbox.configure(&format!("endpoint = \"{hub}\"\n{aliases}"));
    let work = sandbox.logged_in("work");
    let looks = [
        (&[][..], sandbox.prints(&["HF_ENDPOINT", "HF_TOKEN"])),
        (&["--live"], sandbox.prints(&["HF_ENDPOINT"])),
        (&["--live"], sandbox.prints_file("HF_TOKEN_PATH")),
    ];
    let both = format!("{alias} {}", work.value);
    for ((options, look), expected) in looks.into_iter().zip([&both, &alias, &work.value]) {
        let words = exec(options, look);
        let run = |endpoint: &str| sandbox.hfd(&words).env("HF_ENDPOINT", endpoint);
        run(&alias).ok().prints(expected);
        run("http://localhost:1").exits(14).prints_nothing();
    }
    // What tools write is this Hub's, and status says where they use another.
    let note = "are taken for those of";
    for command in ["status", "sync"] {
        let told = |endpoint: &str| {
            let outcome = sandbox.hfd([command]).env("HF_ENDPOINT", endpoint).ok();
            format!("{}{}", outcome.stdout, outcome.stderr).contains(note)
        };
        assert!(!told(&hub) && !told(&alias), "{command}");
        assert!(told("http://localhost:1"), "{command}");
    }
}
