-- The arithmetic of what is stored: merging packed values, adding totals. Stands in front of `redis.lua`, which is one script with it.
--
-- Numbers of Lua are doubles: everything added here stays below 2^53. Sums come as high x 2^32 + low; totals and sequence
-- numbers stay decimal text.

local EXACT = 9007199254740992 -- 2^53; at it and above, whole numbers are no longer told apart
local WORD = 4294967296 -- 2^32
local BILLION = 1000000000
local MOST_BUCKETS = 1024 -- of a sketch

-- Merge of two packed values -----------------------------------------------------------------------------------------
--
-- What is given was decoded by the client; what is stored may be damaged. Arithmetic and comparison raise on anything but numbers,
-- and a fraction, which nobody here can write, is refused by whoever reads it.

local function list(x)
  if x == nil then
    return {}
  end
  if type(x) ~= 'table' then
    error('a list is expected', 0)
  end
  return x
end

local function inexact()
  error('a number is not below 2^53', 0)
end

local function counters(a, b)
  local out, last = {}, 0
  for i = 1, math.max(#a, #b) do
    local sum = (a[i] or 0) + (b[i] or 0)
    if sum >= EXACT or sum < 0 then
      inexact()
    end
    if sum > 0 then
      last = i
    end
    out[i] = sum
  end
  for i = last + 1, #out do
    out[i] = nil
  end
  return out
end

-- A measure is [n, sum_high, sum_low, min, max], or without the last two; a gauge has [last, last_at] behind them.
local function summary(a, b, width)
  if #a == 0 then
    a, b = b, a
  end
  for _, one in ipairs({ a, b }) do
    if #one ~= 0 and #one ~= width and not (width == 5 and #one == 3) then
      error('a summary has another width', 0)
    end
    for i = 1, #one do
      if one[i] >= EXACT or one[i] <= -EXACT then
        inexact()
      end
    end
  end
  if #b == 0 then
    return a
  end
  local n, high, low = a[1] + b[1], a[2] + b[2], a[3] + b[3]
  if low >= WORD then
    high, low = high + 1, low - WORD
  end
  if low < 0 or low >= WORD or high < -2147483648 or high > 2147483647 then
    error('a sum would leave 64 bits', 0)
  end
  if n >= EXACT then
    inexact()
  end
  local out = { n, high, low }
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

-- A sketch at a scale not above its own.
local function rescaled(sketch, scale)
  if sketch[1] == scale then
    return sketch
  end
  local divisor = 2 ^ (sketch[1] - scale)
  local out, n, index, last = { scale, sketch[2], sketch[3] }, 3, 0, 0
  for i = 4, #sketch, 2 do
    index = index + sketch[i]
    local scaled = math.floor(index / divisor)
    if n > 3 and scaled == last then
      out[n] = out[n] + sketch[i + 1]
    else
      out[n + 1], out[n + 2], n, last = scaled - last, sketch[i + 1], n + 2, scaled
    end
  end
  return out
end

-- Add the lowest buckets to the lowest that is kept.
local function collapsed(sketch)
  local first = #sketch - 2 * MOST_BUCKETS + 1
  local index, joined = 0, 0
  for i = 4, first, 2 do
    index, joined = index + sketch[i], joined + sketch[i + 1]
  end
  local out = { sketch[1], 1, sketch[3], index, joined }
  for i = first + 2, #sketch do
    out[#out + 1] = sketch[i]
  end
  return out
end

local function sketches(a, b)
  if #a == 0 or #b == 0 then
    a = #a == 0 and b or a
    b = { a[1], 0, 0 }
    if #a == 0 then
      return a
    end
  end
  local scale = math.min(a[1], b[1])
  a, b = rescaled(a, scale), rescaled(b, scale)
  local out, n = { scale, math.max(a[2], b[2]), a[3] + b[3] }, 3
  local i, j, ends_a, ends_b = 4, 4, #a, #b
  local at_a, at_b, last = a[4], b[4], 0
  -- An index at the end of its sketch is infinite, so that the other one goes first.
  at_a, at_b = at_a or math.huge, at_b or math.huge
  while i <= ends_a or j <= ends_b do
    local index, filled = at_a, 0
    if at_b < at_a then
      index = at_b
    end
    if at_a == index then
      filled = a[i + 1]
      i = i + 2
      at_a = i <= ends_a and at_a + a[i] or math.huge
    end
    if at_b == index then
      filled = filled + b[j + 1]
      j = j + 2
      at_b = j <= ends_b and at_b + b[j] or math.huge
    end
    if filled >= EXACT or filled < 1 or at_a <= index or at_b <= index then
      error('the buckets of a sketch are not in order, or not below 2^53', 0)
    end
    out[n + 1], out[n + 2], n, last = index - last, filled, n + 2, index
  end
  if out[3] >= EXACT then
    inexact()
  end
  return n > 3 + 2 * MOST_BUCKETS and collapsed(out) or out
end

local function merge_each(a, b, merge, ...)
  local out = {}
  for i = 1, math.max(#a, #b) do
    out[i] = merge(list(a[i]), list(b[i]), ...)
  end
  for i = #out, 1, -1 do
    if #out[i] > 0 then
      break
    end
    out[i] = nil
  end
  return out
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
    counters(list(a[2]), list(b[2])),
    merge_each(list(a[3]), list(b[3]), summary, 5),
    merge_each(list(a[4]), list(b[4]), summary, 7),
    merge_each(list(a[5]), list(b[5]), sketches),
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

-- The sum of two decimals as one.
local function total(stored, increment)
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
  local sign = ''
  if high < 0 then
    sign = '-'
    if low > 0 then
      high, low = high + 1, BILLION - low
    end
    high = -high
  end
  if high == 0 then
    return sign .. string.format('%.0f', low)
  end
  return sign .. string.format('%.0f%09.0f', high, low)
end

