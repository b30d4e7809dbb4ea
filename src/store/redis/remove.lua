-- Drops one variant of a key. KEYS: the hash. ARGV: field, and nothing more to drop it whatever it
-- is, or generation, position and response time to drop exactly that response.
-- 1: dropped. 0: it was not there.
local field, exactly = ARGV[1], #ARGV == 4
local index = redis.call('HGET', KEYS[1], 'i')
if not index then return 0 end
local lines, found = {}, false
for line, f, g, p, t in string.gmatch(index, '((%x+) (%x+) (%d+) (%d+) [^\n]*\n)') do
    if f == field then
        if exactly and (g ~= ARGV[2] or p ~= ARGV[3] or t ~= ARGV[4]) then return 0 end
        found = true
    else
        lines[#lines + 1] = line
    end
end
if not found then return 0 end
if #lines == 0 then
    redis.call('UNLINK', KEYS[1])
else
    redis.call('HSET', KEYS[1], 'i', table.concat(lines))
    redis.call('HDEL', KEYS[1], field)
end
return 1
