//! The words of a line of haproxy.cfg (configuration manual, section 2.2, "Quoting and escaping").

/// Splits a line into words: quotes and backslashes are resolved, a comment is dropped. Variables stay as they are.
pub(super) fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut in_word) = (Vec::new(), String::new(), false);
    let mut quote = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (None, '#') => break,
            (None, ' ' | '\t' | '\r') => {
                if std::mem::take(&mut in_word) {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None | Some('"'), '\\') => match rest.next() {
                Some('r') => word.push('\r'),
                Some('n') => word.push('\n'),
                Some('t') => word.push('\t'),
                Some(escaped) => word.push(escaped),
                None => {}
            },
            (_, c) => word.push(c),
        }
        in_word = true;
    }
    if in_word {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_escapes_belong_to_the_word() {
        for (line, expected) in [
            ("  server  w1\t10.0.0.1:80 # the first", &["server", "w1", "10.0.0.1:80"][..]),
            (
                r"option httpchk GET / HTTP/1.1\r\nHost:\ x.y",
                &["option", "httpchk", "GET", "/", "HTTP/1.1\r\nHost: x.y"],
            ),
            (r#"acl a path "/a b" '\#' \#c"#, &["acl", "a", "path", "/a b", r"\#", "#c"]),
            (r#"x "" "it's" 'say "hi"'"#, &["x", "", "it's", "say \"hi\""]),
            ("# all of it", &[]),
            ("", &[]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }
}
