//! How the filter is set up.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Which of the upstream's capabilities this route exposes. A list that is left out lets everything of its kind pass; an
/// empty list exposes nothing of its kind.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CapabilityFilterOptions {
    /// Tools, by name.
    pub tools: Option<Vec<Entry<ToolProjection>>>,
    /// Prompts, by name.
    pub prompts: Option<Vec<Entry<PromptProjection>>>,
    /// Resources, by URI.
    pub resources: Option<Vec<Entry<ResourceProjection>>>,
    /// Resource templates, by URI template. With `resources`, they also decide which other URIs may be read.
    pub resource_templates: Option<Vec<Entry<TemplateProjection>>>,
}

/// One entry of an allow-list.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "{P}Entry")]
pub enum Entry<P> {
    /// The exact name or URI; case matters.
    Exact(String),
    /// Every name or URI that matches a pattern.
    Glob(Glob),
    /// One name or URI, shown to clients with other words than the upstream's.
    Projection(P),
}

/// A pattern: `*` stands for any characters, `?` for one.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Glob {
    /// The pattern.
    pub glob: String,
}

/// What an upstream says of a capability, put in other words.
pub(super) trait Projection {
    /// The name or URI that is projected.
    fn key(&self) -> &str;
    /// The members that replace the upstream's.
    fn overrides(&self) -> Map<String, Value>;
}

macro_rules! projection {
    ($(#[$doc:meta])* $name:ident, $schema:literal, $(#[$key_doc:meta])* $key:ident = $wire:literal, { $($(#[$field_doc:meta])* $field:ident: $type:ty = $member:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        #[schemars(rename = $schema)]
        pub struct $name {
            $(#[$key_doc])*
            #[serde(rename = $wire)]
            pub $key: String,
            $($(#[$field_doc])* #[serde(default, rename = $member)] pub $field: Option<$type>,)*
        }

        impl Projection for $name {
            fn key(&self) -> &str {
                &self.$key
            }

            fn overrides(&self) -> Map<String, Value> {
                let members = [$(($member, self.$field.clone().map(Value::from))),*];
                members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
            }
        }
    };
}

projection! {
    /// A tool in other words.
    ToolProjection, "Tool",
    /// The tool's name at the upstream.
    name = "name", {
        /// Shown instead of the upstream's description.
        description: String = "description",
        /// Merged into the upstream's annotations.
        annotations: Map<String, Value> = "annotations",
        /// Merged into the upstream's `_meta`.
        meta: Map<String, Value> = "_meta",
    }
}

projection! {
    /// A prompt in other words.
    PromptProjection, "Prompt",
    /// The prompt's name at the upstream.
    name = "name", {
        /// Shown instead of the upstream's description.
        description: String = "description",
        /// Merged into the upstream's `_meta`.
        meta: Map<String, Value> = "_meta",
    }
}

projection! {
    /// A resource in other words.
    ResourceProjection, "Resource",
    /// The resource's URI at the upstream.
    uri = "uri", {
        /// Shown instead of the upstream's name.
        name: String = "name",
        /// Shown instead of the upstream's description.
        description: String = "description",
        /// Shown instead of the upstream's media type.
        mime_type: String = "mimeType",
        /// Merged into the upstream's `_meta`.
        meta: Map<String, Value> = "_meta",
    }
}

projection! {
    /// A resource template in other words.
    TemplateProjection, "ResourceTemplate",
    /// The URI template at the upstream.
    uri_template = "uriTemplate", {
        /// Shown instead of the upstream's name.
        name: String = "name",
        /// Shown instead of the upstream's description.
        description: String = "description",
        /// Shown instead of the upstream's media type.
        mime_type: String = "mimeType",
        /// Merged into the upstream's `_meta`.
        meta: Map<String, Value> = "_meta",
    }
}
