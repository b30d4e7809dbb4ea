-- Stores one variant of a key, unless what is there has a newer fence, or with the same fence a newer
-- Date and is fresh (compare-and-set), and keeps the index: one line a variant, the newest by fence
-- and Date first. All or nothing: what can fail comes first.
--
-- KEYS: the hash. ARGV: field, generation, position, response time, Date, milliseconds for which it is
-- fresh, milliseconds to keep, vary, most variants, "put" or "grow", value. "grow" replaces exactly
-- this response by itself.
-- 1: stored. 0: what is there stays.
local field, generation, position, time = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local date, fresh, keep, vary = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]
local most, grows, value = tonumber(ARGV[9]), ARGV[10] == 'grow', ARGV[11]
local now = redis.call('TIME')
now = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
local expires, stale = now + keep, now + fresh
local index = redis.call('HGET', KEYS[1], 'i') or ''
local newer, older, dropped, known = {}, {}, {}, false
local pattern = '((%x+) (%x+) (%d+) (%d+) (%d+) (%d+)/(%d+) [^\n]*\n)'
for line, f, g, p, t, e, d, s in string.gmatch(index, pattern) do
    -- Positions have 20 digits: they compare as texts. Between two purges the Date counts (RFC 9111 §4).
    local is_later = g == generation and p > position
    local is_newer = is_later or g == generation and p == position and tonumber(d) > date
    if f == field then
        -- What is stale gives way whatever its Date: clocks of origin servers may differ.
        if is_later or is_newer and tonumber(s) > now then return 0 end
        if grows then
            if g ~= generation or p ~= position or t ~= time then return 0 end
            expires, stale = tonumber(e), tonumber(s)
            if expires <= now then return 0 end
        end
        known = true
    elseif tonumber(e) <= now then
        dropped[#dropped + 1] = f
    elseif is_newer then
        newer[#newer + 1] = {f, line}
    else
        older[#older + 1] = {f, line}
    end
end
if grows and not known then return 0 end
local own = string.format('%s %s %s %s %.0f %.0f/%.0f %s\n', field, generation, position, time, expires,
    date, stale, vary)
local all = newer
all[#all + 1] = {field, own}
for _, other in ipairs(older) do all[#all + 1] = other end
local lines = {}
for at, one in ipairs(all) do
    if at <= most then
        lines[at] = one[2]
    elseif one[1] == field then
        return 0
    else
        dropped[#dropped + 1] = one[1]
    end
end
redis.call('HSET', KEYS[1], 'i', table.concat(lines), field, value)
for _, f in ipairs(dropped) do redis.call('HDEL', KEYS[1], f) end
local left = redis.call('PTTL', KEYS[1])
if left < expires - now then redis.call('PEXPIRE', KEYS[1], expires - now) end
return 1
