//! `calculator`: an arithmetic expression, or one operation on a list of operands.
//!
//! 1. `^` binds tightest and to the right, then the sign, then `*` `/` `%`, then `+` `-`: `-2^2` is -4.
//! 2. An expression has at most 1,000 characters and 64 levels, so reading it takes bounded time and stack.
//! 3. There are numbers and operators and nothing else: no names, no functions, nothing that could be run.

use std::{iter::Peekable, str::CharIndices};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ratio::{Fault, Ratio};
use crate::{
    decimal::Decimal,
    refusal::{Refusal, characters_between},
};

/// Either an expression, or an operation with operands.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arguments {
    /// An expression of decimals, + - * / % ^ and parentheses.
    #[schemars(length(min = 1, max = 1000))]
    pub(super) expression: Option<String>,
    /// The operation to apply to the operands, from left to right.
    operation: Option<Operation>,
    /// The numbers to work on, as text (exact) or as JSON numbers of at most 15 digits.
    #[schemars(length(min = 1, max = 100))]
    operands: Option<Vec<Decimal>>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
}

/// The value of a calculation.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Calculated {
    /// The value in decimal.
    result: String,
    /// Whether `result` is the whole value; if not, it is rounded to 20 places.
    exact: bool,
    /// The value as a fraction in lowest terms, when it is not a whole number.
    #[serde(skip_serializing_if = "Option::is_none")]
    fraction: Option<String>,
}

/// Calculates what the arguments ask for.
pub(crate) fn calculate(arguments: &Arguments) -> Result<Calculated, Refusal> {
    let value = match (&arguments.expression, arguments.operation, &arguments.operands) {
        (Some(expression), None, None) => evaluate(expression)?,
        (None, Some(operation), Some(operands)) => combine(operation, operands)?,
        _ => return Err(Refusal::argument("expression", "give either expression, or operation and operands")),
    };
    let written = value.written();
    Ok(Calculated { result: written.text, exact: written.exact, fraction: value.fraction() })
}

fn combine(operation: Operation, operands: &[Decimal]) -> Result<Ratio, Refusal> {
    if operands.len() > MOST_OPERANDS {
        return Err(Refusal::argument("operands", format_args!("at most {MOST_OPERANDS}, not {}", operands.len())));
    }
    let refuse = |fault| Refusal::argument("operands", words(fault));
    let mut numbers = operands.iter().map(|&operand| Ratio::from_decimal(operand));
    let first = numbers.next().ok_or_else(|| Refusal::argument("operands", "at least one is needed"))?;
    numbers.try_fold(first.map_err(refuse)?, |left, right| {
        right.and_then(|right| apply(operation, left, right)).map_err(refuse)
    })
}

fn apply(operation: Operation, left: Ratio, right: Ratio) -> Result<Ratio, Fault> {
    match operation {
        Operation::Add => left.plus(right),
        Operation::Subtract => left.minus(right),
        Operation::Multiply => left.times(right),
        Operation::Divide => left.over(right),
        Operation::Remainder => left.remainder(right),
        Operation::Power => left.power(right),
    }
}

fn words(fault: Fault) -> &'static str {
    match fault {
        Fault::DivisionByZero => "division by zero has no answer",
        Fault::Overflow => "overflow: the answer, or a step on the way to it, has more than 37 digits",
        Fault::ExponentNotWhole => "an exponent must be a whole number",
        Fault::ExponentTooLarge => "an exponent must be between -1000 and 1000",
    }
}

fn evaluate(expression: &str) -> Result<Ratio, Refusal> {
    characters_between("expression", expression, 1, LONGEST_EXPRESSION)?;
    let mut reader = Reader { text: expression, rest: expression.char_indices().peekable() };
    let value = reader.sum(0)?;
    match reader.next_symbol() {
        None => Ok(value),
        Some((position, symbol)) => Err(reader.unexpected(position, symbol)),
    }
}

/// Reads an expression from left to right. `depth` counts how far inside it we are, so that a long row of
/// parentheses or signs cannot exhaust the stack.
struct Reader<'text> {
    text: &'text str,
    rest: Peekable<CharIndices<'text>>,
}

