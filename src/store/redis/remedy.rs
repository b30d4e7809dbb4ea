//! What to do about a Redis that cannot be used: the key that is wrong, and what it should say.

use ::redis::{ConnectionAddr, ErrorKind, RedisError};

use super::connect::{Mode, Servers};

/// What a user of Redis needs, as [`ACL SETUSER`](https://redis.io/docs/latest/commands/acl-setuser/) says it.
pub const RIGHTS: &str =
    "~cms-edge:* ~{NAMESPACE:* +@read +@write +@scripting +@connection +info +time";

impl Servers {
    /// Where it is, without user and password.
    pub fn place(&self) -> String {
        match self.first.addr() {
            ConnectionAddr::Unix(path) => path.display().to_string(),
            address => address.to_string(),
        }
    }

    /// The error, and what can be done about it where that is known.
    pub fn explained(&self, error: &RedisError) -> String {
        match self.remedy(error) {
            Some(remedy) => format!("{error}; {remedy}"),
            None => error.to_string(),
        }
    }

    /// As [`Servers::explained`], of a connection that has worked: that it broke says nothing about
    /// the configuration.
    pub fn explained_later(&self, error: &RedisError) -> String {
        match error.kind() {
            ErrorKind::Io => error.to_string(),
            _ => self.explained(error),
        }
    }

    /// A sentence that names the key; nothing: the error speaks for itself.
    pub fn remedy(&self, error: &RedisError) -> Option<String> {
        let code = error.code().unwrap_or_default();
        let text = error.to_string();
        self.of_code(code)
            .or_else(|| self.of_kind(error.kind()))
            .or_else(|| self.of_text(&text))
    }

    fn of_code(&self, code: &str) -> Option<String> {
        let s = self.section;
        Some(match code {
            "NOAUTH" => self.unnamed_password(),
            "WRONGPASS" => self.wrong_password(),
            "NOPERM" => self.few_rights(),
            "READONLY" => format!(
                "it is a replica: {s}.url must lead to its master, or to Sentinels, with {s}.mode = \"sentinel\""
            ),
            "MOVED" | "ASK" | "CROSSSLOT" if self.mode != Mode::Cluster => {
                format!("it is a node of a cluster: {s}.mode = \"cluster\"")
            }
            "OOM" => {
                "raise maxmemory of Redis, and set its maxmemory-policy to volatile-lru, so that \
                responses make room"
                    .to_owned()
            }
            "NOREPLICAS" => {
                "its min-replicas-to-write asks for more replicas than it has now".to_owned()
            }
            _ => return None,
        })
    }

    fn of_kind(&self, kind: ErrorKind) -> Option<String> {
        let (s, master) = (self.section, &self.master);
        match kind {
            ErrorKind::AuthenticationFailed => Some(self.wrong_password()),
            ErrorKind::MasterNameNotFoundBySentinel => Some(format!(
                "{s}.sentinel_master is {master:?}: `SENTINEL masters` names those there are"
            )),
            _ => None,
        }
    }

    fn of_text(&self, text: &str) -> Option<String> {
        let s = self.section;
        let has = |part: &str| text.contains(part);
        let is_tls = matches!(self.first.addr(), ConnectionAddr::TcpTls { .. });
        let is_silent = has("timed out") || has("in time");
        let is_cut = has("reset by peer") || has("end of file") || has("broken pipe");
        Some(if has("can't run this command") || has("no permissions") {
            self.few_rights()
        } else if has("not point to a sentinel") {
            format!(
                "it is no Sentinel: {s}.mode = \"standalone\" (or \"cluster\"), or the port of a Sentinel in {s}.url"
            )
        } else if has("cluster support disabled") {
            format!("it is no cluster: {s}.mode = \"standalone\" or \"sentinel\"")
        } else if has("unknown command") && self.mode != Mode::Sentinel {
            format!("if it is a Sentinel: {s}.mode = \"sentinel\"")
        } else if has("UnknownIssuer") {
            format!("{s}.ca must name the authority that signed its certificate")
        } else if has("NotValidForName") || has("not valid for name") {
            format!("{s}.url must name it as its certificate does")
        } else if has("refused") {
            format!("nothing listens there: host and port of {s}.url")
        } else if has("lookup address") {
            format!("the host of {s}.url has no address")
        } else if has("No such file") {
            format!("there is no such socket: the path of {s}.url, unixsocket of Redis")
        } else if has("Permission denied") {
            format!("this user may not open {s}.url: unixsocketperm of Redis, and its group")
        } else if is_tls && (is_silent || has("corrupt message") || is_cut) {
            format!("if it speaks no TLS there: redis:// in {s}.url")
        } else if !is_tls && is_cut {
            format!("if it speaks TLS there: rediss:// in {s}.url")
        } else {
            return None;
        })
    }

