//! Guards the page: whatever is not written in this crate's source passes [`escape`] or [`beside`]
//! before it gets in.

use super::phrase;

/// Text as text, in an element or between the quotes of an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in phrase::visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// A link target beside the page: relative whatever it says, so that no scheme can be smuggled in.
pub(super) fn beside(file: &str) -> String {
    let mut out = String::from("./");
    for byte in file.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out += &format!("%{byte:02X}");
        }
    }
    out
}

/// A template with each `{{name}}` replaced. What is put in is not looked at again, so it cannot
/// ask for more.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut pieces = template.split("{{");
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").expect("a template closes what it opens");
        let value = values.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        out.push_str(value.expect("a template asks only for what is given"));
        out.push_str(rest);
    }
    out
}

/// A table: its heads and its rows, as text.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let head: String =
        heads.iter().map(|head| format!("<th scope=\"col\">{}</th>", escape(head))).collect();
    let body: String = rows.iter().map(|row| table_row(heads, row)).collect();
    format!(
        "<div class=\"wide\"><table><thead><tr>{head}</tr></thead>\
         <tbody>{body}</tbody></table></div>"
    )
}

/// One row; each cell knows its head, for screens too narrow for columns.
fn table_row(heads: &[&str], row: &[String]) -> String {
    let cells = heads.iter().zip(row);
    let cells = cells
        .map(|(head, cell)| format!("<td data-head=\"{}\">{}</td>", escape(head), escape(cell)));
    format!("<tr>{}</tr>", cells.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_means_something_to_a_browser_passes() {
        let escaped = escape("</script><img onerror=\"x\">'&\u{202e}");
        let expected = "&lt;/script&gt;&lt;img onerror=&quot;x&quot;&gt;&#39;&amp;\\u{202e}";
        assert_eq!(escaped, expected);
    }

    #[test]
    fn a_link_stays_beside_the_page() {
        assert_eq!(beside("window.jsonl"), "./window.jsonl");
        assert_eq!(beside("javascript:alert(1)\""), "./javascript%3Aalert%281%29%22");
    }

    #[test]
    fn a_value_cannot_ask_for_another() {
        let page = fill("<{{a}}|{{b}}>", &[("a", "{{b}}"), ("b", "2")]);
        assert_eq!(page, "<{{b}}|2>");
    }
}
