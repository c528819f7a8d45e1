//! Arguments as Cedar values: read from the bytes that were found good, never by Cedar's own reader of JSON, to which
//! `{"__entity": …}` and `{"__extn": …}` mean more than they say.
//!
//! 1. Texts, truth values, lists and objects are themselves; escapes are undone, so no spelling hides a word.
//! 2. A number that is whole is a Long, however it is written: `1000`, `1e3` and `1000.0` are one number. Any other is a
//!    `decimal` if four digits behind the point are enough.
//! 3. What Cedar has no value for (null, larger and finer numbers) is a record that says so. It is there, so that
//!    `has` sees it; comparing it is an error, and errors deny.
//!
//! Two more readings of the outermost texts stand beside the arguments, since Cedar's `like` knows neither hosts nor
//! paths: [`host`] and [`path`].

use cedar_policy::RestrictedExpression as Expression;

use crate::message::json;

/// Everything that policies can ask of arguments.
#[derive(Debug, Default)]
pub(super) struct Readings {
    /// `context.arguments`
    pub(super) arguments: Vec<(String, Expression)>,
    /// `context.hosts`: of arguments that are URLs.
    pub(super) hosts: Vec<(String, Expression)>,
    /// `context.paths`: of arguments that do not climb.
    pub(super) paths: Vec<(String, Expression)>,
    /// `context.decimals`: of arguments that are numbers, whole or not.
    pub(super) decimals: Vec<(String, Expression)>,
}

impl Readings {
    /// Reads an object that was found good.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut readings = Self::default();
        let mut cursor = Cursor { text, at: 0 };
        cursor.members(&mut |name, cursor| readings.take(name, cursor));
        readings
    }

    /// Notes a text under a name of ours.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.read(name, text);
        self.arguments.push((name.to_owned(), Expression::new_string(text.to_owned())));
    }

    fn take(&mut self, name: String, cursor: &mut Cursor<'_>) {
        match cursor.peek() {
            Some(b'"') => {
                let text = cursor.string();
                self.read(&name, &text);
                self.arguments.push((name, Expression::new_string(text)));
            }
            Some(b'-' | b'0'..=b'9') => {
                let number = cursor.number();
                self.decimals.push((name.clone(), decimal(number).unwrap_or_else(|| unreadable(number))));
                self.arguments.push((name, self::number(number)));
            }
            _ => self.arguments.push((name, cursor.value())),
        }
    }

    fn read(&mut self, name: &str, text: &str) {
        let as_text = |text: &str| Expression::new_string(text.to_owned());
        self.hosts.extend(host(text).map(|host| (name.to_owned(), Expression::new_string(host))));
        self.paths.extend(path(text).map(|path| (name.to_owned(), as_text(path))));
    }
}

/// The host of a URL, in small letters, if nobody could read another one out of it: no user, no backslash, no escape,
/// no control character, and nothing but a name or an address.
pub(super) fn host(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (inner, port) = inner.split_once(']')?;
            (inner, port.strip_prefix(':').or_else(|| port.is_empty().then_some(""))?)
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    let in_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    let is_plain = !text.bytes().any(|byte| byte == b'\\' || byte <= b' ' || byte == 0x7f);
    let fits = !host.is_empty() && host.bytes().all(in_host) && port.bytes().all(|byte| byte.is_ascii_digit());
    (is_scheme && is_plain && fits).then(|| host.trim_end_matches('.').to_ascii_lowercase())
}

/// A path that leads nowhere but where it seems to: no `..`, plain or escaped, no backslash, no empty or `.` part.
pub(super) fn path(text: &str) -> Option<&str> {
    let odd = |part: &str| part == "." || part == "..";
    let plain = !text.bytes().any(|byte| matches!(byte, b'\\' | b'%' | 0..=0x1f | 0x7f));
    (plain && !text.split('/').any(odd) && !text.contains("//")).then_some(text)
}

/// What stands for a value that Cedar does not have.
fn unreadable(text: &str) -> Expression {
    let said = Expression::new_string(text.to_owned());
    // One member, so no name can stand twice.
    Expression::new_record([("unreadable".to_owned(), said.clone())]).unwrap_or(said)
}