    fn unnamed_password(&self) -> String {
        let s = self.section;
        if self.mode == Mode::Sentinel && !self.sentinel_auth {
            return format!(
                "it wants a password: user and password in {s}.url, and {s}.sentinel_auth = true if it is the Sentinel that does"
            );
        }
        format!("it wants a password: {s}.url = \"redis://USER:PASSWORD@HOST:PORT\"")
    }

    fn wrong_password(&self) -> String {
        let s = self.section;
        format!("user or password of {s}.url is not known to it")
    }

    fn few_rights(&self) -> String {
        let s = self.section;
        let more = match self.mode {
            Mode::Cluster => " +cluster|slots",
            Mode::Standalone | Mode::Sentinel => "",
        };
        format!("the user of {s}.url needs {RIGHTS}{more}")
    }
}

#[cfg(test)]
mod tests {
    use ::redis::IntoConnectionInfo;
    use std::time::Duration;

    use super::*;

    fn servers(url: &str, mode: Mode) -> Servers {
        Servers {
            section: "redis",
            mode,
            first: url.into_connection_info().unwrap(),
            others: Vec::new(),
            master: "mymaster".to_owned(),
            sentinel_auth: false,
            ca: None,
            connect_timeout: Duration::from_secs(1),
        }
    }

    fn said(answer: &str) -> RedisError {
        let answer = format!("-{answer}\r\n");
        let value = ::redis::parse_redis_value(answer.as_bytes()).unwrap();
        value.extract_error().unwrap_err()
    }

    #[test]
    fn a_place_has_no_password() {
        let place = |url| servers(url, Mode::Standalone).place();
        assert_eq!(place("redis://edge:hunter2@a.example:1/3"), "a.example:1");
        assert_eq!(place("rediss://:hunter2@a.example:1"), "a.example:1");
        assert_eq!(place("redis+unix:///run/redis.sock"), "/run/redis.sock");
    }

    #[test]
    fn a_remedy_names_the_key() {
        let standalone = servers("redis://a.example", Mode::Standalone);
        let cluster = servers("redis://a.example", Mode::Cluster);
        for (servers, answer, remedy) in [
            (
                &standalone,
                "NOAUTH Authentication required.",
                "redis.url = \"redis://USER",
            ),
            (&standalone, "WRONGPASS invalid", "password of redis.url"),
            (
                &standalone,
                "NOPERM this user has no permissions",
                "+@scripting",
            ),
            (
                &standalone,
                "READONLY You can't write",
                "redis.mode = \"sentinel\"",
            ),
            (&standalone, "MOVED 1 a:1", "redis.mode = \"cluster\""),
            (
                &standalone,
                "ERR unknown command 'EVALSHA'",
                "redis.mode = \"sentinel\"",
            ),
            (&standalone, "OOM command not allowed", "maxmemory-policy"),
            (
                &cluster,
                "ERR This instance has cluster support disabled",
                "redis.mode = \"standalone\"",
            ),
            (
                &cluster,
                "ERR unknown command 'CLUSTER'",
                "redis.mode = \"sentinel\"",
            ),
        ] {
            let found = servers.remedy(&said(answer)).unwrap_or_default();
            assert!(found.contains(remedy), "{answer}: {found}");
        }
        assert_eq!(cluster.remedy(&said("MOVED 1 a:1")), None);
        assert_eq!(standalone.remedy(&said("LOADING Redis is loading")), None);
    }

    #[test]
    fn who_speaks_tls_to_whom_does_not_is_told() {
        let io = |text: &str| std::io::Error::other(text.to_owned()).into();
        let tls = servers("rediss://a.example", Mode::Standalone);
        let plain = servers("redis://a.example", Mode::Standalone);
        let remedy = |servers: &Servers, text| servers.remedy(&io(text)).unwrap_or_default();
        assert!(remedy(&tls, "timed out").contains("redis://"));
        assert!(remedy(&plain, "Connection reset by peer").contains("rediss://"));
        assert_eq!(remedy(&plain, "timed out"), "");
    }
}
