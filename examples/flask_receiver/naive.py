import argparse
import hashlib
import json
import os
import sqlite3

from flask import Flask, jsonify, request
from waitress import create_server

app = Flask(__name__)

APP_SECRET = os.environ.get("COMMSEASE_APP_SECRET", "test-secret")
RC_SECRET = os.environ.get("RONGCLOUD_APP_SECRET", "test-secret")


def query(sql, *args):
    db = sqlite3.connect(app.config["DATABASE"])
    rows = db.execute(sql, args).fetchall()
    db.commit()
    db.close()
    return rows


def save(provider, account, summary, data):
    query(
        "INSERT INTO events (provider, account, summary, payload) VALUES (?, ?, ?, ?)",
        provider,
        account,
        summary,
        json.dumps(data, ensure_ascii=False),
    )


def on_message(data):
    if data["msgType"] == "TEXT":
        summary = data["fromNick"] + ": " + data["body"]
    else:
        attach = json.loads(data["attach"])
        summary = data["fromNick"] + " sent " + attach.get("name", data["msgType"])
    save("commsease", data["fromAccount"], summary, data)


def on_login(data):
    save("commsease", data["accid"], data["clientType"] + " " + data["clientIp"], data)


def on_logout(data):
    save("commsease", data["accid"], "logged out", data)


def on_chatroom(data):
    save("commsease", data["fromAccount"], data["attach"], data)


def on_recall(data):
    save("commsease", data["from"], "recalled " + data["msgId"], data)


HANDLERS = {
    "1": on_message,
    "2": on_login,
    "3": on_logout,
    "4": on_chatroom,
    "7": on_recall,
    "8": on_recall,
}


@app.route("/commsease", methods=["POST"])
def commsease():
    data = request.get_json()
    body = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    md5 = hashlib.md5(body.encode()).hexdigest()
    check_sum = hashlib.sha1((APP_SECRET + md5 + request.headers.get("CurTime")).encode()).hexdigest()
    if check_sum != request.headers.get("CheckSum"):
        return jsonify(code=414)
    HANDLERS[data["eventType"]](data)
    return jsonify(code=200)


@app.route("/rongcloud", methods=["POST"])
def rongcloud():
    s = RC_SECRET + request.args.get("nonce") + request.args.get("timestamp")
    if hashlib.sha1(s.encode()).hexdigest() != request.args.get("signature"):
        return jsonify(code=401, msg="signature error")
    for item in request.get_json():
        save("rongcloud", item["userId"], item["key"] + "=" + item["value"], item)
    return jsonify(code=200)


@app.route("/tencent", methods=["POST"])
def tencent():
    # Tencent does not send a Content-Type
    data = request.get_json(force=True)
    if data["CallbackCommand"] == "C2C.CallbackAfterSendMsg":
        text = data["MsgBody"][0]["MsgContent"]["Text"]
        save("tencent", data["From_Account"], text, data)
    return jsonify(ActionStatus="OK", ErrorCode=0)


@app.route("/effects")
def effects():
    provider = request.args.get("provider")
    if provider:
        rows = query("SELECT payload FROM events WHERE provider = ? ORDER BY id", provider)
    else:
        rows = query("SELECT payload FROM events ORDER BY id")
    return jsonify([json.loads(row[0]) for row in rows])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--database", default="naive.db")
    parser.add_argument("--test-mode", action="store_true")
    options = parser.parse_args()
    app.config["DATABASE"] = options.database
    query(
        "CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY AUTOINCREMENT,"
        " provider TEXT, account TEXT, summary TEXT, payload TEXT)"
    )
    server = create_server(app, host="127.0.0.1", port=options.port)
    print(f"listening on http://127.0.0.1:{server.effective_port}", flush=True)
    server.run()
