//! Three values: what is known of a connection may not say whether a rule about requests matches.

/// Whether something matches, as far as that is known. In the order in which the least of several
/// is what holds of all of them, and the greatest what holds of one of them.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Truth {
    False,
    Unknown,
    True,
}

impl Truth {
    /// The least of several, looking at no more than needed.
    pub(crate) fn all(each: impl Iterator<Item = Self>) -> Self {
        let mut least = Self::True;
        for one in each {
            least = least.min(one);
            if least == Self::False {
                break;
            }
        }
        least
    }

    /// The greatest of several, looking at no more than needed.
    pub(crate) fn any(each: impl Iterator<Item = Self>) -> Self {
        let mut greatest = Self::False;
        for one in each {
            greatest = greatest.max(one);
            if greatest == Self::True {
                break;
            }
        }
        greatest
    }
}

impl From<bool> for Truth {
    fn from(known: bool) -> Self {
        if known { Self::True } else { Self::False }
    }
}

#[cfg(test)]
mod tests {
    use super::Truth::{False, True, Unknown};
    use super::*;

    #[test]
    fn unknown_stays_unless_the_rest_decides() {
        for (values, all, any) in [
            (vec![], True, False),
            (vec![True, Unknown], Unknown, True),
            (vec![False, Unknown], False, Unknown),
            (vec![Unknown, False, True], False, True),
        ] {
            assert_eq!(Truth::all(values.iter().copied()), all, "{values:?}");
            assert_eq!(Truth::any(values.iter().copied()), any, "{values:?}");
        }
    }
}
