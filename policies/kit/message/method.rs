//! The methods that MCP defines, from 2025-03-26 to 2026-07-28.

use std::fmt;

macro_rules! methods {
    ($($variant:ident = $name:literal),* $(,)?) => {
        /// What a request or notification asks for.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Method {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
            /// A method that no revision known here defines.
            Unknown(Box<str>),
        }

        impl Method {
            /// Every known method's name, in the order of the specification's chapters.
            pub const KNOWN: &'static [&'static str] = &[$($name),*];

            /// Reads a method's name.
            pub fn from_name(name: &str) -> Self {
                match name {
                    $($name => Self::$variant,)*
                    unknown => Self::Unknown(unknown.into()),
                }
            }

            /// The name, if it is one of those that MCP defines.
            pub fn known_name(&self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($name),)*
                    Self::Unknown(_) => None,
                }
            }

            /// The name as it stands in a message.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Unknown(name) => name,
                }
            }
        }
    };
}

methods! {
    Initialize = "initialize",
    Discover = "server/discover",
    Ping = "ping",
    ListTools = "tools/list",
    CallTool = "tools/call",
    ListPrompts = "prompts/list",
    GetPrompt = "prompts/get",
    ListResources = "resources/list",
    ListResourceTemplates = "resources/templates/list",
    ReadResource = "resources/read",
    Subscribe = "resources/subscribe",
    Unsubscribe = "resources/unsubscribe",
    Listen = "subscriptions/listen",
    Complete = "completion/complete",
    SetLogLevel = "logging/setLevel",
    GetTask = "tasks/get",
    TaskResult = "tasks/result",
    ListTasks = "tasks/list",
    UpdateTask = "tasks/update",
    CancelTask = "tasks/cancel",
    Initialized = "notifications/initialized",
    Cancelled = "notifications/cancelled",
    Progress = "notifications/progress",
    RootsChanged = "notifications/roots/list_changed",
    ElicitationComplete = "notifications/elicitation/complete",
    TaskStatus = "notifications/tasks/status",
}

/// The member of `params` that says which of its kind a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TargetIn {
    Name,
    Uri,
    TaskId,
    Reference,
}

impl Method {
    /// Where the method's target stands (MCP 2026-07-28, "Standard Request Headers", and `CompleteRequest`).
    pub(super) fn target_in(&self) -> Option<TargetIn> {
        match self {
            Self::CallTool | Self::GetPrompt => Some(TargetIn::Name),
            Self::ReadResource | Self::Subscribe | Self::Unsubscribe => Some(TargetIn::Uri),
            Self::GetTask | Self::TaskResult | Self::UpdateTask | Self::CancelTask => Some(TargetIn::TaskId),
            Self::Complete => Some(TargetIn::Reference),
            _ => None,
        }
    }

    /// Is it the method of a notification? All of them begin alike, also those that are not known here.
    pub fn is_notification(&self) -> bool {
        self.name().starts_with("notifications/")
    }

    /// Must `Mcp-Name` repeat the target in 2026-07-28 and later?
    pub(super) fn has_name_header(&self) -> bool {
        matches!(
            self,
            Self::CallTool | Self::GetPrompt | Self::ReadResource | Self::GetTask | Self::UpdateTask | Self::CancelTask
        )
    }

    /// Is it one of those that 2026-07-28 removed together with sessions ("Key Changes")?
    pub fn is_of_sessions(&self) -> bool {
        matches!(self, Self::Initialize | Self::Ping | Self::SetLogLevel | Self::Subscribe | Self::Unsubscribe)
    }

    /// Does the answer list what the server has, so that an allow-list must be applied to it?
    pub fn is_list(&self) -> bool {
        matches!(self, Self::ListTools | Self::ListPrompts | Self::ListResources | Self::ListResourceTemplates)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
