//! `orchestrate`: from a request in plain words to a plan of tool calls.
//!
//! 1. Each tool has a few telling words. A tool whose word stands in the request gets one step; a calculation that
//!    stands in the request is a telling word of the calculator.
//! 2. Steps come in the order in which their words first stand in the request, at most `max_steps` of them.
//! 3. Nothing is called, nothing is guessed at by chance: the same request gives the same plan.
//!
//! # Caveat
//! The request is only searched, never obeyed: whatever it says, the plan holds everyday tools and nothing else.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::text_tools::Operation;
use crate::refusal::{Refusal, characters_between};

/// What is wanted, and what is known about it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// What is wanted, in plain words.
    #[schemars(length(min = 1, max = 10000))]
    request: String,
    /// Facts that go with the request: at most 32 of them and 16,384 bytes of JSON.
    #[schemars(extend("maxProperties" = 32))]
    context: Option<Map<String, Value>>,
    /// Wishes for the plan: `max_steps`, from 1 to 5. Others are named in the answer as ignored.
    #[schemars(extend("maxProperties" = 32))]
    options: Option<Map<String, Value>>,
}

/// Which tools would be called.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Plan {
    /// The calls, in order; none when no tool fits the request.
    steps: Vec<Step>,
    /// Whether `max_steps` left some calls out.
    shortened: bool,
    /// The names of the facts that came as context.
    context_used: Vec<String>,
    /// The names of options that mean nothing here.
    options_ignored: Vec<String>,
}

/// One call of a plan.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Step {
    /// The place of the step, from 1.
    number: usize,
    /// The tool to call.
    tool: &'static str,
    /// Its arguments.
    arguments: Map<String, Value>,
    /// The words of the request that asked for it.
    because: String,
}

/// Makes the plan for a request.
pub(crate) fn plan(arguments: &Arguments) -> Result<Plan, Refusal> {
    characters_between("request", &arguments.request, 1, LONGEST_REQUEST)?;
    let context = bounded("context", arguments.context.as_ref())?;
    let options = bounded("options", arguments.options.as_ref())?;
    let most = max_steps(arguments.options.as_ref())?;
    let mut found = search(&arguments.request);
    found.sort_by_key(|&(position, ..)| position);
    let shortened = found.len() > most;
    let steps = found.into_iter().take(most).zip(1..).map(|((_, tool, arguments, because), number)| Step {
        number,
        tool,
        arguments,
        because,
    });
    Ok(Plan {
        steps: steps.collect(),
        shortened,
        context_used: context,
        options_ignored: options.into_iter().filter(|name| name != "max_steps").collect(),
    })
}

/// Where in the request a tool was found, which, with what arguments, and by what words.
type Found = (usize, &'static str, Map<String, Value>, String);

fn search(request: &str) -> Vec<Found> {
    // ASCII lower case keeps every position, so that what is found can be cut out of the original.
    let lower = request.to_ascii_lowercase();
    let simple = WORDS.iter().filter_map(|&(tool, words)| {
        let (position, word) = first_of(&lower, words)?;
        Some((position, tool, Map::new(), word.to_owned()))
    });
    simple.chain(find_calculation(request)).chain(find_text_operation(request, &lower)).collect()
}

/// The first whole word (or words) of `words` in `text`.
fn first_of<'word>(text: &str, words: &[&'word str]) -> Option<(usize, &'word str)> {
    let places = words.iter().filter_map(|&word| Some((whole_word(text, word)?, word)));
    places.min_by_key(|&(position, _)| position)
}

fn whole_word(text: &str, word: &str) -> Option<usize> {
    let edge = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric());
    text.match_indices(word).map(|(position, _)| position).find(|&position| {
        let before = text.get(..position).and_then(|before| before.chars().next_back());
        let after = text.get(position + word.len()..).and_then(|after| after.chars().next());
        edge(before) && edge(after)
    })
}

