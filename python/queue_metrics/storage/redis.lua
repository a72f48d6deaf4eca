-- Everything that writes to Redis. ARGV[1] is what to do, ARGV[2] the schema version, KEYS[1] the schema key; every key is declared.
--
-- Redis does not roll back: an error in the middle leaves what was written before it. So each verb first reads, checks and computes
-- everything, and only then writes commands that cannot fail. Answers are lists that begin with a word; nothing is raised.
--
-- What is written are results, never increments: an append-only file that was cut within a script leaves its first commands open, and they
-- are done with the next script when the server loads the file once more (tried with 7.0.15). By then a later batch has written over them.
--
-- In front of this stands `redis_values.lua`, which knows how values are merged.

-- Reading that tells a wrong type from nothing -----------------------------------------------------------------------

local function read(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then
    if string.find(answer.err, 'WRONGTYPE', 1, true) then
      error({ 'type', ({ ... })[2], answer.err }, 0)
    end
    error(answer, 0)
  end
  return answer
end

local function check_schema()
  local found = read('GET', KEYS[1])
  if found and found ~= ARGV[2] then
    error({ 'schema', found }, 0)
  end
  return found
end

local function write_schema(found)
  if not found then
    redis.call('SET', KEYS[1], ARGV[2])
  end
end

local function clock()
  local now = redis.call('TIME')
  return now[1] * 1000 + math.floor(now[2] / 1000)
end

-- Verbs --------------------------------------------------------------------------------------------------------------

local verbs = {}

-- KEYS  schema, labels, marks, then one per row.
-- ARGV  verb, version, spool, sequence and positions expected, sequence, positions, number of series, (series, labels)...,
--       then per row: series, "p", bucket, expiry, value    or    series, "t", number of fields, (field, increment)...
function verbs.apply()
  check_schema()
  local spool, expected, base, sequence, positions = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
  local mark = read('HGET', KEYS[3], spool)
  local reached, behind = '0', ''
  if mark then
    reached, behind = string.match(mark, '^(%d+):(.*)$')
    if not reached then
      return { 'mark' }
    end
  end
  if reached ~= expected or behind ~= base then
    return { 'kept', reached, behind }
  end

  local at, new_labels = 9, {}
  for _ = 1, tonumber(ARGV[8]) do
    local series, labels = ARGV[at], ARGV[at + 1]
    local known = read('HGET', KEYS[2], series)
    if not known then
      new_labels[#new_labels + 1] = { series, labels }
    elseif known ~= labels then
      return { 'labels', series }
    end
    at = at + 2
  end

  local writes, expiring = {}, nil
  for k = 4, #KEYS do
    local key, series, row = KEYS[k], ARGV[at], ARGV[at + 1]
    if row == 'p' then
      local bucket, expiry, given = ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
      local stored = read('HGET', key, bucket)
      local fine, value = pcall(merge, stored, given)
      if not fine then
        return { 'value', series, tostring(value) }
      end
      writes[#writes + 1] = { 'HSET', key, bucket, value }
      if not stored then -- the expiry of a key never changes, so once per field is often enough
        expiring = expiring or { key, expiry }
        writes[#writes + 1] = { 'EXPIREAT', key, expiry }
      end
      at = at + 5
    else
      local fields = tonumber(ARGV[at + 2])
      at = at + 3
      for _ = 1, fields do
        local field, increment = ARGV[at], ARGV[at + 1]
        local fine, sum = pcall(total, read('HGET', key, field) or '0', increment)
        if not fine then
          return { 'value', series, tostring(sum) }
        end
        writes[#writes + 1] = { 'HSET', key, field, sum }
        at = at + 2
      end
    end
  end

  -- Everything is checked but the memory and the rights: a full server refuses this command, which changes nothing, and no later one;
  -- and who may not let keys expire must hear it before anything is written.
  redis.call('SET', KEYS[1], ARGV[2])
  if expiring then
    read('EXPIREAT', expiring[1], expiring[2])
  end
  -- From here on nothing can fail.
  for _, one in ipairs(new_labels) do
    redis.call('HSET', KEYS[2], one[1], one[2])
  end
  for _, one in ipairs(writes) do
    redis.call(unpack(one))
  end
  redis.call('HSET', KEYS[3], spool, sequence .. ':' .. positions)
  return { 'applied', sequence, positions }
end

-- KEYS  schema, workers, beats. ARGV  verb, version, ms to live, (worker id, payload)...
function verbs.beat()
  local found, now, ttl = check_schema(), clock(), tonumber(ARGV[3])
  local gone = read('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 100)
  read('HLEN', KEYS[3])
  write_schema(found)
  for _, worker in ipairs(gone) do
    redis.call('ZREM', KEYS[2], worker)
    redis.call('HDEL', KEYS[3], worker)
  end
  for i = 4, #ARGV, 2 do
    redis.call('ZADD', KEYS[2], string.format('%.0f', now + ttl), ARGV[i])
    redis.call('HSET', KEYS[3], ARGV[i], string.format('%.0f', now) .. ':' .. ARGV[i + 1])
  end
  for k = 2, 3 do
    if redis.call('PTTL', KEYS[k]) < ttl then
      redis.call('PEXPIRE', KEYS[k], ARGV[3])
    end
  end
  return { 'done' }
end

-- KEYS  schema, lease. ARGV  verb, version, owner, ms.
function verbs.lease()
  local found, holder = check_schema(), read('GET', KEYS[2])
  if holder and holder ~= ARGV[3] then
    return { 'held' }
  end
  write_schema(found)
  redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
  return { 'done' }
end

local fine, answer = pcall(verbs[ARGV[1]])
if fine then
  return answer
end
if type(answer) == 'table' and answer[1] then
  return answer
end
return answer and answer.err and answer or redis.error_reply(tostring(answer))
