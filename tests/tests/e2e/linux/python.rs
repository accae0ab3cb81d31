//! The package for Python, as a program that imports it meets the daemon.
//!
//! What a story prints is compared here, since a value in it would stand on a command line.

use std::path::{Path, PathBuf};

use hfd_e2e::{Outcome, Run, Sandbox, Stranger, eventually};

/// Where `import hfd` finds it: nothing is installed.
fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/python/src")
}

/// What the stories have at hand.
const HAND: &str = "
import hfd, os, signal, subprocess, sys, threading, traceback

def run(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)

def fails(*arguments, **options):
    try:
        hfd.get_token(*arguments, **options)
    except hfd.HfdError as error:
        print(type(error).__name__, error.kind, error.exit_status)
        # Whatever a tool might show of it; the sandbox looks for tokens there.
        print(repr(error), error, vars(error), file=sys.stderr)
        chain = traceback.TracebackException.from_exception(error, capture_locals=True)
        print(*chain.format(), file=sys.stderr)
    else:
        print('no error')
";

fn story<'s>(sandbox: &'s Sandbox, code: &str) -> Run<'s> {
    story_of(sandbox, &[HAND, code].concat())
}

fn story_of<'s>(sandbox: &'s Sandbox, code: &str) -> Run<'s> {
    sandbox
        .program("python3", ["-X", "dev", "-W", "error", "-c", code])
        .env("PYTHONPATH", sources())
        // The sources are somebody else's.
        .env("PYTHONDONTWRITEBYTECODE", "1")
}

/// What must have been printed, a line each.
#[track_caller]
fn says<L: AsRef<str>>(outcome: Outcome, lines: &[L]) {
    let lines: Vec<&str> = lines.iter().map(AsRef::as_ref).collect();
    outcome.prints(lines.join("\n"));
}

#[test]
fn the_token_is_that_of_now() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let play = sandbox.logged_in("play");
    let told = story(
        &sandbox,
        "
print(hfd.get_token())
run('hfd', 'switch', 'work')
print(hfd.get_token())
run('hf', 'auth', 'switch', '--token-name', 'play')
print(hfd.get_token())
print(hfd.get_token('work'))
run('hf', 'auth', 'logout', '--token-name', 'play')
fails()
print([(token['name'], token['active'], token['user']) for token in hfd.list_tokens()])
status = hfd.status()
print(status['active'], status['lock'], status['store']['id'])",
    )
    .ok();
    let (work, play) = (work.value.as_str(), play.value.as_str());
    let rest = [
        "NotLoggedIn not-logged-in 4",
        "[('work', False, 'alice')]",
        "None none secret-service",
    ];
    says(told, &[&[play, work, play, work][..], &rest[..]].concat());
}

#[test]
fn a_client_of_the_hub_takes_it() {
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    let code = "
import hfd
from huggingface_hub import HfApi
print(HfApi(token=hfd.get_token()).whoami()['name'])";
    let with_hub = sandbox.program("python3", ["-c", code]);
    with_hub
        .env("PYTHONPATH", sources())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .ok()
        .prints("alice");
}

#[test]
fn the_environment_decides_as_for_hfd_token() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let (other, bad) = (sandbox.unknown_token("other"), sandbox.unknown_token("bad"));
    let code = "print(hfd.get_token()); print(hfd.get_token('work'))";
    for variable in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
        let with = story(&sandbox, code).env(variable, format!(" {}\n", other.value));
        says(with.ok(), &[&other.value, &work.value]);
    }
    let blank = story(&sandbox, code).env("HF_TOKEN", "  ");
    says(blank.ok(), &[&work.value, &work.value]);

    let code = "fails(); print(hfd.get_token('work'))";
    let two = format!("{} {}", bad.value, bad.value);
    let bad = story(&sandbox, code).env("HF_TOKEN", two);
    says(bad.ok(), &["UsageError usage 2", &work.value]);
    for relative in [".hf", ""] {
        let refused = story(&sandbox, code).env("HF_HOME", relative).ok();
        let refused = refused.notes("HF_HOME is not an absolute path");
        says(refused, &["Refused refused 14", &work.value]);
    }
    let directory = story(&sandbox, "fails()")
        .env("HF_TOKEN_PATH", "/tmp/.")
        .ok();
    directory.prints("Refused refused 14");

    // Each home has its own active token, found by upstream's rules.
    let elsewhere = sandbox.home().join("elsewhere");
    sandbox.allow_mirror(&elsewhere);
    let play = sandbox.token("play");
    let login = sandbox.hfd(["login", "--with-token"]).stdin(&play);
    login.env("HF_HOME", &elsewhere).ok();
    for home in ["~/elsewhere", "$HOME/elsewhere"] {
        let there = story(&sandbox, "print(hfd.get_token())").env("HF_HOME", home);
        there.ok().prints(&play);
    }
    let here = story(&sandbox, "print(hfd.get_token())").unset("XDG_CACHE_HOME");
    here.ok().prints(&work);
}