impl Reader<'_> {
    fn sum(&mut self, depth: usize) -> Result<Ratio, Refusal> {
        let mut value = self.product(depth)?;
        while let Some((position, symbol @ ('+' | '-'))) = self.next_symbol() {
            self.rest.next();
            let operation = if symbol == '+' { Operation::Add } else { Operation::Subtract };
            let right = self.product(depth)?;
            value = self.apply_at(position, operation, value, right)?;
        }
        Ok(value)
    }

    fn product(&mut self, depth: usize) -> Result<Ratio, Refusal> {
        let mut value = self.signed(depth)?;
        while let Some((position, symbol @ ('*' | '/' | '%'))) = self.next_symbol() {
            self.rest.next();
            let operation = match symbol {
                '*' => Operation::Multiply,
                '/' => Operation::Divide,
                _ => Operation::Remainder,
            };
            let right = self.signed(depth)?;
            value = self.apply_at(position, operation, value, right)?;
        }
        Ok(value)
    }

    fn signed(&mut self, depth: usize) -> Result<Ratio, Refusal> {
        if depth > DEEPEST {
            return Err(Refusal::argument("expression", format_args!("is nested more than {DEEPEST} levels deep")));
        }
        match self.next_symbol() {
            Some((_, '-')) => {
                self.rest.next();
                self.signed(depth + 1).map(Ratio::negated)
            }
            Some((_, '+')) => {
                self.rest.next();
                self.signed(depth + 1)
            }
            _ => self.power(depth),
        }
    }

    fn power(&mut self, depth: usize) -> Result<Ratio, Refusal> {
        let base = self.atom(depth)?;
        let Some((position, '^')) = self.next_symbol() else { return Ok(base) };
        self.rest.next();
        let exponent = self.signed(depth + 1)?;
        self.apply_at(position, Operation::Power, base, exponent)
    }

    fn atom(&mut self, depth: usize) -> Result<Ratio, Refusal> {
        match self.next_symbol() {
            Some((_, '(')) => {
                self.rest.next();
                let value = self.sum(depth + 1)?;
                match self.next_symbol() {
                    Some((_, ')')) => self.rest.next(),
                    Some((position, symbol)) => return Err(self.unexpected(position, symbol)),
                    None => return Err(Refusal::argument("expression", "a parenthesis is not closed")),
                };
                Ok(value)
            }
            Some((position, '0'..='9')) => self.number(position),
            Some((position, symbol)) => Err(self.unexpected(position, symbol)),
            None => Err(Refusal::argument("expression", "ends where a number should stand")),
        }
    }

    fn number(&mut self, start: usize) -> Result<Ratio, Refusal> {
        let mut end = start;
        while let Some((position, _)) = self.rest.next_if(|(_, symbol)| symbol.is_ascii_digit() || *symbol == '.') {
            end = position + 1;
        }
        let digits = self.text.get(start..end).unwrap_or_default();
        let place = self.place_of(start);
        let number = Decimal::parse(digits)
            .map_err(|problem| Refusal::argument("expression", format_args!("at character {place}: {problem}")))?;
        Ratio::from_decimal(number)
            .map_err(|fault| Refusal::argument("expression", format_args!("at character {place}: {}", words(fault))))
    }

    fn apply_at(&self, at: usize, operation: Operation, left: Ratio, right: Ratio) -> Result<Ratio, Refusal> {
        apply(operation, left, right).map_err(|fault| {
            let place = self.place_of(at);
            Refusal::argument("expression", format_args!("at character {place}: {}", words(fault)))
        })
    }

    /// Skips spaces and shows the symbol after them without taking it.
    fn next_symbol(&mut self) -> Option<(usize, char)> {
        while self.rest.next_if(|(_, symbol)| symbol.is_ascii_whitespace()).is_some() {}
        self.rest.peek().copied()
    }

    fn unexpected(&self, position: usize, symbol: char) -> Refusal {
        let place = self.place_of(position);
        let symbol = symbol.escape_debug();
        Refusal::argument("expression", format_args!("'{symbol}' is not expected at character {place}"))
    }

    /// Counts characters from one, as people do.
    fn place_of(&self, position: usize) -> usize {
        self.text.get(..position).map_or(1, |before| before.chars().count() + 1)
    }
}

