//! What PROTOCOL.md shows happens.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use hfd_e2e::Sandbox;
use serde_json::Value;

const PROTOCOL_MD: &str = include_str!("../../../proto/PROTOCOL.md");

/// The fenced block below a marker.
pub(crate) fn block(marker: &str) -> &'static str {
    let (_, from) = PROTOCOL_MD.split_once(marker).expect("the marker");
    let (_, from) = from.split_once("```").expect("a fence");
    let (_, from) = from.split_once('\n').expect("a line");
    let (block, _) = from.split_once("```").expect("its end");
    block
}

#[test]
fn the_conversation_of_the_description_takes_place() {
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    let home = sandbox.shown(sandbox.hf_home().join("token"));
    let mut stream = UnixStream::connect(sandbox.socket()).unwrap();
    let limit = Some(Duration::from_secs(10));
    stream.set_read_timeout(limit).unwrap();
    let mut replies = BufReader::new(stream.try_clone().unwrap()).lines();
    for line in block("<!-- transcript -->").lines() {
        let (speaker, line) = line.split_at(2);
        if speaker == "> " {
            let path = "/home/alice/.cache/huggingface/token";
            let request = line.replace(path, &home.to_str().unwrap().replace('\\', "\\\\"));
            writeln!(stream, "{request}").unwrap();
        } else {
            let said = replies.next().expect("a line").unwrap();
            let (said, shown): (Value, Value) = (
                serde_json::from_str(&said).unwrap(),
                serde_json::from_str(line).unwrap(),
            );
            assert_eq!(shape(&said), shape(&shown), "{said}");
            assert_eq!(said["err"], shown["err"]);
        }
    }
}

/// A document without its values, which differ from run to run.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), shape(value)))
            .collect(),
        Value::Array(values) => values.iter().map(shape).collect(),
        Value::String(_) => "text".into(),
        Value::Number(_) => "number".into(),
        other => other.clone(),
    }
}
