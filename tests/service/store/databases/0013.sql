BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0013');
CREATE TABLE "answers" (
	id INTEGER NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	name VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	job_id VARCHAR(32), 
	body JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	project VARCHAR(64) DEFAULT 'default' NOT NULL, 
	CONSTRAINT pk_answers PRIMARY KEY (id), 
	CONSTRAINT fk_answers_job_id_jobs FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE SET NULL, 
	CONSTRAINT uq_answers_project_kind_name_version UNIQUE (project, kind, name, version)
);
INSERT INTO "answers" VALUES(1,'law','of an old release',1,NULL,'{"a": 1}','2026-01-02 03:04:05.678901','default');
INSERT INTO "answers" VALUES(2,'law','of an old release',1,NULL,'{"a": 2}','2026-01-02 03:04:05.678901','vision');
CREATE TABLE audit (
	sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	created_at DATETIME NOT NULL, 
	token_id VARCHAR(32), 
	who VARCHAR NOT NULL, 
	project VARCHAR(64) NOT NULL, 
	address VARCHAR, 
	operation VARCHAR NOT NULL, 
	target VARCHAR NOT NULL, 
	status INTEGER NOT NULL
);
INSERT INTO "audit" VALUES(1,'2026-11-28 00:00:00.000000',NULL,'of an old release','default',NULL,'POST /v1/jobs','/v1/jobs/j1',201);
CREATE TABLE clusters (
	conductor VARCHAR NOT NULL, 
	seen_at DATETIME NOT NULL, 
	nodes JSON NOT NULL, 
	CONSTRAINT pk_clusters PRIMARY KEY (conductor)
);
INSERT INTO "clusters" VALUES('conductor of an old release','2026-01-01 00:00:00.000000','[{"name": "then", "alive": true, "resources": [{"name": "CPU", "used": 1.0, "total": 2.0}], "gpus": []}]');
CREATE TABLE deliveries (
	id VARCHAR(32) NOT NULL, 
	webhook_id VARCHAR(32) NOT NULL, 
	event VARCHAR(32) NOT NULL, 
	job_id VARCHAR(32) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	attempts INTEGER NOT NULL, 
	next_at DATETIME, 
	status INTEGER, 
	error VARCHAR, 
	created_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	body VARCHAR NOT NULL, 
	CONSTRAINT pk_deliveries PRIMARY KEY (id), 
	CONSTRAINT fk_deliveries_webhook_id_webhooks FOREIGN KEY(webhook_id) REFERENCES webhooks (id) ON DELETE CASCADE
);
INSERT INTO "deliveries" VALUES('d1','w1','job.completed','gone','delivered',1,NULL,200,NULL,'2026-01-01 00:00:00.000000','2026-01-01 00:00:01.000000','{"id": "d1"}');
CREATE TABLE events (
	sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	job_id VARCHAR(32) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	payload JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT fk_events_job_id_jobs FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
INSERT INTO "events" VALUES(1,'ja6tedayel4w','job.state','{"state":"queued","reason":null}','2026-01-02 03:04:05.678901');
INSERT INTO "events" VALUES(2,'ja6tedayel4w','job.state','{"state":"running","reason":null}','2026-01-02 03:04:05.678901');
INSERT INTO "events" VALUES(3,'ja6tedayel4w','trial.queued','{"trial_id":"ja6tedayel4w-0","number":0,"attempt":0,"origin":"optimizer","label":null,"config":{"method":"lora","rank":0},"reason":null}','2026-01-02 03:04:05.678901');
INSERT INTO "events" VALUES(4,'ja6tedayel4w','trial.queued','{"trial_id":"ja6tedayel4w-1","number":1,"attempt":0,"origin":"optimizer","label":null,"config":{"method":"lora","rank":1},"reason":null}','2026-01-02 03:04:05.678901');
INSERT INTO "events" VALUES(5,'ja6tedayel4w','trial.queued','{"trial_id":"ja6tedayel4w-2","number":2,"attempt":0,"origin":"optimizer","label":null,"config":{"method":"lora","rank":2},"reason":null}','2026-01-02 03:04:05.678901');
INSERT INTO "events" VALUES(6,'ja6tedayel4w','trial.queued','{"trial_id":"ja6tedayel4w-3","number":3,"attempt":0,"origin":"optimizer","label":null,"config":{"method":"lora","rank":3},"reason":null}','2026-01-02 03:04:05.678901');
INSERT INTO "events" VALUES(7,'ja6tedayel4w','trial.queued','{"trial_id":"ja6tedayel4w-4","number":4,"attempt":0,"origin":"optimizer","label":null,"config":{"method":"lora","rank":4},"reason":null}','2026-01-02 03:04:05.678901');
INSERT INTO "events" VALUES(8,'ja6tedayel4w','trial.running','{"trial_id":"ja6tedayel4w-0","number":0,"attempt":1,"worker_id":"a"}','2026-01-02 03:04:05.678901');
INSERT INTO "events" VALUES(9,'ja6tedayel4w','trial.report','{"trial_id":"ja6tedayel4w-0","attempt":1,"step":1,"epoch":0.1,"seconds":1.0,"metrics":{"accuracy":0.1}}','2026-01-02 03:04:06.678901');
INSERT INTO "events" VALUES(10,'ja6tedayel4w','trial.report','{"trial_id":"ja6tedayel4w-0","attempt":1,"step":2,"epoch":0.2,"seconds":2.0,"metrics":{"accuracy":0.2}}','2026-01-02 03:04:06.678901');
INSERT INTO "events" VALUES(11,'ja6tedayel4w','trial.completed','{"trial_id":"ja6tedayel4w-0","number":0,"attempt":1,"metrics":{"accuracy":0.75,"trainable_params":100.0,"latency_ms":10.0},"on_front":true,"reason":null}','2026-01-02 03:04:07.678901');
INSERT INTO "events" VALUES(12,'ja6tedayel4w','front','{"joined":["ja6tedayel4w-0"],"left":[],"size":1}','2026-01-02 03:04:07.678901');
INSERT INTO "events" VALUES(13,'ja6tedayel4w','trial.running','{"trial_id":"ja6tedayel4w-1","number":1,"attempt":1,"worker_id":"b"}','2026-01-02 03:04:07.678901');
INSERT INTO "events" VALUES(14,'ja6tedayel4w','trial.failed','{"trial_id":"ja6tedayel4w-1","number":1,"attempt":1,"metrics":{"accuracy":0.5,"trainable_params":100.0,"latency_ms":10.0},"on_front":false,"reason":"nan_loss: at step 3"}','2026-01-02 03:04:07.678901');
INSERT INTO "events" VALUES(15,'ja6tedayel4w','trial.running','{"trial_id":"ja6tedayel4w-2","number":2,"attempt":1,"worker_id":"c"}','2026-01-02 03:04:07.678901');
INSERT INTO "events" VALUES(16,'ja6tedayel4w','trial.running','{"trial_id":"ja6tedayel4w-3","number":3,"attempt":1,"worker_id":"d"}','2026-01-02 03:04:07.678901');
INSERT INTO "events" VALUES(17,'ja6tedayel4w','trial.paused','{"trial_id":"ja6tedayel4w-3","number":3,"attempt":1,"metrics":{"accuracy":0.5,"trainable_params":100.0,"latency_ms":10.0},"on_front":false,"reason":null}','2026-01-02 03:04:07.678901');
CREATE TABLE exploits (
	trial_id VARCHAR(48) NOT NULL, 
	attempt INTEGER NOT NULL, 
	job_id VARCHAR(32) NOT NULL, 
	donor_id VARCHAR(48) NOT NULL, 
	donor_attempt INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	epoch FLOAT NOT NULL, 
	checkpoint VARCHAR(64) NOT NULL, 
	seed BIGINT NOT NULL, 
	config JSON NOT NULL, 
	previous JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_exploits PRIMARY KEY (trial_id, attempt), 
	CONSTRAINT fk_exploits_donor_id_trials FOREIGN KEY(donor_id) REFERENCES trials (id) ON DELETE CASCADE, 
	CONSTRAINT fk_exploits_job_id_jobs FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE, 
	CONSTRAINT fk_exploits_trial_id_trials FOREIGN KEY(trial_id) REFERENCES trials (id) ON DELETE CASCADE
);
INSERT INTO "exploits" VALUES('ja6tedayel4w-3',2,'ja6tedayel4w','ja6tedayel4w-0',1,4,0.5,'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee',78,'{"method":"lora","rank":0}','{"method":"lora","rank":3}','2026-01-02 03:04:05.678901');
CREATE TABLE exports (
	trial_id VARCHAR(48) NOT NULL, 
	job_id VARCHAR(32) NOT NULL, 
	adapter VARCHAR(64) NOT NULL, 
	times INTEGER NOT NULL, 
	first_at DATETIME NOT NULL, 
	last_at DATETIME NOT NULL, 
	CONSTRAINT pk_exports PRIMARY KEY (trial_id), 
	CONSTRAINT fk_exports_trial_id_trials FOREIGN KEY(trial_id) REFERENCES trials (id) ON DELETE CASCADE, 
	CONSTRAINT fk_exports_job_id_jobs FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
INSERT INTO "exports" VALUES('ja6tedayel4w-0','ja6tedayel4w','eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee',2,'2026-01-01 00:00:00.000000','2026-01-02 00:00:00.000000');
CREATE TABLE "idempotency_keys" (
	project VARCHAR(64) NOT NULL, 
	"key" VARCHAR NOT NULL, 
	body VARCHAR(64) NOT NULL, 
	job_id VARCHAR(32) NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_new_idempotency_keys PRIMARY KEY (project, "key"), 
	CONSTRAINT fk_idempotency_keys_job_id_jobs FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
INSERT INTO "idempotency_keys" VALUES('default','key of an old release','e2b9337937d5f6847d2df25a4601c2844bdb4c68eca3acb145716adb82422d4d','ja6tedayel4w','2026-01-02 03:04:05.678901');
CREATE TABLE jobs (
	id VARCHAR(32) NOT NULL, 
	name VARCHAR NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	spec JSON NOT NULL, 
	reason VARCHAR, 
	created_at DATETIME NOT NULL, 
	started_at DATETIME, 
	finished_at DATETIME, 
	lease_owner VARCHAR, 
	lease_until DATETIME, 
	version INTEGER NOT NULL, 
	next_number INTEGER NOT NULL, 
	queued INTEGER NOT NULL, 
	running INTEGER NOT NULL, 
	paused INTEGER NOT NULL, 
	completed INTEGER NOT NULL, 
	stopped INTEGER NOT NULL, 
	failed INTEGER NOT NULL, 
	front_size INTEGER NOT NULL, project VARCHAR(64) DEFAULT 'default' NOT NULL, tags JSON DEFAULT '[]' NOT NULL, note VARCHAR, trace VARCHAR(64), 
	CONSTRAINT pk_jobs PRIMARY KEY (id)
);
INSERT INTO "jobs" VALUES('ja6tedayel4w','of an old release','running','{"name":"example","objectives":[{"metric":"accuracy","direction":"maximize"},{"metric":"trainable_params","direction":"minimize"}],"constraints":[{"metric":"latency_ms","max":20}],"resources":{"max_attempts":3}}',NULL,'2026-01-02 03:04:05.678901','2026-01-02 03:04:05.678901',NULL,NULL,NULL,10,6,2,1,1,1,0,1,1,'default','["old"]','of then','00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
CREATE TABLE reports (
	trial_id VARCHAR(48) NOT NULL, 
	attempt INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	epoch FLOAT NOT NULL, 
	seconds FLOAT NOT NULL, 
	metrics JSON NOT NULL, 
	checkpoint VARCHAR(64), 
	checkpoint_bytes BIGINT, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_reports PRIMARY KEY (trial_id, attempt, step), 
	CONSTRAINT fk_reports_trial_id_trials FOREIGN KEY(trial_id) REFERENCES trials (id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "reports" VALUES('ja6tedayel4w-0',1,1,0.1,1.0,'{"accuracy":0.1}',NULL,NULL,'2026-01-02 03:04:06.678901');
INSERT INTO "reports" VALUES('ja6tedayel4w-0',1,2,0.2,2.0,'{"accuracy":0.2}',NULL,NULL,'2026-01-02 03:04:06.678901');
CREATE TABLE tokens (
	id VARCHAR(32) NOT NULL, 
	hash VARCHAR(64) NOT NULL, 
	name VARCHAR NOT NULL, 
	project VARCHAR NOT NULL, 
	scopes JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME, 
	revoked_at DATETIME, rate FLOAT, 
	CONSTRAINT pk_tokens PRIMARY KEY (id), 
	CONSTRAINT uq_tokens_hash UNIQUE (hash)
);
INSERT INTO "tokens" VALUES('t15f6a90be5f5','0c3cf97bddda22641a5d8e6337c37f03f5e14def02ed6825ffaa3afba2dbfd99','old','default','["read","work"]','2026-01-02 03:04:07.678901',NULL,NULL,NULL);
CREATE TABLE trials (
	id VARCHAR(48) NOT NULL, 
	job_id VARCHAR(32) NOT NULL, 
	number INTEGER NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	origin VARCHAR(16) NOT NULL, 
	label VARCHAR, 
	config JSON NOT NULL, 
	seed BIGINT NOT NULL, 
	attempt INTEGER NOT NULL, 
	losses INTEGER NOT NULL, 
	metrics JSON NOT NULL, 
	on_front BOOLEAN NOT NULL, 
	adapter VARCHAR(64), 
	adapter_bytes BIGINT, 
	checkpoint VARCHAR(64), 
	checkpoint_bytes BIGINT, 
	engine VARCHAR(32), 
	engine_reason VARCHAR, 
	environment JSON NOT NULL, 
	reason VARCHAR, 
	outcome VARCHAR(64), 
	worker_id VARCHAR, 
	lease_until DATETIME, 
	created_at DATETIME NOT NULL, 
	started_at DATETIME, 
	finished_at DATETIME, confirms VARCHAR(48), evaluated_rows INTEGER, tags JSON DEFAULT '[]' NOT NULL, note VARCHAR, 
	CONSTRAINT pk_trials PRIMARY KEY (id), 
	CONSTRAINT fk_trials_job_id_jobs FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE, 
	CONSTRAINT uq_trials_job_id_number UNIQUE (job_id, number)
);
INSERT INTO "trials" VALUES('ja6tedayel4w-0','ja6tedayel4w',0,'completed','optimizer',NULL,'{"method":"lora","rank":0}',0,1,0,'{"accuracy":0.75,"trainable_params":100.0,"latency_ms":10.0}',1,NULL,NULL,NULL,NULL,'reference',NULL,'{"torch":"2.13.0"}',NULL,'9e99ccf813f9dca2eb6a49369541524d2c6a67f21a818b11249f8a1cb4b0cd04','a',NULL,'2026-01-02 03:04:05.678901','2026-01-02 03:04:05.678901','2026-01-02 03:04:07.678901',NULL,500,'["odd"]',NULL);
INSERT INTO "trials" VALUES('ja6tedayel4w-1','ja6tedayel4w',1,'failed','optimizer',NULL,'{"method":"lora","rank":1}',1,1,0,'{"accuracy":0.5,"trainable_params":100.0,"latency_ms":10.0}',0,NULL,NULL,NULL,NULL,NULL,NULL,'{}','nan_loss: at step 3','61c31191e32fd6646f5b154ae04c93a77fe7583fb5c2e261ffe308076a731d7d','b',NULL,'2026-01-02 03:04:05.678901','2026-01-02 03:04:07.678901','2026-01-02 03:04:07.678901',NULL,NULL,'[]',NULL);
INSERT INTO "trials" VALUES('ja6tedayel4w-2','ja6tedayel4w',2,'running','optimizer',NULL,'{"method":"lora","rank":2}',2,1,0,'{}',0,NULL,NULL,NULL,NULL,NULL,NULL,'{}',NULL,NULL,'c','2026-01-02 03:05:07.678901','2026-01-02 03:04:05.678901','2026-01-02 03:04:07.678901',NULL,NULL,NULL,'[]',NULL);
INSERT INTO "trials" VALUES('ja6tedayel4w-3','ja6tedayel4w',3,'paused','optimizer',NULL,'{"method":"lora","rank":3}',3,1,0,'{"accuracy":0.5,"trainable_params":100.0,"latency_ms":10.0}',0,NULL,NULL,NULL,NULL,NULL,NULL,'{}',NULL,'fe5e5d6678b1be0e7fde1becffbb5dc637c0abe49bb16702564c27f523d193ba','d',NULL,'2026-01-02 03:04:05.678901','2026-01-02 03:04:07.678901',NULL,NULL,NULL,'[]',NULL);
INSERT INTO "trials" VALUES('ja6tedayel4w-4','ja6tedayel4w',4,'queued','optimizer',NULL,'{"method":"lora","rank":4}',4,0,0,'{}',0,NULL,NULL,NULL,NULL,NULL,NULL,'{}',NULL,NULL,NULL,NULL,'2026-01-02 03:04:05.678901',NULL,NULL,NULL,NULL,'[]',NULL);
INSERT INTO "trials" VALUES('ja6tedayel4w-5','ja6tedayel4w',5,'queued','confirmation',NULL,'{"method":"lora","rank":0}',77,0,0,'{}',0,NULL,NULL,NULL,NULL,NULL,NULL,'{}',NULL,NULL,NULL,NULL,'2026-01-02 03:04:05.678901',NULL,NULL,'ja6tedayel4w-0',NULL,'[]',NULL);
CREATE TABLE webhooks (
	id VARCHAR(32) NOT NULL, 
	url VARCHAR NOT NULL, 
	events JSON NOT NULL, 
	project VARCHAR(64), 
	job_id VARCHAR(32), 
	created_at DATETIME NOT NULL, 
	secret VARCHAR NOT NULL, 
	seen BIGINT NOT NULL, 
	front_seen BIGINT NOT NULL, 
	front_told_at DATETIME, 
	CONSTRAINT pk_webhooks PRIMARY KEY (id), 
	CONSTRAINT fk_webhooks_job_id_jobs FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
INSERT INTO "webhooks" VALUES('w1','https://hooks.example.com/x','["job.completed"]',NULL,NULL,'2026-01-01 00:00:00.000000','whsec_of_an_old_release',17,17,NULL);
CREATE INDEX ix_jobs_created_at_id ON jobs (created_at, id);
CREATE INDEX ix_jobs_state_lease_until ON jobs (state, lease_until);
CREATE INDEX ix_events_job_id_sequence ON events (job_id, sequence);
CREATE INDEX ix_trials_front ON trials (job_id, number) WHERE on_front = 1;
CREATE INDEX ix_trials_reference ON trials (job_id, number) WHERE origin = 'reference';
CREATE INDEX ix_trials_job_id_state_number ON trials (job_id, state, number);
CREATE INDEX ix_trials_lease_until ON trials (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX ix_trials_confirms ON trials (job_id, number) WHERE confirms IS NOT NULL;
CREATE INDEX ix_exploits_job_id_created_at ON exploits (job_id, created_at);
CREATE INDEX ix_exploits_donor_id ON exploits (donor_id);
CREATE INDEX ix_jobs_project_created_at_id ON jobs (project, created_at, id);
CREATE INDEX ix_answers_job_id ON answers (job_id);
CREATE INDEX ix_idempotency_keys_job_id ON idempotency_keys (job_id);
CREATE INDEX ix_audit_created_at ON audit (created_at);
CREATE INDEX ix_webhooks_job_id ON webhooks (job_id);
CREATE INDEX ix_deliveries_state_next_at ON deliveries (state, next_at);
CREATE INDEX ix_deliveries_webhook_id_created_at_id ON deliveries (webhook_id, created_at, id);
CREATE INDEX ix_exports_job_id_last_at ON exports (job_id, last_at);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('events',17);
INSERT INTO "sqlite_sequence" VALUES('audit',1);
COMMIT;
