CREATE TABLE public.app (
    name text NOT NULL,
    provider text NOT NULL,
    app_key text NOT NULL,
    secret_ref text,
    endpoint text NOT NULL,
    policy text NOT NULL,
    options text NOT NULL
);
CREATE TABLE public.attempt (
    delivery_id bigint NOT NULL,
    number integer NOT NULL,
    sent_at bigint NOT NULL,
    seconds double precision NOT NULL,
    outcome text NOT NULL,
    status integer,
    rule text NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.delivery (
    id bigint NOT NULL,
    app text NOT NULL,
    event_type text NOT NULL,
    payload text NOT NULL,
    state text NOT NULL,
    due_at bigint NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    created_at bigint NOT NULL,
    idempotency_key text,
    last_outcome text,
    signed_stamp text
);
CREATE TABLE public.ledger_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.setting (
    key text NOT NULL,
    value text NOT NULL
);
INSERT INTO public.app VALUES ('shop', 'commsease', 'key', 'env:SHOP', 'http://127.0.0.1:9/x', 'normal', '{}');
INSERT INTO public.attempt VALUES (1, 1, 1712345678892, 5, 'timed out', NULL, 'no complete answer within 5 s', '');
INSERT INTO public.attempt VALUES (3, 1, 1712345678892, 0.1, 'refused', 404, 'not 200', '');
INSERT INTO public.attempt VALUES (3, 2, 1712345678893, 0.1, 'acked', 200, '200 within 5 s', '');
INSERT INTO public.delivery VALUES (1, 'shop', 'commsease.message', '[{"msgidServer":9007199254740993,"body":"你好"}]', 'waiting', 1712345678896, 1, 1712345678811, NULL, 'timed out', '[1712345678000,"n-1"]');
INSERT INTO public.delivery VALUES (2, 'shop', 'commsease.login', '[{}]', 'waiting', 1712345678901, 0, 1712345678821, 'key-2', NULL, NULL);
INSERT INTO public.delivery VALUES (3, 'shop', 'commsease.login', '[{}]', 'acked', 1712345678901, 2, 1712345678831, NULL, 'acked', NULL);
INSERT INTO public.delivery VALUES (9, 'shop', 'commsease.login', '[{}]', 'parked', 1712345678901, 0, 1712345678841, NULL, 'timed out', NULL);
INSERT INTO public.ledger_version VALUES ('0001');
INSERT INTO public.setting VALUES ('colour', 'on');
ALTER TABLE ONLY public.app
    ADD CONSTRAINT app_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.attempt
    ADD CONSTRAINT attempt_pkey PRIMARY KEY (delivery_id, number);
ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT delivery_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.ledger_version
    ADD CONSTRAINT ledger_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.setting
    ADD CONSTRAINT setting_pkey PRIMARY KEY (key);
CREATE INDEX delivery_due ON public.delivery USING btree (app, state, due_at, id);
CREATE UNIQUE INDEX delivery_idempotency ON public.delivery USING btree (app, idempotency_key) WHERE (idempotency_key IS NOT NULL);
