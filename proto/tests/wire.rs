//! The golden lines in `tests/wire/` are the specification of the protocol, and PROTOCOL.md
//! describes all of it.
//!
//! `KIND.jsonl` holds requests of one kind, each followed by its reply; the other files hold lines
//! of their own. From 1.0 on no line there changes or goes; lines are added.

// clippy allows unwrap in tests, but not in what they are built of.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::PathBuf;

use hfd_proto::{
    Error, Event, Frames, Hello, Kind, LockFile, MAX_LINE, MAX_SECRET, Message, Ready, Reply,
    Request, RequestVisitor, StoreId, each_request, encode,
};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Files that hold no request.
const OTHERS: [&str; 5] = ["errors", "events", "hello", "lock-file", "ready"];

fn wire() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "wire"]
        .iter()
        .collect()
}

fn golden(name: &str) -> Vec<String> {
    let path = wire().join(name).with_extension("jsonl");
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{} ({error}): each kind needs one", path.display()));
    assert!(text.ends_with('\n'), "{name} ends in half a line");
    text.lines().map(str::to_owned).collect()
}

fn every_golden_line() -> Vec<String> {
    let names = std::fs::read_dir(wire()).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        path.file_stem().unwrap().to_str().unwrap().to_owned()
    });
    names.flat_map(|name| golden(&name)).collect()
}

/// The line, decoded as a `T` and encoded again.
fn again<T: Serialize + DeserializeOwned>(line: &str) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    encode(&serde_json::from_str::<T>(line)?, &mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    Ok(text.strip_suffix('\n').unwrap().to_owned())
}

#[track_caller]
fn comes_back<T: Serialize + DeserializeOwned>(line: &str) {
    match again::<T>(line) {
        Ok(same) => assert_eq!(same, line),
        Err(error) => panic!("{error}: {line}"),
    }
}

/// Each request with its reply, as `check` wants to see them.
struct Pairs<F>(F);

/// Whether a line comes back from a request of some kind, or from its reply.
type Again = fn(&str) -> Result<String, serde_json::Error>;

impl<F: FnMut(&'static str, Again, Again)> RequestVisitor for Pairs<F> {
    fn visit<R: Request>(&mut self) {
        (self.0)(R::KIND, again::<Message>, again::<Reply<R::Reply>>);
    }
}

#[test]
fn every_request_and_its_replies_come_back_byte_for_byte() {
    each_request(&mut Pairs(|kind: &str, request: Again, reply: Again| {
        let lines = golden(kind);
        assert!(
            lines.len().is_multiple_of(2) && !lines.is_empty(),
            "{kind}: pairs of lines"
        );
        for pair in lines.chunks(2) {
            assert!(
                pair[0].starts_with(&format!(r#"{{"kind":"{kind}""#)),
                "{}",
                pair[0]
            );
            assert_eq!(request(&pair[0]).unwrap(), pair[0]);
            assert_eq!(reply(&pair[1]).unwrap(), pair[1]);
        }
        assert!(
            lines[1].starts_with(r#"{"ok":"#),
            "{kind}: the first goes well"
        );
    }));
}

#[test]
fn everything_else_comes_back_byte_for_byte() {
    golden("hello")
        .iter()
        .for_each(|line| comes_back::<Hello>(line));
    golden("ready")
        .iter()
        .for_each(|line| comes_back::<Reply<Ready>>(line));
    golden("lock-file")
        .iter()
        .for_each(|line| comes_back::<LockFile>(line));
    golden("events")
        .iter()
        .for_each(|line| comes_back::<Event>(line));
    golden("errors")
        .iter()
        .for_each(|line| comes_back::<Reply<()>>(line));
}

#[test]
fn every_kind_of_error_has_a_golden_line() {
    let kinds: Vec<Kind> = golden("errors")
        .iter()
        .map(|line| match serde_json::from_str(line).unwrap() {
            Reply::<()>::Err(error) => error.kind,
            Reply::Ok(()) => panic!("{line}"),
        })
        .collect();
    assert_eq!(kinds, Kind::ALL);
}

#[test]
fn no_file_is_left_of_a_kind_that_is_gone() {
    let mut known: BTreeSet<String> = OTHERS.map(str::to_owned).into();
    each_request(&mut Pairs(|kind: &str, _: Again, _: Again| {
        assert!(
            known.insert(kind.to_owned()),
            "{kind} is the name of another file"
        );
    }));
    for entry in std::fs::read_dir(wire()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(path.extension().unwrap(), "jsonl");
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(known.contains(name), "no request of the kind {name}");
    }
}

/// What a later version may do to any object.
fn with_fields_of_2030(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let known = fields
                .into_iter()
                .map(|(name, value)| (name, with_fields_of_2030(value)));
            let new = (
                "from_2030".to_owned(),
                serde_json::json!({ "deep": [1, null] }),
            );
            Value::Object(known.chain([new]).collect::<Map<_, _>>())
        }
        Value::Array(values) => values.into_iter().map(with_fields_of_2030).collect(),
        other => other,
    }
}

#[test]
fn unknown_fields_are_ignored_wherever_they_stand() {
    let newer = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        // The outermost object of a reply has one field, which says which it is.
        let value = match value {
            Value::Object(fields) if fields.contains_key("ok") || fields.contains_key("err") => {
                let inner = fields
                    .into_iter()
                    .map(|(name, value)| (name, with_fields_of_2030(value)));
                Value::Object(inner.collect())
            }
            other => with_fields_of_2030(other),
        };
        value.to_string()
    };
    each_request(&mut Pairs(|kind: &str, request: Again, reply: Again| {
        for pair in golden(kind).chunks(2) {
            assert_eq!(request(&newer(&pair[0])).unwrap(), pair[0]);
            assert_eq!(reply(&newer(&pair[1])).unwrap(), pair[1]);
        }
    }));
    for line in golden("hello") {
        assert_eq!(again::<Hello>(&newer(&line)).unwrap(), line);
    }
    for line in golden("events") {
        assert_eq!(again::<Event>(&newer(&line)).unwrap(), line);
    }
}

