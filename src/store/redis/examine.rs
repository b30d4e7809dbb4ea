//! What can be found out about the Redis of stored responses before anybody needs it.

use std::time::Duration;

use ::redis::aio::ConnectionLike;
use ::redis::{RedisResult, Script, Value, cmd};
use tokio::time::{Instant, timeout};

use super::Settings;
use super::connect::{Mode, Servers};
use crate::clock::Clock;

/// What was found, in sentences.
#[derive(Debug, Default)]
pub struct Findings {
    pub facts: Vec<String>,
    /// It works, and may not be meant.
    pub warnings: Vec<String>,
    /// It does not work.
    pub errors: Vec<String>,
}

/// What is done to a value, at a key of its own that is gone afterwards.
const PROBE: &str = "\
    redis.call('HSET', KEYS[1], 'i', ARGV[1]) \
    redis.call('PEXPIRE', KEYS[1], 1000) \
    redis.call('TIME') \
    local found = redis.call('HGET', KEYS[1], 'i') \
    redis.call('PTTL', KEYS[1]) \
    redis.call('HDEL', KEYS[1], 'i') \
    redis.call('UNLINK', KEYS[1]) \
    return found";

/// Looks at several keys, so that a node of a cluster says which ones it does not have.
const KEYS: usize = 8;
/// How long one answer may take until it is given up.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much later than ours the clock of Redis, and so that of others, may be.
const CLOCK_DIFFERENCE_MAX: u64 = 2;

/// Asks it what requests will ask.
pub async fn examine(settings: &Settings, clock: &dyn Clock) -> Findings {
    let mut findings = Findings::default();
    let servers = &settings.servers;
    if let Err(error) = look(settings, clock, &mut findings).await {
        findings.errors.push(servers.explained(&error));
    }
    findings
}

async fn look(settings: &Settings, clock: &dyn Clock, findings: &mut Findings) -> RedisResult<()> {
    let servers = &settings.servers;
    let lane = servers.open_for_lookups().await?;
    let mut connection = servers.open().await?;
    let probe = Script::new(PROBE);
    for number in 0..KEYS {
        let key = format!("{{{}:check-{number}}}:check", settings.namespace);
        let mut prepared = probe.prepare_invoke();
        prepared.key(&key).arg("1");
        let asked = prepared.invoke_async::<Value>(&mut connection);
        within(asked).await?;
    }
    let sent = Instant::now();
    lane.ping(sent + PATIENCE).await?;
    let took = sent.elapsed();
    let info = info(&mut connection).await?;
    findings.fact(servers, took, &info);
    if took > settings.timeout {
        findings.warnings.push(format!(
            "an answer took {took:?}: with redis.timeout = {:?} requests will often go on without Redis",
            settings.timeout
        ));
    }
    findings.room(&info);
    if servers.mode != Mode::Cluster {
        findings.clock(&mut connection, clock).await?;
    }
    Ok(())
}

impl Findings {
    /// Which server it is.
    pub fn fact(&mut self, servers: &Servers, took: Duration, info: &str) {
        let value = |name| value(info, name).unwrap_or("?");
        self.facts.push(format!(
            "{} answers in {took:.1?}: Redis {}, {} of maxmemory {}, {}",
            servers.place(),
            value("redis_version"),
            value("used_memory_human"),
            value("maxmemory_human"),
            value("maxmemory_policy"),
        ));
        if is_older_than_6_2(value("redis_version")) {
            self.errors.push(
                "this Redis is too old: 6.2 is the first that has all that is needed".to_owned(),
            );
        }
    }

    /// Responses fill what there is.
    fn room(&mut self, info: &str) {
        let advice = room(info);
        self.warnings.extend(advice.map(str::to_owned));
    }

    async fn clock(
        &mut self,
        connection: &mut impl ConnectionLike,
        clock: &dyn Clock,
    ) -> RedisResult<()> {
        let time: (u64, u64) = within(cmd("TIME").query_async(connection)).await?;
        let difference = time.0.abs_diff(clock.now().as_secs());
        if difference > CLOCK_DIFFERENCE_MAX {
            self.warnings.push(format!(
                "the clocks of this machine and of Redis differ by {difference} s: what instances share is \
                 believed to be older or younger than it is, so let all of them keep the time (NTP)"
            ));
        }
        Ok(())
    }
}

/// What may be wrong with how much Redis may take, where responses are in it.
pub(super) fn room(info: &str) -> Option<&'static str> {
    let limit = value(info, "maxmemory")?;
    let policy = value(info, "maxmemory_policy")?;
    if limit == "0" {
        return Some(
            "Redis has no maxmemory: responses take all the memory of its machine; set maxmemory, and \
             maxmemory-policy to volatile-lru",
        );
    }
    (policy == "noeviction").then_some(
        "maxmemory-policy of Redis is noeviction: once it is full of responses nothing more is stored, a \
         purge log in it stops, and the CMS is asked for everything; set volatile-lru",
    )
}

pub(super) async fn within<T>(work: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    match timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => Err((::redis::ErrorKind::Io, "it does not answer in time").into()),
    }
}

async fn info(connection: &mut impl ConnectionLike) -> RedisResult<String> {
    let info = within(cmd("INFO").query_async::<Value>(connection)).await?;
    let mut text = String::new();
    add(&mut text, &info);
    Ok(text)
}

/// One server, or all of a cluster.
fn add(text: &mut String, info: &Value) {
    match info {
        Value::BulkString(bytes) => text.push_str(&String::from_utf8_lossy(bytes)),
        Value::SimpleString(more) | Value::VerbatimString { text: more, .. } => text.push_str(more),
        Value::Map(servers) => servers.iter().for_each(|(_, info)| add(text, info)),
        Value::Array(servers) => servers.iter().for_each(|info| add(text, info)),
        _ => {}
    }
}

/// A line of `INFO`; of several servers, the first one's.
pub fn value<'t>(info: &'t str, name: &str) -> Option<&'t str> {
    let mut lines = info.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

fn is_older_than_6_2(version: &str) -> bool {
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) < (6, 2),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_are_known() {
        for (version, is_old) in [
            ("5.0.14", true),
            ("6.0.16", true),
            ("6.2.0", false),
            ("7.0.15", false),
            ("?", false),
        ] {
            assert_eq!(is_older_than_6_2(version), is_old, "{version}");
        }
    }

    #[test]
    fn responses_need_a_limit_and_a_policy_that_evicts_them() {
        let info = |limit, policy| format!("maxmemory:{limit}\r\nmaxmemory_policy:{policy}\r\n");
        assert!(
            room(&info("0", "noeviction"))
                .unwrap()
                .contains("no maxmemory")
        );
        assert!(
            room(&info("1", "noeviction"))
                .unwrap()
                .contains("volatile-lru")
        );
        assert_eq!(room(&info("1", "volatile-lru")), None);
        assert_eq!(room(""), None);
    }
}
