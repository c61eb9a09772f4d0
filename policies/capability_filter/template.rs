//! URI templates (RFC 6570) as patterns: which URIs can have come from one?

/// A template, taken apart.
#[derive(Debug)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    /// `{name}`: one or more characters of one segment.
    Segment,
    /// `{+name}`, `{/name*}`, `{?name}` and the like: anything, also nothing.
    Anything,
}

impl Template {
    pub(super) fn new(template: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((literal, expression)) = rest.split_once('{') {
            let Some((expression, after)) = expression.split_once('}') else { break };
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.into()));
            }
            let operator = expression.starts_with(['+', '#', '.', '/', ';', '?', '&']) || expression.ends_with('*');
            parts.push(if operator { Part::Anything } else { Part::Segment });
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.into()));
        }
        Self(parts)
    }

    /// Can `uri` have come from this template?
    pub(super) fn matches(&self, uri: &str) -> bool {
        // Which prefixes of `uri` the parts so far can have made: linear in both, whatever the template.
        let length = uri.len();
        let mut reached = vec![false; length + 1];
        reached[0] = true;
        for part in &self.0 {
            let mut next = vec![false; length + 1];
            match part {
                Part::Literal(literal) => {
                    for at in (0..=length).filter(|at| reached[*at]) {
                        if uri.as_bytes()[at..].starts_with(literal.as_bytes()) {
                            next[at + literal.len()] = true;
                        }
                    }
                }
                Part::Segment => {
                    let mut open = false;
                    for (at, byte) in uri.bytes().enumerate() {
                        open = (open || reached[at]) && !matches!(byte, b'/' | b'?' | b'#');
                        next[at + 1] = open;
                    }
                }
                Part::Anything => {
                    let first = reached.iter().position(|reached| *reached).unwrap_or(length + 1);
                    next.iter_mut().skip(first).for_each(|place| *place = true);
                }
            }
            reached = next;
        }
        reached[length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_matches_the_template_that_it_came_from() {
        let cases = [
            ("note://{id}", "note://5", true),
            ("note://{id}", "note://", false),
            ("note://{id}", "note://5/6", false),
            ("note://{id}", "note://5?x", false),
            ("file:///{+path}", "file:///a/b/c", true),
            ("file:///{path*}", "file:///a/b", true),
            ("repo://{owner}/{name}/contents{/path*}", "repo://a/b/contents/c/d", true),
            ("repo://{owner}/{name}/contents{/path*}", "repo://a/b/contents", true),
            ("repo://{owner}/{name}/contents{/path*}", "repo://a/contents", false),
            ("x://{a}{b}", "x://1", false),
            ("x://{a}{b}", "x://12", true),
            ("test://template/{id}/data", "test://template/7/data", true),
            ("test://template/{id}/data", "test://template/7/data2", false),
        ];
        for (template, uri, expected) in cases {
            assert_eq!(Template::new(template).matches(uri), expected, "{template} {uri}");
        }
    }
}
