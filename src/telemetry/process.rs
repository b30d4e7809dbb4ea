//! The process as the system sees it, looked up when somebody asks, and what was built.
//!
//! The names are those that every Prometheus client uses, without a prefix of our own.

use std::fmt;
use std::fs;
use std::io::Read;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::clock::Timestamp;

/// Adds what `/proc/self` tells. `started`: when the process began.
pub fn register(registry: &mut Registry, started: Timestamp) {
    registry.register_collector(Box::new(Process { started }));
}

/// Adds what was built.
pub fn register_build(registry: &mut Registry) {
    let features = match (cfg!(feature = "otlp"), cfg!(feature = "sabotage")) {
        (false, false) => "",
        (true, false) => "otlp",
        (false, true) => "sabotage",
        (true, true) => "otlp,sabotage",
    };
    let labels = vec![
        ("version", env!("CARGO_PKG_VERSION")),
        ("features", features),
        ("arch", std::env::consts::ARCH),
    ];
    registry.register("build", "What runs here", Info::new(labels));
}

#[derive(Debug)]
struct Process {
    started: Timestamp,
}

/// Bytes of a file of `/proc` that are read.
const FILE_BYTES_MAX: u64 = 16 * 1024;
/// File descriptors that are counted; more are as many.
const FDS_MAX: usize = 1_000_000;
/// Ticks a second in `/proc/self/stat` (`USER_HZ`, which Linux keeps at 100 for programs).
const TICKS_PER_SECOND: f64 = 100.0;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let started = self.started.as_millis() as f64 / 1000.0;
        gauge(
            &mut encoder,
            "process_start_time_seconds",
            "When it began, in seconds since 1970",
            started,
        )?;
        let status = contents("/proc/self/status");
        let stat = contents("/proc/self/stat");
        let limits = contents("/proc/self/limits");
        let gauges = [
            (
                "process_resident_memory_bytes",
                "Memory that is held",
                kibibytes(&status, "VmRSS:"),
            ),
            (
                "process_virtual_memory_bytes",
                "Memory that is mapped",
                kibibytes(&status, "VmSize:"),
            ),
            (
                "process_threads",
                "Threads",
                figure(&status, "Threads:").map(|count| count as f64),
            ),
            (
                "process_open_fds",
                "File descriptors that are open",
                open_fds(),
            ),
            (
                "process_max_fds",
                "File descriptors that may be open",
                fds_max(&limits),
            ),
        ];
        for (name, help, value) in gauges {
            if let Some(value) = value {
                gauge(&mut encoder, name, help, value)?;
            }
        }
        if let Some(seconds) = cpu_seconds(&stat) {
            let counter = ConstCounter::new(seconds);
            let name = "process_cpu_seconds";
            let help = "Time on processors, of the program and of the system for it";
            let of = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(of)?;
        }
        Ok(())
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    let gauge = ConstGauge::new(value);
    let of = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
    gauge.encode(of)
}

/// Empty where it cannot be read: a figure that is not there is no error.
fn contents(path: &str) -> String {
    let mut text = String::new();
    let read =
        fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
    read.map(|_| text).unwrap_or_default()
}

/// The number behind a name at the beginning of a line.
fn figure(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn kibibytes(text: &str, name: &str) -> Option<f64> {
    figure(text, name).map(|count| count as f64 * 1024.0)
}

fn open_fds() -> Option<f64> {
    // One of them reads this folder.
    let count = fs::read_dir("/proc/self/fd").ok()?.take(FDS_MAX).count();
    Some(count.saturating_sub(1) as f64)
}

fn fds_max(limits: &str) -> Option<f64> {
    figure(limits, "Max open files").map(|count| count as f64)
}

/// `utime` and `stime`, fields 14 and 15; the name of the program, which is the second, may have
/// spaces and ends with the last parenthesis.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((user + system) as f64 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn the_process_tells_of_itself() {
        let mut registry = Registry::default();
        register(&mut registry, Timestamp::from_millis(1_500));
        register_build(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert!(text.contains("process_start_time_seconds 1.5\n"), "{text}");
        for name in [
            "process_resident_memory_bytes",
            "process_virtual_memory_bytes",
            "process_threads",
            "process_open_fds",
            "process_max_fds",
            "process_cpu_seconds_total",
        ] {
            let value = text.lines().find_map(|line| {
                let value = line.strip_prefix(name)?.strip_prefix(' ')?;
                value.parse::<f64>().ok()
            });
            assert!(value.is_some(), "{name} in {text}");
        }
        assert!(text.contains("build_info{version=\""), "{text}");
    }

    #[test]
    fn a_program_with_an_odd_name_has_its_time_all_the_same() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(cpu_seconds(""), None);
    }
}
