//! Breaks one rule of the purge log on purpose, so that `tests/chaos.rs` can show that its checker
//! notices. That takes the cargo feature `sabotage`, which no package has, and then the variable
//! [`VARIABLE`]. Without the feature all rules hold, which is known when this is compiled.

/// What names the rule to break: `fence`, `lease` or `generation`. It does not begin with
/// `CMS_EDGE_`, since it is no key of the configuration.
pub const VARIABLE: &str = "SABOTAGE_OF_CMS_EDGE";

/// A rule of docs/purge-log.md.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// The fence is read before the request leaves. Broken: when the response has come.
    Fence,
    /// The lease is checked at each hit. Broken: once it was granted it does not run out.
    Lease,
    /// Values of another generation are not served. Broken: they are.
    Generation,
}

/// Whether this process breaks it.
#[cfg(not(feature = "sabotage"))]
pub const fn breaks(_: Rule) -> bool {
    false
}

/// Whether this process breaks it.
#[cfg(feature = "sabotage")]
pub fn breaks(rule: Rule) -> bool {
    static BROKEN: std::sync::OnceLock<Option<Rule>> = std::sync::OnceLock::new();
    let broken = BROKEN.get_or_init(|| match std::env::var(VARIABLE).ok()?.as_str() {
        "fence" => Some(Rule::Fence),
        "lease" => Some(Rule::Lease),
        "generation" => Some(Rule::Generation),
        _ => None,
    });
    *broken == Some(rule)
}
