PRAGMA journal_mode = wal;
BEGIN TRANSACTION;
CREATE TABLE app (
	name TEXT NOT NULL, 
	provider TEXT NOT NULL, 
	app_key TEXT NOT NULL, 
	secret_ref TEXT, 
	endpoint TEXT NOT NULL, 
	policy TEXT NOT NULL, 
	options TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "app" VALUES('shop','commsease','key','env:SHOP','http://127.0.0.1:9/x','normal','{}');
CREATE TABLE attempt (
	delivery_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	sent_at INTEGER NOT NULL, 
	seconds FLOAT NOT NULL, 
	outcome TEXT NOT NULL, 
	status INTEGER, 
	rule TEXT NOT NULL, 
	detail TEXT NOT NULL, 
	PRIMARY KEY (delivery_id, number)
)
 WITHOUT ROWID

;
INSERT INTO "attempt" VALUES(1,1,1712345678892,5.0,'timed out',NULL,'no complete answer within 5 s','');
INSERT INTO "attempt" VALUES(3,1,1712345678892,0.1,'refused',404,'not 200','');
INSERT INTO "attempt" VALUES(3,2,1712345678893,0.1,'acked',200,'200 within 5 s','');
CREATE TABLE delivery (
	id INTEGER NOT NULL, 
	app TEXT NOT NULL, 
	event_type TEXT NOT NULL, 
	payload TEXT NOT NULL, 
	state TEXT NOT NULL, 
	due_at INTEGER NOT NULL, 
	attempts INTEGER DEFAULT 0 NOT NULL, 
	created_at INTEGER NOT NULL, 
	idempotency_key TEXT, 
	last_outcome TEXT, 
	signed_stamp TEXT, 
	PRIMARY KEY (id)
);
INSERT INTO "delivery" VALUES(1,'shop','commsease.message','[{"msgidServer":9007199254740993,"body":"你好"}]','waiting',1712345678896,1,1712345678811,NULL,'timed out','[1712345678000,"n-1"]');
INSERT INTO "delivery" VALUES(2,'shop','commsease.login','[{}]','waiting',1712345678901,0,1712345678821,'key-2',NULL,NULL);
INSERT INTO "delivery" VALUES(3,'shop','commsease.login','[{}]','acked',1712345678901,2,1712345678831,NULL,'acked',NULL);
INSERT INTO "delivery" VALUES(9,'shop','commsease.login','[{}]','parked',1712345678901,0,1712345678841,NULL,'timed out',NULL);
CREATE TABLE ledger_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT ledger_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "ledger_version" VALUES('0001');
CREATE TABLE setting (
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "setting" VALUES('colour','on');
CREATE INDEX delivery_due ON delivery (app, state, due_at, id);
CREATE UNIQUE INDEX delivery_idempotency ON delivery (app, idempotency_key) WHERE idempotency_key IS NOT NULL;
COMMIT;
