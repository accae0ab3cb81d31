//! Which token belongs where, compared with a second implementation of what PROTOCOL.md says.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its helpers too"
)]

mod oracle;

use hfd_core::select::{Answer, Candidate, select};
use hfd_proto::{Endpoint, Pattern, Repository, Rule, Select, Source, TokenName};
use oracle::{Random, ask};
use serde::Serialize;
use serde_json::{Value, json};

const SCRIPT: &str = include_str!("oracle/select.py");

const NAMES: [&str; 5] = ["ci", "play", "work", "Work", "é"];
const USERS: [&str; 3] = ["alice", "bob", "ALICE"];
const HUBS: [&str; 3] = [
    "https://huggingface.co",
    "https://hf.co",
    "https://hub.example",
];
const REPOSITORIES: [&str; 7] = [
    "acme/x",
    "Acme/Y",
    "datasets/acme/x",
    "spaces/acme/x",
    "gpt2",
    "bob/x",
    "datasets/squad",
];
const PATTERNS: [&str; 9] = [
    "acme/*",
    "ACME/x",
    "datasets/acme/*",
    "datasets/acme/x",
    "models/acme/x",
    "bob/*",
    "gpt2",
    "spaces/bob/x",
    "datasets/squad",
];
const PATHS: [Option<&str>; 3] = [Some("/a/b/.hfd.toml"), Some("/a/.hfd.toml"), None];

#[derive(Serialize)]
struct Case {
    question: Select,
    tokens: Vec<Token>,
    /// Pairs of a Hub and another one that its tokens may be sent to.
    aliases: Vec<(&'static str, &'static str)>,
}

#[derive(Serialize)]
struct Token {
    name: TokenName,
    user: Option<&'static str>,
    endpoint: Endpoint,
    active: bool,
}

fn some<T>(random: &mut Random, value: T) -> Option<T> {
    (!random.once_in(3)).then_some(value)
}

fn name(random: &mut Random) -> TokenName {
    TokenName::parse(random.pick(&NAMES)).unwrap()
}

fn hub(random: &mut Random) -> Endpoint {
    Endpoint::parse(random.pick(&HUBS)).unwrap()
}

fn rules(random: &mut Random) -> Vec<Rule> {
    let sources = [
        (Source::Argument, 6),
        (Source::Shell, 4),
        (Source::File, 1),
        (Source::Configuration, 2),
    ];
    let mut rules = Vec::new();
    for (source, seldom) in sources {
        if !random.once_in(seldom) {
            continue;
        }
        let named = matches!(source, Source::Argument | Source::Shell);
        let paths: &[Option<&str>] = if source == Source::File {
            &PATHS
        } else {
            &[None]
        };
        for path in paths {
            for _ in 0..if named { 1 } else { random.below(4) } {
                let pattern = Pattern::parse(random.pick(&PATTERNS)).unwrap();
                let said = name(random);
                rules.push(Rule {
                    source,
                    path: path.map(Into::into),
                    pattern: (!named && !random.once_in(3)).then_some(pattern),
                    name: (named || !random.once_in(5)).then_some(said),
                });
            }
        }
    }
    rules
}

fn case(random: &mut Random) -> Case {
    let mut tokens: Vec<Token> = Vec::new();
    for text in NAMES {
        let user = random.pick(&USERS);
        let user = some(random, user);
        let endpoint = hub(random);
        if random.once_in(3) {
            continue;
        }
        let name = TokenName::parse(text).unwrap();
        let active = tokens.iter().all(|token| !token.active) && random.once_in(3);
        tokens.push(Token {
            name,
            user,
            endpoint,
            active,
        });
    }
    let repository = Repository::parse(random.pick(&REPOSITORIES)).unwrap();
    let (asked, user, environment) = (hub(random), random.pick(&USERS).to_owned(), hub(random));
    let question = Select {
        repository: some(random, repository),
        endpoint: some(random, asked),
        user: random.once_in(3).then_some(user),
        rules: rules(random),
        environment: random.once_in(6).then_some(environment),
        ..Select::default()
    };
    let aliases = match random.once_in(2) {
        true => vec![(HUBS[0], HUBS[1])],
        false => Vec::new(),
    };
    Case {
        question,
        tokens,
        aliases,
    }
}

fn ours(case: &Case) -> Value {
    let tokens: Vec<_> = case
        .tokens
        .iter()
        .map(|token| Candidate {
            name: &token.name,
            user: token.user,
            endpoint: &token.endpoint,
            active: token.active,
        })
        .collect();
    let sends = |own: &Endpoint, asked: &Endpoint| {
        own == asked || case.aliases.contains(&(own.as_str(), asked.as_str()))
    };
    let selection = select(&case.question, &tokens, sends);
    let answer = match &selection.answer {
        Answer::Token(name) => json!(["token", name]),
        Answer::Environment => json!(["environment"]),
        Answer::Missing(name) => json!(["missing", name]),
        Answer::OfUser => json!(["of-user"]),
        Answer::OtherHub(name) => json!(["other-hub", name]),
        Answer::Nothing => json!(["nothing"]),
    };
    let considered = selection.considered.iter();
    let considered: Vec<_> = considered
        .map(|said| json!([said.source, said.verdict, said.name]))
        .collect();
    json!({ "answer": answer, "considered": considered })
}

#[test]
fn ten_thousand_questions_are_answered_as_a_second_implementation_answers_them() {
    let mut random = Random::new(6);
    let cases: Vec<Case> = (0..10_000).map(|_| case(&mut random)).collect();
    let mut answers = std::collections::BTreeSet::new();
    for (case, theirs) in cases.iter().zip(ask(SCRIPT, &cases)) {
        let ours = ours(case);
        assert_eq!(ours, theirs, "{}", serde_json::to_string(case).unwrap());
        answers.insert(ours["answer"][0].as_str().unwrap().to_owned());
    }
    let all = [
        "environment",
        "missing",
        "nothing",
        "of-user",
        "other-hub",
        "token",
    ];
    assert_eq!(answers.into_iter().collect::<Vec<_>>(), all);
}
