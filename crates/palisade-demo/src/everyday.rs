//! The everyday desk: six small tools for first contact.
//!
//! Each tool is a plain function in its own file. What it needs from the world (the time, the counters) is handed to
//! it, so its answer depends on its arguments alone.

pub(crate) mod calculator;
pub(crate) mod clock;
pub(crate) mod orchestrate;
mod ratio;
pub(crate) mod server_status;
pub(crate) mod system_info;
pub(crate) mod text_tools;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::tool::{DemoTool, Effect, Sign};

/// The tools of this desk, in the order in which they are listed.
pub(crate) fn tools() -> Vec<DemoTool> {
    vec![calculator(), system_info(), server_status(), clock(), text_tools(), orchestrate()]
}

/// For tools that take no arguments.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoArguments {}

fn calculator() -> DemoTool {
    let sign = Sign {
        name: "calculator",
        title: "Calculator",
        description: "Calculates exactly, with fractions instead of floating point. Give either `expression`, such as \
                      \"(1 + 2) * 3 / 4\", or `operation` together with `operands`.",
        effect: Effect::Pure,
    };
    DemoTool::new(&sign, |_, arguments| calculator::calculate(arguments))
}

fn system_info() -> DemoTool {
    let sign = Sign {
        name: "system_info",
        title: "System information",
        description: "Tells the operating system, processor architecture and number of processors of the machine that \
                      runs this server. Nothing that names the machine or its users.",
        effect: Effect::Reads,
    };
    DemoTool::new(&sign, |_, _: &NoArguments| Ok(system_info::look()))
}

fn server_status() -> DemoTool {
    let sign = Sign {
        name: "server_status",
        title: "Server status",
        description: "Tells how long this server has been up and how many tool calls it has answered and refused \
                      before this one.",
        effect: Effect::Reads,
    };
    DemoTool::new(&sign, |state, _: &NoArguments| Ok(server_status::report(state)))
}

fn clock() -> DemoTool {
    let sign = Sign {
        name: "clock",
        title: "Clock",
        description: "Tells the time in UTC and, when an `offset` such as \"+02:00\" is given, at that offset.",
        effect: Effect::Reads,
    };
    DemoTool::new(&sign, |state, arguments| clock::tell(state.now(), arguments))
}

fn text_tools() -> DemoTool {
    let sign = Sign {
        name: "text_tools",
        title: "Text tools",
        description: "Changes or measures a text: upper, lower, title, reverse, trim, squeeze (one space between \
                      words), sort_lines or count.",
        effect: Effect::Pure,
    };
    DemoTool::new(&sign, |_, arguments| text_tools::apply(arguments))
}

fn orchestrate() -> DemoTool {
    let sign = Sign {
        name: "orchestrate",
        title: "Orchestrate",
        description: "Reads a request in plain words and answers with a plan: which of the other everyday tools to \
                      call, in which order and with which arguments. It calls none of them, and the same request \
                      always gives the same plan.",
        effect: Effect::Pure,
    };
    DemoTool::new(&sign, |_, arguments| orchestrate::plan(arguments))
}
