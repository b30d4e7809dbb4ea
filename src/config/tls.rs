//! `[tls]`: how the public listeners speak TLS. And the TLS of the admin listener.

use std::path::PathBuf;
use std::time::Duration;

use super::section::Section;
use super::server::{Content, optional_file};
use crate::server::hsts::Hsts;
use crate::server::tls::{Certificate, MinVersion, Pem};

#[derive(Clone, Copy, Debug)]
pub struct Tls {
    pub min_version: MinVersion,
    pub hsts: Option<Hsts>,
    /// Zero: never.
    pub reload_interval: Duration,
}

/// TLS of the admin listener, as far as it is set.
#[derive(Clone, Debug, Default)]
pub struct AdminTls {
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    pub client_ca: Option<PathBuf>,
}

impl Tls {
    pub(super) fn read(parent: &Section<'_>) -> Self {
        let s = parent.section("tls", "What TLS connections of clients must offer.");
        let versions = [("1.2", MinVersion::Tls12), ("1.3", MinVersion::Tls13)];
        let min_version = s.choice(
            "min_version",
            MinVersion::Tls12,
            &versions,
            "The oldest version of TLS. 1.3 shuts out clients from before 2018.",
        );
        let reload_interval = s.duration(
            "reload_interval",
            "1m",
            "0s"..="24h",
            "How often the files of certificates are looked at; new ones are used from the next \
             connection on, and ones that cannot be used change nothing. 0s: never. Short: no \
             harm. Long: a renewed certificate waits.",
        );
        Self {
            min_version,
            hsts: hsts(&s),
            reload_interval,
        }
    }
}

fn hsts(s: &Section<'_>) -> Option<Hsts> {
    let max_age = s.duration(
        "hsts",
        "0s",
        "0s"..="3650d",
        "How long browsers shall reach a host by https only (Strict-Transport-Security, on https \
         responses that have none of the CMS's). 0s: the field is not sent. It cannot be taken \
         back: a long time without working https shuts readers out. Begin with \"5m\"; \"730d\" is \
         usual.",
    );
    let include_subdomains = s.boolean(
        "hsts_include_subdomains",
        false,
        "Whether it holds for all hosts below the one that was asked, too. true: also for those \
         that something else serves.",
    );
    let preload = s.boolean(
        "hsts_preload",
        false,
        "Whether browsers may ship with the host in their list. Needs hsts of a year and \
         hsts_include_subdomains; to leave the list takes months.",
    );
    (!max_age.is_zero()).then_some(Hsts {
        max_age,
        include_subdomains,
        preload,
    })
}

impl AdminTls {
    /// From the section `[admin]`.
    pub(super) fn read(s: &Section<'_>) -> Self {
        Self {
            cert: optional_file(
                s,
                "tls_cert",
                Content::Certificate,
                "The certificate of the admin listener and its chain. Empty: plain HTTP, which is \
                 what `cms-edge health` speaks.",
            ),
            key: optional_file(s, "tls_key", Content::Key, "The private key of tls_cert."),
            client_ca: optional_file(
                s,
                "client_ca",
                Content::Certificate,
                "The authorities whose client certificates are let in; nobody else is, not even to \
                 /healthz. Read at the start only. Empty: no certificate is asked for.",
            ),
        }
    }

    /// The certificate and its key, where there is TLS at all.
    pub(super) fn certificate(&self) -> Option<Certificate> {
        let (cert, key) = self.cert.clone().zip(self.key.clone())?;
        Some(Certificate {
            cert_pem: Pem::File(cert),
            key_pem: Pem::File(key),
            // It is the only one, for whatever name.
            hosts: Vec::new(),
        })
    }
}
