//! What is done to the shared log, each step as one script, so that Redis does all of it or
//! nothing. docs/purge-log.md tells why each is as it is.

use std::sync::LazyLock;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, RedisResult, Script, ScriptInvocation};

use super::record::{Draft, Record};
use crate::entry::purges::Mode;
use crate::entry::slots::SlotName;
use crate::exchange::{Generation, Position};
use crate::purge::receipt::ReceiptId;

/// The keys of one namespace, all in one slot of a cluster.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) state: String,
    pub(super) log: String,
    delivery: String,
    receipt: String,
}

/// The scripts, over one connection.
pub(super) struct Scripts<'l> {
    pub(super) keys: &'l Keys,
    pub(super) connection: MultiplexedConnection,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) generation: Generation,
    pub(super) position: Position,
    pub(super) token: u64,
    /// For how long somebody has known this generation: it is older.
    pub(super) known: Duration,
}

/// What an append has come to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Appended {
    pub(super) place: ReceiptId,
    pub(super) duplicate: bool,
    /// Records that were trimmed because of their bytes.
    pub(super) trimmed: u64,
}

/// What the log may keep, about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

/// One registered incarnation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Peer {
    pub(super) incarnation: String,
    pub(super) name: String,
    pub(super) applied: Position,
    /// Another one after each of its renewals, also where it was registered anew meanwhile.
    pub(super) count: u64,
    /// How long its renewals let it serve. Zero: it does not say.
    pub(super) lease: Duration,
}

/// The log and who reads it.
#[derive(Clone, Debug)]
pub(super) struct Status {
    pub(super) generation: Generation,
    pub(super) head: Position,
    pub(super) peers: Vec<Peer>,
}

/// What a renewal says: for how long the generation is known, and how long a lease lasts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) known: Duration,
    pub(super) lease: Duration,
}

pub(super) enum Renewed {
    OtherGeneration,
    /// `since`: the head when this incarnation was registered.
    Granted {
        since: Position,
        status: Status,
    },
}

pub(super) struct Page {
    pub(super) generation: Generation,
    /// "0": it was the last.
    pub(super) cursor: String,
    pub(super) slots: Vec<(SlotName, Mode, Position)>,
}

/// The layout of keys and records, and the slot function.
pub(super) const FORMAT: &str = "1";

/// How long a delivery is known: longer than any sender repeats one.
const DELIVERY_SECONDS: u64 = 24 * 3600;

/// Bytes that a record takes in Redis beyond its texts: names, numbers, and what holds them together.
const RECORD_BYTES: usize = 200;

/// How long the id of a receipt leads to a record that has another place: as long as a record stays
/// at most.
const RECEIPT_SECONDS: u64 = 2 * RECORD_SECONDS;

/// How long a record stays at least, and half of how long it stays at most, while somebody renews a lease:
/// longer than `gone` may be. Whoever was away for longer reads the snapshot.
const RECORD_SECONDS: u64 = 15 * 60;

/// Longer than `gone` and `split` together can be: nobody asks whether a generation is older.
const KNOWN_MAX: Duration = Duration::from_secs(16 * 60);

/// Begins a new generation where the log was lost, or belongs to another server, or to another
/// incarnation of this one. Writes, so that a master that may not write gives no answers.
const ENSURE: &str = r"
local FORMAT = '1'
local state, log = KEYS[1], KEYS[2]
local server = redis.call('INFO', 'server')
local stamp = server:match('run_id:(%x+)') .. ':'
  .. redis.call('INFO', 'replication'):match('master_replid:(%x+)')
local had = redis.call('HMGET', state, 'stamp', 'format')
if had[1] ~= stamp then
  redis.call('UNLINK', state, log)
  redis.call('HSET', state, 'format', FORMAT, 'stamp', stamp, 'generation', ARGV[1],
    'head', '0', 'token', '0')
elseif had[2] ~= FORMAT then
  return redis.error_reply('FORMAT another version uses this log. When it is nowhere any more: DEL ' .. state)
end
local asked = redis.call('HINCRBY', state, 'asked', 1)
local generation = redis.call('HGET', state, 'generation')
local head = redis.call('HGET', state, 'head')
local function plain(number) return string.format('%.0f', number) end
local function registered(id)
  local text = redis.call('HGET', state, 'i:' .. id)
  if not text then return nil end
  local applied, since, count, name = text:match('^(%d+) (%d+) (%d+) (.*)$')
  return { applied = tonumber(applied), since = since, count = tonumber(count), name = name }
