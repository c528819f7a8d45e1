//! Which methods exist in which revision, and what each names: everything else is refused.

use super::Revision;
use Form::{Notification, Request};
use Revision::{V2024_11_05, V2025_11_25, V2026_07_28};
use Target::{Listen, Name, Nothing, Reference, Task, Tool, Uri};

/// A request wants an answer, a notification gets none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// With an id.
    Request,
    /// Without an id.
    Notification,
}

/// What a method acts on, and the parameter that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Nothing that has a name.
    Nothing,
    /// A tool: `params.name`.
    Tool,
    /// A prompt: `params.name`.
    Name,
    /// A resource: `params.uri`.
    Uri,
    /// A prompt or a resource template: `params.ref.name` or `params.ref.uri`.
    Reference,
    /// A task: `params.taskId`.
    Task,
    /// Several resources at once: `params.notifications.resourceSubscriptions[]`.
    Listen,
}

/// One method as a client may send it.
#[derive(Debug, PartialEq, Eq)]
pub struct Method {
    /// Its name on the wire.
    pub name: &'static str,
    /// Request or notification.
    pub form: Form,
    /// First and last revision that has it.
    pub revisions: (Revision, Revision),
    /// What it names.
    pub target: Target,
}

/// Methods clients send. Source: the `ClientRequest` and `ClientNotification` unions of each revision's schema,
/// and the tasks extension of 2026-07-28.
pub static CLIENT: [Method; 25] = [
    row("tools/call", Request, V2024_11_05, V2026_07_28, Tool),
    row("tools/list", Request, V2024_11_05, V2026_07_28, Nothing),
    row("initialize", Request, V2024_11_05, V2025_11_25, Nothing),
    row("notifications/initialized", Notification, V2024_11_05, V2025_11_25, Nothing),
    row("ping", Request, V2024_11_05, V2025_11_25, Nothing),
    row("server/discover", Request, V2026_07_28, V2026_07_28, Nothing),
    row("resources/list", Request, V2024_11_05, V2026_07_28, Nothing),
    row("resources/templates/list", Request, V2024_11_05, V2026_07_28, Nothing),
    row("resources/read", Request, V2024_11_05, V2026_07_28, Uri),
    row("resources/subscribe", Request, V2024_11_05, V2025_11_25, Uri),
    row("resources/unsubscribe", Request, V2024_11_05, V2025_11_25, Uri),
    row("prompts/list", Request, V2024_11_05, V2026_07_28, Nothing),
    row("prompts/get", Request, V2024_11_05, V2026_07_28, Name),
    row("completion/complete", Request, V2024_11_05, V2026_07_28, Reference),
    row("logging/setLevel", Request, V2024_11_05, V2025_11_25, Nothing),
    row("subscriptions/listen", Request, V2026_07_28, V2026_07_28, Listen),
    row("tasks/get", Request, V2025_11_25, V2026_07_28, Task),
    row("tasks/update", Request, V2026_07_28, V2026_07_28, Task),
    row("tasks/cancel", Request, V2025_11_25, V2026_07_28, Task),
    row("tasks/result", Request, V2025_11_25, V2025_11_25, Task),
    row("tasks/list", Request, V2025_11_25, V2025_11_25, Nothing),
    row("notifications/cancelled", Notification, V2024_11_05, V2026_07_28, Nothing),
    row("notifications/progress", Notification, V2024_11_05, V2025_11_25, Nothing),
    row("notifications/roots/list_changed", Notification, V2024_11_05, V2025_11_25, Nothing),
    row("notifications/tasks/status", Notification, V2025_11_25, V2025_11_25, Nothing),
];

const fn row(name: &'static str, form: Form, first: Revision, last: Revision, target: Target) -> Method {
    Method { name, form, revisions: (first, last), target }
}

impl Method {
    /// The method of this name, in whatever revision.
    pub fn named(name: &str) -> Option<&'static Self> {
        CLIENT.iter().find(|method| method.name == name)
    }

    /// Whether the revision has it.
    pub fn exists_in(&self, revision: Revision) -> bool {
        let (first, last) = self.revisions;
        first <= revision && revision <= last
    }

    /// Whether a 2026-07-28 request repeats its target in `Mcp-Name`.
    pub const fn is_mirrored(&self) -> bool {
        match self.target {
            Tool | Name | Task => true,
            Uri => matches!(self.name.as_bytes(), b"resources/read"),
            Nothing | Reference | Listen => false,
        }
    }
}
