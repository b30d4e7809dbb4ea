//! Whether a failed attempt may be followed by another one. Decides only.

use super::error::Kind;

/// What one request may still spend on repetition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// How many more servers may be tried.
    servers: u32,
    /// Whether a dead connection may still be replaced; once per request.
    replacement: bool,
}

/// What is known about the request when an attempt has failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    pub(super) kind: Kind,
    /// The connection had carried an exchange before this one.
    pub(super) connection_reused: bool,
    /// RFC 9110 §9.2.2: the safe methods, and PUT and DELETE without a condition.
    pub(super) idempotent: bool,
    pub(super) content: Content,
}

/// The content of the request after a failed attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Content {
    /// There is none.
    Empty,
    /// Nobody has read any of it: it can be sent again.
    Untouched,
    /// All of it was read, and may have been sent, but there is a copy.
    Copied,
    /// Some of it may have been sent, and is not there any more.
    Consumed,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    GiveUp,
    /// The same request to another server.
    AnotherServer,
    /// The same request to the same server, over a connection nobody has used.
    FreshConnection,
}

impl Budget {
    pub(super) const fn new(retries: u32) -> Self {
        Self {
            servers: retries,
            replacement: retries > 0,
        }
    }

    /// RFC 9110 §9.2.2: a request with an idempotent method may be repeated after a failure in the
    /// middle of it; any other only when it is certain that it was never applied. Here: when no
    /// connection came about, or when a connection that had idled in the pool turned out to be
    /// dead. An attempt that timed out is never repeated: the origin server may be at work on it.
    pub(super) fn spend(&mut self, failed: Failed) -> Next {
        let resendable = failed.content != Content::Consumed;
        if failed.kind.is_before_sending() && resendable && self.servers > 0 {
            self.servers -= 1;
            return Next::AnotherServer;
        }
        // RFC 9113 §8.7: a request that was refused unseen was not applied, whatever its method.
        if failed.kind == Kind::Refused && resendable && self.replacement {
            self.replacement = false;
            return Next::FreshConnection;
        }
        let stale = failed.kind == Kind::Closed && failed.connection_reused;
        if stale && failed.idempotent && resendable && self.replacement {
            self.replacement = false;
            return Next::FreshConnection;
        }
        Next::GiveUp
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEAD: Failed = Failed {
        kind: Kind::Closed,
        connection_reused: true,
        idempotent: true,
        content: Content::Empty,
    };
    const REFUSED: Failed = Failed {
        kind: Kind::Connect,
        connection_reused: false,
        ..DEAD
    };

    #[test]
    fn what_never_left_may_go_to_another_server_as_often_as_allowed() {
        for content in [Content::Empty, Content::Untouched] {
            let mut budget = Budget::new(2);
            let post = Failed {
                idempotent: false,
                content,
                ..REFUSED
            };
            assert_eq!(budget.spend(post), Next::AnotherServer);
            assert_eq!(budget.spend(post), Next::AnotherServer);
            assert_eq!(budget.spend(post), Next::GiveUp);
        }
        let consumed = Failed {
            content: Content::Consumed,
            ..REFUSED
        };
        assert_eq!(Budget::new(1).spend(consumed), Next::GiveUp);
    }

    #[test]
    fn a_dead_connection_of_the_pool_is_replaced_once() {
        for content in [Content::Empty, Content::Untouched, Content::Copied] {
            let dead = Failed { content, ..DEAD };
            let mut budget = Budget::new(5);
            assert_eq!(budget.spend(dead), Next::FreshConnection);
            assert_eq!(budget.spend(dead), Next::GiveUp);
        }
        assert_eq!(Budget::new(0).spend(DEAD), Next::GiveUp);
    }

    #[test]
    fn a_request_that_was_refused_unseen_is_repeated_once_whatever_its_method() {
        let refused = Failed {
            kind: Kind::Refused,
            idempotent: false,
            content: Content::Untouched,
            ..DEAD
        };
        let mut budget = Budget::new(1);
        assert_eq!(budget.spend(refused), Next::FreshConnection);
        assert_eq!(budget.spend(refused), Next::GiveUp);
        let consumed = Failed {
            content: Content::Consumed,
            ..refused
        };
        assert_eq!(Budget::new(1).spend(consumed), Next::GiveUp);
    }

    #[test]
    fn a_request_that_may_have_been_applied_is_not_repeated() {
        let fresh = Failed {
            connection_reused: false,
            ..DEAD
        };
        let not_idempotent = Failed {
            idempotent: false,
            content: Content::Copied,
            ..DEAD
        };
        let with_content = Failed {
            content: Content::Consumed,
            ..DEAD
        };
        for failed in [fresh, not_idempotent, with_content] {
            assert_eq!(Budget::new(1).spend(failed), Next::GiveUp, "{failed:?}");
        }
    }

    #[test]
    fn an_attempt_that_may_be_at_work_is_not_repeated() {
        for kind in [
            Kind::FirstByteTimeout,
            Kind::InvalidResponse,
            Kind::RequestBody,
        ] {
            let failed = Failed { kind, ..DEAD };
            assert_eq!(Budget::new(1).spend(failed), Next::GiveUp, "{kind:?}");
        }
    }
}
