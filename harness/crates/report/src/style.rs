//! Decides how text is printed: with colour, with Unicode marks, redrawn in place or line by line.
//! The environment is an argument.

use records::record::Validity;

/// The abilities of an output stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether it shows ANSI colours.
    pub colour: bool,
    /// Whether it shows characters outside ASCII.
    pub(crate) unicode: bool,
    /// Whether lines can be redrawn.
    pub terminal: bool,
}

impl Style {
    /// No colour, ASCII only, nothing redrawn.
    pub const PLAIN: Self = Self { colour: false, unicode: false, terminal: false };

    /// The style for a stream, given the environment and whether the stream is a terminal.
    pub fn from_env(env: &dyn Fn(&str) -> Option<String>, is_terminal: bool) -> Self {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let terminal = is_terminal && set("TERM").as_deref() != Some("dumb");
        // A CI log shows colours but is no terminal.
        let forced = set("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| set(name));
        let charset = locale.unwrap_or_default().to_ascii_lowercase();
        Self {
            colour: (terminal || forced) && set("NO_COLOR").is_none(),
            unicode: charset.contains("utf-8") || charset.contains("utf8"),
            terminal,
        }
    }

    /// The mark before a verdict.
    pub fn mark(self, validity: Validity) -> &'static str {
        match (validity, self.unicode) {
            (Validity::Valid, true) => "✓",
            (Validity::Valid, false) => "+",
            (Validity::Invalid, true) => "✗",
            (Validity::Invalid, false) => "x",
            (Validity::Unknown, _) => "?",
        }
    }

    /// Draws lanes with the available characters.
    pub fn lanes(self, lanes: &str) -> String {
        let ascii = |c| match c {
            '├' | '┤' => '|',
            '─' => '-',
            '╌' => '.',
            '✗' => 'x',
            other => other,
        };
        if self.unicode { lanes.to_owned() } else { lanes.chars().map(ascii).collect() }
    }

    /// The text in the colour of a verdict, and bold.
    pub fn verdict(self, validity: Validity, text: &str) -> String {
        let code = match validity {
            Validity::Valid => "1;32",
            Validity::Unknown => "1;33",
            Validity::Invalid => "1;31",
        };
        self.sgr(code, text)
    }

    /// Faint text, for headings.
    pub fn dim_text(self, text: &str) -> String {
        self.sgr("2", text)
    }

    /// The text of an active fault.
    pub fn fault(self, text: &str) -> String {
        self.sgr("1;35", text)
    }

    fn sgr(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style_for(env: &[(&str, &str)], is_terminal: bool) -> Style {
        let look = |name: &str| {
            env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        Style::from_env(&look, is_terminal)
    }

    #[test]
    fn enables_everything_on_a_modern_terminal() {
        let style = style_for(&[("TERM", "xterm-256color"), ("LANG", "en_GB.UTF-8")], true);
        assert_eq!(style, Style { colour: true, unicode: true, terminal: true });
    }

    #[test]
    fn no_color_disables_colour_unless_it_is_empty() {
        let style = style_for(&[("NO_COLOR", "1")], true);
        assert_eq!(style, Style { colour: false, unicode: false, terminal: true });
        assert!(style_for(&[("NO_COLOR", "")], true).colour);
    }

    #[test]
    fn clicolor_force_enables_colour_unless_no_color_is_set() {
        let style = style_for(&[("CLICOLOR_FORCE", "1")], false);
        assert_eq!(style, Style { colour: true, unicode: false, terminal: false });
        assert!(!style_for(&[("CLICOLOR_FORCE", "0")], false).colour);
        assert!(!style_for(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false).colour);
    }

    #[test]
    fn prints_plain_lines_to_a_pipe_or_a_dumb_terminal() {
        assert_eq!(style_for(&[("TERM", "xterm")], false), Style::PLAIN);
        assert_eq!(style_for(&[("TERM", "dumb")], true), Style::PLAIN);
    }

    #[test]
    fn draws_lanes_in_ascii() {
        assert_eq!(Style::PLAIN.lanes("├──┤ ✗ ├╌╌"), "|--| x |..");
    }

    #[test]
    fn first_locale_variable_decides_about_unicode() {
        assert!(!style_for(&[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")], true).unicode);
        assert!(style_for(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")], true).unicode);
    }
}
