// A receiver for two callback services of RongCloud: messages (/message-route) and chat room attributes
// (/chatroom-kv). A request is verified, stored and acknowledged, in this order.
import { createHash, timingSafeEqual } from "node:crypto";
import express from "express";
import { openStore } from "./store.js";

const HOUR = 3_600_000; // our own limit: network trouble delays a delivery by five minutes
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function setting(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

const appKey = setting("RONGCLOUD_APP_KEY");
const appSecret = setting("RONGCLOUD_APP_SECRET");
const store = await openStore(setting("REDIS_URL"));

function same(given, expected) {
  // Of the same length first, which timingSafeEqual wants.
  const [a, b] = [given, expected].map((text) => createHash("sha256").update(text).digest());
  return timingSafeEqual(a, b);
}

// sha1(AppSecret + nonce + timestamp), which does not cover the body ("Server Callback Signature").
function verify(request, response, next) {
  const once = (name) => (typeof request.query[name] === "string" ? request.query[name] : "");
  const nonce = once("nonce");
  const stamp = once("timestamp" in request.query ? "timestamp" : "signTimestamp"); // its name until 2021
  const expected = createHash("sha1").update(appSecret + nonce + stamp).digest("hex");
  const recent = /^[0-9]{1,15}$/.test(stamp) && Math.abs(Date.now() - Number(stamp)) <= HOUR;
  if (nonce && recent && same(once("signature"), expected) && same(once("appKey"), appKey)) return next();
  response.status(401).send("not signed by RongCloud");
}

class NotUnderstood extends Error {}

function text(value) {
  if (value === undefined || value === null) return "";
  if (typeof value === "object") throw new NotUnderstood("an object where a text is due");
  return String(value);
}

function number(value) {
  const found = Number(text(value) || NaN);
  if (!Number.isSafeInteger(found)) throw new NotUnderstood("no number where one is due");
  return found;
}

function decoded(body) {
  try {
    return utf8.decode(body);
  } catch {
    throw new NotUnderstood("not UTF-8");
  }
}

// Not URLSearchParams, which puts U+FFFD in the place of what is no UTF-8.
function form(body) {
  const part = (text) => decodeURIComponent(text.replaceAll("+", " "));
  try {
    return Object.fromEntries(decoded(body).split("&").map((pair) => /^([^=]*)=?(.*)$/s.exec(pair).slice(1).map(part)));
  } catch (error) {
    throw new NotUnderstood(error.message);
  }
}

// "Post-messaging Callback": one message, as a form.
async function message(request, response) {
  const fields = form(request.body);
  if (!fields.msgUID) throw new NotUnderstood("no msgUID");
  await store.addMessage(fields, number(fields.msgTimestamp));
  response.send();
}

// "Chatroom Attribute Synchronization (KV)": an array of changes.
async function attributes(request, response) {
  let entries;
  try {
    entries = JSON.parse(decoded(request.body));
  } catch (error) {
    throw new NotUnderstood(error.message);
  }
  const isObject = (entry) => typeof entry === "object" && entry !== null && !Array.isArray(entry);
  if (!Array.isArray(entries) || !entries.every(isObject)) throw new NotUnderstood("no array of objects");
  const changes = entries.flatMap((entry) => {
    const change = { room: text(entry.chatroomId), key: text(entry.key), entry };
    switch (text(entry.optType)) {
      case "1":
        return { ...change, kind: "set", version: number(entry.version) };
      case "2":
        return { ...change, kind: "delete", version: number(entry.version) };
      case "3":
        return { ...change, kind: "clear", version: number(entry.version) };
      default:
        return []; // not known yet: nothing to us
    }
  });
  await store.apply(changes);
  response.send();
}

const app = express();
app.disable("x-powered-by");
app.set("query parser", "simple");
// Raw, whatever the Content-Type; 500 values of 4,096 characters take 6 MiB.
const raw = express.raw({ type: () => true, limit: "8mb" });
app.post("/message-route", verify, raw, message);
app.post("/chatroom-kv", verify, raw, attributes);
app.use((error, request, response, next) => {
  if (response.headersSent) return next(error);
  if (error instanceof NotUnderstood) return response.status(400).send(error.message);
  if (error.status >= 400 && error.status < 500) return response.status(error.status).send(error.message);
  console.error("not acknowledged:", error);
  response.status(503).send("try again");
});

const server = app.listen(Number(setting("PORT")), "127.0.0.1");
process.once("SIGTERM", () => {
  // What has arrived is still answered.
  server.close(() => store.close());
  server.closeIdleConnections();
});
