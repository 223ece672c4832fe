//! What the owner says that the flow goes by, besides the policy: one value, swapped whole while queries run.

use super::{AccessList, LocalData, SpecialNames};

/// Who is answered, and what this resolver answers by itself.
pub struct Terms {
    pub access: AccessList,
    pub local: LocalData,
    pub special: SpecialNames,
    /// Somebody reads of each query what its answer led to, though no rule looks at that.
    pub tells_chains: bool,
}