#[test]
fn fields_with_a_default_may_be_left_out() {
    for (short, name, whole) in [
        (
            r#"{"kind":"login","token":"hf_example0000000000000000000000004321"}"#,
            "login",
            4,
        ),
        (r#"{"all":true,"kind":"logout"}"#, "logout", 2),
        (
            r#"{"kind":"switch","name":"ci","all":true,"home":null}"#,
            "switch",
            2,
        ),
        (r#"{"kind":"whoami","name":"work"}"#, "whoami", 4),
        (r#" { "kind" : "list" } "#, "list", 2),
    ] {
        assert_eq!(again::<Message>(short).unwrap(), golden(name)[whole]);
    }
}

#[test]
fn an_unknown_request_is_an_error_and_an_unknown_error_is_other() {
    for line in [
        r#"{"kind":"from-2030"}"#,
        r#"{"kind":"Token"}"#,
        r#"{"kind":7}"#,
        r#"{"kind":null}"#,
        r#"{"home":"/h"}"#,
        "{}",
        "[]",
        r#""token""#,
        "null",
        "",
    ] {
        assert!(serde_json::from_str::<Message>(line).is_err(), "{line}");
    }
    let error: Error = serde_json::from_str(r#"{"kind":"from-2030","message":"m"}"#).unwrap();
    assert_eq!(error.kind, Kind::Other);
}

#[test]
fn what_must_be_there_must_be_there_and_be_right() {
    for line in [
        r#"{"kind":"switch"}"#,
        r#"{"kind":"rename","old":"a"}"#,
        r#"{"kind":"login"}"#,
        r#"{"kind":"login","token":""}"#,
        r#"{"kind":"login","token":"hf_a b"}"#,
        r#"{"kind":"switch","name":""}"#,
        r#"{"kind":"switch","name":"DEFAULT"}"#,
        r#"{"kind":"switch","name":"a\nb"}"#,
        r#"{"kind":"login","token":"hf_a","endpoint":"http://hub.example"}"#,
        r#"{"kind":"login","token":"hf_a","store":"nowhere"}"#,
        r#"{"kind":"token","min_ttl":-1}"#,
    ] {
        assert!(serde_json::from_str::<Message>(line).is_err(), "{line}");
    }
}

fn decode_all(bytes: &[u8]) {
    fn attempt<T: DeserializeOwned + Debug>(bytes: &[u8]) {
        if let Ok(value) = serde_json::from_slice::<T>(bytes) {
            // What was accepted can be shown and sent.
            assert!(!format!("{value:?}").is_empty());
        }
    }
    attempt::<Message>(bytes);
    attempt::<Hello>(bytes);
    attempt::<Event>(bytes);
    attempt::<LockFile>(bytes);
    attempt::<Reply<Ready>>(bytes);
    let text = String::from_utf8_lossy(bytes);
    each_request(&mut Pairs(|_: &str, request: Again, reply: Again| {
        for decode in [request, reply] {
            if let Ok(line) = decode(&text) {
                assert_eq!(decode(&line).unwrap(), line, "canonical from then on");
            }
        }
    }));
}

proptest! {
    #[test]
    fn a_damaged_line_is_an_error_and_nothing_worse(
        line in prop::sample::select(every_golden_line()),
        cut in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        whole in any::<bool>(),
    ) {
        let mut bytes = line.into_bytes();
        if !whole {
            bytes.truncate(cut.index(bytes.len()));
        }
        for (at, byte) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        decode_all(&bytes);
        let mut frames = Frames::new();
        frames.push(&bytes).unwrap();
        frames.push(b"\n").unwrap();
        while let Some(line) = frames.next_line() {
            decode_all(line);
        }
    }
}

const PROTOCOL_MD: &str = include_str!("../PROTOCOL.md");

/// From a heading to the next one.
fn section(heading: &str) -> &'static str {
    let start = PROTOCOL_MD
        .find(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("PROTOCOL.md has no {heading:?}"));
    let rest = &PROTOCOL_MD[start + 1..];
    let end = rest[heading.len()..].find("\n#");
    end.map_or(rest, |end| &rest[..heading.len() + end])
}

fn field_names(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            into.insert(name.clone());
            field_names(value, into);
        }),
        Value::Array(values) => values.iter().for_each(|value| field_names(value, into)),
        _ => {}
    }
}

