//! The client that PROTOCOL.md shows, which speaks to a socket.

use hfd_e2e::Sandbox;

use crate::protocol::block;

#[test]
fn the_client_of_the_description_prints_the_token() {
    let client = block("<!-- client -->");
    let sandbox = Sandbox::new();
    let run =
        |arguments: &[&str]| sandbox.program("python3", [&["-c", client], arguments].concat());
    run(&[]).exits(1).notes("`hfd service start`");
    let work = sandbox.logged_in("work");
    let ci = sandbox.logged_in("ci");
    run(&[]).ok().prints(&ci);
    run(&["work"]).ok().prints(&work);
    run(&["nobody"])
        .exits(1)
        .notes("no-such-token: 'there is no token named `nobody`'");
    sandbox.hfd(["logout", "--all"]).ok();
    run(&[]).exits(1).notes("not-logged-in");
}
