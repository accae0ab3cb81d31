use crate::command::Running;
use crate::eventually;
use crate::sandbox::Sandbox;

const NAME: &str = "org.freedesktop.Notifications";

/// A desktop that shows notifications: dbus-test-tool(1) answers to the name on the sandbox's bus, and
/// dbus-monitor(1) tells what it was asked.
#[derive(Debug)]
pub struct Desktop<'s> {
    sandbox: &'s Sandbox,
    _server: Running<'s>,
    monitor: Running<'s>,
}

impl<'s> Desktop<'s> {
    /// Has one from now on.
    #[track_caller]
    pub fn start(sandbox: &'s Sandbox) -> Self {
        let name = format!("--name={NAME}");
        let server = sandbox.program("dbus-test-tool", ["echo", "--session", &name]);
        let rule = format!("type='method_call',interface='{NAME}'");
        let monitor = sandbox.program("dbus-monitor", ["--session", &rule]);
        let desktop = Self {
            sandbox,
            _server: server.spawn(),
            monitor: monitor.spawn(),
        };
        eventually("the desktop answers", || {
            sandbox.bus().owner(NAME).is_some()
        });
        desktop
    }

    /// The words of every notification since the last call: all the text of each, line by line.
    #[track_caller]
    pub fn notifications(&mut self) -> Vec<String> {
        // What comes after it has not been asked for yet.
        let end = [
            "--dest=org.freedesktop.Notifications",
            "/end",
            &format!("{NAME}.End"),
        ];
        self.sandbox.bus().call(&end).expect("the desktop answers");
        let mut notifications: Vec<String> = Vec::new();
        loop {
            let line = self.monitor.line();
            if line.contains("member=End") {
                return notifications;
            }
            if line.contains("member=Notify") {
                notifications.push(String::new());
            } else if let Some(notification) = notifications.last_mut() {
                notification.push_str(line.trim());
                notification.push('\n');
            }
        }
    }
}
