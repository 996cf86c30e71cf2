//! Reads EDN forms as values.
//!
//! Forms that JSON has are read alike. Keywords, symbols, characters and ratios are their text
//! (`:append` is `"append"`), as in the JSON that other tools export. A list is a vector, a set is
//! the list of its items in order, and a tag is ignored. Keys of maps that are not text are their
//! printed form. An integer that does not fit 64 bits is an error, never rounded.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::scan::{Dispatch, EdnError, Scanner};
use crate::history::value::{Real, Value};

/// Reads the next form.
pub(super) fn read_value(scanner: &mut Scanner<'_>) -> Result<Value, Box<EdnError>> {
    match scanner.expect_form()? {
        b'[' | b'(' => scanner.read_items(read_value).map(|items| Value::List(items.collect())),
        b'"' => read_text(scanner).map(|text| Value::Str(scanner.intern(&text))),
        b'{' => read_map(scanner, ""),
        b'\\' => read_character(scanner).map(|char| Value::from(String::from(char))),
        b'#' => read_dispatched(scanner),
        _ => {
            let at = scanner.at();
            let word = scanner.read_word()?;
            if let Some(number) = parse_small_int(word.as_bytes()) {
                return Ok(Value::Int(number));
            }
            parse_atom(scanner, word).map_err(|why| scanner.error_at(at, why))
        }
    }
}

/// Reads the next form, which must be text or a name.
pub(super) fn read_name<'t>(scanner: &mut Scanner<'t>) -> Result<Cow<'t, str>, Box<EdnError>> {
    let (first, at) = (scanner.expect_form()?, scanner.at());
    if first == b'"' {
        return read_text(scanner);
    }
    if first == b':' {
        let word = scanner.read_word()?;
        return parse_keyword(word).map(Cow::Borrowed).map_err(|why| scanner.error_at(at, why));
    }
    match read_value(scanner)? {
        Value::Str(name) => Ok(Cow::Owned(name.into())),
        other => Err(scanner.error_at(at, format!("{other} is not a name"))),
    }
}

/// Reads a map; names without a namespace get the one that the map is tagged with.
fn read_map(scanner: &mut Scanner<'_>, namespace: &str) -> Result<Value, Box<EdnError>> {
    let open = scanner.at();
    let mut entries = Vec::new();
    scanner.for_each_form(|scanner| {
        entries.push((key(scanner, namespace)?, read_value(scanner)?));
        Ok(())
    })?;
    entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    match entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => {
            Err(scanner.error_at(open, format!("key {} is twice in this map", pair[0].0)))
        }
        None => Ok(Value::Map(entries)),
    }
}

fn key(scanner: &mut Scanner<'_>, namespace: &str) -> Result<String, Box<EdnError>> {
    let named = scanner.expect_form()? == b':';
    let key = match read_value(scanner)? {
        Value::Str(text) => text.into(),
        other => other.to_string(),
    };
    let bare = named && !namespace.is_empty() && !key.contains('/');
    Ok(if bare { format!("{namespace}/{key}") } else { key })
}

fn read_set(scanner: &mut Scanner<'_>) -> Result<Value, Box<EdnError>> {
    let open = scanner.at();
    let mut items: Vec<Value> = scanner.read_items(read_value)?.collect();
    items.sort_unstable();
    match items.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(scanner.error_at(open, format!("{} is twice in this set", pair[0]))),
        None => Ok(Value::from(items)),
    }
}

fn read_dispatched(scanner: &mut Scanner<'_>) -> Result<Value, Box<EdnError>> {
    let at = scanner.at();
    match scanner.read_dispatch()? {
        Dispatch::Set => read_set(scanner),
        Dispatch::Symbolic(name) => {
            let number = match name {
                "Inf" => f64::INFINITY,
                "-Inf" => f64::NEG_INFINITY,
                "NaN" => f64::NAN,
                _ => return Err(scanner.error_at(at, format!("##{name} is not a number"))),
            };
            Ok(Value::Real(Real(number)))
        }
        Dispatch::Tag(tag) => scanner.nest(|scanner| read_tagged(scanner, tag)),
    }
}

/// A record is its map, except the tuple of Jepsen's independent keys, which is a pair.
fn read_tagged(scanner: &mut Scanner<'_>, tag: &str) -> Result<Value, Box<EdnError>> {
    let is_map = scanner.expect_form()? == b'{';
    match tag.strip_prefix(':') {
        Some(namespace) if is_map => return read_map(scanner, namespace),
        _ => {}
    }
    let value = read_value(scanner)?;
    Ok(match value {
        Value::Map(entries) if tag == "jepsen.independent.Tuple" => read_tuple(entries),
        value => value,
    })
}

fn read_tuple(mut entries: Vec<(String, Value)>) -> Value {
    match entries.as_mut_slice() {
        [(key, k), (value, v)] if key == "key" && value == "value" => {
            Value::pair(std::mem::take(k), std::mem::take(v))
        }
        _ => Value::Map(entries),
    }
}

/// Reads text, and copies it only if it has escapes.
fn read_text<'t>(scanner: &mut Scanner<'t>) -> Result<Cow<'t, str>, Box<EdnError>> {
    let open = scanner.at();
    let (raw, escapes) = scanner.read_quoted()?;
    if !escapes {
        return Ok(Cow::Borrowed(raw));
    }
    unescape_text(raw).map(Cow::Owned).map_err(|(at, why)| scanner.error_at(open + 1 + at, why))
}

fn unescape_text(raw: &str) -> Result<String, (usize, String)> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, escape)) = rest.split_once('\\') {
        text.push_str(before);
        let at = raw.len() - escape.len() - 1;
        let (char, length) = unescape_char(escape).map_err(|why| (at, why))?;
        text.push(char);
        rest = &escape[length..];
    }
    text.push_str(rest);
    Ok(text)
}

