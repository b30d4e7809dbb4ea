//! The rules of the protocol, each of which can be left out, and the size of the world to explore.

/// One rule of the protocol. The model keeps all of them, but for those it is told to leave out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Rule {
    /// An exchange reads its fence before its request leaves.
    FenceBeforeFetch,
    /// Generation and position of a fence are read as one.
    FenceInOnePiece,
    /// A 304 gives the fence of the exchange it came by.
    ValidatingFence,
    /// What a hard purge covers is not validated but fetched.
    UnconditionalAfterPurge,
    /// Nor is anything validated by an instance without a lease.
    UnconditionalWhileFenced,
    /// In memory, an older fence never replaces a newer one.
    MemoryCompareAndSet,
    /// Nor does it in Redis.
    SharedCompareAndSet,
    /// A value that was fetched under another generation is not served.
    ValuesOfThisGeneration,
    /// An instance that finds another generation in the log fences itself.
    RecordsOfThisGeneration,
    /// An instance that finds a record with another predecessor fences itself.
    Predecessor,
    /// The log belongs to one incarnation of one server. On another one a new generation begins.
    ServerIdentity,
    /// Each hit asks whether the lease still runs.
    LeaseAtHit,
    /// A lease runs from when its renewal was sent, not from when the answer came.
    LeaseFromSending,
    /// An instance is not declared gone before its lease has run out.
    GoneAfterLease,
    /// The clock of the lease does not stop while the process does.
    ClockRunsOn,
    /// Every process has a registration of its own, whatever its name.
    OneProcessOneLease,
    /// A receipt waits for all who are registered.
    ReceiptWaits,
    /// No receipt is complete while leases of the generation before may run.
    Quarantine,
    /// An instance says that it has applied a record after it has.
    AcknowledgeAfterApplying,
    /// Records are applied one after the other, one's own too.
    Contiguous,
    /// Whoever joins reads the log before it serves.
    JoinerReads,
    /// Whoever reads the log takes over the snapshot.
    SnapshotMerged,
    /// The head is read before the snapshot.
    HeadFirst,
    /// An instance serves once it has applied all that was in the log when it was registered.
    CatchUp,
    /// The registration remembers that position, also when the answer is lost.
    CatchUpRemembered,
    /// Whoever fences itself needs a new lease.
    LeaseAnew,
    /// A request follows no flight whose fence is older than a purge that covers it.
    FlightsEndAtPurges,
    /// Without a lease a request follows no flight that has left.
    FlightsNeedLease,
    /// While another master may still give receipts, nobody takes a fence of the new generation.
    WaitOutTheOther,
    /// Nor does the new generation, while that one may still renew leases.
    QuarantineOutlastsTheOther,
    /// A purge whose receipt is not complete is appended again to a new generation.
    AppendAgain,
    /// A restarted process has an empty memory. (Not a rule: see the tests.)
    RestartForgets,
}

/// Faults that may still happen.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Faults {
    /// Redis loses all that was written since some moment, and another server goes on.
    pub(crate) failovers: u8,
    /// The same, but the old server takes writes for some ticks more, from those who still reach it.
    pub(crate) splits: u8,
    /// FLUSHALL, or a restart without data.
    pub(crate) flushes: u8,
    /// The oldest records are dropped from the log.
    pub(crate) trims: u8,
    /// A process is killed and starts again.
    pub(crate) kills: u8,
}

/// The world to explore.
#[derive(Clone, Copy, Debug)]
pub(crate) struct World {
    pub(crate) instances: usize,
    pub(crate) keys: usize,
    /// Hard purges that may happen, and soft ones.
    pub(crate) hard: u8,
    pub(crate) soft: u8,
    /// Exchanges with the origin that may happen.
    pub(crate) fetches: u8,
    pub(crate) faults: Faults,
    /// Instances that have not joined yet, and of those that have joined none has lost anything.
    pub(crate) late: usize,
    /// Ticks a lease runs.
    pub(crate) lease: u8,
    /// Ticks after its last renewal until an instance may be declared gone.
    pub(crate) gone: u8,
    /// Ticks that a master goes on after another one was promoted.
    pub(crate) split: u8,
    /// Whether a clock may lose one tick in each lease.
    pub(crate) drift: bool,
    /// Whether the origin answers 304 even though the content has changed: validators of one
    /// second's precision, or wrong ones.
    pub(crate) coarse_validators: bool,
    /// Whether instances keep anything in their own memory.
    pub(crate) memory: bool,
    /// Whether to remember what fence was served, to see that it never goes back.
    pub(crate) monotone: bool,
    pub(crate) without: Option<Rule>,
}

impl World {
    /// Two instances that have joined and hold everything, two keys, one lease of one tick.
    pub(crate) const fn small() -> Self {
        Self {
            instances: 2,
            keys: 1,
            hard: 1,
            soft: 0,
            fetches: 1,
            faults: Faults {
                failovers: 0,
                splits: 0,
                flushes: 0,
                trims: 0,
                kills: 0,
            },
            late: 0,
            lease: 1,
            gone: 1,
            split: 0,
            drift: false,
            coarse_validators: false,
            memory: true,
            monotone: false,
            without: None,
        }
    }

    pub(crate) const fn without(self, rule: Rule) -> Self {
        Self {
            without: Some(rule),
            ..self
        }
    }

    /// Ticks from the beginning of a generation to its first complete receipt.
    pub(crate) fn quarantine(&self) -> u8 {
        match self.without {
            Some(Rule::Quarantine) => 0,
            Some(Rule::QuarantineOutlastsTheOther) => self.gone,
            _ => self.gone + self.split,
        }
    }

    pub(crate) fn keeps(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }
}
