//! What an upstream offers: the names that allow-lists are written about.

#[cfg(test)]
mod tests;

/// Every tool, prompt, resource and resource template of an upstream, by the key that requests use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// Names of tools; none if the upstream did not say.
    pub tools: Option<Vec<String>>,
    /// Names of prompts.
    pub prompts: Option<Vec<String>>,
    /// URIs of resources.
    pub resources: Option<Vec<String>>,
    /// URI templates.
    pub resource_templates: Option<Vec<String>>,
}

/// The nearest of `known` to a name that nobody knows, if one is near enough to have been meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing costs the product of both lengths, and names come from strangers too.
    const LONGEST: usize = 128;
    if name.len() > LONGEST {
        return None;
    }
    let lower = name.to_lowercase();
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&lower, &known.to_lowercase()), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}
