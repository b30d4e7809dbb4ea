//! What can be found out about the Redis of a purge log before anybody needs it.

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, RedisError, RedisResult, Script, Value};
use tokio::time::{Instant, timeout};

use super::Settings;
use super::guard::Said;
use super::scripts::{FORMAT, Keys};
use crate::store::redis::examine::Findings;

/// What is done to the log, at keys of their own in its slot, which are gone afterwards.
const PROBE: &str = "\
    redis.call('INFO', 'server') redis.call('INFO', 'replication') \
    redis.call('HSET', KEYS[1], 'a', '1') redis.call('HINCRBY', KEYS[1], 'a', 1) \
    redis.call('HMGET', KEYS[1], 'a') redis.call('HSCAN', KEYS[1], '0') redis.call('HDEL', KEYS[1], 'a') \
    redis.call('XADD', KEYS[2], '1-0', 'a', '1') redis.call('XTRIM', KEYS[2], 'MAXLEN', '1') \
    redis.call('SET', KEYS[3], '1', 'EX', '1') redis.call('GET', KEYS[3]) \
    redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3]) \
    return redis.call('HGET', KEYS[4], 'format')";

/// Asks it what an instance will ask, without taking part.
pub async fn examine(settings: &Settings) -> Findings {
    let mut findings = Findings::default();
    if let Err(error) = look(settings, &mut findings).await {
        findings.errors.push(settings.servers.explained(&error));
    }
    findings
}

async fn look(settings: &Settings, findings: &mut Findings) -> RedisResult<()> {
    let servers = &settings.servers;
    let keys = Keys::of(&settings.namespace);
    let client = servers.owner(&keys.state).await?;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(settings.timeout))
        .set_response_timeout(Some(settings.timeout));
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    let mut connection = timeout(settings.timeout, connecting)
        .await
        .map_err(|_| late())??;
    let probe = Script::new(PROBE);
    let mut prepared = probe.prepare_invoke();
    for name in ["check", "check-log", "check-text"] {
        prepared.key(format!("cms-edge:{{{}}}:{name}", settings.namespace));
    }
    prepared.key(&keys.state);
    let sent = Instant::now();
    let format: Option<String> = prepared.invoke_async(&mut connection).await?;
    let took = sent.elapsed();
    tail(&mut connection, &keys.log).await?;
    let info: String = redis::cmd("INFO").query_async(&mut connection).await?;
    findings.fact(servers, took, &info);
    if let Some(format) = format.filter(|format| format != FORMAT) {
        findings.errors.push(format!(
            "the purge log there has format {format}, and this program writes {FORMAT}: all instances of a \
             namespace need versions of one format"
        ));
    }
    let said = Said::of(connection, servers.mode, true).await;
    findings
        .warnings
        .extend(said.warnings(servers.mode, settings.split));
    Ok(())
}

async fn tail(connection: &mut MultiplexedConnection, log: &str) -> RedisResult<()> {
    let mut command = redis::cmd("XREAD");
    command.arg("COUNT").arg(1).arg("STREAMS").arg(log).arg("$");
    command.query_async::<Value>(connection).await.map(drop)
}

fn late() -> RedisError {
    RedisError::from((ErrorKind::Io, "it does not answer in time"))
}
