-- Everything that writes to Redis. ARGV[1] is what to do, ARGV[2] the schema version, KEYS[1] the schema key; every key is declared.
--
-- Redis does not roll back: an error in the middle leaves what was written before it. So each verb first reads, checks and computes
-- everything, and only then writes commands that cannot fail. Answers are lists that begin with a word; nothing is raised.
--
-- Numbers of Lua are doubles: everything added here stays below 2^53. Sums come as high x 2^32 + low; totals and sequence
-- numbers stay decimal text.

local EXACT = 9007199254740992 -- 2^53; at it and above, whole numbers are no longer told apart
local WORD = 4294967296 -- 2^32
local BILLION = 1000000000
local MOST_BUCKETS = 1024 -- of a sketch

-- Whole numbers of a packed value ------------------------------------------------------------------------------------

local function whole(x)
  if type(x) ~= 'number' or x % 1 ~= 0 or x >= EXACT or x <= -EXACT then
    error('a number is not whole or not below 2^53', 0)
  end
  return x
end

local function count(x)
  if whole(x) < 0 then
    error('a count is below 0', 0)
  end
  return x
end

local function list(x)
  if x == nil then
    return {}
  end
  if type(x) ~= 'table' then
    error('a list is expected', 0)
  end
  return x
end

-- Cut behind the last filled element; `filled` tells which are.
local function cut(elements, filled)
  local n = #elements
  while n > 0 and not filled(elements[n]) do
    elements[n] = nil
    n = n - 1
  end
  return elements
end

local function not_zero(x)
  return x ~= 0
end

local function not_empty(x)
  return #x > 0
end

-- Merge of two packed values -----------------------------------------------------------------------------------------

