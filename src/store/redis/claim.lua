-- Takes the claim to fetch something under a key, unless another holds it or the index has changed.
-- Both keys are in one slot.
--
-- KEYS: the hash, the claim. ARGV: own claim, milliseconds, digest of the index as last seen (empty:
-- not seen), the claim to take over (empty: none).
-- {state, digest of the index, the index unless it was seen, the claim held, milliseconds left of it}
local index = redis.call('HGET', KEYS[1], 'i') or ''
local digest = redis.sha1hex(index)
if ARGV[3] == digest then
    index = ''
elseif ARGV[3] ~= '' then
    return {'changed', digest, index, '', 0}
end
local held = redis.call('HGET', KEYS[2], 'c')
if held and held ~= ARGV[4] then
    return {'held', digest, index, held, redis.call('PTTL', KEYS[2])}
end
redis.call('HSET', KEYS[2], 'c', ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return {'taken', digest, index, '', 0}