fn number(text: &str) -> Expression {
    let whole = exact(text).and_then(|(digits, places)| if places == 0 { i64::try_from(digits).ok() } else { None });
    whole.map(Expression::new_long).or_else(|| decimal(text)).unwrap_or_else(|| unreadable(text))
}

fn decimal(text: &str) -> Option<Expression> {
    let (digits, places) = exact(text)?;
    let scale = 10_i128.checked_pow(4_u32.checked_sub(places)?)?;
    let scaled = i64::try_from(digits.checked_mul(scale)?).ok()?;
    let (sign, scaled) = (if scaled < 0 { "-" } else { "" }, scaled.unsigned_abs());
    Some(Expression::new_decimal(format!("{sign}{}.{:04}", scaled / 10_000, scaled % 10_000)))
}

/// A JSON number as digits and how many of them stand behind the point, without zeros at the end of those.
fn exact(text: &str) -> Option<(i128, u32)> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let mut digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    if digits == 0 {
        return Some((0, 0));
    }
    let mut places = i32::try_from(fraction.len()).ok()?.checked_sub(exponent.parse().ok()?)?;
    while places > 0 && digits % 10 == 0 {
        (digits, places) = (digits / 10, places - 1);
    }
    if let Some(up) = places.checked_neg().and_then(|up| u32::try_from(up).ok()) {
        return Some((digits.checked_mul(10_i128.checked_pow(up)?)?, 0));
    }
    Some((digits, places.try_into().ok()?))
}

/// A place in JSON that was found good.
struct Cursor<'t> {
    text: &'t [u8],
    at: usize,
}

impl Cursor<'_> {
    /// The next byte that is no white space, where one stands.
    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.text.get(self.at) {
            if !byte.is_ascii_whitespace() {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    fn string(&mut self) -> String {
        let from = self.at;
        self.at += 1;
        while let Some(byte) = self.text.get(self.at) {
            self.at += if *byte == b'\\' { 2 } else { 1 };
            if *byte == b'"' {
                break;
            }
        }
        json::text_of(self.text.get(from..self.at).unwrap_or_default()).into_owned()
    }

    fn number(&mut self) -> &str {
        let from = self.at;
        while self.text.get(self.at).is_some_and(|byte| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
        {
            self.at += 1;
        }
        std::str::from_utf8(self.text.get(from..self.at).unwrap_or_default()).unwrap_or_default()
    }

    /// Reads an object, its members handed over one by one.
    fn members(&mut self, take: &mut dyn FnMut(String, &mut Self)) {
        if self.peek() != Some(b'{') {
            return;
        }
        self.at += 1;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    let name = self.string();
                    if self.peek() == Some(b':') {
                        self.at += 1;
                    }
                    self.peek();
                    take(name, self);
                }
                b',' => self.at += 1,
                _ => break,
            }
        }
        self.at += 1;
    }

    fn value(&mut self) -> Expression {
        match self.peek() {
            Some(b'"') => Expression::new_string(self.string()),
            Some(b'{') => {
                let mut members = Vec::new();
                self.members(&mut |name, cursor| members.push((name, cursor.value())));
                // A name that stands twice was refused when the message was parsed.
                Expression::new_record(members).unwrap_or_else(|_| unreadable("an object"))
            }
            Some(b'[') => {
                self.at += 1;
                let mut items = Vec::new();
                while let Some(byte) = self.peek().filter(|byte| *byte != b']') {
                    if byte == b',' {
                        self.at += 1;
                    } else {
                        items.push(self.value());
                    }
                }
                self.at += 1;
                Expression::new_set(items)
            }
            Some(b'-' | b'0'..=b'9') => number(self.number()),
            Some(b't') => self.word("true", Expression::new_bool(true)),
            Some(b'f') => self.word("false", Expression::new_bool(false)),
            _ => self.word("null", unreadable("null")),
        }
    }

    fn word(&mut self, word: &str, value: Expression) -> Expression {
        self.at += word.len();
        value
    }
}
