-- Sends CommsEase messages with wrk: every body is unlike all others, and signed by the documented formula.
--
-- The arguments after `--` are the AppKey, the AppSecret and the body, in which %d stands for a number.
-- MD5 and SHA-1 come from the libcrypto that wrk itself is linked with.

local ffi = require("ffi")
ffi.cdef [[
unsigned char *MD5(const unsigned char *data, size_t size, unsigned char *digest);
unsigned char *SHA1(const unsigned char *data, size_t size, unsigned char *digest);
]]

local crypto = ffi.C
if not pcall(function() return ffi.C.MD5 end) then
  crypto = ffi.load("libcrypto.so.3")
end

local digest = ffi.new("unsigned char[20]")
local hexadecimal = {}
for octet = 0, 255 do
  hexadecimal[octet] = string.format("%02x", octet)
end

local function digested(algorithm, text, size)
  algorithm(text, #text, digest)
  local parts = {}
  for index = 0, size - 1 do
    parts[index + 1] = hexadecimal[digest[index]]
  end
  return table.concat(parts)
end

local key, secret, before, after
local number = 0

function init(arguments)
  key, secret = arguments[1], arguments[2]
  before, after = arguments[3]:match("^(.*)%%d(.*)$")
end

function request()
  number = number + 1
  local body = before .. number .. after
  local md5 = digested(crypto.MD5, body, 16)
  local time = os.time() .. "000"
  return wrk.format("POST", nil, {
    ["Content-Type"] = "application/json",
    ["AppKey"] = key,
    ["CurTime"] = time,
    ["MD5"] = md5,
    ["CheckSum"] = digested(crypto.SHA1, secret .. md5 .. time, 20),
  }, body)
end
