//! The protocol revisions, and every way in which they differ for a gateway.

/// A revision of MCP, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// 2024-11-05, which old servers still choose when they are asked for a later one; treated like 2025-06-18.
    V2024_11_05,
    /// 2025-03-26: the only one with batches.
    V2025_03_26,
    /// 2025-06-18
    V2025_06_18,
    /// 2025-11-25
    V2025_11_25,
    /// 2026-07-28: stateless.
    V2026_07_28,
}

impl Revision {
    /// The revisions served, newest first.
    pub const ALL: [Self; 5] =
        [Self::V2026_07_28, Self::V2025_11_25, Self::V2025_06_18, Self::V2025_03_26, Self::V2024_11_05];

    /// The names a client is told when it asks for another one.
    pub const SUPPORTED: [&'static str; 4] = ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"];

    /// The revision of this name.
    pub fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.name().as_bytes() == name)
    }

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Without sessions and handshake, with `_meta` and mirrored headers in every request.
    pub const fn is_modern(self) -> bool {
        matches!(self, Self::V2026_07_28)
    }

    /// Whether a body may be an array of messages.
    pub const fn has_batches(self) -> bool {
        matches!(self, Self::V2025_03_26)
    }

    /// What a request means that names none (2025-06-18, transports, "Protocol Version Header").
    pub const ASSUMED: Self = Self::V2025_03_26;

    /// One byte for sealed handles.
    pub const fn code(self) -> u8 {
        match self {
            Self::V2024_11_05 => 0,
            Self::V2025_03_26 => 1,
            Self::V2025_06_18 => 2,
            Self::V2025_11_25 => 3,
            Self::V2026_07_28 => 4,
        }
    }

    /// The revision of a sealed byte.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.code() == code)
    }
}
