//! Arguments as people read them: every byte of them, in lines, with nothing that is not seen.

use std::fmt::Write;

use portcullis_policies::kit::words::is_invisible;

/// JSON text over several lines. Numbers and strings stay as they are written; what is not seen, or moves what stands beside it,
/// is written as an escape.
pub fn pretty(json: &str) -> String {
    let (mut out, mut depth, mut in_string, mut escaped) =
        (String::with_capacity(2 * json.len()), 0_usize, false, false);
    let mut letters = json.chars().peekable();
    while let Some(letter) = letters.next() {
        if in_string {
            in_string = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
            visible(letter, &mut out);
            continue;
        }
        match letter {
            '{' | '[' => {
                while letters.peek().is_some_and(|next| next.is_ascii_whitespace()) {
                    letters.next();
                }
                out.push(letter);
                match letters.next_if(|next| matches!(next, '}' | ']')) {
                    Some(end) => out.push(end),
                    None => {
                        depth += 1;
                        line(depth, &mut out);
                    }
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(depth, &mut out);
                out.push(letter);
            }
            ',' => {
                out.push(',');
                line(depth, &mut out);
            }
            ':' => out.push_str(": "),
            letter if letter.is_ascii_whitespace() => {}
            letter => {
                in_string = letter == '"';
                visible(letter, &mut out);
            }
        }
    }
    out
}

fn line(depth: usize, out: &mut String) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

fn visible(letter: char, out: &mut String) {
    if !is_invisible(letter) && !letter.is_control() {
        out.push(letter);
        return;
    }
    for unit in letter.encode_utf16(&mut [0; 2]) {
        let _ = write!(out, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_shown_as_they_are_written() {
        let text = r#"{"id": 12345678901234567890123,"list":[1.50,[],{ }],"text":"a {\"b\": [1, 2]} \\"}"#;
        let shown = pretty(text);
        assert_eq!(
            shown,
            r#"{
  "id": 12345678901234567890123,
  "list": [
    1.50,
    [],
    {}
  ],
  "text": "a {\"b\": [1, 2]} \\"
}"#
        );
    }

    #[test]
    fn sec_nothing_hides_in_what_is_shown() {
        let text = "{\"path\":\"a\u{202e}txt.b\u{200b}\u{7f}\u{9b}31m\u{e0041}é\"}";
        assert_eq!(pretty(text), "{\n  \"path\": \"a\\u202etxt.b\\u200b\\u007f\\u009b31m\\udb40\\udc41é\"\n}");
    }
}
