//! The words of policies: entity types, actions, and the schema that says what goes with what.

use std::fmt;

/// What is done. In Cedar `Action::"call"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Something stands in a list.
    List,
    /// A tool is called.
    Call,
    /// A resource is read.
    Read,
    /// A resource is subscribed to.
    Subscribe,
    /// An argument of a prompt or a resource template is completed.
    Complete,
    /// A prompt is fetched.
    Get,
    /// A task is asked about, updated or cancelled.
    Use,
    /// A method beyond those of MCP is called.
    Invoke,
    /// A part of the administration is read.
    Inspect,
    /// A part of the administration is changed.
    Administer,
    /// A server is seen at all.
    Reach,
}

impl Action {
    /// Everything that a rule can name.
    pub const ALL: [Self; 10] = [
        Self::List,
        Self::Call,
        Self::Read,
        Self::Subscribe,
        Self::Complete,
        Self::Get,
        Self::Use,
        Self::Invoke,
        Self::Inspect,
        Self::Administer,
    ];

    /// The word in policies.
    pub const fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Call => "call",
            Self::Read => "read",
            Self::Subscribe => "subscribe",
            Self::Complete => "complete",
            Self::Get => "get",
            Self::Use => "use",
            Self::Invoke => "invoke",
            Self::Inspect => "inspect",
            Self::Administer => "administer",
            Self::Reach => "reach",
        }
    }
}

/// Kinds of things. In Cedar `Tool::"files/read_text"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Thing {
    /// A tool.
    Tool,
    /// A resource, or a template of resources.
    Resource,
    /// A prompt.
    Prompt,
    /// A task.
    Task,
    /// A method beyond those of MCP.
    Method,
    /// A part of the administration.
    Part,
    /// A server.
    Server,
}

impl Thing {
    /// The entity type.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tool => "Tool",
            Self::Resource => "Resource",
            Self::Prompt => "Prompt",
            Self::Task => "Task",
            Self::Method => "Method",
            Self::Part => "Part",
            Self::Server => "Server",
        }
    }

    /// What uses a thing of this kind: it is listed to whoever may.
    pub const fn used_by(self) -> Action {
        match self {
            Self::Tool => Action::Call,
            Self::Resource => Action::Read,
            Self::Prompt => Action::Get,
            Self::Task => Action::Use,
            Self::Method => Action::Invoke,
            Self::Part => Action::Inspect,
            Self::Server => Action::Reach,
        }
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The schema that policies are checked against. Arguments have no type that could be known: what reads them is left out
/// of the check, and errors when it meets another type, which denies.
pub(super) const SCHEMA: &str = r"
entity Role;
entity Group in [Role];
entity Caller in [Group, Role];
entity Server { name: String, server: String };
entity Tool, Prompt, Task, Method in [Server] { name: String, server: String };
entity Resource in [Server] { name: String, server: String, climbs: Bool };
entity Part { name: String, server: String };
type Circumstances = { address: ipaddr, time: Long, method: String, strength: Long };
action list appliesTo { principal: Caller, resource: [Tool, Resource, Prompt, Task], context: Circumstances };
action call appliesTo { principal: Caller, resource: Tool, context: Circumstances };
action read, subscribe appliesTo { principal: Caller, resource: Resource, context: Circumstances };
action complete appliesTo { principal: Caller, resource: [Resource, Prompt], context: Circumstances };
action get appliesTo { principal: Caller, resource: Prompt, context: Circumstances };
action use appliesTo { principal: Caller, resource: Task, context: Circumstances };
action invoke appliesTo { principal: Caller, resource: Method, context: Circumstances };
action inspect, administer appliesTo { principal: Caller, resource: Part, context: Circumstances };
";
