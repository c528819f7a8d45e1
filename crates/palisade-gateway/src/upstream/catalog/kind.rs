//! Kinds of lists: how each is asked for, and where it says what.

use palisade_guard::naming::Offers;

use super::Offered;

/// A kind of list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `tools/list`
    Tools,
    /// `prompts/list`
    Prompts,
    /// `resources/list`
    Resources,
    /// `resources/templates/list`
    Templates,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Tools, Self::Prompts, Self::Resources, Self::Templates];

    /// The kind that this method lists.
    pub(crate) fn listed_by(method: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.method() == method)
    }

    /// The method that lists it.
    pub(crate) const fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::Templates => "resources/templates/list",
        }
    }

    /// The member of the result that holds the list.
    pub(crate) const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// The member of each item that names it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
        }
    }

    /// As a bit.
    pub(super) const fn bit(self) -> u8 {
        match self {
            Self::Tools => 1,
            Self::Prompts => 2,
            Self::Resources => 4,
            Self::Templates => 8,
        }
    }

    /// The lists that say who has a name of this kind, as bits.
    pub(super) const fn owners(self) -> u8 {
        match self {
            Self::Tools | Self::Prompts => self.bit(),
            Self::Resources | Self::Templates => Self::Resources.bit() | Self::Templates.bit(),
        }
    }

    /// What a server offers of it.
    pub(crate) fn of(self, offered: &Offered) -> &Offers {
        match self {
            Self::Tools => &offered.tools,
            Self::Prompts => &offered.prompts,
            Self::Resources | Self::Templates => &offered.resources,
        }
    }

    /// The capability that a server with such a list declares.
    pub(crate) const fn capability(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources | Self::Templates => "resources",
        }
    }
}