#[test]
fn the_description_has_every_request_with_its_fields() {
    each_request(&mut Pairs(|kind: &str, _: Again, _: Again| {
        let text = section(&format!("### `{kind}`"));
        for line in golden(kind) {
            let value: Value = serde_json::from_str(&line).unwrap();
            let own = value.get("ok").unwrap_or(&value).as_object().unwrap();
            for name in own.keys().filter(|name| *name != "kind" && *name != "err") {
                assert!(
                    text.contains(&format!("`{name}`")),
                    "{kind}: no word of `{name}`"
                );
            }
        }
    }));
}

#[test]
fn the_description_has_every_field_of_every_line() {
    let mut names = BTreeSet::new();
    for line in every_golden_line() {
        field_names(&serde_json::from_str(&line).unwrap(), &mut names);
    }
    for name in names {
        assert!(
            PROTOCOL_MD.contains(&format!("`{name}`")),
            "no word of `{name}`"
        );
    }
}

#[test]
fn the_description_has_every_error_with_its_exit_status() {
    let table = section("## Errors");
    for kind in Kind::ALL {
        let word = serde_json::to_string(&kind).unwrap();
        let row = format!("| `{}` | {} |", word.trim_matches('"'), kind.exit_status());
        assert!(table.contains(&row), "no row {row}");
    }
}

#[test]
fn the_description_has_every_store_and_event_and_limit() {
    for store in StoreId::ALL {
        assert!(
            PROTOCOL_MD.contains(&format!("`{}`", store.as_str())),
            "{store:?}"
        );
    }
    for line in golden("events") {
        let event: Event = serde_json::from_str(&line).unwrap();
        assert!(
            section("## Events").contains(&format!("`{}`", event.event)),
            "{line}"
        );
    }
    for limit in [MAX_LINE, MAX_SECRET] {
        let text = limit.to_string();
        let (thousands, rest) = text.split_at(text.len() - 3);
        let shown = match thousands.len() {
            4.. => format!("{},{},{rest}", &thousands[..1], &thousands[1..]),
            _ => format!("{thousands},{rest}"),
        };
        assert!(
            section("## Limits and deadlines").contains(&shown),
            "{shown}"
        );
    }
}
