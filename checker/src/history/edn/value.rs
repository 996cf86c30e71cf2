//! Reads EDN forms as values.
//!
//! What JSON has too is what it is there. Keywords, symbols, characters and ratios are their text
//! (`:append` is `"append"`), as in the JSON twins that other tools write; a list is a vector, a
//! set is the list of its items in order, a tag is passed over. Keys of maps that are not text are
//! the text that shows them. An integer that does not fit 64 bits is refused, never rounded.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::scan::{Dispatch, Fault, Scanner};
use crate::history::value::{Real, Value};

/// The next form.
pub(super) fn value(scanner: &mut Scanner<'_>) -> Result<Value, Box<Fault>> {
    match scanner.form()? {
        b'[' | b'(' => scanner.items(value).map(|items| Value::List(items.collect())),
        b'"' => text(scanner).map(|text| Value::Str(scanner.share(&text))),
        b'{' => map(scanner, ""),
        b'\\' => character(scanner).map(|char| Value::from(String::from(char))),
        b'#' => dispatched(scanner),
        _ => {
            let at = scanner.at();
            let word = scanner.word()?;
            if let Some(number) = small(word.as_bytes()) {
                return Ok(Value::Int(number));
            }
            atom(scanner, word).map_err(|why| scanner.fault(at, why))
        }
    }
}

/// The next form, which must be text or a name.
pub(super) fn name<'t>(scanner: &mut Scanner<'t>) -> Result<Cow<'t, str>, Box<Fault>> {
    let (first, at) = (scanner.form()?, scanner.at());
    if first == b'"' {
        return text(scanner);
    }
    if first == b':' {
        let word = scanner.word()?;
        return keyword(word).map(Cow::Borrowed).map_err(|why| scanner.fault(at, why));
    }
    match value(scanner)? {
        Value::Str(name) => Ok(Cow::Owned(name.into())),
        other => Err(scanner.fault(at, format!("{other} is no name"))),
    }
}

/// A map; names without a namespace of their own get the one that the map is tagged with.
fn map(scanner: &mut Scanner<'_>, namespace: &str) -> Result<Value, Box<Fault>> {
    let open = scanner.at();
    let mut entries = Vec::new();
    scanner.bracket(|scanner| {
        entries.push((key(scanner, namespace)?, value(scanner)?));
        Ok(())
    })?;
    entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    match entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(scanner.fault(open, format!("key {} stands twice in it", pair[0].0))),
        None => Ok(Value::Map(entries)),
    }
}

fn key(scanner: &mut Scanner<'_>, namespace: &str) -> Result<String, Box<Fault>> {
    let named = scanner.form()? == b':';
    let key = match value(scanner)? {
        Value::Str(text) => text.into(),
        other => other.to_string(),
    };
    let bare = named && !namespace.is_empty() && !key.contains('/');
    Ok(if bare { format!("{namespace}/{key}") } else { key })
}

fn set(scanner: &mut Scanner<'_>) -> Result<Value, Box<Fault>> {
    let open = scanner.at();
    let mut items: Vec<Value> = scanner.items(value)?.collect();
    items.sort_unstable();
    match items.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(scanner.fault(open, format!("{} stands twice in this set", pair[0]))),
        None => Ok(Value::from(items)),
    }
}

fn dispatched(scanner: &mut Scanner<'_>) -> Result<Value, Box<Fault>> {
    let at = scanner.at();
    match scanner.dispatch()? {
        Dispatch::Set => set(scanner),
        Dispatch::Symbolic(name) => {
            let number = match name {
                "Inf" => f64::INFINITY,
                "-Inf" => f64::NEG_INFINITY,
                "NaN" => f64::NAN,
                _ => return Err(scanner.fault(at, format!("##{name} is no number"))),
            };
            Ok(Value::Real(Real(number)))
        }
        Dispatch::Tag(tag) => scanner.deeper(|scanner| tagged(scanner, tag)),
    }
}

/// A record is its map, except the tuple of Jepsen's independent keys, which is a pair.
fn tagged(scanner: &mut Scanner<'_>, tag: &str) -> Result<Value, Box<Fault>> {
    let is_map = scanner.form()? == b'{';
    match tag.strip_prefix(':') {
        Some(namespace) if is_map => return map(scanner, namespace),
        _ => {}
    }
    let value = value(scanner)?;
    Ok(match value {
        Value::Map(entries) if tag == "jepsen.independent.Tuple" => tuple(entries),
        value => value,
    })
}

fn tuple(mut entries: Vec<(String, Value)>) -> Value {
    match entries.as_mut_slice() {
        [(key, k), (value, v)] if key == "key" && value == "value" => {
            Value::pair(std::mem::take(k), std::mem::take(v))
        }
        _ => Value::Map(entries),
    }
}

/// Text, copied only where it has escapes.
fn text<'t>(scanner: &mut Scanner<'t>) -> Result<Cow<'t, str>, Box<Fault>> {
    let open = scanner.at();
    let (raw, escapes) = scanner.quoted()?;
    if !escapes {
        return Ok(Cow::Borrowed(raw));
    }
    unescaped(raw).map(Cow::Owned).map_err(|(at, why)| scanner.fault(open + 1 + at, why))
}

fn unescaped(raw: &str) -> Result<String, (usize, String)> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, escape)) = rest.split_once('\\') {
        text.push_str(before);
        let at = raw.len() - escape.len() - 1;
        let (char, length) = unescape(escape).map_err(|why| (at, why))?;
        text.push(char);
        rest = &escape[length..];
    }
    text.push_str(rest);
    Ok(text)
}