/// The longest run of arithmetic in the request that holds a sum to do.
fn find_calculation(request: &str) -> Option<Found> {
    let is_arithmetic = |letter: char| letter.is_ascii_digit() || " .+-*/%^()".contains(letter);
    let runs = request.split(|letter| !is_arithmetic(letter)).map(trim_run).filter(|run| is_calculation(run));
    // The first of the longest, and none that the calculator would find too long.
    let run = runs.filter(|run| run.len() <= 1_000).rev().max_by_key(|run| run.len())?;
    let arguments = Map::from_iter([("expression".to_owned(), json!(run))]);
    Some((request.find(run)?, "calculator", arguments, run.to_owned()))
}

/// Without the full stop or dash of the sentence around it.
fn trim_run(run: &str) -> &str {
    run.trim_matches([' ', '.']).trim_end_matches([' ', '.', '-', '+', '*', '/', '%', '^', '('])
}

fn is_calculation(run: &str) -> bool {
    let numbers = run.split(|letter: char| !letter.is_ascii_digit() && letter != '.').filter(|part| !part.is_empty());
    numbers.count() >= 2 && run.contains(['+', '-', '*', '/', '%', '^'])
}

/// A text operation, on the text in quotation marks.
fn find_text_operation(request: &str, lower: &str) -> Option<Found> {
    let hits = OPERATIONS.iter().filter_map(|&(operation, words)| {
        let (position, word) = first_of(lower, words)?;
        Some((position, operation, word))
    });
    let (position, operation, word) = hits.min_by_key(|&(position, ..)| position)?;
    let text = request.split('"').nth(1).unwrap_or(request);
    let arguments = Map::from_iter([("operation".to_owned(), json!(operation)), ("text".to_owned(), json!(text))]);
    Some((position, "text_tools", arguments, word.to_owned()))
}

/// The names in an argument that is an object, sorted, once it is known to be small enough.
fn bounded(name: &str, object: Option<&Map<String, Value>>) -> Result<Vec<String>, Refusal> {
    let Some(object) = object else { return Ok(Vec::new()) };
    if object.len() > MOST_PROPERTIES {
        return Err(Refusal::argument(
            name,
            format_args!("has {} properties, {MOST_PROPERTIES} are allowed", object.len()),
        ));
    }
    let bytes = serde_json::to_vec(object).map_or(usize::MAX, |json| json.len());
    if bytes > MOST_BYTES {
        return Err(Refusal::argument(name, format_args!("has {bytes} bytes of JSON, {MOST_BYTES} are allowed")));
    }
    let mut names: Vec<String> = object.keys().cloned().collect();
    names.sort_unstable();
    Ok(names)
}

fn max_steps(options: Option<&Map<String, Value>>) -> Result<usize, Refusal> {
    let Some(wanted) = options.and_then(|options| options.get("max_steps")) else { return Ok(MOST_STEPS) };
    wanted
        .as_u64()
        .and_then(|steps| usize::try_from(steps).ok())
        .filter(|steps| (1..=MOST_STEPS).contains(steps))
        .ok_or_else(|| Refusal::argument("options.max_steps", format_args!("must be from 1 to {MOST_STEPS}")))
}

const WORDS: [(&str, &[&str]); 3] = [
    ("clock", &["time", "clock", "date", "today", "now", "what day"]),
    ("server_status", &["status", "uptime", "health", "healthy", "how long", "how many calls"]),
    ("system_info", &["system", "machine", "cpu", "processor", "processors", "architecture", "operating system"]),
];
const OPERATIONS: [(Operation, &[&str]); 8] = [
    (Operation::Upper, &["upper", "uppercase", "upper case", "capitals"]),
    (Operation::Lower, &["lower", "lowercase", "lower case"]),
    (Operation::Title, &["title case", "capitalise", "capitalize"]),
    (Operation::Reverse, &["reverse", "reversed", "backwards"]),
    (Operation::Trim, &["trim"]),
    (Operation::Squeeze, &["squeeze"]),
    (Operation::SortLines, &["sort", "sorted"]),
    (Operation::Count, &["count", "how many words", "how many characters"]),
];
const LONGEST_REQUEST: usize = 10_000;
const MOST_PROPERTIES: usize = 32;
const MOST_BYTES: usize = 16_384;
/// One for each of the other tools.
const MOST_STEPS: usize = 5;