local function merge_counters(a, b)
  local out = {}
  for i = 1, math.max(#a, #b) do
    out[i] = count(count(a[i] or 0) + count(b[i] or 0))
  end
  return cut(out, not_zero)
end

-- A measure is [n, sum_high, sum_low, min, max], or without the last two; a gauge has [last, last_at] behind them.
local function checked_summary(a, width)
  if #a ~= width and not (width == 5 and #a == 3) then
    error('a summary has another width', 0)
  end
  count(a[1])
  for i = 2, #a do
    whole(a[i])
  end
  if a[3] < 0 or a[3] >= WORD then
    error('the low half of a sum is out of range', 0)
  end
  return a
end

local function merge_summary(a, b, width)
  if #a == 0 or #b == 0 then
    local one = #a == 0 and b or a
    return #one == 0 and {} or checked_summary(one, width)
  end
  checked_summary(a, width)
  checked_summary(b, width)
  local high, low = a[2] + b[2], a[3] + b[3]
  if low >= WORD then
    high, low = high + 1, low - WORD
  end
  if high < -2147483648 or high > 2147483647 then
    error('a sum would leave 64 bits', 0)
  end
  local out = { count(a[1] + b[1]), high, low }
  if a[4] and b[4] then
    out[4], out[5] = math.min(a[4], b[4]), math.max(a[5], b[5])
  else
    out[4], out[5] = a[4] or b[4], a[5] or b[5]
  end
  if width == 7 then
    local later = a
    if b[7] > a[7] or (b[7] == a[7] and b[6] > a[6]) then
      later = b
    end
    out[6], out[7] = later[6], later[7]
  end
  return out
end

-- Buckets of a sketch as ascending indexes and their counts, at a scale not above its own.
local function buckets(sketch, scale)
  local divisor = 2 ^ (whole(sketch[1]) - scale)
  local indexes, counts, n, index = {}, {}, 0, 0
  for i = 4, #sketch, 2 do
    local step, filled = whole(sketch[i]), count(sketch[i + 1])
    if i > 4 and step < 1 or filled == 0 then
      error('the buckets of a sketch are not in order', 0)
    end
    index = whole(i == 4 and step or index + step)
    local scaled = math.floor(index / divisor)
    if n > 0 and indexes[n] == scaled then
      counts[n] = count(counts[n] + filled)
    else
      n = n + 1
      indexes[n], counts[n] = scaled, filled
    end
  end
  return indexes, counts
end

local function merge_sketch(a, b)
  if #a == 0 and #b == 0 then
    return {}
  end
  if #a == 0 then
    a = { b[1], 0, 0 }
  elseif #b == 0 then
    b = { a[1], 0, 0 }
  end
  local scale = math.min(whole(a[1]), whole(b[1]))
  local ai, ac = buckets(a, scale)
  local bi, bc = buckets(b, scale)
  local indexes, counts, n, i, j = {}, {}, 0, 1, 1
  while ai[i] or bi[j] do
    n = n + 1
    if not bi[j] or ai[i] and ai[i] < bi[j] then
      indexes[n], counts[n], i = ai[i], ac[i], i + 1
    elseif not ai[i] or bi[j] < ai[i] then
      indexes[n], counts[n], j = bi[j], bc[j], j + 1
    else
      indexes[n], counts[n], i, j = ai[i], count(ac[i] + bc[j]), i + 1, j + 1
    end
  end
  local collapsed = (count(a[2] or 0) > 0 or count(b[2] or 0) > 0) and 1 or 0
  local first = 1
  if n > MOST_BUCKETS then
    first, collapsed = n - MOST_BUCKETS + 1, 1
    for low = 1, first - 1 do
      counts[first] = count(counts[first] + counts[low])
    end
  end
  local out = { scale, collapsed, count(count(a[3] or 0) + count(b[3] or 0)) }
  for k = first, n do
    out[#out + 1] = k == first and indexes[k] or indexes[k] - indexes[k - 1]
    out[#out + 1] = counts[k]
  end
  return out
end

local function merge_each(a, b, merge, ...)
  local out = {}
  for i = 1, math.max(#a, #b) do
    out[i] = merge(list(a[i]), list(b[i]), ...)
  end
  return cut(out, not_empty)
end

local function unpacked(packed)
  local value, extra = cmsgpack.unpack(packed)
  if type(value) ~= 'table' or extra ~= nil then
    error('it is no packed value', 0)
  end
  if value[1] ~= 1 or #value > 5 then
    error('it is of version ' .. tostring(value[1]) .. ', this package knows 1', 0)
  end
  return value
end

local function merge(stored, given)
  local a, b = stored and unpacked(stored) or { 1 }, unpacked(given)
  local out = {
    1,
    merge_counters(list(a[2]), list(b[2])),
    merge_each(list(a[3]), list(b[3]), merge_summary, 5),
    merge_each(list(a[4]), list(b[4]), merge_summary, 7),
    merge_each(list(a[5]), list(b[5]), merge_sketch),
  }
  while #out > 1 and #out[#out] == 0 do
    out[#out] = nil
  end
  return cmsgpack.pack(out)
end

-- Totals: decimal text, at most 64 bits with a sign ------------------------------------------------------------------

-- A decimal as high x 10^9 + low, both exact as doubles, low in 0 .. 10^9 - 1.
local function split(text)
  local sign, digits = string.match(text, '^(%-?)(%d+)$')
  if not digits or #digits > 19 then
    error('a total is no number of 64 bits', 0)
  end
  local high = tonumber(string.sub(digits, 1, -10)) or 0
  local low = tonumber(string.sub(digits, -9))
  if sign == '-' then
    high, low = -high, -low
    if low < 0 then
      high, low = high - 1, low + BILLION
    end
  end
  return high, low
end

local function fits(stored, increment)
  local high, low = split(stored)
  local more_high, more_low = split(increment)
  high, low = high + more_high, low + more_low
  if low >= BILLION then
    high, low = high + 1, low - BILLION
  end
  -- 2^63 - 1 = 9223372036 854775807, -2^63 = -9223372037 145224192
  if high > 9223372036 or high == 9223372036 and low > 854775807 or high < -9223372037 or high == -9223372037 and low < 145224192 then
    error('a total would leave 64 bits', 0)
  end
end

-- Reading that tells a wrong type from nothing -----------------------------------------------------------------------

local function read(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then
    error({ 'type', ({ ... })[2], answer.err }, 0)
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
  local found = check_schema()
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

  local writes = {}
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
        writes[#writes + 1] = { 'EXPIREAT', key, expiry }
      end
      at = at + 5
    else
      local fields = tonumber(ARGV[at + 2])
      at = at + 3
      for _ = 1, fields do
        local field, increment = ARGV[at], ARGV[at + 1]
        local fine, why = pcall(fits, read('HGET', key, field) or '0', increment)
        if not fine then
          return { 'value', series, tostring(why) }
        end
        writes[#writes + 1] = { 'HINCRBY', key, field, increment }
        at = at + 2
      end
    end
  end

  -- Everything is checked; from here on nothing can fail.
  write_schema(found)
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