/// The character that an escape stands for, and how much of the text the escape takes.
fn unescape(escape: &str) -> Result<(char, usize), String> {
    let first = escape.chars().next().unwrap_or_default();
    let plain = match first {
        '"' | '\\' => first,
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'u' => return unicode(escape),
        _ => return Err(format!("\\{first} is no escape")),
    };
    Ok((plain, 1))
}

/// `uXXXX`, or two of them that make one character together, as Java writes it.
fn unicode(escape: &str) -> Result<(char, usize), String> {
    let wrong = || format!("\\{} is no character", escape.chars().take(5).collect::<String>());
    let high = hex(escape.get(1..5)).ok_or_else(wrong)?;
    if let Some(char) = char::from_u32(high) {
        return Ok((char, 5));
    }
    let second = escape.get(5..7).filter(|mark| *mark == "\\u").and_then(|_| escape.get(7..11));
    let low = hex(second).ok_or_else(wrong)?;
    char::decode_utf16([high, low].map(|unit| unit as u16))
        .next()
        .and_then(Result::ok)
        .map(|char| (char, 11))
        .ok_or_else(wrong)
}

fn hex(digits: Option<&str>) -> Option<u32> {
    let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

fn character(scanner: &mut Scanner<'_>) -> Result<char, Box<Fault>> {
    let at = scanner.at();
    let name = scanner.character()?;
    let mut chars = name.chars();
    let known = match (name, chars.next(), chars.next()) {
        (_, Some(only), None) => Some(only),
        ("newline", ..) => Some('\n'),
        ("space", ..) => Some(' '),
        ("tab", ..) => Some('\t'),
        ("return", ..) => Some('\r'),
        ("backspace", ..) => Some('\u{8}'),
        ("formfeed", ..) => Some('\u{c}'),
        (_, Some('u'), _) if name.len() == 5 => hex(name.get(1..)).and_then(char::from_u32),
        _ => None,
    };
    known.ok_or_else(|| scanner.fault(at, format!("\\{name} is no character")))
}

/// What a word says.
fn atom(scanner: &mut Scanner<'_>, word: &str) -> Result<Value, String> {
    match word.as_bytes() {
        [b':', ..] => keyword(word).map(|name| Value::Str(scanner.share(name))),
        [b'0'..=b'9', ..] | [b'+' | b'-', b'0'..=b'9', ..] => number(word),
        _ => Ok(match word {
            "nil" => Value::Nil,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            symbol => Value::Str(scanner.share(symbol)),
        }),
    }
}

fn keyword(word: &str) -> Result<&str, String> {
    let name = &word[1..];
    if name.is_empty() { Err("a keyword has no name".to_owned()) } else { Ok(name) }
}

/// A number as most are: a few digits.
fn small(word: &[u8]) -> Option<i64> {
    let plain = word.len() < 19 && (word[0] != b'0' || word.len() == 1);
    let mut digits = word.iter().map(|byte| byte.is_ascii_digit().then_some(i64::from(byte & 15)));
    plain.then(|| digits.try_fold(0, |number, digit| digit.map(|digit| number * 10 + digit)))?
}

fn number(word: &str) -> Result<Value, String> {
    let digits = word.strip_suffix('N').unwrap_or(word);
    let bare = digits.trim_start_matches(['+', '-']);
    if bare.bytes().all(|byte| byte.is_ascii_digit()) {
        return match (bare.strip_prefix('0'), digits.parse()) {
            (Some(more), _) if !more.is_empty() => Err(no_number(word)),
            (_, Ok(number)) => Ok(Value::Int(number)),
            _ => Err(format!("integer {} does not fit 64 bits", shortened(digits))),
        };
    }
    if let Some(digits) = word.strip_prefix("0x") {
        let number = i64::from_str_radix(digits, 16).map(Value::Int);
        return number.map_err(|_| no_number(word));
    }
    if let Some((upper, lower)) = word.split_once('/') {
        return ratio(upper, lower).ok_or_else(|| no_number(word));
    }
    let decimal = word.strip_suffix('M');
    let real = decimal.unwrap_or(word);
    let plain =
        real.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    match real.parse() {
        Ok(_) if plain && decimal.is_some_and(is_rounded) => Ok(Value::from(real)),
        Ok(number) if plain => Ok(Value::Real(Real(number))),
        _ => Err(no_number(word)),
    }
}

/// Whether a decimal has more digits than every float keeps, so that two could become one. Such a one is its text.
fn is_rounded(decimal: &str) -> bool {
    let digits = decimal.split(['e', 'E']).next().unwrap_or_default();
    let digits = digits.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0');
    digits.count() > f64::DIGITS as usize
}

/// A ratio is its text; the digits may be many.
fn ratio(upper: &str, lower: &str) -> Option<Value> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = upper.strip_prefix(['+', '-']).unwrap_or(upper);
    (digits(unsigned) && digits(lower)).then(|| Value::from(format!("{upper}/{lower}")))
}

fn no_number(word: &str) -> String {
    format!("{} is no number", shortened(word))
}

/// A word as a message can bear it.
fn shortened(word: &str) -> Cow<'_, str> {
    match word.char_indices().nth(40) {
        None => Cow::Borrowed(word),
        Some((end, _)) => {
            let mut short = word[..end].to_owned();
            write!(short, "… ({} bytes)", word.len()).expect("memory takes text");
            Cow::Owned(short)
        }
    }
}