/// The character of an escape, and the length of the escape.
fn unescape_char(escape: &str) -> Result<(char, usize), String> {
    let first = escape.chars().next().unwrap_or_default();
    let plain = match first {
        '"' | '\\' => first,
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'u' => return read_unicode(escape),
        _ => return Err(format!("\\{first} is not an escape")),
    };
    Ok((plain, 1))
}

/// `uXXXX`, or two of them that make one character, as Java writes it.
fn read_unicode(escape: &str) -> Result<(char, usize), String> {
    let wrong = || format!("\\{} is not a character", escape.chars().take(5).collect::<String>());
    let high = parse_hex(escape.get(1..5)).ok_or_else(wrong)?;
    if let Some(char) = char::from_u32(high) {
        return Ok((char, 5));
    }
    let second = escape.get(5..7).filter(|mark| *mark == "\\u").and_then(|_| escape.get(7..11));
    let low = parse_hex(second).ok_or_else(wrong)?;
    char::decode_utf16([high, low].map(|unit| unit as u16))
        .next()
        .and_then(Result::ok)
        .map(|char| (char, 11))
        .ok_or_else(wrong)
}

fn parse_hex(digits: Option<&str>) -> Option<u32> {
    let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

fn read_character(scanner: &mut Scanner<'_>) -> Result<char, Box<EdnError>> {
    let at = scanner.at();
    let name = scanner.read_character()?;
    let mut chars = name.chars();
    let known = match (name, chars.next(), chars.next()) {
        (_, Some(only), None) => Some(only),
        ("newline", ..) => Some('\n'),
        ("space", ..) => Some(' '),
        ("tab", ..) => Some('\t'),
        ("return", ..) => Some('\r'),
        ("backspace", ..) => Some('\u{8}'),
        ("formfeed", ..) => Some('\u{c}'),
        (_, Some('u'), _) if name.len() == 5 => parse_hex(name.get(1..)).and_then(char::from_u32),
        _ => None,
    };
    known.ok_or_else(|| scanner.error_at(at, format!("\\{name} is not a character")))
}

/// The value of a word.
fn parse_atom(scanner: &mut Scanner<'_>, word: &str) -> Result<Value, String> {
    match word.as_bytes() {
        [b':', ..] => parse_keyword(word).map(|name| Value::Str(scanner.intern(name))),
        [b'0'..=b'9', ..] | [b'+' | b'-', b'0'..=b'9', ..] => parse_number(word),
        _ => Ok(match word {
            "nil" => Value::Nil,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            symbol => Value::Str(scanner.intern(symbol)),
        }),
    }
}

fn parse_keyword(word: &str) -> Result<&str, String> {
    let name = &word[1..];
    if name.is_empty() { Err("a keyword has no name".to_owned()) } else { Ok(name) }
}

/// A number of a few digits, which most are.
fn parse_small_int(word: &[u8]) -> Option<i64> {
    let plain = word.len() < 19 && (word[0] != b'0' || word.len() == 1);
    let mut digits = word.iter().map(|byte| byte.is_ascii_digit().then_some(i64::from(byte & 15)));
    plain.then(|| digits.try_fold(0, |number, digit| digit.map(|digit| number * 10 + digit)))?
}

fn parse_number(word: &str) -> Result<Value, String> {
    let digits = word.strip_suffix('N').unwrap_or(word);
    let bare = digits.trim_start_matches(['+', '-']);
    if bare.bytes().all(|byte| byte.is_ascii_digit()) {
        return match (bare.strip_prefix('0'), digits.parse()) {
            (Some(more), _) if !more.is_empty() => Err(not_a_number(word)),
            (_, Ok(number)) => Ok(Value::Int(number)),
            _ => Err(format!("integer {} does not fit 64 bits", shorten_word(digits))),
        };
    }
    if let Some(digits) = word.strip_prefix("0x") {
        let number = i64::from_str_radix(digits, 16).map(Value::Int);
        return number.map_err(|_| not_a_number(word));
    }
    if let Some((upper, lower)) = word.split_once('/') {
        return parse_ratio(upper, lower).ok_or_else(|| not_a_number(word));
    }
    let decimal = word.strip_suffix('M');
    let real = decimal.unwrap_or(word);
    let plain =
        real.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    match real.parse() {
        Ok(_) if plain && decimal.is_some_and(is_rounded) => Ok(Value::from(real)),
        Ok(number) if plain => Ok(Value::Real(Real(number))),
        _ => Err(not_a_number(word)),
    }
}

/// Whether a decimal has more digits than every float keeps, so that rounding could make two equal.
/// Such a decimal is kept as text.
fn is_rounded(decimal: &str) -> bool {
    let digits = decimal.split(['e', 'E']).next().unwrap_or_default();
    let digits = digits.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0');
    digits.count() > f64::DIGITS as usize
}

/// A ratio is kept as text, because it may have any number of digits.
fn parse_ratio(upper: &str, lower: &str) -> Option<Value> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = upper.strip_prefix(['+', '-']).unwrap_or(upper);
    (digits(unsigned) && digits(lower)).then(|| Value::from(format!("{upper}/{lower}")))
}

fn not_a_number(word: &str) -> String {
    format!("{} is not a number", shorten_word(word))
}

/// A word cut to a length that fits a message.
fn shorten_word(word: &str) -> Cow<'_, str> {
    match word.char_indices().nth(30) {
        None => Cow::Borrowed(word),
        Some((end, _)) => {
            let mut short = word[..end].to_owned();
            write!(short, "… ({} bytes)", word.len()).expect("memory takes text");
            Cow::Owned(short)
        }
    }
}