#[test]
fn errors_have_a_class_and_tell_no_value() {
    let sandbox = Sandbox::new();
    story(&sandbox, "fails()")
        .ok()
        .prints("NotLoggedIn not-logged-in 4");
    sandbox.logged_in("work");
    let told = story(
        &sandbox,
        "
import pickle
fails('nobody')
fails('')
fails(min_ttl=-1)
run('hfd', 'lock')
fails()
try:
    hfd.get_token('work')
except hfd.Locked as error:
    again = pickle.loads(pickle.dumps(error))
    print(type(again) is hfd.Locked, str(again) == str(error), again.hint == error.hint)
print(hfd.status()['lock'])
run('hfd', 'unlock')
print(hfd.get_token() == hfd.get_token('work'))",
    );
    let lines = [
        "NoSuchToken no-such-token 10",
        "UsageError usage 2",
        "UsageError usage 2",
        "Locked locked 11",
        "True True True",
        "session",
        "True",
    ];
    says(told.ok(), &lines);
}

#[test]
fn a_token_that_ends_too_soon_is_refused() {
    let sandbox = crate::renewal::session(600);
    let code = "print(hfd.get_token(min_ttl=60) == hfd.get_token()); fails(min_ttl=1300)";
    says(story(&sandbox, code).ok(), &["True", "Refused refused 14"]);
}

/// A daemon that answers nonsense, with a value in it.
#[test]
fn an_answer_that_is_none_gives_nothing_away() {
    let sandbox = Sandbox::new();
    let canary = sandbox.unknown_token("canary");
    let code = r#"
import socket
path = os.path.join(os.environ['XDG_RUNTIME_DIR'], 'made-up.sock')
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
os.environ['HFD_SOCKET'] = path

def serve():
    value = sys.stdin.read().encode()
    for answer in (
        b'{"ok":{"token":"%s"' % value,
        b'{"ok":{"token":["%s"]}}' % value,
        b'{"ok":"%s"}' % value,
        b'["%s"]' % value,
        b'{"ok":{"token":"%s\xff"}}' % value,
        b'{"err":"%s"}' % value,
        b'{"err":{"kind":"from-2030","message":"\x5cu001b[2J"}}',
        value * 40000,
    ):
        client, _ = listener.accept()
        with client, client.makefile('rb') as requests:
            client.sendall(b'{"hfd":[1],"daemon":"9","pid":1}\n')
            requests.readline()
            try:
                client.sendall(answer + b'\n')
            except OSError:
                pass
    for hello in (b'{"hfd":[2],"daemon":"9","pid":1}', b'[]', b'{"err":{"kind":"refused","message":"no"}}'):
        client, _ = listener.accept()
        with client:
            client.sendall(hello + b'\n')
            client.recv(1)

server = threading.Thread(target=serve)
server.start()
for _ in range(11):
    fails()
server.join()
listener.close()"#;
    let told = story(&sandbox, code).stdin(&canary).ok();
    let told = told.notes(r"\u{1b}[2J");
    let mut lines = vec!["HfdError other 1"; 8];
    lines.extend([
        "NoCommonProtocol no-common-protocol 16",
        "HfdError other 1",
        "Refused refused 14",
    ]);
    says(told, &lines);
}

#[test]
fn the_socket_of_another_user_is_sent_nothing() {
    let sandbox = Sandbox::new();
    let stranger = Stranger::find();
    let socket = stranger.listens();
    let refused = story(&sandbox, "fails()").env("HFD_SOCKET", socket).ok();
    let refused = refused.notes("served by another user");
    refused.prints("Refused refused 14");
    assert_eq!(stranger.was_sent(), "", "nothing was sent to it");
}

#[test]
fn a_daemon_that_has_gone_is_started_again() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let told = story(
        &sandbox,
        "
print(hfd.get_token())
before = hfd.status()['daemon']['pid']
os.kill(before, signal.SIGKILL)
print(hfd.get_token())
print(hfd.status()['daemon']['pid'] != before)
run('hfd', 'service', 'stop')
path = os.environ['PATH']
# A directory that moves with the current one is none in which to look for programs.
os.chdir(os.path.dirname(next(p for p in path.split(':') if os.path.exists(p + '/hfd'))))
os.environ['PATH'] = 'debug:release:'
fails()
os.environ['PATH'] = path
print(hfd.get_token())",
    )
    .ok();
    let told = told.notes("there is no `hfd` in PATH");
    let unreachable = "DaemonUnreachable daemon-unreachable 15";
    let work = work.value.as_str();
    says(told, &[work, work, "True", unreachable, work]);
    sandbox.daemon_pid();
}

