-- The requests of one load, for wrk. Arguments after `--`:
--   KIND KEYS VALUE_BYTES PIPELINE [LEVEL]
-- KIND: post, get (raftkvd), etcd-put, etcd-range, fixed. Every request is made before the first is
-- sent, so that wrk's own work does not depend on the kind.
local requests = {}
local count = 0

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(text)
  local out = {}
  for i = 1, #text, 3 do
    local a, b, c = text:byte(i, i + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    for shift = 3, 0, -1 do
      local digit = math.floor(n / 64 ^ shift) % 64
      out[#out + 1] = alphabet:sub(digit + 1, digit + 1)
    end
    if not c then out[#out] = "=" end
    if not b then out[#out - 1] = "=" end
  end
  return table.concat(out)
end

local function make(kind, key, value, level)
  if kind == "post" then
    return wrk.format("POST", "/key", nil, '{"key":"' .. key .. '","value":"' .. value .. '"}')
  elseif kind == "get" then
    return wrk.format("GET", "/key?key=" .. key .. "&level=" .. level)
  elseif kind == "etcd-put" then
    return wrk.format("POST", "/v3/kv/put", nil,
      '{"key":"' .. base64(key) .. '","value":"' .. base64(value) .. '"}')
  elseif kind == "etcd-range" then
    return wrk.format("POST", "/v3/kv/range", nil, '{"key":"' .. base64(key) .. '"}')
  end
  return wrk.format("GET", "/key?key=" .. key .. "&level=default")
end

function init(args)
  local kind, keys, bytes, pipeline = args[1], tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
  local level = args[5] or "default"
  math.randomseed(42)
  local value = string.rep("v", bytes)
  -- Large values: fewer requests in memory; large key spaces: an even sample of them.
  local most = math.max(64, math.min(100000, math.floor(2 ^ 27 / (bytes + 200))))
  count = math.min(keys, most)
  for i = 1, count do
    local name = count == keys and i - 1 or math.random(0, keys - 1)
    requests[i] = make(kind, string.format("key:%012d", name), value, level)
  end
  if pipeline > 1 then
    local batches = {}
    for i = 1, math.min(count, 4096) do
      local batch = {}
      for j = 1, pipeline do batch[j] = requests[math.random(count)] end
      batches[i] = table.concat(batch)
    end
    requests, count = batches, #batches
  end
end

function request() return requests[math.random(count)] end

function done(summary, latency, _)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.write
    + summary.errors.timeout
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%.6f,"p50":%.9f,"p99":%.9f,"p999":%.9f,"errors":%d}\n',
    -- A request that was refused was not served.
    summary.requests - summary.errors.status, summary.duration / 1e6,
    latency:percentile(50) / 1e6, latency:percentile(99) / 1e6, latency:percentile(99.9) / 1e6,
    failed + summary.errors.status))
end
