//! The right token in the right place: of all that was said about which token to use, what counts.
//!
//! What is said of the repository at hand comes before what is said of the directory, and either before
//! the active token; [`Source`] has the whole order. A token of another Hub is passed over, one that is
//! gone is not: another account in its place is what nobody asked for.

use hfd_proto::{Considered, Endpoint, Rule, Select, Source, TokenName, Verdict};

/// A token as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Its name.
    pub name: &'a TokenName,
    /// Its user, if that is known.
    pub user: Option<&'a str>,
    /// Its Hub.
    pub endpoint: &'a Endpoint,
    /// Whether it is the active one of the asking home.
    pub active: bool,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The answer.
    pub answer: Answer,
    /// All that was said, in the order in which it was asked.
    pub considered: Vec<Considered>,
}

/// Which token belongs there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This one.
    Token(TokenName),
    /// The one that the caller's environment holds.
    Environment,
    /// One that is not there.
    Missing(TokenName),
    /// One of the user that the address names; there is none.
    OfUser,
    /// One that a person named, and that belongs to another Hub than is asked about.
    OtherHub(TokenName),
    /// None.
    Nothing,
}

/// Decides. `sends(own, asked)` says whether a token of the Hub `own` may be sent to `asked`.
pub fn select(
    question: &Select,
    tokens: &[Candidate<'_>],
    sends: impl Fn(&Endpoint, &Endpoint) -> bool,
) -> Selection {
    let mut answer = Answer::Nothing;
    let mut considered = Vec::new();
    let fits = |endpoint: &Endpoint| {
        let asked = question.endpoint.as_ref();
        asked.is_none_or(|asked| sends(endpoint, asked))
    };
    for said in in_order(question, tokens, &fits) {
        let found = said.name.as_ref();
        let token = found.and_then(|name| tokens.iter().find(|token| token.name == name));
        let verdict = match (&said, token) {
            (
                Said {
                    source: Source::User,
                    name: None,
                    ..
                },
                _,
            ) if answer == Answer::Nothing => Verdict::Missing,
            (
                Said {
                    source: Source::User,
                    name: None,
                    ..
                },
                _,
            ) => Verdict::Outranked,
            (
                Said {
                    untrusted: true, ..
                },
                _,
            ) => Verdict::Untrusted,
            (said, _) if !said.is_for(question) => Verdict::OtherRepository,
            _ if answer != Answer::Nothing => Verdict::Outranked,
            (Said { hub: Some(hub), .. }, _) if fits(hub) => Verdict::Chosen,
            (Said { hub: Some(_), .. }, _) => Verdict::OtherHub,
            (_, Some(token)) if fits(token.endpoint) => Verdict::Chosen,
            (_, Some(_)) => Verdict::OtherHub,
            (_, None) => Verdict::Missing,
        };
        match (verdict, &said.name) {
            (Verdict::Chosen, None) => answer = Answer::Environment,
            (Verdict::Chosen, Some(name)) => answer = Answer::Token(name.clone()),
            (Verdict::Missing, Some(name)) => answer = Answer::Missing(name.clone()),
            (Verdict::Missing, None) => answer = Answer::OfUser,
            (Verdict::OtherHub, Some(name)) if said.source == Source::Argument => {
                answer = Answer::OtherHub(name.clone());
            }
            _ => {}
        }
        considered.push(said.considered(verdict));
    }
    Selection { answer, considered }
}

/// Something that was said.
struct Said<'a> {
    source: Source,
    rule: Option<&'a Rule>,
    name: Option<TokenName>,
    /// The Hub of a token without a name.
    hub: Option<&'a Endpoint>,
    untrusted: bool,
}

impl Said<'_> {
    fn is_for(&self, question: &Select) -> bool {
        match self.rule.and_then(|rule| rule.pattern.as_ref()) {
            None => true,
            Some(pattern) => {
                let repository = question.repository.as_ref();
                repository.is_some_and(|repository| pattern.matches(repository))
            }
        }
    }

    fn considered(self, verdict: Verdict) -> Considered {
        Considered {
            source: self.source.into(),
            path: self.rule.and_then(|rule| rule.path.clone()),
            pattern: self.rule.and_then(|rule| rule.pattern.clone()),
            name: self.name,
            verdict: verdict.into(),
        }
    }
}

/// All that was said, the strongest first.
fn in_order<'a>(
    question: &'a Select,
    tokens: &[Candidate<'_>],
    fits: &impl Fn(&Endpoint) -> bool,
) -> Vec<Said<'a>> {
    let plain = |source, name| Said {
        source,
        rule: None,
        name,
        hub: None,
        untrusted: false,
    };
    let rules = |source: Source, with_pattern: bool| {
        let rules = question.rules.iter();
        rules
            .filter(move |rule| rule.source == source && rule.pattern.is_some() == with_pattern)
            .map(move |rule| Said {
                source,
                rule: Some(rule),
                name: rule.name.clone(),
                hub: None,
                untrusted: rule.name.is_none(),
            })
    };
    let mut said: Vec<Said<'a>> = Vec::new();
    said.extend(rules(Source::Argument, false));
    said.extend(rules(Source::Shell, false));
    said.extend(question.environment.as_ref().map(|hub| Said {
        hub: Some(hub),
        ..plain(Source::Environment, None)
    }));
    if let Some(user) = &question.user {
        let there: Vec<_> = tokens.iter().filter(|token| fits(token.endpoint)).collect();
        let is_theirs = |name: &str| name.eq_ignore_ascii_case(user);
        let theirs = there
            .iter()
            .filter(|token| token.user.is_some_and(is_theirs));
        // The active one of several, else the first by name.
        let first = theirs.min_by_key(|token| (!token.active, token.name));
        let first = first.map(|token| token.name.clone());
        // It is theirs, or it may be, of whom the Hub was never asked; else there is none.
        if first.is_some() || there.iter().all(|token| token.user.is_some()) {
            said.push(plain(Source::User, first));
        }
    }
    said.extend(closest_first(rules(Source::File, true).collect()));
    said.extend(closest_first(rules(Source::Configuration, true).collect()));
    said.extend(rules(Source::File, false));
    said.extend(rules(Source::Configuration, false));
    let active = tokens.iter().find(|token| token.active);
    said.extend(active.map(|token| plain(Source::Active, Some(token.name.clone()))));
    if question.endpoint.is_some() {
        let mut of_that_hub = tokens.iter().filter(|token| fits(token.endpoint));
        if let (Some(only), None) = (of_that_hub.next(), of_that_hub.next()) {
            said.push(plain(Source::Only, Some(only.name.clone())));
        }
    }
    said
}

/// Within each file the closest pattern first; the files stay in their order.
fn closest_first(said: Vec<Said<'_>>) -> Vec<Said<'_>> {
    let path = |said: &Said<'_>| said.rule.and_then(|rule| rule.path.clone());
    let mut files: Vec<Vec<Said<'_>>> = Vec::new();
    for said in said {
        match files.last_mut() {
            Some(file) if path(&file[0]) == path(&said) => file.push(said),
            _ => files.push(vec![said]),
        }
    }
    for file in &mut files {
        file.sort_by_key(|said| {
            let pattern = said.rule.and_then(|rule| rule.pattern.as_ref());
            std::cmp::Reverse(pattern.map(|pattern| pattern.closeness()))
        });
    }
    files.into_iter().flatten().collect()
}