#[test]
fn what_hfd_says_of_a_daemon_that_does_not_start_is_told() {
    let sandbox = Sandbox::new();
    sandbox.configure("store = 7");
    let told = story(&sandbox, "fails()").ok();
    let theirs = sandbox.hfd(["--json", "service", "start"]).end();
    let message = theirs.error()["message"].as_str().unwrap().to_owned();
    told.notes(&message);
}

#[test]
fn a_daemon_where_the_environment_does_not_lead_is_found() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    let daemon = sandbox.daemon_pid();
    let lost = story(&sandbox, "print(hfd.get_token())").unset("XDG_RUNTIME_DIR");
    lost.env("PATH", "/usr/bin").ok().prints(&work);
    assert_eq!(sandbox.daemon_pid(), daemon);
}

#[test]
fn a_watch_tells_of_a_switch_until_it_is_closed() {
    let sandbox = Sandbox::new();
    sandbox.logged_in("work");
    sandbox.logged_in("play");
    let told = story(
        &sandbox,
        "
with hfd.watch() as events:
    run('hfd', 'switch', 'work')
    print(next(event['name'] for event in events if event['event'] == 'switch'))

events = hfd.watch()
seen = []
written = threading.Event()
def read():
    for event in events:
        seen.append(event)
        if event['event'] == 'written':
            written.set()
reader = threading.Thread(target=read)
reader.start()
run('hfd', 'switch', 'play')
written.wait()
events.close()
reader.join()
events.close()
print([event['name'] for event in seen if event['event'] == 'switch'], list(events))

with hfd.watch() as events:
    run('hfd', 'service', 'stop')
    try:
        for event in events:
            pass
    except hfd.DaemonUnreachable as error:
        print(error)
# Nobody has started another one.
events = hfd.watch()
sys.stdout.flush()
child = os.fork()
if child == 0:
    try:
        next(events)
    except hfd.HfdError as error:
        print(error.message, flush=True)
    events.close()
    os._exit(0)
print(os.waitpid(child, 0)[1], flush=True)
run('hfd', 'switch', 'work')
print(next(event['name'] for event in events if event['event'] == 'switch'))
events.close()",
    );
    let lines = [
        "work",
        "['play'] []",
        "the daemon has left",
        "a watch belongs to the process that made it",
        "0",
        "work",
    ];
    says(told.ok(), &lines);
}

#[test]
fn threads_and_children_ask_for_themselves() {
    let sandbox = Sandbox::new();
    let work = sandbox.logged_in("work");
    sandbox.hfd(["service", "stop"]).ok();
    eventually("no daemon runs", || sandbox.daemons().is_empty());
    let told = story(
        &sandbox,
        "
found = []
def ask(times):
    for _ in range(times):
        found.append(hfd.get_token())
# The first of them start the daemon, at the same moment.
threads = [threading.Thread(target=ask, args=(50,)) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found), len(set(found)))

# A fork beside threads that ask, as of a worker of a server.
import warnings
warnings.simplefilter('ignore', DeprecationWarning)  # that it may deadlock, of Python 3.12
threads = [threading.Thread(target=ask, args=(100,)) for _ in range(4)]
for thread in threads: thread.start()
children = []
for _ in range(10):
    child = os.fork()
    if child == 0:
        os._exit(0 if hfd.get_token() == found[0] else 1)
    children.append(child)
print([os.waitpid(child, 0)[1] for child in children])
for thread in threads: thread.join()
print(len(set(found)))
print(found[0])",
    );
    let children = format!("{:?}", [0; 10]);
    says(told.ok(), &["400 1", &children, "1", &work.value]);
    sandbox.daemon_pid();
}

#[test]
fn it_is_light_to_import_and_of_the_version_of_hfd() {
    let sandbox = Sandbox::new();
    let code = "
import sys
before = set(sys.modules)
import hfd
print(*sorted(set(sys.modules) - before))
print(hfd.__version__)";
    let modules = "__future__ _operator hfd hfd._client hfd._environment hfd._session hfd._watch \
                   hfd.errors operator";
    // Without `-X dev`, which imports more by itself.
    let python = sandbox.program("python3", ["-c", code]);
    let told = python
        .env("PYTHONPATH", sources())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .ok();
    let (imported, version) = told.stdout.trim().split_once('\n').unwrap();
    for module in imported.split(' ') {
        assert!(modules.split(' ').any(|one| one == module), "{module}");
    }
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
}