#[cfg(test)]
mod tests {
    use serde_json::{from_value, to_value};

    use super::{
        super::{calculator, text_tools},
        *,
    };

    fn planned(arguments: Value) -> Result<Plan, Refusal> {
        plan(&from_value(arguments).unwrap())
    }

    fn tools(plan: &Plan) -> Vec<&str> {
        plan.steps.iter().map(|step| step.tool).collect()
    }

    /// K1: steps follow the order of the request and carry arguments that the tools accept.
    #[test]
    fn plans_in_order() {
        let request = r#"What is (1 + 2) * 3? Then reverse "gate", tell the time, the uptime and the CPU."#;
        let plan = planned(json!({ "request": request })).unwrap();
        assert_eq!(tools(&plan), ["calculator", "text_tools", "clock", "server_status", "system_info"]);
        let calculation = from_value(Value::Object(plan.steps[0].arguments.clone())).unwrap();
        assert_eq!(to_value(calculator::calculate(&calculation).unwrap()).unwrap()["result"], "9");
        let text = from_value(Value::Object(plan.steps[1].arguments.clone())).unwrap();
        assert_eq!(text_tools::apply(&text).unwrap(), text_tools::Worked::Changed { text: "etag".to_owned() });
    }

    /// K1: the same request gives the same plan, and a request for nothing known gives an empty one.
    #[test]
    fn is_deterministic() {
        let arguments = json!({ "request": "time and 2+2", "context": { "b": 1, "a": 2 }, "options": { "x": 1 } });
        let plans =
            [planned(arguments.clone()).unwrap(), planned(arguments).unwrap()].map(|plan| to_value(plan).unwrap());
        assert_eq!(plans[0], plans[1]);
        assert_eq!(plans[0]["context_used"], json!(["a", "b"]));
        assert_eq!(plans[0]["options_ignored"], json!(["x"]));
        assert!(planned(json!({ "request": "sing a song sometimes" })).unwrap().steps.is_empty());
    }

    /// K1: `max_steps` shortens a plan and the plan says so.
    #[test]
    fn can_be_shortened() {
        let plan = planned(json!({ "request": "time, status", "options": { "max_steps": 1 } })).unwrap();
        assert_eq!(tools(&plan), ["clock"]);
        assert!(plan.shortened);
    }

    /// K1: a dash in prose is no calculation, and the longest one wins.
    #[test]
    fn finds_calculations() {
        let expression = |request: &str| find_calculation(request).map(|found| found.3);
        assert_eq!(expression("from 2026 - or so"), None);
        assert_eq!(expression("42."), None);
        assert_eq!(expression("add 1+1 or 10 / 4."), Some("10 / 4".to_owned()));
        assert_eq!(expression("1+1 or 2+2"), Some("1+1".to_owned()));
    }

    /// E3: the request has 1 to 10,000 characters; context and options are bounded.
    #[test]
    fn arguments_are_bounded() {
        assert!(planned(json!({ "request": "ä".repeat(10_000) })).is_ok());
        let many: Map<_, _> = (0..33).map(|name| (name.to_string(), json!(0))).collect();
        for (arguments, problem) in [
            (json!({ "request": "" }), "request: must have 1 to 10000 characters, has 0"),
            (json!({ "request": "a".repeat(10_001) }), "request: must have 1 to 10000 characters, has 10001"),
            (json!({ "request": "a", "context": many }), "context: has 33 properties, 32 are allowed"),
            (
                json!({ "request": "a", "options": { "a": "b".repeat(16_384) } }),
                "options: has 16392 bytes of JSON, 16384 are allowed",
            ),
            (json!({ "request": "a", "options": { "max_steps": 6 } }), "options.max_steps: must be from 1 to 5"),
            (json!({ "request": "a", "options": { "max_steps": 0 } }), "options.max_steps: must be from 1 to 5"),
        ] {
            assert_eq!(planned(arguments).unwrap_err().message, problem);
        }
    }
}
