//! Words of somebody else, before people see them.

/// Is it a letter that nobody sees, or that turns the direction of those around it?
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// So many letters of these words at most, without invisible ones, and with a space for each that moves a cursor: fit for a
/// log and for a page.
pub fn plain(words: &str, longest: usize) -> String {
    let visible = words.chars().filter(|c| !is_invisible(*c));
    visible.map(|c| if c.is_control() { ' ' } else { c }).take(longest).collect()
}

/// So many of something that has its plural with an `s`.
pub fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!([0, 1, 2].map(|number| counted(number, "tool")), ["0 tools", "1 tool", "2 tools"]);
    }

    #[test]
    fn sb_07_words_of_others_hide_nothing_and_move_no_cursor() {
        for (words, shown) in [
            ("Linear", "Linear"),
            ("moc.\u{202e}eta", "moc.eta"),
            ("Lin\u{200b}ear\u{ad}\u{feff}\u{e0041}", "Linear"),
            ("one\r\ntwo\u{1b}[2J", "one  two [2J"),
            ("\u{2066}grüße", "grüße"),
            ("more than twelve letters", "more than tw"),
        ] {
            assert_eq!(plain(words, 12), shown, "{words:?}");
        }
    }
}
