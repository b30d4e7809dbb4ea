//! Lua scripts, by their hash.

use ::redis::{Cmd, ErrorKind, RedisResult, ServerErrorKind, Value, cmd};

use super::connect::Connection;

/// A script that runs at one go in the slot of its first key.
pub struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    pub fn new(text: &'static str) -> Self {
        let hash = ::redis::Script::new(text).get_hash().to_owned();
        Self { text, hash }
    }

    /// Runs it, and brings it to a server that does not know it.
    ///
    /// # Errors
    /// Those of the connection, of the server, and of the script.
    pub async fn run(
        &self,
        connection: &mut Connection,
        keys: &[&[u8]],
        arguments: &[&[u8]],
    ) -> RedisResult<Value> {
        let command = |name: &str, script: &str| -> Cmd {
            let mut command = cmd(name);
            command.arg(script).arg(keys.len());
            for argument in keys.iter().chain(arguments) {
                command.arg(argument);
            }
            command
        };
        let known = command("EVALSHA", &self.hash);
        match known.query_async(connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                command("EVAL", self.text).query_async(connection).await
            }
            done => done,
        }
    }
}
