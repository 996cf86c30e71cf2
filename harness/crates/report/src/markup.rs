//! Builds HTML safely: text from outside this crate's source passes [`escape_html`] or
//! [`relative_link`].

use super::phrase;

/// Escapes text for an element or a quoted attribute.
pub(super) fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in phrase::escape_controls(text).chars() {
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

/// A link target beside the page. It is always relative, so that it cannot contain a scheme.
pub(super) fn relative_link(file: &str) -> String {
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

/// Replaces each `{{name}}` of a template. Inserted values are not expanded again.
pub(super) fn fill_template(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut pieces = template.split("{{");
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").expect("a placeholder is closed");
        let value = values.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        out.push_str(value.expect("a placeholder has a value"));
        out.push_str(rest);
    }
    out
}

/// Renders a table of text.
pub(super) fn render_table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let head: String =
        heads.iter().map(|head| format!("<th scope=\"col\">{}</th>", escape_html(head))).collect();
    let body: String = rows.iter().map(|row| table_row(heads, row)).collect();
    format!(
        "<div class=\"wide\"><table><thead><tr>{head}</tr></thead>\
         <tbody>{body}</tbody></table></div>"
    )
}

/// One row; each cell repeats its head, for screens too narrow for columns.
fn table_row(heads: &[&str], row: &[String]) -> String {
    let cells = heads.iter().zip(row);
    let cells = cells.map(|(head, cell)| {
        format!("<td data-head=\"{}\">{}</td>", escape_html(head), escape_html(cell))
    });
    format!("<tr>{}</tr>", cells.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_markup_and_bidi_controls() {
        let escaped = escape_html("</script><img onerror=\"x\">'&\u{202e}");
        let expected = "&lt;/script&gt;&lt;img onerror=&quot;x&quot;&gt;&#39;&amp;\\u{202e}";
        assert_eq!(escaped, expected);
    }

    #[test]
    fn keeps_links_relative() {
        assert_eq!(relative_link("window.jsonl"), "./window.jsonl");
        assert_eq!(relative_link("javascript:alert(1)\""), "./javascript%3Aalert%281%29%22");
    }

    #[test]
    fn expands_no_placeholder_in_a_value() {
        let page = fill_template("<{{a}}|{{b}}>", &[("a", "{{b}}"), ("b", "2")]);
        assert_eq!(page, "<{{b}}|2>");
    }
}