end
local function register(id, one)
  redis.call('HSET', state, 'i:' .. id,
    plain(one.applied) .. ' ' .. one.since .. ' ' .. plain(one.count) .. ' ' .. one.name)
end
local function unregister(id)
  redis.call('HDEL', state, 'i:' .. id, 'l:' .. id)
  local left = {}
  for one in (redis.call('HGET', state, 'ids') or ''):gmatch('%S+') do
    if one ~= id then left[#left + 1] = one end
  end
  redis.call('HSET', state, 'ids', table.concat(left, ' '))
end
local function peers(answer)
  for id in (redis.call('HGET', state, 'ids') or ''):gmatch('%S+') do
    local one = registered(id)
    if one then
      answer[#answer + 1] = id
      answer[#answer + 1] = one.name
      answer[#answer + 1] = plain(one.applied)
      answer[#answer + 1] = plain(one.count)
      answer[#answer + 1] = redis.call('HGET', state, 'l:' .. id) or '0'
    end
  end
  return answer
end
";

/// 2 token, 3 mode, 4 scopes, 5 slots, 6 incarnation, 7 records kept, 8 seconds a delivery is known,
/// 9 the id of the receipt that was given already, or nothing, 10 seconds that is known, 11 bytes kept,
/// 12 bytes of a record beyond its texts. What has such an id, or is a delivery, and is in the log,
/// stays where it is. `at` is how many bytes were appended before, `bytes` of the state how many in
/// all: their difference is what the records from there on take. The oldest go until that is few
/// enough, so many at most in one append.
const APPEND: &str = r"
local receipt = ARGV[9] ~= '' and KEYS[#KEYS] or nil
local delivery = #KEYS > (receipt and 3 or 2) and KEYS[3] or nil
local function known(key)
  local theirs, position = (key and redis.call('GET', key) or ''):match('^(%x+)-(%d+)$')
  return theirs == generation and position or nil
end
local function remember(position)
  if receipt then
    redis.call('SET', receipt, generation .. '-' .. position, 'EX', ARGV[10])
  end
end
local before = known(receipt) or known(delivery)
if before then
  remember(before)
  return { generation, before, '1', '0' }
end
-- First what may be refused: a head without its record would look like a gap.
local position = plain(tonumber(head) + 1)
local size = #ARGV[4] + #ARGV[5] + #ARGV[6] + #ARGV[9] + tonumber(ARGV[12])
local bytes = tonumber(redis.call('HGET', state, 'bytes') or '0') + size
local entry = { 'format', FORMAT,
  'generation', generation, 'predecessor', redis.call('HGET', state, 'token'), 'token', ARGV[2],
  'mode', ARGV[3], 'scopes', ARGV[4], 'slots', ARGV[5], 'from', ARGV[6], 'at', plain(bytes - size) }
if receipt then
  entry[#entry + 1] = 'receipt'
  entry[#entry + 1] = ARGV[9]
end
redis.call('XADD', log, 'MAXLEN', '~', ARGV[7], position .. '-0', unpack(entry))
local excess, trimmed = bytes - tonumber(ARGV[11]), 0
while excess > 0 and trimmed < 1000 do
  local oldest, at = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1], nil
  for field = 1, oldest and #oldest[2] or 0, 2 do
    if oldest[2][field] == 'at' then at = tonumber(oldest[2][field + 1]) end
  end
  if not at or at >= excess then break end
  local after = tonumber(oldest[1]:match('^%d+')) + 1
  trimmed = trimmed + redis.call('XTRIM', log, 'MINID', '=', plain(after) .. '-0')
end
local prefix = ARGV[3] == 'hard' and 'h:' or 's:'
for slot in ARGV[5]:gmatch('%S+') do
  redis.call('HSET', state, prefix .. slot, position)
end
redis.call('HSET', state, 'head', position, 'token', ARGV[2], 'bytes', plain(bytes))
if delivery then
  redis.call('SET', delivery, generation .. '-' .. position, 'EX', ARGV[8])
end
remember(position)
return { generation, position, '0', plain(trimmed) }
";

/// 2 generation and 3 position of the id of a receipt.
const FIND: &str = r"
local position = ARGV[2] == generation and ARGV[3] or nil
if not position then
  local theirs, place = (redis.call('GET', KEYS[3]) or ''):match('^(%x+)-(%d+)$')
  if theirs ~= generation then return { generation } end
  position = place
end
local found = redis.call('XRANGE', log, position .. '-0', position .. '-0')[1]
if not found then return { generation } end
local answer = { generation, found[1] }
for _, word in ipairs(found[2]) do answer[#answer + 1] = word end
return answer
";

/// 2 generation, 3 incarnation, 4 name, 5 applied, 6 seconds a record stays. `aged` is a time (the
/// server's uptime: the user need not have TIME) and the head at that time. Trimming is safe whatever
/// the clock says. 7 milliseconds for which it has known the generation, 8 milliseconds of its lease.
const RENEW: &str = r"
if generation ~= ARGV[2] then return { generation } end
local now, keep = tonumber(server:match('uptime_in_seconds:(%d+)')), tonumber(ARGV[6])
local since, then_head = (redis.call('HGET', state, 'aged') or ''):match('^(%-?%d+) (%d+)$')
local age = since and now - tonumber(since) or keep
if age >= keep or age < 0 then
  if then_head and age >= keep then
    redis.call('XTRIM', log, 'MINID', '=', plain(tonumber(then_head) + 1) .. '-0')
  end
  redis.call('HSET', state, 'aged', plain(now) .. ' ' .. head)
end
if tonumber(ARGV[7]) > tonumber(redis.call('HGET', state, 'known') or '0') then
  redis.call('HSET', state, 'known', ARGV[7])
end
local one = registered(ARGV[3])
if one then
  one.applied = math.max(one.applied, tonumber(ARGV[5]))
  one.count = asked
else
  local ids = redis.call('HGET', state, 'ids') or ''
  local _, many = ids:gsub('%S+', '')
  if many >= 256 then return redis.error_reply('FULL 256 instances share the purge log: no more can') end
  redis.call('HSET', state, 'ids', (ids .. ' ' .. ARGV[3]):match('^%s*(.*)$'))
  one = { applied = tonumber(ARGV[5]), since = head, count = asked, name = ARGV[4] }
end
register(ARGV[3], one)
redis.call('HSET', state, 'l:' .. ARGV[3], ARGV[8])
return peers({ generation, head, one.since })
";

/// 2 generation, 3 incarnation, 4 applied.
const ACKNOWLEDGE: &str = r"
if generation ~= ARGV[2] then return { generation } end
local one = registered(ARGV[3])
if one and tonumber(ARGV[4]) > one.applied then
  one.applied = tonumber(ARGV[4])
  register(ARGV[3], one)
end
return { generation }
";

const HEAD: &str = r"
local more = redis.call('HMGET', state, 'token', 'known')
return { generation, head, more[1], more[2] or '0' }
";

/// 2 generation, 3 cursor.
const SNAPSHOT: &str = r"
if generation ~= ARGV[2] then return { generation, '0' } end
local found = redis.call('HSCAN', state, ARGV[3], 'COUNT', 4096)
local answer = { generation, found[1] }
for at = 1, #found[2], 2 do
  local field = found[2][at]
  if field:match('^[hs]:') then
    answer[#answer + 1] = field
    answer[#answer + 1] = found[2][at + 1]
  end
end
return answer
";

/// 2 generation, 3 incarnation, 4 count.
const GONE: &str = r"
local one = generation == ARGV[2] and registered(ARGV[3])
if one and plain(one.count) == ARGV[4] then
  unregister(ARGV[3])
  return { generation, '1' }
end
return { generation, '0' }
";

/// 2 generation, 3 incarnation.
const LEAVE: &str = r"
if generation == ARGV[2] then unregister(ARGV[3]) end
return { generation }
";

const STATUS: &str = "return peers({ generation, head })";

struct All {
    append: Script,
    find: Script,
    renew: Script,
    acknowledge: Script,
    head: Script,
    snapshot: Script,
    gone: Script,
    leave: Script,
    status: Script,
}

static ALL: LazyLock<All> = LazyLock::new(|| {
    let script = |body: &str| Script::new(&format!("{ENSURE}{body}"));
    All {
        append: script(APPEND),
        find: script(FIND),
        renew: script(RENEW),
        acknowledge: script(ACKNOWLEDGE),
        head: script(HEAD),
        snapshot: script(SNAPSHOT),
        gone: script(GONE),
        leave: script(LEAVE),
        status: script(STATUS),
    }
});

impl Keys {
    pub(super) fn of(namespace: &str) -> Self {
        Self {
            state: format!("cms-edge:{{{namespace}}}:state"),
            log: format!("cms-edge:{{{namespace}}}:log"),
            delivery: format!("cms-edge:{{{namespace}}}:delivery:"),
            receipt: format!("cms-edge:{{{namespace}}}:receipt:"),
        }
    }
}

impl Scripts<'_> {
    /// `receipt`: the id that this purge was given before it had a place, or with another one.
    pub(super) async fn append(
        &mut self,
        draft: &Draft,
        receipt: Option<ReceiptId>,
        incarnation: &str,
        kept: Kept,
    ) -> RedisResult<Appended> {
        let mut call = self.begin(&ALL.append)?;
        if let Some(delivery) = &draft.delivery {
            call.key(format!("{}{delivery}", self.keys.delivery));
        }
        let receipt = receipt.map(|id| id.to_string()).unwrap_or_default();
        if !receipt.is_empty() {
            call.key(format!("{}{receipt}", self.keys.receipt));
        }
        call.arg(hex(draft.token))
            .arg(draft.mode.as_str())
            .arg(draft.scopes.join("\n"))
            .arg(&draft.slots)
            .arg(incarnation)
            .arg(kept.records)
            .arg(DELIVERY_SECONDS)
            .arg(receipt)
            .arg(RECEIPT_SECONDS)
            .arg(kept.bytes)
            .arg(RECORD_BYTES);
        let mut answer = self.answer(call).await?;
        let place = ReceiptId {
            generation: answer.generation()?,
            position: answer.position()?,
        };
        Ok(Appended {
            place,
            duplicate: answer.text()? == "1",
            trimmed: answer.position()?.ordinal(),
        })
    }

    /// The record in the log of the purge whose receipt has this id, by whomever it was given.
    pub(super) async fn find(&mut self, id: ReceiptId) -> RedisResult<Option<Record>> {
        let mut call = self.begin(&ALL.find)?;
        call.key(format!("{}{id}", self.keys.receipt))
            .arg(hex(id.generation.token()))
            .arg(id.position.ordinal());
        let mut answer = self.answer(call).await?;
        answer.generation()?;
        let Some(entry) = answer.next() else {
            return Ok(None);
        };
        let record = Record::read(&entry, answer.0.collect());
        record.map(Some).ok_or_else(senseless)
    }

    pub(super) async fn renew(
        &mut self,
        generation: Generation,
        incarnation: &str,
        name: &str,
        applied: Position,
        times: Times,
    ) -> RedisResult<Renewed> {
        let mut call = self.begin(&ALL.renew)?;
        call.arg(hex(generation.token()))
            .arg(incarnation)
            .arg(name)
            .arg(applied.ordinal())
            .arg(RECORD_SECONDS)
            .arg(times.known.min(KNOWN_MAX).as_millis() as u64)
            .arg(times.lease.as_millis() as u64);
        let mut answer = self.answer(call).await?;
        let found = answer.generation()?;
        if found != generation {
            return Ok(Renewed::OtherGeneration);
        }
        let (head, since) = (answer.position()?, answer.position()?);
        let peers = answer.peers()?;
        let status = Status {
            generation,
            head,
            peers,
        };
        Ok(Renewed::Granted { since, status })
    }

    /// The generation that it found.
    pub(super) async fn acknowledge(
        &mut self,
        generation: Generation,
        incarnation: &str,
        applied: Position,
    ) -> RedisResult<Generation> {
        let mut call = self.begin(&ALL.acknowledge)?;
        call.arg(hex(generation.token()))
            .arg(incarnation)
            .arg(applied.ordinal());
        self.answer(call).await?.generation()
    }

    pub(super) async fn head(&mut self) -> RedisResult<Head> {
        let call = self.begin(&ALL.head)?;
        let mut answer = self.answer(call).await?;
        Ok(Head {
            generation: answer.generation()?,
            position: answer.position()?,
            token: answer.token()?,
            known: answer.millis()?,
        })
    }

    pub(super) async fn snapshot(
        &mut self,
        generation: Generation,
        cursor: &str,
    ) -> RedisResult<Page> {
        let mut call = self.begin(&ALL.snapshot)?;
        call.arg(hex(generation.token())).arg(cursor);
        let mut answer = self.answer(call).await?;
        let (generation, cursor) = (answer.generation()?, answer.text()?);
        let mut slots = Vec::new();
        while let Some(field) = answer.next() {
            let (mode, name) = match field.split_once(':') {
                Some(("h", name)) => (Mode::Hard, name),
                Some(("s", name)) => (Mode::Soft, name),
                _ => return Err(senseless()),
            };
            let name = SlotName::parse(name).ok_or_else(senseless)?;
            slots.push((name, mode, answer.position()?));
        }
        Ok(Page {
            generation,
            cursor,
            slots,
        })
    }

    /// Whether it was removed.
    pub(super) async fn gone(&mut self, generation: Generation, peer: &Peer) -> RedisResult<bool> {
        let mut call = self.begin(&ALL.gone)?;
        call.arg(hex(generation.token()))
            .arg(&peer.incarnation)
            .arg(peer.count);
        let mut answer = self.answer(call).await?;
        answer.generation()?;
        Ok(answer.text()? == "1")
    }

    pub(super) async fn leave(
        &mut self,
        generation: Generation,
        incarnation: &str,
    ) -> RedisResult<()> {
        let mut call = self.begin(&ALL.leave)?;
        call.arg(hex(generation.token())).arg(incarnation);
        self.answer(call).await.map(|_| ())
    }

    pub(super) async fn status(&mut self) -> RedisResult<Status> {
        let call = self.begin(&ALL.status)?;
        let mut answer = self.answer(call).await?;
        Ok(Status {
            generation: answer.generation()?,
            head: answer.position()?,
            peers: answer.peers()?,
        })
    }

    fn begin<'s>(&self, script: &'s Script) -> RedisResult<ScriptInvocation<'s>> {
        let fresh = getrandom::u64().map_err(|_| senseless())?;
        let mut call = script.prepare_invoke();
        call.key(&self.keys.state).key(&self.keys.log);
        call.arg(hex(fresh));
        Ok(call)
    }

    async fn answer(&mut self, call: ScriptInvocation<'_>) -> RedisResult<Answer> {
        let words: Vec<String> = call.invoke_async(&mut self.connection).await?;
        Ok(Answer(words.into_iter()))
    }
}

/// The words of an answer, from the front.
struct Answer(std::vec::IntoIter<String>);

impl Answer {
    fn next(&mut self) -> Option<String> {
        self.0.next()
    }

    fn text(&mut self) -> RedisResult<String> {
        self.next().ok_or_else(senseless)
    }

    fn position(&mut self) -> RedisResult<Position> {
        let ordinal = self.text()?.parse().map_err(|_| senseless())?;
        Ok(Position::new(ordinal))
    }

    fn millis(&mut self) -> RedisResult<Duration> {
        let millis = self.text()?.parse().map_err(|_| senseless())?;
        Ok(Duration::from_millis(millis))
    }

    fn token(&mut self) -> RedisResult<u64> {
        u64::from_str_radix(&self.text()?, 16).map_err(|_| senseless())
    }

    fn generation(&mut self) -> RedisResult<Generation> {
        self.token().map(Generation::new)
    }

    fn peers(&mut self) -> RedisResult<Vec<Peer>> {
        let mut peers = Vec::new();
        while let Some(incarnation) = self.next() {
            peers.push(Peer {
                incarnation,
                name: self.text()?,
                applied: self.position()?,
                count: self.position()?.ordinal(),
                lease: self.millis()?,
            });
        }
        Ok(peers)
    }
}

/// As 16 digits: the same number is the same text.
pub(super) fn hex(number: u64) -> String {
    format!("{number:016x}")
}

/// An answer that no log of ours gives.
pub(super) fn senseless() -> RedisError {
    RedisError::from((ErrorKind::Parse, "this is no answer of a purge log"))
}