const LONGEST_EXPRESSION: usize = 1_000;
const MOST_OPERANDS: usize = 100;
const DEEPEST: usize = 64;

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value, json};

    use super::*;

    fn calculated(arguments: Value) -> Result<(String, bool), String> {
        calculate(&from_value(arguments).unwrap())
            .map(|answer| (answer.result, answer.exact))
            .map_err(|refusal| refusal.message)
    }

    fn value_of(expression: &str) -> String {
        calculated(json!({ "expression": expression })).unwrap().0
    }

    fn fault_of(expression: &str) -> String {
        calculated(json!({ "expression": expression })).unwrap_err()
    }

    /// K1: precedence and grouping are those of school.
    #[test]
    fn expressions_follow_precedence() {
        for (expression, value) in [
            ("1 + 2 * 3", "7"),
            ("(1 + 2) * 3 / 4", "2.25"),
            ("0.1 + 0.2", "0.3"),
            ("-2^2", "-4"),
            ("2^-2", "0.25"),
            ("2^3^2", "512"),
            ("10 - 4 - 3", "3"),
            ("7 % 4 * 2", "6"),
            ("--3", "3"),
            (" 5 ", "5"),
        ] {
            assert_eq!(value_of(expression), value, "{expression}");
        }
    }

    /// K1: an endless decimal says that it is rounded.
    #[test]
    fn endless_decimals_are_marked() {
        assert_eq!(calculated(json!({ "expression": "1/3" })), Ok(("0.33333333333333333333".to_owned(), false)));
    }

    /// K1: division by zero and overflow are refused and say where.
    #[test]
    fn says_where_it_fails() {
        assert_eq!(fault_of("1 + 1/(2-2)"), "expression: at character 6: division by zero has no answer");
        assert!(fault_of("9^99").contains("overflow"));
        assert!(fault_of("2^0.5").contains("whole number"));
    }

    /// K1: broken expressions are refused by position; nothing but numbers and operators is read.
    #[test]
    fn broken_expressions_are_refused() {
        assert_eq!(fault_of("1 + x"), "expression: 'x' is not expected at character 5");
        assert_eq!(fault_of("1 2"), "expression: '2' is not expected at character 3");
        assert_eq!(fault_of("(1"), "expression: a parenthesis is not closed");
        assert_eq!(fault_of("1 +"), "expression: ends where a number should stand");
        assert!(fault_of("1.2.3").contains("at most one point"));
        assert!(fault_of("__import__('os')").contains("'_' is not expected"));
        assert!(fault_of("").contains("1 to 1000 characters"));
    }

    /// K1: depth and length are bounded, so a hostile expression costs no stack.
    #[test]
    fn depth_and_length_are_bounded() {
        assert_eq!(value_of(&format!("{}1{}", "(".repeat(64), ")".repeat(64))), "1");
        for hostile in ["(".repeat(900), "-".repeat(900), "2^".repeat(450)] {
            assert!(fault_of(&hostile).contains("64 levels"), "{hostile}");
        }
        assert!(fault_of(&"1".repeat(1001)).contains("1 to 1000 characters"));
    }

    /// K1: operations run over their operands from left to right.
    #[test]
    fn operations_on_operands() {
        for (operation, operands, value) in [
            ("add", json!(["0.1", 0.2, 1]), "1.3"),
            ("subtract", json!([10, 4, 3]), "3"),
            ("multiply", json!(["1.5", "-2"]), "-3"),
            ("divide", json!([1, 8]), "0.125"),
            ("remainder", json!([7, 4]), "3"),
            ("power", json!([2, 10]), "1024"),
            ("add", json!([5]), "5"),
        ] {
            let arguments = json!({ "operation": operation, "operands": operands });
            assert_eq!(calculated(arguments), Ok((value.to_owned(), true)), "{operation}");
        }
    }

    /// K1: incomplete, doubled and outsized arguments are refused.
    #[test]
    fn arguments_must_fit_together() {
        for arguments in [
            json!({}),
            json!({ "expression": "1", "operation": "add", "operands": [1] }),
            json!({ "operation": "add" }),
            json!({ "operation": "add", "operands": [] }),
            json!({ "operation": "add", "operands": vec![1; 101] }),
            json!({ "operation": "divide", "operands": [1, 0] }),
        ] {
            assert!(calculated(arguments.clone()).is_err(), "{arguments}");
        }
    }
}
