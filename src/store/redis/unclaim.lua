-- Puts something else in the place of a claim, or itself, to hold it longer. KEYS: the claim.
-- ARGV: own claim, what to put there (empty: nothing), milliseconds for it.
-- 1: done. 0: another holds it.
if redis.call('HGET', KEYS[1], 'c') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then
    redis.call('UNLINK', KEYS[1])
else
    redis.call('HSET', KEYS[1], 'c', ARGV[2])
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return 1
