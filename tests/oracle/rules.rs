//! The rules of the model, each of which can be left out to see that the comparison notices.

macro_rules! rules {
    ($($(#[doc = $text:literal])* $name:ident,)*) => {
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub(crate) enum Rule { $($(#[doc = $text])* $name,)* }

        impl Rule {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

rules! {
    /// RFC 9213 §2.2: a targeted field counts alone.
    TargetedWins,
    /// RFC 9213 §2.2: an invalid targeted field counts as if it were not there.
    BrokenTargetedIgnored,
    /// RFC 9111 §4.2.1: `s-maxage` before `max-age`.
    SharedMaxAgeFirst,
    /// §4.2.1: `Expires` minus `Date`, not minus the clock.
    ExpiresMinusDate,
    /// §4.2.1: what cannot be read is stale.
    BrokenNumberIsZero,
    /// §4.2: fresh is `freshness_lifetime > current_age`.
    FreshIsGreater,
    /// §4.2.3: `Age` counts.
    AgeField,
    /// §4.2.3: `Date` counts.
    ApparentAge,
    /// §4.2.3: so does the way.
    ResponseDelay,
    /// §4.2.2.
    Heuristics,
    /// §3: `no-store`.
    NoStore,
    /// §3: `private`.
    Private,
    /// §5.2.2.7: the qualified form, taken as the other.
    QualifiedPrivate,
    /// §3.5.
    Authorization,
    /// §3.5: what `must-revalidate` allows it allows with validation.
    AuthorizationIsRevalidated,
    /// §5.2.2.3.
    MustUnderstand,
    /// §5.2.1.5.
    RequestNoStore,
    /// Profile `cms`: cookies.
    SetCookie,
    /// Without `strict_private`, RFC 9213 alone counts.
    StrictPrivate,
    /// §4.1: nominated fields are compared.
    VaryCompared,
    /// §4.1: `*` never matches.
    VaryStar,
    /// §4: of several the most recent one.
    MostRecent,
    /// §5.2.2.4.
    NoCache,
    /// §5.2.2.4: the qualified form, taken as the other.
    QualifiedNoCache,
    /// §5.2.2.2.
    MustRevalidate,
    /// §5.2.2.8.
    ProxyRevalidate,
    /// §5.2.2.10: `s-maxage` carries `proxy-revalidate`.
    SharedMaxAgeRevalidates,
    /// §5.2.1.4.
    RequestNoCache,
    /// §5.2.1.1.
    RequestMaxAge,
    /// §5.2.1.1: "Unless the max-stale request directive is also present".
    MaxAgeExcludesStale,
    /// §5.2.1.2.
    MaxStale,
    /// §5.2.1.3.
    MinFresh,
    /// §5.2.1.7.
    OnlyIfCached,
    /// RFC 5861 §3.
    StaleWhileRevalidate,
    /// RFC 5861 §4.
    StaleIfError,
    /// RFC 5861 §4, in the request.
    RequestStaleIfError,
    /// RFC 8246 §2.
    Immutable,
    /// RFC 8246 §2: while it is fresh, and what was purged softly is not.
    SoftPurgeEndsImmutable,
    /// §5.2.2.2: also after a heuristic lifetime.
    HeuristicIsRevalidated,
    /// §5.2.2.2 is not the client's to lift.
    ClientCannotLiftRevalidation,
    /// The route's ceiling.
    Ceiling,
    /// `ttl_mode`.
    Mode,
    /// RFC 9111 §4.3.4: a 304 replaces the fields it has.
    Freshening,
    /// §4.3.4: a 304 about something else freshens nothing.
    OtherEntityTag,
    /// RFC 9111 §5.1: a validated response is as old as its validation.
    ValidationResetsAge,
    /// §4.3.1.
    IfModifiedSince,
    /// §4.4.
    UnsafeInvalidates,
    /// §4.4: an error changes nothing.
    ErrorsDoNotInvalidate,
    /// §4.4: `Location`.
    LocationInvalidates,
    /// §4.4: of the same origin only.
    SameOriginOnly,
    /// The fence is read before the request leaves.
    FenceBeforeRequest,
    /// A 304 brings the fence of its own exchange.
    ValidationMovesFence,
    /// An older fence never replaces a newer one.
    CompareAndSet,
    /// `/news` does not cover `/newsletter`.
    PrefixAligned,
    /// Tags are compared without case.
    TagCase,
    /// A tag that a 304 adds.
    TagsOfValidation,
    /// A soft purge makes stale.
    SoftPurge,
    /// A whole answer replaces what was to be validated.
    Supersedes,
    /// At most so many variants.
    VariantsMax,
    /// RFC 4647 lookup.
    LanguageLookup,
    /// What is not in the language is not stored under it.
    LanguageDrift,
}
